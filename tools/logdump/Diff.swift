import ArgumentParser
import LogTools
import SpringgArchive
import SpringgLog
import SpringgProjections

/// What two states differ in.
struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what differs between two directories, or between two moments of one.",
        discussion: """
            Compares what readers see: vectors added, removed, changed, and rewritten (a new version with the same vector and \
            metadata). A moment is \(Moment.rule). Memory: that of a node for one of them at a time, and about two hundred \
            bytes a row.
            Exit status 0 if nothing differs, 6 if something does.

            Examples:
              logdump diff DIR --old-at 2026-11-22T09:30:00Z
              logdump diff DIR --old-at 1000 --new-at 2000 --json
              logdump diff /var/lib/springg /srv/restored --summary
            """
    )

    @Argument(help: "A data directory.") var old: String
    @Argument(help: "Another one; without it the same.") var new: String?
    @Option(help: ArgumentHelp("The moment of the first.", valueName: "moment")) var oldAt = "latest"
    @Option(help: ArgumentHelp("The moment of the second.", valueName: "moment")) var newAt = "latest"
    @Flag(help: "Only the numbers, not each vector.") var summary = false
    @Flag(help: "One JSON object a line; the last one is the summary.") var json = false

    func run() throws {
        let moments = try (Moment("--old-at", oldAt), Moment("--new-at", newAt))
        let before = try ledger(old, moments.0)
        let after = try ledger(new ?? old, moments.1)
        Progress.clear()
        let difference = StateDifference(from: before, to: after)
        for entry in difference.indexes where !summary || !json {
            Output.line(json ? object(entry.name, entry.change) : "\(entry.change.rawValue)\tindex\t\(entry.name)")
        }
        if !summary {
            for row in difference.rows { Output.line(json ? object(row) : line(row)) }
        }
        let changes: [StateDifference.Row.Change] = [.added, .removed, .changed, .rewritten]
        if json {
            var line = JSONLine()
            line.number("indexes", difference.indexes.count)
            for change in changes { line.number(change.rawValue, difference.count(change)) }
            line.number("equal", difference.equalRows)
            Output.line(line.text)
        } else {
            let counts = changes.map { "\(difference.count($0)) \($0.rawValue)" }.joined(separator: ", ")
            Output.line("\(counts), \(difference.equalRows) equal")
        }
        if !difference.isEmpty { throw Logdump.Status.findings }
    }

    /// Only the ledger outlives the call: one state in memory at a time.
    private func ledger(_ path: String, _ moment: Moment) throws -> RowLedger {
        let past = try Past(path, at: moment)
        let state = try past.source.load(past.prospect) { done in Progress.show("\(path): \(done)") }
        return RowLedger(state.materializer.captureState(heads: state.base.heads))
    }

    private func line(_ row: StateDifference.Row) -> String {
        var columns = ["\(row.change.rawValue)", row.index, row.id.withUTF8 { RecordText.plain($0) }]
        columns.append([row.old, row.new].compactMap { $0?.version.hlc.utc }.joined(separator: " → "))
        return columns.joined(separator: "\t")
    }

    private func object(_ name: String, _ change: StateDifference.Row.Change) -> String {
        var line = JSONLine()
        line.string("change", change.rawValue)
        line.string("index", name)
        return line.text
    }

    private func object(_ row: StateDifference.Row) -> String {
        var line = JSONLine()
        line.string("change", row.change.rawValue)
        line.string("index", row.index)
        line.string("id", "\(row.id)")
        if let version = row.old?.version { line.string("old", "\(version)") }
        if let version = row.new?.version { line.string("new", "\(version)") }
        return line.text
    }
}
