import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

/// A snapshot is the whole state, the same bytes on every node, and either whole or named as damaged.
@Suite("Snapshots")
struct SnapshotTests {
    static let origin = OriginID(high: 5, low: 6)

    /// Rows `0..<count` of an index "a", row `n` being `vector(n)`.
    static func state(
        _ count: Int,
        dimensions: Int,
        order: [Int]? = nil,
        _ vector: (Int) -> [Float]
    ) throws -> Materializer {
        let state = Materializer()
        var lsn: UInt64 = 0
        func apply(_ event: EncodedEvent, _ milliseconds: UInt64) throws {
            lsn += 1
            event.stamp(
                origin: origin,
                sequence: Sequence(lsn),
                hlc: HLC(milliseconds: milliseconds, counter: 0),
                seen: .none,
                previousChain: 0
            )
            state.apply(try #require(event.envelope.event), of: event.envelope, recordBytes: 0, lsn: LSN(lsn))
        }
        try apply(.indexCreated(name: "a", dimensions: dimensions, options: .empty), 1)
        for number in order ?? Array(0..<count) {
            try apply(EventSet.put("a", "row-\(number)", vector(number)), UInt64(number + 2))
        }
        state.publish()
        return state
    }

    static func write(_ state: Materializer, to store: any ObjectStore) throws -> SnapshotReport {
        var heads = VersionVector()
        heads[origin] = .init(sequence: Sequence(state.appliedLSN.rawValue), chain: 0)
        return try SnapshotWriter(to: store)
            .write(state.captureState(heads: heads), origin: origin, newest: .none).report
    }

    static func store(_ disk: SimulatedFileSystem) throws -> DirectoryStore {
        try DirectoryStore(path: "/store", createIfMissing: true, fileSystem: disk, writer: "w")
    }

    @Test("state from a snapshot and the events behind it is the state from all events, whatever the set and the place")
    func property() throws {
        var random = SeededRandom.fromEnvironment("snapshot property")
        for _ in 0..<60 {
            let set = EventSet(
                using: &random,
                origins: 3,
                events: Int.random(in: 1...150, using: &random),
                marksOneIn: 10
            )
            let items = set.items.shuffled(using: &random)
            let cut = Int.random(in: 0...items.count, using: &random)
            let first = try History.state(Array(items.prefix(cut)))
            let store = try SnapshotTests.store(SimulatedFileSystem())
            let written = try SnapshotWriter(to: store)
                .write(first.captureState(heads: VersionVector()), origin: SnapshotTests.origin, newest: .none)
            let reader = SnapshotReader(from: store)
            let manifest = try reader.manifest(nil)
            #expect(manifest == written.manifest)
            #expect(manifest.digest == first.digest)
            #expect(try reader.verify(manifest).isEmpty)
            let second = Materializer()
            _ = try reader.restore(manifest, into: second, at: LSN(UInt64(cut)))
            #expect(History.look(second) == History.look(first))
            for (number, item) in items.enumerated().dropFirst(cut) {
                let event = try #require(item.event.envelope.event)
                second.apply(event, of: item.event.envelope, recordBytes: 100, lsn: LSN(UInt64(number + 1)))
            }
            second.publish()
            let whole = try History.state(items)
            #expect(History.look(second) == History.look(whole))
            // Tombstones and hidden rows too: a snapshot of either is the same.
            #expect(try SnapshotTests.objects(second) == SnapshotTests.objects(whole))
        }
    }

    /// Names of the blocks that a state leads to.
    static func objects(_ state: Materializer) throws -> [String] {
        let disk = SimulatedFileSystem()
        _ = try write(state, to: store(disk))
        return disk.paths.filter { $0.hasSuffix(".zst") }
    }

    @Test("the blocks are the same on every node, whatever the order in which the rows came")
    func deterministic() throws {
        var random = SeededRandom.fromEnvironment("snapshot deterministic")
        let vectors = (0..<900).map { _ in random.floats(512) }
        let first = try SnapshotTests.state(900, dimensions: 512) { vectors[$0] }
        let shuffled = Array(0..<900).shuffled(using: &random)
        let second = try SnapshotTests.state(900, dimensions: 512, order: shuffled) { vectors[$0] }
        let blocks = try SnapshotTests.objects(first)
        #expect(blocks.count == 2 || blocks.count == 4)
        #expect(try SnapshotTests.objects(second) == blocks)
    }

    @Test("one changed vector among 40,000 writes one block and the manifest; one more row at most two blocks")
    func oneBlock() throws {
        var random = SeededRandom.fromEnvironment("snapshot oneBlock")
        let count = 40_000
        let dimensions = 64
        var vectors = (0..<count + 1).map { _ in random.floats(dimensions) }
        let store = try SnapshotTests.store(SimulatedFileSystem())
        let first = try SnapshotTests.write(
            SnapshotTests.state(count, dimensions: dimensions) { vectors[$0] },
            to: store
        )
        #expect(first.blocks == first.blocksWritten && first.blocks >= 8)
        vectors[4711] = random.floats(dimensions)
        let second = try SnapshotTests.write(
            SnapshotTests.state(count, dimensions: dimensions) { vectors[$0] },
            to: store
        )
        print(
            "snapshot oneBlock: \(count) rows of \(dimensions) dimensions, \(first.blocks) blocks, \(first.bytes) bytes; "
                + "after one change \(second.blocksWritten) block of \(second.bytesWritten) bytes and "
                + "\(second.manifestBytes) bytes of manifest"
        )
        #expect(second.blocksWritten == 1)
        #expect(second.bytesWritten <= 1 << 20)
        let third = try SnapshotTests.write(
            SnapshotTests.state(count + 1, dimensions: dimensions) { vectors[$0] },
            to: store
        )
        #expect((1...2).contains(third.blocksWritten))
        let fourth = try SnapshotTests.write(
            SnapshotTests.state(count + 1, dimensions: dimensions) { vectors[$0] },
            to: store
        )
        #expect(fourth.blocksWritten == 0)
    }

    /// A small history with visible and hidden rows, tombstones and marks, in a snapshot.
    static func small(_ random: inout SeededRandom) throws -> (disk: SimulatedFileSystem, manifest: SnapshotManifest) {
        let history = try History(using: &random, origins: 2, events: 60)
        let manifest = try history.snapshot(60)
        return (history.disk, manifest)
    }

    @Test(
        "any byte of a snapshot changed, cut off or added, and any object lost or exchanged, is named and never restored"
    )
    func everyByte() throws {
        var random = SeededRandom.fromEnvironment("snapshot everyByte")
        let (disk, manifest) = try SnapshotTests.small(&random)
        let paths = disk.paths.filter { $0.hasPrefix(History.store + "/") }
        #expect(paths.count >= 3)
        var tried = 0
        func expectDamage(_ path: String, _ bytes: [UInt8]?, _ what: String) throws {
            let copy = disk.copy()
            if let bytes { copy.setContents(path, bytes) } else { try copy.remove(path) }
            let reader = SnapshotReader(from: try SnapshotTests.store(copy))
            var named: [String] = []
            do {
                let found = try reader.manifest(manifest.id)
                named = try reader.verify(found).map(\.description)
                #expect(throws: SnapshotError.self, "\(what)") {
                    try reader.restore(found, into: Materializer(), at: LSN(60))
                }
            } catch {
                named = ["\(error)"]
            }
            let name = path.split(separator: "/").last.map(String.init) ?? path
            let isNamed = named.contains { $0.contains(name) || (bytes == nil && $0.contains(manifest.id)) }
            #expect(isNamed, "\(what) in \(path): \(named)")
            tried += 1
        }
        for path in paths {
            let bytes = try #require(disk.contents(path))
            for place in bytes.indices {
                var damaged = bytes
                damaged[place] ^= UInt8(1 << (place % 8))
                try expectDamage(path, damaged, "byte \(place)")
            }
            for length in stride(from: 0, to: bytes.count, by: 7) {
                try expectDamage(path, Array(bytes.prefix(length)), "cut at \(length)")
            }
            try expectDamage(path, bytes + [0], "a byte more")
            try expectDamage(path, nil, "lost")
        }
        let blocks = paths.filter { $0.hasSuffix(".zst") }
        try expectDamage(blocks[0], disk.contents(blocks[1]), "exchanged")
        print("snapshot everyByte: \(tried) damages")
        #expect(tried > 1000)
    }

