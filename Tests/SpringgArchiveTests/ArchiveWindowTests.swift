import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// An archive that runs for long: it stays small, and every moment of its window can be restored.
@Suite("The window of an archive")
struct ArchiveWindowTests {
    private static let minute: UInt64 = 60_000

    private static func bytes(_ store: MemoryStore) -> Int {
        store.state.withLock { $0.objects.values.reduce(0) { $0 + $1.bytes.count } }
    }

    @Test("over 1,500 rounds with a retention of an hour the store stays bounded, and moments of the window are exact")
    func bounded() throws {
        var random = SeededRandom.fromEnvironment("archive window")
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        var options = ArchiveOptions()
        options.syncInterval = ArchiveWindowTests.minute
        options.snapshotInterval = 15 * ArchiveWindowTests.minute
        options.retention = 60 * ArchiveWindowTests.minute
        options.grace = 30 * ArchiveWindowTests.minute
        options.uploads = 1
        let node = try ArchiveNode(1, store, options, time, segmentBytes: 1 << 20)
        try node.write(.indexCreated(name: "a", dimensions: 4, options: .empty))
        let begun = time.now
        var sizes: [Int] = []
        var keys: [Int] = []
        var restored = 0
        for round in 0..<1500 {
            for _ in 0..<4 {
                let id = "v\(Int.random(in: 0..<60, using: &random))"
                let event =
                    random.oneIn(6)
                    ? Array(id.utf8).withUnsafeBytes { EncodedEvent.vectorDeleted(index: "a", id: $0) }
                    : EventSet.put("a", id, random.floats(4))
                try node.write(event)
                time.now += ArchiveWindowTests.minute / 4
            }
            store.setNow(time.now)
            while node.step() {}
            #expect(node.core.failure == nil)
            sizes.append(ArchiveWindowTests.bytes(store))
            keys.append(store.keys().count)
            guard round > 100, round % 70 == 0 else { continue }
            #expect(try ArchiveCheck(store).run().findings == [])
            for _ in 0..<3 {
                // What the newest round has archived; of the last hour.
                let newest = try #require(try ArchiveReader(from: store).newest()).highestHLC.milliseconds
                let moment = UInt64.random(in: newest - options.retention...newest, using: &random)
                let source = try RestoreSource(archive: store)
                let state = try source.load(source.prospect(.time(milliseconds: moment), excluding: false)).materializer
                #expect(try ArchiveWindowTests.model(node.envelopes, upTo: moment).digest == state.digest, "\(moment)")
                restored += 1
            }
        }
        #expect(time.now - begun > 24 * options.retention)
        // After as many hours as it takes until something goes, it grows no more: the second half is no larger than the first.
        let (early, late) = (sizes[150..<750], sizes[750...])
        print(
            "archive window: 1,500 rounds, \(node.envelopes.count) events; at most \(early.max() ?? 0) bytes in the first half, "
                + "\(late.max() ?? 0) in the second; \(keys.max() ?? 0) objects; \(restored) moments restored"
        )
        #expect((late.max() ?? 0) <= (early.max() ?? 0) * 11 / 10)
        #expect(keys[750...].max() ?? 0 <= (keys[150..<750].max() ?? 0) * 11 / 10)
        #expect(restored >= 50)
        let points = try RestorePoints(of: store)
        let newest = points.manifest.highestHLC.milliseconds
        #expect(try #require(points.earliest).milliseconds <= newest - options.retention)
    }

    /// The rule, applied to the events up to a moment.
    private static func model(_ envelopes: [[UInt8]], upTo moment: UInt64) throws -> Materializer {
        let state = Materializer()
        var lsn: UInt64 = 0
        for bytes in envelopes {
            try bytes.withUnsafeBytes { bytes in
                let envelope = Envelope(checked: bytes)
                guard envelope.version.hlc.milliseconds <= moment else { return }
                lsn += 1
                state.apply(try #require(envelope.event), of: envelope, recordBytes: bytes.count, lsn: LSN(lsn))
            }
        }
        state.publish()
        return state
    }

    @Test("a look at the last minutes of an archive fetches the segments of these minutes alone, and has the same LSNs")
    func sinceATime() throws {
        var random = SeededRandom.fromEnvironment("archive since")
        let (memory, time) = (MemoryStore(), ArchiveNode.TestClock())
        let node = try ArchiveNode(1, memory, ArchiveOptions(), time)
        try node.write(.indexCreated(name: "a", dimensions: 4, options: .empty))
        for number in 0..<50 {
            for _ in 0..<5 { try node.write(EventSet.put("a", "v\(number)", random.floats(4))) }
            node.round()
            time.now += ArchiveWindowTests.minute
        }
        let store = FailingStore(memory)
        var all: [(lsn: UInt64, time: UInt64)] = []
        func look(_ since: UInt64?, _ until: UInt64?) throws -> (found: [UInt64], reads: Int) {
            let log = try ArchiveLog(of: store)
            let before = store.reads
            var found: [UInt64] = []
            try log.forEach(since: since, until: until) { record in
                found.append(record.lsn.rawValue)
                if since == nil, until == nil {
                    all.append((record.lsn.rawValue, record.envelope.version.hlc.milliseconds))
                }
                return true
            }
            return (found, store.reads - before)
        }
        let whole = try look(nil, nil)
        #expect(whole.found == Array(1...251) && whole.reads == 50)
        for _ in 0..<20 {
            let since = time.now - UInt64.random(in: 0...55, using: &random) * ArchiveWindowTests.minute
            let until =
                random.oneIn(2) ? nil : since + UInt64.random(in: 0...20, using: &random) * ArchiveWindowTests.minute
            let (found, reads) = try look(since, until)
            let wanted = all.filter { $0.time >= since && $0.time <= until ?? .max }
            #expect(found == wanted.map(\.lsn))
            #expect(reads <= wanted.count / 5 + 1, "\(reads) segments for \(wanted.count) events")
        }
    }
}
