import Glibc
import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// A graph in a snapshot saves work and is never part of the state: whatever it says, rows and digests are what they are.
@Suite("Graphs in snapshots")
struct SnapshotGraphTests {
    static let origin = OriginID(high: 7, low: 8)
    static let dimensions = 8

    /// One index, fed event by event.
    final class Rows {
        let state = Materializer()
        private(set) var lsn: UInt64 = 0
        private(set) var vectors: [String: [Float]] = [:]

        init() throws {
            let options = Array(#"{"m":4,"ef_construction":40}"#.utf8)
            try apply(
                options.withUnsafeBytes {
                    .indexCreated(name: "a", dimensions: SnapshotGraphTests.dimensions, options: $0)
                }
            )
            state.publish()
        }

        /// Rows `v0` to `v{count - 1}`, linked.
        convenience init(_ count: Int, using random: inout SeededRandom) throws {
            try self.init()
            for number in 0..<count { try put(number, using: &random) }
            try settle()
        }

        var index: VectorIndex { get throws { try #require(state.indexes.first) } }

        func put(_ number: Int, using random: inout SeededRandom) throws {
            let vector = random.floats(SnapshotGraphTests.dimensions)
            vectors["v\(number)"] = vector
            try apply(EventSet.put("a", "v\(number)", vector))
        }

        func delete(_ number: Int) throws {
            vectors["v\(number)"] = nil
            try apply(Array("v\(number)".utf8).withUnsafeBytes { .vectorDeleted(index: "a", id: $0) })
        }

        private func apply(_ event: EncodedEvent) throws {
            lsn += 1
            event.stamp(
                origin: SnapshotGraphTests.origin,
                sequence: Sequence(lsn),
                hlc: HLC(milliseconds: lsn, counter: 0),
                seen: .none,
                previousChain: 0
            )
            state.apply(try #require(event.envelope.event), of: event.envelope, recordBytes: 0, lsn: LSN(lsn))
        }

        func settle() throws {
            state.publish()
            try index.indexNow(threads: 2)
            state.reclaim()
        }

        func write(to store: any ObjectStore) throws -> (manifest: SnapshotManifest, report: SnapshotReport) {
            state.publish()
            var heads = VersionVector()
            heads[SnapshotGraphTests.origin] = .init(sequence: Sequence(lsn), chain: 0)
            return try SnapshotWriter(to: store, uploads: 3)
                .write(state.captureState(heads: heads), origin: SnapshotGraphTests.origin, newest: .none)
        }
    }

    /// What comes back of a snapshot, with its graph.
    static func restore(
        _ manifest: SnapshotManifest,
        from store: any ObjectStore
    ) throws -> (state: Materializer, index: VectorIndex, damagedGraphs: [String]) {
        let state = Materializer()
        let restored = try SnapshotReader(from: store).restore(manifest, into: state, at: LSN(1), graphThreads: 2)
        #expect(state.digest == manifest.digest)
        return (state, try #require(state.indexes.first), restored.damagedGraphs)
    }

    /// The share of the ten nearest rows that the graph finds.
    static func recall(_ index: VectorIndex, _ queries: [[Float]]) -> Double {
        var found = 0
        for query in queries {
            let answers = [SearchPlan.Method.hnsw, .exact].map { method in
                query.withUnsafeBufferPointer { query in
                    index.withHits(query: query, k: 10, ef: 64, method: method) { hits, _ in
                        Set(hits.map { Array($0.id) })
                    }
                }
            }
            found += answers[0].intersection(answers[1]).count
        }
        return Double(found) / Double(10 * queries.count)
    }

    @Test("a graph is written once, carried over by name, and written again when it is worth it")
    func carriedOver() throws {
        var random = SeededRandom.fromEnvironment("graph carriedOver")
        let rows = try Rows(3000, using: &random)
        let store = MemoryStore()
        let first = try rows.write(to: store)
        let graph = try #require(first.manifest.names.last?.graph)
        #expect(graph.nodes == 3000 && graph.M == 4 && first.report.graphBytesWritten == first.report.graphBytes)
        #expect(first.report.graphBytes > 3000 * 8)
        let bytes = try store.read(SnapshotManifest.key(first.manifest.id), limit: 1 << 20)
        #expect(String(decoding: bytes, as: UTF8.self).contains(#""version":2"#))
        #expect(try SnapshotManifest(decoding: bytes, from: "store") == first.manifest)

        // One changed row: its block and the manifest, and no graph.
        try rows.put(17, using: &random)
        try rows.settle()
        let second = try rows.write(to: store)
        #expect(second.manifest.names.last?.graph == graph)
        #expect(second.report.graphBytesWritten == 0 && second.report.blocksWritten == 1)
        let restored = try SnapshotGraphTests.restore(second.manifest, from: store)
        #expect(restored.damagedGraphs == [])
        #expect(restored.index.stats.indexed == 2999 && restored.index.stats.unindexed == 1)
        #expect(restored.index.graphViolations == [])
        // What is written from there, by another node, carries it over as well.
        restored.index.indexNow(threads: 1)
        #expect(restored.index.stats.indexed == 3000 && restored.index.graphViolations == [])

        // More than an eighth changed: another graph.
        for number in 0..<400 { try rows.put(number, using: &random) }
        try rows.settle()
        let third = try rows.write(to: store)
        #expect(third.manifest.names.last?.graph != graph && third.report.graphBytesWritten > 0)
        #expect(try SnapshotGraphTests.restore(third.manifest, from: store).index.stats.indexed == 3000)

        // Nearly all of them gone: it is of no use any more.
        for number in 100..<3000 { try rows.delete(number) }
        #expect(try rows.write(to: store).manifest.names.last?.graph?.nodes == 100)
        #expect(try SnapshotReader(from: store).verify(third.manifest).isEmpty)
    }

    @Test(
        "over rows that came, changed and went since, a graph leads to those that are as they were, and all can be reached"
    )
    func stale() throws {
        var random = SeededRandom.fromEnvironment("graph stale")
        for share in [0.0, 0.05, 0.12, 0.24, 0.4] {
            let rows = try Rows(2000, using: &random)
            let store = MemoryStore()
            let graph = try #require(try rows.write(to: store).manifest.names.last?.graph)
            let touched = Int(2000 * share)
            for number in 0..<touched {
                if number % 2 == 0 { try rows.put(number * 2, using: &random) } else { try rows.delete(number * 2) }
            }
            for number in 2000..<2050 { try rows.put(number, using: &random) }
            // As if it had been carried over however old it is.
            var manifest = try rows.write(to: store).manifest
            manifest.names[manifest.names.count - 1].graph = graph
            let (state, index, damaged) = try SnapshotGraphTests.restore(manifest, from: store)
            #expect(damaged == [])
            #expect(index.stats.indexed == (share <= 0.25 ? 2000 - touched : 0), "\(share)")
            #expect(index.stats.indexed + index.stats.unindexed == index.count)
            #expect(index.graphViolations == [])
            index.indexNow(threads: 2)
            #expect(index.stats.unindexed == 0 && index.graphViolations == [])
            let fresh = Materializer()
            _ = try SnapshotReader(from: store).restore(manifest, into: fresh, at: LSN(1))
            let built = try #require(fresh.indexes.first)
            built.indexNow(threads: 2)
            let queries = (0..<50).map { _ in random.floats(SnapshotGraphTests.dimensions) }
            let recall = (SnapshotGraphTests.recall(index, queries), SnapshotGraphTests.recall(built, queries))
            print("graph stale: \(share) of the rows changed, recall \(recall.0), built anew \(recall.1)")
            #expect(recall.0 >= recall.1 - 0.04)
            #expect(state.digest == fresh.digest)
        }
    }

    @Test("a graph that is damaged, cut off, lost or exchanged is named, the rows come, and the graph is built anew")
    func damage() throws {
        var random = SeededRandom.fromEnvironment("graph damage")
        let rows = try Rows(1500, using: &random)
        let store = MemoryStore()
        let manifest = try rows.write(to: store).manifest
        let blocks = try #require(manifest.names.last?.graph?.blocks)
        #expect(blocks.count == 2)
        for (place, block) in blocks.enumerated() {
            let key = try SnapshotManifest.blockKey(block.hash)
            let whole = try store.read(key, limit: 1 << 20)
            for variant in 0..<4 {
                switch variant {
                case 0:
                    var bytes = whole
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 0x10
                    try store.put(key, bytes: bytes)
                case 1: try store.put(key, bytes: Array(whole.dropLast(9)))
                case 2: try store.delete([key])
                default:
                    try store.put(
                        key,
                        bytes: store.read(SnapshotManifest.blockKey(manifest.blocks[0].hash), limit: 1 << 22)
                    )
                }
                let restored = try SnapshotGraphTests.restore(manifest, from: store)
                #expect(restored.damagedGraphs.count == 1 && restored.damagedGraphs[0].contains("\(block.hash)"))
                #expect(restored.index.stats.indexed == 0 && restored.index.stats.unindexed == 1500)
                let findings = try SnapshotReader(from: store).verify(manifest)
                #expect(findings.count == 1 && "\(findings[0])".contains("\(block.hash)"), "\(place) \(variant)")
                try store.put(key, bytes: whole)
            }
        }
        #expect(try SnapshotReader(from: store).verify(manifest).isEmpty)
        // A store that is away says nothing about the graph: the restore fails, and is run again.
        store.state.withLock { $0.isDown = true }
        #expect(throws: SnapshotError.self) { try SnapshotGraphTests.restore(manifest, from: store) }
    }

    @Test("blocks of a graph with valid hashes and anything in them: refused, or links that lead where they may")
    func hostile() throws {
        var random = SeededRandom.fromEnvironment("graph hostile")
        let rows = try Rows(1300, using: &random)
        let graph = try #require(rows.state.captureState(heads: VersionVector()).graph(0))
        var contents: [[UInt8]] = []
        graph.forEachBlock(bytes: 1 << 15) { contents.append($0) }
        try #require(contents.count >= 3)
        let snapshot = MemoryStore()
        let manifest = try rows.write(to: snapshot).manifest
        let (nodes, M) = (graph.nodes, graph.M)
        var outcomes = (refused: 0, taken: 0)
        let cases = min(600, SnapshotFuzzTests.cases)
        for number in 0..<cases {
            let state = Materializer()
            let rows = try SnapshotGraphTests.rows(of: manifest, in: snapshot, into: state)
            var damaged = contents
            let place = Int.random(in: 0..<damaged.count, using: &random)
            if number > 0 { damaged[place] = SnapshotFuzzTests.mutate(damaged[place], &random) }
            if random.oneIn(20) { damaged.swapAt(place, Int.random(in: 0..<damaged.count, using: &random)) }
            if random.oneIn(20) { damaged.remove(at: place) }
            do throws(GraphAssembly.Flaw) {
                let assembly = try GraphAssembly(M: M, nodes: nodes, over: rows)
                for content in damaged { try assembly.take(content) }
                try assembly.finish()
                outcomes.taken += 1
            } catch {
                outcomes.refused += 1
            }
            let index = try #require(state.indexes.first)
            #expect(index.graphViolations == [])
            #expect(index.stats.indexed + index.stats.unindexed == 1300)
            #expect(state.digest == manifest.digest)
            // Looking at it alone never takes more than reading it does.
            let look = Result { () throws(GraphAssembly.Flaw) in
                let assembly = try GraphAssembly(M: M, nodes: nodes)
                for content in damaged { try assembly.take(content) }
                try assembly.finish()
            }
            if number == 0 { #expect(throws: Never.self) { try look.get() } }
        }
        print("graph hostile: \(cases) cases, \(outcomes)")
        #expect(outcomes.taken > 0 && outcomes.refused > cases / 4)
        #expect(throws: GraphAssembly.Flaw.self) {
            try GraphAssembly(M: M + 1, nodes: nodes).take(contents[0])
        }
    }

    /// The rows of the only index, without a graph.
    private static func rows(
        of manifest: SnapshotManifest,
        in store: any ObjectStore,
        into state: Materializer
    ) throws -> RestoredName {
        let name = try #require(manifest.names.last)
        let rows = state.restoreName(name.state, at: LSN(1))
        for block in name.blocks {
            let frame = try store.read(SnapshotManifest.blockKey(block.hash), limit: 1 << 22)
            let content = try #require(Zstandard.decompress(frame, bytes: block.contentBytes))
            _ = try content.withUnsafeBytes { try SnapshotBlock.forEachEntry($0) { #expect(rows.add($0)) } }
        }
        _ = rows.finish()
        return rows
    }

    private static let goldenName = "snapshot-v2"

    @Test("snapshot format 2, with a graph, is read as it was, and written again the same")
    func golden() throws {
        let directory = SnapshotGoldenTests.directory
        if let target = getenv("SPRINGG_WRITE_GOLDEN").map({ String(cString: $0) }) {
            // A graph is only begun with many rows, and kept with few.
            var random = SeededRandom(seed: 2)
            let rows = try Rows(1500, using: &random)
            for number in 40..<1500 { try rows.delete(number) }
            try rows.settle()
            let store = MemoryStore()
            let manifest = try rows.write(to: store).manifest
            try Files.write(target + "/\(Self.goldenName).json", manifest.encoded())
            for object in manifest.objects() {
                let bytes = try store.read(SnapshotManifest.blockKey(object.hash), limit: 1 << 22)
                try Files.write(target + "/\(Self.goldenName)-\(object.hash).zst", bytes)
            }
        }
        let bytes = try Files.read(directory + "/\(Self.goldenName).json")
        let manifest = try SnapshotManifest(decoding: bytes, from: "golden")
        #expect(try manifest.encoded() == bytes)
        let store = MemoryStore()
        try store.put(SnapshotManifest.key(manifest.id), bytes: bytes)
        for object in manifest.objects() {
            try store.put(
                SnapshotManifest.blockKey(object.hash),
                bytes: Files.read(directory + "/\(Self.goldenName)-\(object.hash).zst")
            )
        }
        #expect(try SnapshotReader(from: store).verify(manifest).isEmpty)
        let restored = try SnapshotGraphTests.restore(manifest, from: store)
        #expect(restored.damagedGraphs == [] && restored.index.stats.indexed == 40)
        #expect(restored.index.graphViolations == [])
        // The bytes of the content; the compressed ones are the library's.
        let graph = try #require(restored.state.captureState(heads: VersionVector()).graph(0))
        var contents: [[UInt8]] = []
        graph.forEachBlock(bytes: 1 << 20) { contents.append($0) }
        let kept = try #require(manifest.names.last?.graph?.blocks).map { block in
            let frame = try store.read(SnapshotManifest.blockKey(block.hash), limit: 1 << 22)
            return try #require(Zstandard.decompress(frame, bytes: block.contentBytes))
        }
        #expect(contents == kept)
    }
}
