import ArgumentParser
import LogTools
import SpringgLog
import SpringgProjections

/// The life of one row.
struct History: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows every version of one vector: when, from which origin, and which one won.",
        discussion: """
            Creations and deletions of the index are shown among them. "Concurrent" is a write whose writer had not seen \
            what it met. Versions are in the order of the log; the highest wins, wherever it stands.

            Exit status 0 fine, 1 failed, 2 wrong usage, 6 something in the log is damaged or missing.

            Examples:
              logdump history DIR docs apple
              logdump history DIR docs apple --json
            """
    )

    @OptionGroup var source: Source
    @Argument(help: "Name of the index.") var index: String
    @Argument(help: "Id of the vector.") var id: String
    @Flag(help: "One JSON object a line; the last one is the outcome.") var json = false

    func run() throws {
        guard let vectorID = VectorID(id) else { throw ValidationError("an id has 1 to 512 bytes") }
        let notes = DamageNotes(source.path)
        var history = RowHistory(index: index, id: vectorID)
        try LogWalk(try source.input()).run { step in
            if case .record(let record) = step {
                history.add(record)
                Progress.show("LSN \(record.lsn)")
            } else {
                notes.take(step)
            }
            return .more
        }
        Progress.clear()
        if !json { Output.line("LSN\tTIME (UTC)\tORIGIN\tSEQUENCE\tKIND\tDIMENSIONS\tBYTES\tOUTCOME") }
        for entry in history.entries { Output.line(json ? object(entry, history) : row(entry, history)) }
        Output.line(json ? outcome(history.outcome) : "now: " + text(history.outcome))
        try notes.finish()
    }

    private func words(_ entry: RowHistory.Entry, _ history: RowHistory) -> String {
        let isConcurrent = entry.meeting?.isConcurrent ?? false
        return [history.fate(of: entry), isConcurrent ? "concurrent" : ""].filter { !$0.isEmpty }.joined(
            separator: ", "
        )
    }

    private func row(_ entry: RowHistory.Entry, _ history: RowHistory) -> String {
        let columns = [
            "\(entry.lsn)", entry.version.hlc.utc, "\(entry.version.origin)", "\(entry.sequence)", entry.kind.name,
            entry.dimensions > 0 ? "\(entry.dimensions)" : "", "\(entry.recordBytes)", words(entry, history),
        ]
        return columns.joined(separator: "\t")
    }

    private func object(_ entry: RowHistory.Entry, _ history: RowHistory) -> String {
        var line = JSONLine()
        line.lsn("lsn", entry.lsn)
        line.string("time", entry.version.hlc.utc)
        line.string("hlc", "\(entry.version.hlc)")
        line.string("origin", "\(entry.version.origin)")
        line.number("sequence", entry.sequence.rawValue)
        line.string("kind", entry.kind.name)
        if entry.dimensions > 0 { line.number("dimensions", entry.dimensions) }
        line.number("bytes", entry.recordBytes)
        line.string("outcome", history.fate(of: entry))
        line.flag("concurrent", entry.meeting?.isConcurrent ?? false)
        return line.text
    }

    private func text(_ outcome: RowHistory.Outcome) -> String {
        switch outcome {
        case .visible(let version): "the version of \(version.hlc.utc) by \(version.origin)"
        case .deleted(let version): "deleted at \(version.hlc.utc) by \(version.origin)"
        case .hidden(let version, let reason):
            "out of sight, the version of \(version.hlc.utc) by \(version.origin): \(reason)"
        case .none(let reason): "nothing: \(reason)"
        }
    }

    private func outcome(_ outcome: RowHistory.Outcome) -> String {
        var line = JSONLine()
        func stand(_ word: String, _ version: EventVersion?) {
            line.string("now", word)
            guard let version else { return }
            line.string("time", version.hlc.utc)
            line.string("hlc", "\(version.hlc)")
            line.string("origin", "\(version.origin)")
        }
        switch outcome {
        case .visible(let version): stand("visible", version)
        case .deleted(let version): stand("deleted", version)
        case .hidden(let version, let reason):
            stand("hidden", version)
            line.string("reason", reason)
        case .none(let reason):
            stand("none", nil)
            line.string("reason", reason)
        }
        return line.text
    }
}
