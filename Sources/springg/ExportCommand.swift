public import ArgumentParser
import SpringgConfiguration
import SpringgLog
import SpringgProjections
public import SpringgTransfer

/// Writes indexes to files: `springg export`.
struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write indexes to files.",
        discussion: """
            Formats:
              springg1   NAME.bin and NAME.meta, as the Go program reads them
              jsonl      NAME.jsonl: {"id": …, "vector": […], "metadata": {…}}, one vector a line
              npy        NAME.npy (float32) and NAME.ids.jsonl: {"id": …, "metadata": {…}}, one row a line

            Reads the data directory as it is at one moment, also while a server serves it, and changes nothing in it: \
            every write that was answered before the export began is in the files. It takes as much memory as the \
            server's vectors. Files get their names when they are whole; none that is there is replaced without --force. \
            `springg import` gives back the same bytes.

            Exit codes: 0 fine, 1 failure, 2 wrong usage.

            Examples:
              springg export articles --format npy --out backup --data-path /var/lib/springg
              springg export --format springg1 --out /var/lib/springg-go      every index
              springg export articles products --format jsonl --out . --force
            """
    )

    @Argument(help: ArgumentHelp("The indexes; all of them when none is named.", valueName: "index"))
    var names: [String] = []

    @Option(help: "springg1, jsonl or npy.")
    var format: ExportFormat

    @Option(help: ArgumentHelp("Where to write; made when it is missing.", valueName: "directory"))
    var out: String

    @Flag(help: "Replace files that are there.")
    var force = false

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var file: ConfigurationFileOption
    @Option(Keys.dataPath) var dataPath: String?

    func run() throws {
        var flags: [String: String] = [:]
        flags[Keys.dataPath.name] = dataPath
        let settings = try Configuration.load(explicitFile: file.file, flags: flags)
        let exporter = Exporter(to: out, format, replaces: force)
        do {
            let state = try DirectoryState.read(settings[Keys.dataPath])
            let indexes = try indexes(of: state)
            try exporter.admit(indexes.map(\.name))
            var written: [(name: IndexName, outcome: Exporter.Outcome)] = []
            for index in indexes {
                let bar = ProgressBar("Exporting \(index.name)")
                defer { bar.finish() }
                let outcome = try exporter.write(index) { progress in
                    bar.show(progress.bytesDone, of: progress.bytesTotal, rows: progress.rows)
                }
                written.append((index.name, outcome))
            }
            report(written, at: state)
        } catch let error as CommandFailure {
            throw error
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    private func indexes(of state: DirectoryState) throws -> [VectorIndex] {
        guard !names.isEmpty else { return state.indexes() }
        return try Set(names).sorted().map { name in
            guard let index = IndexName(name).flatMap(state.index) else {
                let known = state.indexes().map(\.name.description).joined(separator: ", ")
                throw CommandFailure(
                    "index \(name) not found",
                    advice: known.isEmpty ? "the data directory has none" : "there are: \(known)"
                )
            }
            return index
        }
    }

    private func report(_ written: [(name: IndexName, outcome: Exporter.Outcome)], at state: DirectoryState) {
        guard json else {
            for (name, outcome) in written {
                Output.standardOutput(
                    "\(name): \(outcome.rows) vectors, \(outcome.bytes) bytes: \(outcome.paths.joined(separator: ", "))\n"
                )
            }
            return
        }
        let indexes = written.map { name, outcome -> JSONValue in
            .object([
                "index": .string(name.description), "vectors": .integer(Int64(outcome.rows)),
                "bytes": .integer(Int64(outcome.bytes)), "paths": .array(outcome.paths.map { .string($0) }),
            ])
        }
        let object = JSONValue.object([
            "lsn": .integer(Int64(state.lsn.rawValue)), "indexes": .array(indexes),
        ])
        Output.standardOutput(object.text() + "\n")
    }
}

extension ExportFormat: ExpressibleByArgument {}
