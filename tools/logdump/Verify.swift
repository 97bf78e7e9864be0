import ArgumentParser
import SpringgLog

/// Reads everything, goes on past what is bad, says what it means.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks every record: checksums, order, each origin's history.",
        discussion: """
            A torn end (the last batch of a node that lost power) is normal: the node cuts it off when it starts.
            Corruption is not: the node refuses to start, and this command shows what is still readable.
            Exit status 6 for either.
            """
    )

    @OptionGroup var source: Source
    @Flag(help: "One JSON object.") var json = false

    func run() throws {
        let scan = try source.scan()
        let outcome: LogScan.Outcome
        do throws(LogError) {
            outcome = try scan.run { _ throws(LogError) in }
        } catch .corrupt(let damage) {
            try walk(scan, firstDamage: damage)
            throw Logdump.Status.findings
        }
        report(outcome)
        if outcome.torn != nil { throw Logdump.Status.findings }
    }

    private func report(_ outcome: LogScan.Outcome) {
        if json {
            let torn = outcome.torn.map { ",\"torn\":\(object($0))" } ?? ""
            print(
                "{\"verdict\":\"\(outcome.torn == nil ? "fine" : "torn")\",\"segments\":\(outcome.segments.count),"
                    + "\"records\":\(outcome.records),\"first_lsn\":\(outcome.trimmed.next),"
                    + "\"last_lsn\":\(outcome.lastLSN),\"durable_lsn\":\(outcome.durableUpTo)\(torn)}"
            )
            return
        }
        print(
            "\(outcome.segments.count) segment\(outcome.segments.count == 1 ? "" : "s"), \(outcome.records) "
                + "record\(outcome.records == 1 ? "" : "s"), LSN \(outcome.trimmed.next) to "
                + "\(outcome.lastLSN)"
        )
        if let torn = outcome.torn {
            print(
                "torn end: \(torn.segment) at offset \(torn.offset), LSN \(torn.lsn): \(torn.reason). "
                    + "It was never acknowledged; the node keeps a copy and cuts it off when it starts."
            )
        } else {
            print("fine: every record is readable and in its place")
        }
    }

    /// After the first damage every record is read for itself, wherever the next intact frame stands.
    private func walk(_ scan: LogScan, firstDamage: LogDamage) throws {
        var damages: [LogDamage] = []
        var records = 0
        for segment in try scan.segments() {
            let reader: SegmentReader
            do throws(LogError) {
                reader = try scan.reader(segment.path)
            } catch {
                guard case .corrupt(let damage) = error else { throw error }
                damages.append(damage)
                continue
            }
            var expected = segment.firstLSN
            var link = reader.header.link
            reading: while true {
                switch try reader.next(expecting: expected, link: link) {
                case .record(let record):
                    records += 1
                    expected = record.lsn.next
                    link = Frame.link(after: record.bytes)
                case .marker:
                    continue
                case .zeros(let offset):
                    guard let next = try reader.intactFrame(from: offset) else { break reading }
                    damages.append(damage(reader, offset, expected, "records are missing"))
                    resume(reader, next, &expected, &link)
                case .endOfFile:
                    break reading
                case .damaged(let flaw):
                    damages.append(damage(reader, flaw.offset, expected, flaw.reason))
                    guard let next = try reader.intactFrame(from: flaw.offset + 8) else { break reading }
                    resume(reader, next, &expected, &link)
                }
            }
        }
        // What only the whole log can tell (a missing segment, a broken history) is in the first damage alone.
        if !damages.contains(where: { $0.segment == firstDamage.segment && $0.offset == firstDamage.offset }) {
            damages.insert(firstDamage, at: 0)
        }
        if json {
            print(
                "{\"verdict\":\"corrupt\",\"readable_records\":\(records),"
                    + "\"damage\":[\(damages.map(object).joined(separator: ","))]}"
            )
        } else {
            for damage in damages {
                print("corrupt: \(damage.segment) at offset \(damage.offset), LSN \(damage.lsn): \(damage.reason)")
            }
            print("\(records) records are readable")
        }
    }

    private func resume(
        _ reader: SegmentReader,
        _ next: (offset: Int, frame: Frame),
        _ expected: inout LSN,
        _ link: inout UInt32
    ) {
        reader.seek(to: next.offset)
        expected = next.frame.isMarker ? next.frame.lsn.next : next.frame.lsn
        link = next.frame.link
    }

    private func damage(_ reader: SegmentReader, _ offset: Int, _ lsn: LSN, _ reason: String) -> LogDamage {
        LogDamage(segment: reader.path, offset: offset, lsn: lsn, reason: reason)
    }

    private func object(_ damage: LogDamage) -> String {
        "{\"segment\":\"\(escaped(damage.segment))\",\"offset\":\(damage.offset),\"lsn\":\(damage.lsn),"
            + "\"reason\":\"\(escaped(damage.reason))\"}"
    }
}
