import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// Graphs on their way through an archive: into it once, along with its snapshots, and back.
@Suite("Graphs in the archive")
struct ArchiveGraphTests {
    private static let dimensions = 8

    private static func filled(
        _ store: MemoryStore,
        _ options: ArchiveOptions,
        _ time: ArchiveNode.TestClock,
        rows: Int,
        _ random: inout SeededRandom
    ) throws -> ArchiveNode {
        let node = try ArchiveNode(1, store, options, time, segmentBytes: 1 << 20)
        try Array(#"{"m":4,"ef_construction":40}"#.utf8).withUnsafeBytes {
            try node.write(.indexCreated(name: "a", dimensions: dimensions, options: $0))
        }
        for number in 0..<rows { try node.write(EventSet.put("a", "v\(number)", random.floats(dimensions))) }
        node.state.indexes[0].indexNow(threads: 2)
        return node
    }

    private static func bytes(_ store: MemoryStore, _ prefix: String) throws -> Int {
        try store.list(prefix: prefix, limit: 10_000).reduce(0) { $0 + $1.size }
    }

    @Test(
        "a restored directory has the graph of the snapshot, and links only what came behind it; each moment is exact"
    )
    func restored() throws {
        var random = SeededRandom.fromEnvironment("archive graph restored")
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        let node = try ArchiveGraphTests.filled(store, ArchiveOptions(), time, rows: 2000, &random)
        node.round()
        #expect(node.core.failure == nil)
        var digests: [UInt64: StateDigest] = [:]
        for round in 0..<6 {
            time.now += 1_000
            for number in 0..<20 {
                let id = "v\(round * 37 + number)"
                try node.write(
                    number % 5 == 0
                        ? Array(id.utf8).withUnsafeBytes { .vectorDeleted(index: "a", id: $0) }
                        : EventSet.put("a", id, random.floats(ArchiveGraphTests.dimensions))
                )
            }
            digests[time.now] = node.state.digest
        }
        node.round()
        for (moment, digest) in digests.sorted(by: { $0.key < $1.key }) {
            let disk = SimulatedFileSystem()
            let source = try RestoreSource(archive: store)
            let report = try Restorer(fileSystem: disk, graphThreads: 2).restore(
                source.prospect(.time(milliseconds: moment), excluding: false),
                from: source,
                into: "/restored",
                origin: OriginID(high: 9, low: 9)
            )
            #expect(report.digest == digest && report.damagedGraphs == [])
            #expect(report.rowsLinked > 1800 && report.rowsLinked < 2000)
            var options = DatabaseOptions(dataPath: "/restored")
            options.lastCheckpointSeconds = 0
            let database = try Database.open(options, fileSystem: disk, wallClock: { [now = time.now] in now })
            defer { database.close() }
            let index = try #require(database.indexes().first)
            #expect(database.digest == digest && database.checkpoint.damagedGraphs == [])
            #expect(database.waitUntilIndexed() && index.stats.unindexed == 0)
            #expect(index.graphViolations == [])
            let query = random.floats(ArchiveGraphTests.dimensions)
            let answers = [SearchPlan.Method.hnsw, .exact].map { method in
                query.withUnsafeBufferPointer { query in
                    index.withHits(query: query, k: 1, ef: 200, method: method) { hits, _ in hits.map { Array($0.id) } }
                }
            }
            #expect(answers[0] == answers[1])
        }
        // Without graphs nothing of them is fetched.
        let source = try RestoreSource(archive: store)
        let state = try source.load(source.prospect(.latest, excluding: false)).materializer
        #expect(state.digest == node.state.digest && state.indexes[0].stats.indexed == 0)
    }

    @Test("graphs are carried over from snapshot to snapshot, go with the last that names them, and are verified")
    func lifetime() throws {
        var random = SeededRandom.fromEnvironment("archive graph lifetime")
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        var options = ArchiveOptions()
        options.snapshotInterval = 1_800_000
        options.retention = 7_200_000
        options.grace = 3_600_000
        let node = try ArchiveGraphTests.filled(store, options, time, rows: 1600, &random)
        var graphs: [[ContentHash]] = []
        for round in 0..<30 {
            for _ in 0..<20 {
                let id = "v\(Int.random(in: 0..<1600, using: &random))"
                try node.write(EventSet.put("a", id, random.floats(ArchiveGraphTests.dimensions)))
            }
            node.state.indexes[0].indexNow(threads: 2)
            node.state.reclaim()
            // A restart forgets nothing that matters.
            if round == 10 { node.restart(options) }
            node.round()
            #expect(node.core.failure == nil)
            let newest = try #require(try ArchiveReader(from: store).newest())
            let manifest = try SnapshotReader(from: store).manifest(newest.snapshots.last?.id)
            graphs.append(try #require(manifest.names.last?.graph?.blocks.map(\.hash)))
            time.now += 1_900_000
            store.setNow(time.now)
        }
        // 20 of 1,600 rows a round: every tenth round is worth a graph.
        let different = Set(graphs).count
        #expect((2...6).contains(different), "\(different) graphs in \(graphs.count) snapshots")
        for _ in 0..<4 {
            time.now += options.grace + 1
            store.setNow(time.now)
            node.round()
        }
        let content = try ArchiveContent(store)
        #expect(try content.orphans(store.keys()).isEmpty)
        let first = try SnapshotManifest.blockKey(graphs[0][0])
        #expect(!store.keys().contains(first))
        let check = try ArchiveCheck(store).run()
        #expect(check.findings == [])

        // A graph that is lost is found, and costs time alone.
        let lost = try SnapshotManifest.blockKey(graphs[29][1])
        try store.delete([lost])
        let findings = try ArchiveCheck(store).run().findings
        #expect(findings.count == 1 && findings[0].contains(lost.text))
        let disk = SimulatedFileSystem()
        let source = try RestoreSource(archive: store)
        let report = try Restorer(fileSystem: disk).restore(
            source.prospect(.latest, excluding: false),
            from: source,
            into: "/restored",
            origin: OriginID(high: 9, low: 9)
        )
        #expect(report.damagedGraphs.count == 1 && report.damagedGraphs[0].contains(lost.text))
        #expect(report.digest == node.state.digest && report.rowsLinked == 0)
    }
}
