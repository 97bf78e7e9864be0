import ArgumentParser
import LogTools
import SpringgLog

/// What a log consists of.
struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Counts events and bytes by kind, index, origin and hour.",
        discussion: """
            "Amplification" is bytes in the log for a byte of vectors, ids, metadata and names.

            Exit status 0 fine, 1 failed, 2 wrong usage, 6 something in the log is damaged or missing.

            Examples:
              logdump stats DIR
              logdump stats DIR --index docs --since 7d --json
              cat DIR/log/*.seg | logdump stats -
            """
    )

    @OptionGroup var source: Source
    @OptionGroup var filters: FilterOptions
    @Flag(help: "One JSON object.") var json = false

    func run() throws {
        let filter = try filters.filter()
        let notes = DamageNotes(source.path)
        let walk = LogWalk(try source.input())
        walk.from = filter.firstLSN
        (walk.since, walk.until) = (filter.since, filter.until)
        var tally = LogTally()
        var segments = 0
        try walk.run { step in
            switch step {
            case .record(let record):
                if filter.isBehind(record) { return .enough }
                if filter.matches(record) { tally.add(record) }
                Progress.show("LSN \(record.lsn)")
            case .segment:
                segments += 1
            case .damage, .missing, .caughtUp:
                notes.take(step)
            }
            return .more
        }
        Progress.clear()
        if json { Output.line(object(tally, segments)) } else { table(tally, segments) }
        try notes.finish()
    }

    private func table(_ tally: LogTally, _ segments: Int) {
        Output.line("segments       \(segments)")
        Output.line("events         \(tally.total.events)")
        Output.line("bytes          \(tally.total.bytes)")
        Output.line("client bytes   \(tally.payloadBytes)")
        if let amplification = tally.amplification { Output.line("amplification  \(rounded(amplification))") }
        if let first = tally.firstLSN, let last = tally.lastLSN { Output.line("LSN            \(first) to \(last)") }
        if let first = tally.firstTime, let last = tally.lastTime {
            Output.line("time           \(first.utc) to \(last.utc)")
        }
        section("KIND", tally.byKind.sorted { $0.key < $1.key }.map { (EventKind.name(tag: $0.key), $0.value) })
        section("INDEX", tally.byIndex.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        section("ORIGIN", tally.byOrigin.sorted { $0.key < $1.key }.map { ("\($0.key)", $0.value) })
        section("HOUR (UTC)", tally.byHour.sorted { $0.key < $1.key }.map { (hour($0.key), $0.value) })
    }

    private func section(_ title: String, _ rows: [(String, LogTally.Count)]) {
        Output.line("")
        Output.line("\(title)\tEVENTS\tBYTES")
        for (name, count) in rows { Output.line("\(name)\t\(count.events)\t\(count.bytes)") }
    }

    private func object(_ tally: LogTally, _ segments: Int) -> String {
        var line = JSONLine()
        line.number("segments", segments)
        line.number("events", tally.total.events)
        line.number("bytes", tally.total.bytes)
        line.number("client_bytes", tally.payloadBytes)
        if let amplification = tally.amplification { line.raw("amplification", "\(rounded(amplification))") }
        if let lsn = tally.firstLSN { line.lsn("first_lsn", lsn) }
        if let lsn = tally.lastLSN { line.lsn("last_lsn", lsn) }
        if let hlc = tally.firstTime { line.string("first_time", hlc.utc) }
        if let hlc = tally.lastTime { line.string("last_time", hlc.utc) }
        func group(_ name: String, _ label: String, _ rows: [(String, LogTally.Count)]) {
            let objects = rows.map { key, count in
                var row = JSONLine()
                row.string(label, key)
                row.number("events", count.events)
                row.number("bytes", count.bytes)
                return row.text
            }
            line.array(name, objects)
        }
        group("kinds", "kind", tally.byKind.sorted { $0.key < $1.key }.map { (EventKind.name(tag: $0.key), $0.value) })
        group("indexes", "index", tally.byIndex.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        group("origins", "origin", tally.byOrigin.sorted { $0.key < $1.key }.map { ("\($0.key)", $0.value) })
        group("hours", "hour", tally.byHour.sorted { $0.key < $1.key }.map { (hour($0.key), $0.value) })
        return line.text
    }

    private func hour(_ hours: UInt64) -> String {
        CivilTime.rfc3339(milliseconds: hours * 3_600_000).prefix(13) + ":00Z"
    }

    private func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
}
