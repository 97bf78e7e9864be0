/// One line of the log, before it is written.
///
/// Both forms keep to one line whatever the message holds: a name sent by a client cannot forge a second line.
public struct LogLine: Sendable {
    /// `debug`, `info`, `warn` or `error`.
    public let level: String
    /// What happened.
    public let message: String
    /// Details, in the order in which they are shown.
    public let fields: [(name: String, value: String)]

    /// A line to be.
    public init(level: String, message: String, fields: [(name: String, value: String)]) {
        self.level = level
        self.message = message
        self.fields = fields
    }

    /// `2026/11/22 12:00:00 message key=value`; warnings and errors carry their level, as they are what is looked for.
    ///
    /// `time` is the moment as `2026/11/22 12:00:00`, in local time.
    public func text(time: String) -> String {
        var line = time + " "
        if level == "warn" || level == "error" { line += level.uppercased() + " " }
        line += LogLine.onOneLine(message)
        for field in fields { line += " \(field.name)=\(LogLine.bareOrQuoted(field.value))" }
        return line + "\n"
    }

    /// One JSON object: `time`, `level`, `message`, then the details.
    ///
    /// `time` is the moment as RFC 3339, in UTC.
    public func json(time: String) -> String {
        var line = "{\"time\":\(JSONValue.quoted(time)),\"level\":\(JSONValue.quoted(level))"
        line += ",\"message\":\(JSONValue.quoted(message))"
        for field in fields { line += ",\(JSONValue.quoted(field.name)):\(JSONValue.quoted(field.value))" }
        return line + "}\n"
    }

    private static func onOneLine(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        return String(quoted(text).dropFirst().dropLast())
    }

    private static func bareOrQuoted(_ text: String) -> String {
        let needsQuotes = text.isEmpty || text.unicodeScalars.contains { $0 == " " || $0 == "\"" || isControl($0) }
        return needsQuotes ? quoted(text) : text
    }
}
