import Logging
import SpringgConfiguration

/// Writes log lines to standard error, each with one write(2), so that lines of several threads never mix.
struct StandardErrorLogHandler: LogHandler {
    let isJSON: Bool
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var merged = metadata
        if let own = event.metadata { merged.merge(own) { _, new in new } }
        var fields = merged.sorted { $0.key < $1.key }.map { (name: $0.key, value: "\($0.value)") }
        if let error = event.error { fields.append((name: "error", value: "\(error)")) }
        let line = LogLine(level: Self.word(for: event.level), message: event.message.description, fields: fields)
        Output.standardError(
            isJSON ? line.json(time: Timestamp.utcNowWithMilliseconds()) : line.text(time: Timestamp.localNow())
        )
    }

    private static func word(for level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "debug"
        case .info, .notice: "info"
        case .warning: "warn"
        case .error, .critical: "error"
        }
    }
}

extension Logger {
    /// The program's log as the settings want it.
    init(settings: Configuration) {
        let handler = StandardErrorLogHandler(
            isJSON: settings[Keys.logFormat] == "json",
            logLevel: Logger.level(named: settings[Keys.logLevel])
        )
        self.init(label: "springg") { _ in handler }
    }

    private static func level(named name: String) -> Logger.Level {
        switch name {
        case "debug": .debug
        case "warn": .warning
        case "error": .error
        default: .info
        }
    }
}
