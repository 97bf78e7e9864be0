import ArgumentParser
import LogTools
import SpringgLog

/// What did not know of each other.
struct Conflicts: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists concurrent writes, and vectors that do not fit their index.",
        discussion: """
            A concurrent write is one whose writer had not seen what it met: the higher version won, the other one is in the \
            log alone. A vector that has other dimensions than its index (two nodes made it differently) is kept, out of \
            sight. Memory: about two hundred bytes a row.
            Exit status 6 if there are any.

            Examples:
              logdump conflicts DIR
              logdump conflicts DIR --index docs --json
            """
    )

    @OptionGroup var source: Source
    @Option(help: "About this index.") var index: String?
    @Flag(help: "One JSON object a line.") var json = false

    func run() throws {
        let notes = DamageNotes(source.path)
        var list = ConflictList(only: index.map { [$0] })
        var count = 0
        try LogWalk(try source.input()).run { [json] step in
            if case .record(let record) = step {
                Progress.show("LSN \(record.lsn)")
                guard let conflict = list.add(record) else { return .more }
                Progress.clear()
                count += 1
                Output.line(json ? Conflicts.object(conflict) : Conflicts.text(conflict))
            } else {
                notes.take(step)
            }
            return .more
        }
        Progress.clear()
        let misfits = list.misfits
        for misfit in misfits { Output.line(json ? Conflicts.object(misfit) : Conflicts.text(misfit)) }
        if !json {
            Output.line(
                "\(counted(count, "concurrent write")), \(counted(misfits.count, "vector")) that do not fit their index"
            )
        }
        try notes.finish()
        if count + misfits.count > 0 { throw Logdump.Status.findings }
    }

    private static func text(_ conflict: ConflictList.Concurrent) -> String {
        "concurrent: LSN \(conflict.lsn), \(conflict.index) \(conflict.id): \(conflict.version) met \(conflict.standing)"
            + (conflict.seen == .none ? ", had seen nothing" : ", had seen \(conflict.seen)")
            + (conflict.won ? ", and won" : ", and lost")
    }

    private static func text(_ misfit: ConflictList.Misfit) -> String {
        "does not fit: LSN \(misfit.row.lsn), \(misfit.index) \(misfit.id): \(misfit.row.dimensions) dimensions, the index has "
            + "\(misfit.indexDimensions)"
    }

    private static func object(_ conflict: ConflictList.Concurrent) -> String {
        var line = JSONLine()
        line.string("conflict", "concurrent")
        line.lsn("lsn", conflict.lsn)
        line.string("index", conflict.index)
        line.string("id", "\(conflict.id)")
        line.string("version", "\(conflict.version)")
        line.string("met", "\(conflict.standing)")
        if conflict.seen != .none { line.string("seen", "\(conflict.seen)") }
        line.flag("won", conflict.won)
        return line.text
    }

    private static func object(_ misfit: ConflictList.Misfit) -> String {
        var line = JSONLine()
        line.string("conflict", "dimensions")
        line.lsn("lsn", misfit.row.lsn)
        line.string("index", misfit.index)
        line.string("id", "\(misfit.id)")
        line.string("version", "\(misfit.row.version)")
        line.number("dimensions", misfit.row.dimensions)
        line.number("index_dimensions", misfit.indexDimensions)
        return line.text
    }
}
