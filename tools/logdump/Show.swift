import ArgumentParser
import LogTools
import SpringgLog

/// One line a record.
struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints events, one line each.",
        discussion: """
            Events that stand behind damage are printed too; the damage is named on stderr.
            Exit status 0 fine, 1 failed, 2 wrong usage, 6 something in the log is damaged or missing.

            Examples:
              logdump show DIR --limit 20
              logdump show DIR --since 2h --index docs --kind vectorDeleted
              logdump show DIR --from 8f3a0c…:1200 --json --vectors head --metadata
              logdump show DIR --follow --json | jq -c 'select(.index == "docs")'
              zstd -dc segment.log.zst | logdump show -
            """
    )

    @OptionGroup var source: Source
    @OptionGroup var filters: FilterOptions
    @Option(help: "Print at most this many.") var limit: Int = .max
    @Flag(help: "Wait for more at the end, until a signal.") var follow = false
    @Option(help: "How much of each vector: none, head (four components), full.") var vectors = RecordText.Vectors.none
    @Flag(help: "Print the metadata as well.") var metadata = false
    @Flag(help: "One JSON object a line.") var json = false

    func run() throws {
        guard !follow || !LogStores.isStore(source.path) else {
            throw ValidationError("--follow is for a log that grows here; an archive grows when a node archives")
        }
        guard limit >= 0 else { throw ValidationError("--limit takes a number from 0") }
        let filter = try filters.filter()
        var text = RecordText()
        text.vectors = vectors
        text.showsMetadata = metadata
        let notes = DamageNotes(source.path)
        let walk = LogWalk(try source.input())
        walk.follows = follow
        walk.from = filter.firstLSN
        (walk.since, walk.until) = (filter.since, filter.until)
        if !json { Output.line(RecordText.columns) }
        var left = limit
        guard left > 0 else { return }
        try walk.run { [json, follow] step in
            switch step {
            case .record(let record):
                if filter.isBehind(record) { return .enough }
                guard filter.matches(record) else { return .more }
                Output.line(json ? text.json(record).text : text.row(record))
                left -= 1
                return left > 0 ? .more : .enough
            case .caughtUp:
                if follow { Output.flush() }
            case .segment, .damage, .missing:
                notes.take(step)
            }
            return .more
        }
        try notes.finish()
    }
}

extension RecordText.Vectors: ExpressibleByArgument {}
