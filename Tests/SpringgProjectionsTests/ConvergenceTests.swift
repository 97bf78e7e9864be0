import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

/// State is a function of the set of events, whatever the order and however often they arrive.
@Suite("The convergence rule")
struct ConvergenceTests {
    /// Everything that a user of a node could see, and the digests.
    struct Visible: Equatable {
        var digest: StateDigest
        var indexes: [String]
        var rows: [String: [Float]]
        var nearest: [String: [String]]
        var conflicts: [String: Int]
        var tombstones: [String: Int] = [:]
    }

    static func look(_ state: Materializer) -> Visible {
        var visible = Visible(digest: state.digest, indexes: [], rows: [:], nearest: [:], conflicts: [:])
        for index in state.indexes {
            let name = index.name.description
            visible.indexes.append("\(name):\(index.dimensions):\(index.count):\(index.digest)")
            visible.conflicts[name] = index.stats.conflicts
            visible.tombstones[name] = index.stats.tombstones
            index.forEachRowInIDOrder { row in
                visible.rows[name + "/" + String(decoding: row.id, as: UTF8.self)] = Array(row.vector)
                return true
            }
            let query = [Float](repeating: 1, count: index.dimensions)
            visible.nearest[name] = query.withUnsafeBufferPointer { query in
                index.withHits(query: query, k: 5) { hits in
                    hits.map { "\(String(decoding: $0.id, as: UTF8.self)):\($0.score)" }
                }
            }
        }
        return visible
    }

    static func apply(_ items: [EventSet.Item], publishEvery: Int) -> Materializer {
        let state = Materializer()
        for (number, item) in items.enumerated() {
            let envelope = item.event.envelope
            guard let event = envelope.event else {
                Issue.record("an event does not decode")
                continue
            }
            state.apply(event, of: envelope, recordBytes: 100, lsn: LSN(UInt64(number + 1)))
            if number % publishEvery == 0 { state.publish() }
        }
        state.publish()
        return state
    }

    @Test("any permutation, duplication and interleaving gives the same digests and answers, and they are the rule's")
    func permutations() {
        var random = SeededRandom.fromEnvironment("permutations")
        var rowsSeen = 0
        for _ in 0..<240 {
            let set = EventSet(
                using: &random,
                origins: Int.random(in: 1...4, using: &random),
                events: Int.random(in: 1...150, using: &random)
            )
            let expected = ConvergenceTests.look(ConvergenceTests.apply(set.items, publishEvery: 1))
            let oracle = EventSet.visible(after: set.items)
            #expect(expected.rows == oracle.rows)
            #expect(expected.indexes.count == oracle.indexes.count)
            rowsSeen += expected.rows.count
            for round in 0..<6 {
                var items = set.items
                if round > 0 { items += items.filter { _ in random.oneIn(4) } }
                if round == 1 {
                    items.reverse()
                } else {
                    items.shuffle(using: &random)
                }
                let state = ConvergenceTests.apply(items, publishEvery: Int.random(in: 1...20, using: &random))
                #expect(ConvergenceTests.look(state) == expected)
            }
        }
        #expect(rowsSeen > 500, "the event sets were too tame to show anything")
    }

    @Test("a delete that arrives late, below the create, leaves the index as it is")
    func lateDelete() throws {
        let create = EncodedEvent.indexCreated(name: "a", dimensions: 1, options: .empty)
        let put = EventSet.put("a", "v", [1])
        let delete = EncodedEvent.indexDeleted(name: "a")
        for (event, milliseconds) in [(delete, 5), (create, 10), (put, 11)] as [(EncodedEvent, UInt64)] {
            event.stamp(
                origin: OriginID(high: milliseconds, low: 0),
                sequence: Sequence(1),
                hlc: HLC(milliseconds: milliseconds, counter: 0),
                seen: .none,
                previousChain: 0
            )
        }
        for order in [[create, delete, put], [create, put, delete], [delete, create, put]] {
            let state = ConvergenceTests.apply(order.map { .init(event: $0, origin: 0) }, publishEvery: 1)
            #expect(ConvergenceTests.look(state).rows == ["a/v": [1]])
        }
    }

    @Test("memory is accounted to the byte: after everything is deleted nothing is left but what is known to stay")
    func memory() {
        var random = SeededRandom.fromEnvironment("memory")
        let set = EventSet(using: &random, origins: 3, events: 400)
        let state = ConvergenceTests.apply(set.items, publishEvery: 5)
        var lsn = UInt64(set.items.count + 1)
        for name in EventSet.indexNames {
            let event = EncodedEvent.indexDeleted(name: name)
            event.stamp(
                origin: OriginID(high: 99, low: 99),
                sequence: Sequence(lsn),
                hlc: HLC(milliseconds: 1 << 40, counter: 0),
                seen: .none,
                previousChain: 0
            )
            if let decoded = event.envelope.event {
                state.apply(decoded, of: event.envelope, recordBytes: 100, lsn: LSN(lsn))
            }
            lsn += 1
        }
        state.publish()
        #expect(state.memoryBytes == EventSet.indexNames.count * 2048)
        #expect(state.digest == StateDigest())
    }
}