    @Test("a snapshot that ends after any call is not there or whole, those before stay, and the next one succeeds")
    func crashPoints() throws {
        var random = SeededRandom.fromEnvironment("snapshot crashPoints")
        let history = try History(using: &random, origins: 2, events: 60)
        try history.snapshot(30)
        var points = 0
        var whole = 0
        for call in 1... {
            var reachedEnd = false
            for variant in 0..<4 {
                let disk = history.disk.copy()
                let state = try History.state(history.items)
                let capture = state.captureState(heads: history.heads(60))
                let store = try SnapshotTests.store(disk)
                disk.fail(callFromNow: call, .stop)
                let done = try? SnapshotWriter(to: store)
                    .write(capture, origin: History.origin, newest: history.newest(60))
                reachedEnd = !disk.isStopped
                variant == 0 ? disk.kill() : disk.crash(using: &random)
                points += 1
                let reader = SnapshotReader(from: try SnapshotTests.store(disk))
                let ids = try reader.ids()
                #expect(ids.count >= (done == nil ? 1 : 2), "call \(call)")
                if ids.count == 2 { whole += 1 }
                for id in ids { #expect(try reader.verify(reader.manifest(id)).isEmpty, "call \(call)") }
                let again = try SnapshotWriter(to: SnapshotTests.store(disk))
                    .write(capture, origin: History.origin, newest: history.newest(60)).manifest
                #expect(try reader.verify(reader.manifest(again.id)).isEmpty, "call \(call)")
            }
            if reachedEnd { break }
        }
        print("snapshot crashPoints: \(points), whole after \(whole)")
        #expect(points > 60 && whole >= 4)
    }
}
