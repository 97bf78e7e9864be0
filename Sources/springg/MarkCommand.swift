import ArgumentParser
import SpringgConfiguration
import SpringgLog
import SpringgProjections

/// Names the present moment: `springg mark`.
struct MarkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mark",
        abstract: "Name the present moment, to restore to it later.",
        discussion: """
            Writes an event that changes nothing but gives this moment a name. Over the server if one runs on the data \
            directory, else into the directory. A name that is taken is refused unless --move is given; the event of \
            the former mark stays in the log. Without a name the marks are listed, earliest first.

            A name is \(MarkName.rule).

            Exit codes: 0 fine, 1 failure, 2 wrong usage.

            Examples:
              springg mark before-migration
              springg mark nightly --move
              springg mark --json                          the marks there are
              springg restore --from /var/lib/springg --to before-migration --data-path /var/lib/springg-restored
            """
    )

    @Argument(help: "The name.")
    var name: String?

    @Flag(help: "Move the mark if the name is taken.")
    var move = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var file: ConfigurationFileOption
    @OptionGroup(title: "Settings (as for springg serve)") var flags: ConfigurationFlags

    func validate() throws {
        if let name, MarkName(name) == nil {
            throw ValidationError("\"\(name)\" is no name of a mark: it must be \(MarkName.rule)")
        }
    }

    func run() throws {
        let settings = try Configuration.load(explicitFile: file.file, flags: flags.given())
        let answer = try RunningNode.holds(settings[Keys.dataPath]) ? ask(RunningNode(settings)) : open(settings)
        guard !json else {
            Output.standardOutput(answer.text() + "\n")
            return
        }
        if case .array(let marks) = answer {
            for mark in marks { Output.standardOutput(line(mark)) }
        } else {
            Output.standardOutput(line(answer))
        }
    }

    private func ask(_ node: RunningNode) throws -> JSONValue {
        guard let name else { return try node.send("GET", "/api/marks") }
        return try node.send("POST", "/api/marks", body: .object(["name": .string(name), "move": .boolean(move)]))
    }

    /// Without a server the directory is opened as one would.
    private func open(_ settings: Configuration) throws -> JSONValue {
        let fileSystem = PosixFileSystem()
        guard let names = try? fileSystem.list(settings[Keys.dataPath] + "/log"), !names.isEmpty else {
            throw CommandFailure(
                "\(settings[Keys.dataPath]) is no data directory",
                advice: "name it with --data-path, or give the server's --config"
            )
        }
        var options = DatabaseOptions(dataPath: settings[Keys.dataPath])
        options.segmentBytes = settings[Keys.logSegmentMB] << 20
        options.checkpointSeconds = 0
        let database: Database
        do {
            database = try Database.open(options)
        } catch {
            throw CommandFailure("\(error)")
        }
        defer { database.close() }
        guard let name = name.flatMap({ MarkName($0) }) else {
            return .array(database.marks.map { object($0.name, $0.version) })
        }
        let receipts = try Blocking.wait {
            try await withCheckedThrowingContinuation { continuation in
                database.submit([.mark(name, moving: move)]) { results in
                    continuation.resume(with: Result { try results.map { try $0.get() } })
                }
            } as [Receipt]
        }
        let receipt = receipts[0]
        let version = EventVersion(hlc: receipt.hlc, origin: receipt.origin)
        guard case .object(var members) = object(name.description, version) else { return .null }
        members["event"] = .string("\(receipt.origin):\(receipt.sequence)")
        return .object(members)
    }

    private func object(_ name: String, _ version: EventVersion) -> JSONValue {
        .object([
            "name": .string(name), "time": .string(version.hlc.utc), "hlc": .string("\(version.hlc)"),
            "origin": .string("\(version.origin)"),
        ])
    }

    private func line(_ mark: JSONValue) -> String {
        guard case .object(let members) = mark, case .string(let name)? = members["name"],
            case .string(let time)? = members["time"], case .string(let hlc)? = members["hlc"]
        else { return "" }
        return "\(name)  \(time)  HLC \(hlc)\n"
    }
}
