import LogTools
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

/// The audit's view of the rows is the projections' view.
@Suite("Ledger of rows")
struct LedgerTests {
    @Test("random events of three origins in any order: the rows that are visible are those of the projections")
    func againstProjections() throws {
        var random = SeededRandom.fromEnvironment("ledger")
        for _ in 0..<40 {
            let events = LedgerTests.events(&random).shuffled(using: &random)
            let materializer = Materializer()
            var ledger = RowLedger()
            for (number, event) in events.enumerated() {
                let lsn = LSN(UInt64(number + 1))
                let record = LogRecord(
                    lsn: lsn,
                    offset: 0,
                    envelope: event.envelope,
                    frame: Frame(envelopeBytes: event.recordBytes - 32, lsn: lsn, durableUpTo: .zero, link: 0),
                    bytes: event.record
                )
                try materializer.replay(record)
                ledger.apply(record)
            }
            materializer.publish()
            let names = materializer.indexes.map(\.name.description)
            let living = ledger.indexes.filter { $0.value.lifetime.creation != nil }.keys.sorted()
            #expect(names == living)
            for index in materializer.indexes {
                let rows = try #require(ledger.indexes[index.name.description])
                let visible = rows.rows.filter { rows.isVisible($0.value) }
                #expect(visible.count == index.count)
                for (id, row) in visible {
                    // The vectors are random, so that equal values mean the same event.
                    let value = index.withRow(id) { found in
                        Checksum.hash64(found.metadata, seed: Checksum.hash64(UnsafeRawBufferPointer(found.vector)))
                    }
                    #expect(value == row.value)
                }
                #expect(rows.rows.count { rows.isConflict($0.value) } == index.stats.conflicts)
            }
        }
    }

    private static func events(_ random: inout SeededRandom) -> [EncodedEvent] {
        var sequences: [UInt64: UInt64] = [:]
        // A version names one event.
        return (1...200).shuffled(using: &random).prefix(60).map { reading in
            let event: EncodedEvent
            let index = ["a", "b"].randomElement(using: &random) ?? "a"
            let id = "v\(Int.random(in: 0..<6, using: &random))"
            let dimensions = Int.random(in: 2...3, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                event = Array("{}".utf8).withUnsafeBytes {
                    .indexCreated(name: index, dimensions: dimensions, options: $0)
                }
            case 1: event = .indexDeleted(name: index)
            case 2: event = Array(id.utf8).withUnsafeBytes { .vectorDeleted(index: index, id: $0) }
            default:
                event = Array(id.utf8).withUnsafeBytes { id in
                    random.floats(dimensions).withUnsafeBufferPointer { vector in
                        .vectorPut(
                            index: index,
                            id: id,
                            vector: vector,
                            metadata: UnsafeRawBufferPointer(start: nil, count: 0)
                        )
                    }
                }
            }
            let origin = UInt64.random(in: 1...3, using: &random)
            sequences[origin, default: 0] += 1
            event.stamp(
                origin: OriginID(high: 0, low: origin),
                sequence: Sequence(sequences[origin] ?? 0),
                hlc: HLC(UInt64(reading) << 16),
                seen: .none,
                previousChain: 0
            )
            return event
        }
    }
}
