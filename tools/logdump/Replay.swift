import ArgumentParser
import LogTools
import SpringgArchive
import SpringgLog

/// The log up to a moment, as a data directory of its own.
struct Replay: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a new data directory with the log, and the state, up to a moment.",
        discussion: """
            The moment is \(Moment.rule); an LSN stands for the event there. State is what all events up to it make, \
            whatever their order in the log. This is `springg restore` of one directory; with snapshots too, use that.
            A server can be started on the new directory; what it writes belongs to a new origin.

            Exit status 0 fine, 1 failed, 2 wrong usage, 6 something in the log is damaged or missing.

            Examples:
              logdump replay DIR --to 1000 --out DIR.at-1000
              logdump replay DIR --to 2026-11-22T09:30:00Z --out DIR.morning
            """
    )

    @OptionGroup var source: Source
    @Option(help: ArgumentHelp("The moment.", valueName: "moment")) var to: String
    @Option(help: ArgumentHelp("The new data directory; must be empty or missing.", valueName: "directory")) var out:
        String
    @Flag(help: "One JSON object.") var json = false

    func run() throws {
        let moment = try Moment("--to", to)
        let past = try Past(source.path, at: moment)
        var generator = SystemRandomNumberGenerator()
        let report = try Restorer(fileSystem: PosixFileSystem()).restore(
            past.prospect,
            from: past.source,
            into: out,
            origin: OriginID(using: &generator),
            progress: { done in Progress.show("replaying: \(done)") }
        )
        Progress.clear()
        guard json else {
            Output.line(
                "\(counted(report.rows, "vector")) in \(counted(report.indexes, "index")), up to \(report.highestHLC.utc)"
            )
            Output.line("LSN \(report.firstLSN) to \(report.lastLSN) in \(out), digest \(report.digest)")
            Output.line("A node that starts on it writes as the new origin \(report.origin).")
            return
        }
        var line = JSONLine()
        line.string("out", out)
        line.lsn("first_lsn", report.firstLSN)
        line.lsn("last_lsn", report.lastLSN)
        line.string("hlc", "\(report.highestHLC)")
        line.string("time", report.highestHLC.utc)
        line.number("indexes", report.indexes)
        line.number("vectors", report.rows)
        line.string("digest", "\(report.digest)")
        line.string("origin", "\(report.origin)")
        Output.line(line.text)
    }
}
