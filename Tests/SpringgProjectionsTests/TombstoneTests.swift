import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

/// What is known of deleted rows and indexes goes once nothing needs it, and nobody can tell.
@Suite("Tombstones")
struct TombstoneTests {
    /// All that is visible; how many tombstones there are is what differs.
    private static func look(_ state: Materializer) -> ConvergenceTests.Visible {
        var visible = ConvergenceTests.look(state)
        visible.tombstones = [:]
        return visible
    }

    private static func apply(_ items: [EventSet.Item], to state: Materializer, from lsn: inout UInt64) {
        for item in items {
            let envelope = item.event.envelope
            guard let event = envelope.event else { continue }
            lsn += 1
            state.apply(event, of: envelope, recordBytes: 100, lsn: LSN(lsn))
        }
        state.publish()
    }

    private static func marks(_ state: Materializer) -> Int {
        let capture = state.captureState(heads: VersionVector())
        return capture.names.firstIndex { $0.name.isEmpty }.map { capture.entries($0).count } ?? 0
    }

    @Test("without those below which nothing comes any more the state is the same, then and after all that comes")
    func property() throws {
        var random = SeededRandom.fromEnvironment("tombstones")
        var (dropped, names) = (0, 0)
        for _ in 0..<150 {
            let set = EventSet(
                using: &random,
                origins: 3,
                events: Int.random(in: 1...200, using: &random),
                marksOneIn: 20
            )
            let items = set.items.shuffled(using: &random)
            let whole = ConvergenceTests.apply(items, publishEvery: 5)
            var (lsn, cut): (UInt64, UInt64) = (0, 990)
            var state = Materializer()
            var left = items
            while !left.isEmpty {
                cut += UInt64.random(in: 1...40, using: &random)
                let reading = HLC(milliseconds: cut, counter: 0)
                // Everything below the cut comes, and some of what is above.
                let isBelow = { (item: EventSet.Item) in item.event.envelope.version.hlc < reading }
                let now = left.filter { isBelow($0) || random.oneIn(3) }
                left = left.filter { item in !now.contains { $0.event === item.event } }
                TombstoneTests.apply(now, to: state, from: &lsn)
                let before = (
                    TombstoneTests.look(state), TombstoneTests.marks(state),
                    state.captureState(heads: VersionVector()).names.count
                )
                while state.forgetDeleted(below: reading, limit: Int.random(in: 1...9, using: &random)) {}
                #expect(TombstoneTests.look(state) == before.0 && TombstoneTests.marks(state) == before.1)
                names += before.2 - state.captureState(heads: VersionVector()).names.count
                dropped += state.tombstones.dropped
                #expect(state.dropped.hlc < reading)
                // Into a checkpoint and back: what is missing is known afterwards too.
                if random.oneIn(3), lsn > 0 {
                    let disk = SimulatedFileSystem()
                    try state.checkpoint(heads: VersionVector(), to: CheckpointTests.directory, disk)
                    let back = try Materializer.restore(LSN(lsn), from: CheckpointTests.directory, disk).materializer
                    #expect(TombstoneTests.look(back) == TombstoneTests.look(state) && back.dropped == state.dropped)
                    #expect(back.tombstones.kept == state.tombstones.kept)
                    state = back
                }
            }
            #expect(
                TombstoneTests.look(state) == TombstoneTests.look(whole)
                    && TombstoneTests.marks(state) == TombstoneTests.marks(whole)
            )
            state.forgetDeleted(below: HLC(milliseconds: 1 << 40, counter: 0))
            #expect(TombstoneTests.look(state) == TombstoneTests.look(whole) && state.tombstones.kept == 0)
        }
        #expect(dropped > 500 && names > 10, "\(dropped) tombstones, \(names) names")
    }

    @Test("rounds of inserting and deleting take no more memory than the first, nor do indexes that come and go")
    func churn() throws {
        let state = Materializer()
        let origin = OriginID(high: 1, low: 1)
        var (head, lsn, time) = (VersionVector.Head.start, UInt64(0), UInt64(1000))
        var counter: UInt16 = 0
        func write(_ event: EncodedEvent) {
            (lsn, counter) = (lsn + 1, counter + 1)
            let chain = event.stamp(
                origin: origin,
                sequence: head.sequence.next,
                hlc: HLC(milliseconds: time, counter: counter),
                seen: .none,
                previousChain: head.chain
            )
            head = .init(sequence: head.sequence.next, chain: chain)
            if let decoded = event.envelope.event {
                state.apply(decoded, of: event.envelope, recordBytes: 100, lsn: LSN(lsn))
            }
        }
        write(.indexCreated(name: "a", dimensions: 4, options: .empty))
        var memory: [Int] = []
        for round in 0..<12 {
            (time, counter) = (time + 1, 0)
            write(.indexCreated(name: "temporary \(round)", dimensions: 4, options: .empty))
            for number in 0..<3000 { write(EventSet.put("a", "\(round)-\(number)", [1, 2, 3, 4])) }
            state.publish()
            for number in 0..<3000 {
                write(Array("\(round)-\(number)".utf8).withUnsafeBytes { .vectorDeleted(index: "a", id: $0) })
            }
            write(.indexDeleted(name: "temporary \(round)"))
            state.publish()
            #expect(state.tombstones.kept == 3000)
            // Not one too early: what is as old as the cut stays.
            state.forgetDeleted(below: HLC(milliseconds: time, counter: 0))
            #expect(state.tombstones.kept == 3000)
            state.forgetDeleted(below: HLC(milliseconds: time + 1, counter: 0))
            #expect(state.tombstones.kept == 0 && state.indexes.first?.stats.tombstones == 0)
            #expect(state.captureState(heads: VersionVector()).names.map(\.name) == ["a"])
            state.reclaim()
            memory.append(state.memoryBytes)
        }
        #expect(memory.dropFirst(2).allSatisfy { $0 <= memory[1] }, "\(memory)")
    }

    @Test("an event that something dropped would have kept out is refused by name, after a restart too")
    func belowHorizon() throws {
        let disk = SimulatedFileSystem()
        func open() throws -> Database {
            try DatabaseTests.open(disk) {
                $0.tombstoneGraceSeconds = 0
                $0.sharesHistory = true
            }
        }
        /// Two events of another node at the second `seconds`.
        func foreign(_ number: UInt64, _ seconds: UInt64) -> [EncodedEvent] {
            ReceiveTests.history(
                OriginID(high: 9, low: number),
                [EventSet.put("a", "gone", [1, 1]), EventSet.put("a", "new", [1, 1])],
                at: seconds * 1000
            )
        }
        var database = try open()
        let create = EncodedEvent.indexCreated(name: "a", dimensions: 2, options: .empty)
        _ = try ReceiveTests.receive(database, ReceiveTests.history(OriginID(high: 7, low: 7), [create], at: 1000))
        // The oldest deletion comes first, as in a log it nearly always does.
        let old = ReceiveTests.history(
            OriginID(high: 8, low: 8),
            [Array("x".utf8).withUnsafeBytes { EncodedEvent.vectorDeleted(index: "a", id: $0) }],
            at: 500_000
        )
        _ = try ReceiveTests.receive(database, old)
        DatabaseTests.write(
            database,
            [

                try DatabaseTests.put("a", "gone", [2, 2]),
                .delete(index: try DatabaseTests.name("a"), id: try #require(VectorID("gone"))),
            ]
        )
        // The clock stands at 1,000 s; what is not stable stays.
        database.forgetDeleted(below: HLC(milliseconds: 400_000, counter: 0))
        database.settle()
        #expect(database.tombstones.kept == 2)
        database.forgetDeleted(below: HLC(milliseconds: 2_000_000, counter: 0))
        for _ in 0..<3 { database.settle() }
        #expect(database.tombstones.kept == 1 && database.tombstones.dropped == 1)
        #expect(database.tombstones.droppedBelow.milliseconds == 500_000)

        for life in 0..<2 {
            let refused = try ReceiveTests.receive(database, foreign(UInt64(life), 400))
            #expect(refused.refusals.map(\.reason) == [.belowHorizon] && refused.appended == 0)
            #expect(database.tombstones.refused == 1 && database.vectorCount == life)
            // Above what was dropped everything is taken, and what still stands keeps out what is older.
            let taken = try ReceiveTests.receive(database, foreign(UInt64(10 + life), 600))
            #expect(taken.refusals.isEmpty && taken.appended == 2 && database.vectorCount == 1)
            database.close()
            database = try open()
        }
        database.close()
    }
}
