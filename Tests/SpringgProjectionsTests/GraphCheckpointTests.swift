import Glibc
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// A graph survives a restart, and whatever happens to its file costs time alone.
@Suite("Graphs in checkpoints")
struct GraphCheckpointTests {
    /// As many rows as a graph needs, and some.
    static let rows = 1500
    static let options = #"{"m":4,"ef_construction":40}"#

    static func harness(_ random: inout SeededRandom, rows: Int = rows, dimensions: Int = 8) throws -> HNSWHarness {
        var harness = try HNSWHarness(dimensions: dimensions, options: options)
        for number in 0..<rows { harness.put("v\(number)", random.floats(dimensions)) }
        harness.settle()
        return harness
    }

    @Test("a start has the graph at once, and links only what has changed since")
    func start() throws {
        let disk = SimulatedFileSystem()
        let first = try HNSWLifeTests.filled(disk, rows: 3000) { $0.lastCheckpointSeconds = 60 }
        first.waitUntilIndexed()
        first.close()
        let name = try DatabaseTests.name("a")
        let reports = Mutex<[CatchUpReport]>([])
        func open() throws -> Database {
            try DatabaseTests.open(disk) {
                $0.catchesUp = { report in reports.withLock { $0.append(report) } }
                $0.lastCheckpointSeconds = 60
            }
        }
        let second = try open()
        let index = try #require(second.index(name))
        #expect(second.checkpoint.damagedGraphs == [])
        #expect(index.stats.indexed == 3000)
        #expect(index.stats.unindexed == 0)
        #expect(index.graphViolations == [])
        #expect(second.waitUntilIndexed())
        #expect(reports.withLock { $0.isEmpty }, "there was nothing to catch up with")
        for number in stride(from: 0, to: 3000, by: 100) {
            let (answer, plan) = HNSWHarness.search(index, HNSWLifeTests.vector(number), k: 1)
            #expect(answer.ids == ["v\(number)"])
            #expect(plan.unindexedScanned == 0)
        }
        // Some rows replaced, some removed, some new; then a start from the same checkpoint.
        DatabaseTests.write(second, try (0..<40).map { try HNSWLifeTests.put($0, $0 + 10_000) })
        DatabaseTests.write(second, try (40..<70).map { .delete(index: name, id: try DatabaseTests.id("v\($0)")) })
        DatabaseTests.write(second, try (3000..<3020).map { try HNSWLifeTests.put($0, $0) })
        let digest = second.digest
        disk.kill()
        second.close()
        let third = try open()
        defer { third.close() }
        #expect(third.digest == digest)
        #expect(third.waitUntilIndexed())
        let again = try #require(third.index(name))
        #expect(reports.withLock { $0.map(\.rows) } == [60, 60])
        #expect(again.stats.indexed == 2990)
        #expect(again.graphViolations == [])
        for number in [10_000, 10_039] {
            let found = HNSWHarness.search(again, HNSWLifeTests.vector(number), k: 1).answer
            #expect(found.ids == ["v\(number - 10_000)"])
        }
    }

    @Test("taken at any moment of the indexer's work: every row is there, linked or not, and every node can be reached")
    func anyMoment() throws {
        var random = SeededRandom.fromEnvironment("graph anyMoment")
        for round in 0..<12 {
            var harness = try GraphCheckpointTests.harness(&random)
            for _ in 0..<Int.random(in: 0..<700, using: &random) {
                let id = "v\(Int.random(in: 0..<2 * GraphCheckpointTests.rows, using: &random))"
                random.oneIn(2) ? harness.delete(id) : harness.put(id, random.floats(8))
                if random.oneIn(300) { harness.settle() }
            }
            harness.publish()
            let disk = SimulatedFileSystem()
            try harness.checkpoint(to: disk)
            var restored = try HNSWHarness(restoring: harness.lsn, from: disk, threads: 1 + round % 3)
            #expect(restored.damagedGraphs == [])
            #expect(restored.digest == harness.digest)
            #expect(restored.index.graphViolations == [])
            let stats = restored.index.stats
            #expect(stats.indexed > 0)
            #expect(stats.indexed + stats.unindexed == stats.vectorCount)
            let queries = (0..<40).map { _ in random.floats(8) }
            // The order of equally good candidates is another, the graph is not.
            #expect(restored.recall(queries, ef: 64) >= harness.recall(queries, ef: 64) - 0.03)
            restored.put("new", random.floats(8))
            restored.settle(threads: 2)
            #expect(restored.index.graphViolations == [])
            #expect(restored.index.stats.unindexed == 0)
        }
    }

    @Test("taken again and again beside writers and indexers: whatever a start finds is whole")
    func besideIndexers() throws {
        var random = SeededRandom.fromEnvironment("graph besideIndexers")
        let disk = SimulatedFileSystem()
        var graphs = 0
        for _ in 0..<6 {
            let database = try DatabaseTests.open(disk) {
                $0.checkpointSeconds = 0.0005
                $0.indexingThreads = 3
            }
            #expect(database.checkpoint.damaged == [])
            #expect(database.checkpoint.damagedGraphs == [])
            if database.indexes().isEmpty {
                let create = Command.createIndex(
                    name: try DatabaseTests.name("a"),
                    dimensions: HNSWLifeTests.dimensions
                )
                DatabaseTests.write(database, [create])
                DatabaseTests.write(database, try (0..<2000).map { try HNSWLifeTests.put($0, $0) })
            }
            for _ in 0..<Int.random(in: 5...30, using: &random) {
                let commands = try (0..<30).map { _ -> Command in
                    let number = Int.random(in: 0..<2500, using: &random)
                    return random.oneIn(3)
                        ? .delete(index: try DatabaseTests.name("a"), id: try DatabaseTests.id("v\(number)"))
                        : try HNSWLifeTests.put(number, number)
                }
                DatabaseTests.write(database, commands)
            }
            if random.oneIn(2) { database.waitUntilIndexed() }
            let digest = database.digest
            disk.kill()
            database.close()
            for path in disk.paths where path.hasPrefix(CheckpointTests.directory) && path.hasSuffix(".manifest") {
                let lsn = try #require(UInt64(path.dropFirst(CheckpointTests.directory.utf8.count + 1).prefix(20)))
                let (state, _, damaged) = try Materializer.restore(LSN(lsn), from: CheckpointTests.directory, disk)
                #expect(damaged == [])
                guard let index = state.indexes.first else { continue }
                #expect(index.graphViolations == [])
                #expect(index.stats.indexed + index.stats.unindexed == index.count)
                if index.stats.indexed > 0 { graphs += 1 }
            }
            let next = try DatabaseTests.open(disk) { $0.checkpointSeconds = 0 }
            #expect(next.digest == digest)
            next.close()
        }
        #expect(graphs > 0)
    }

    @Test("a damaged graph is named and left alone, the rows are taken, and the graph is built anew")
    func damage() throws {
        var random = SeededRandom.fromEnvironment("graph damage")
        let harness = try GraphCheckpointTests.harness(&random, rows: 1300, dimensions: 2)
        let disk = SimulatedFileSystem()
        try harness.checkpoint(to: disk)
        let path = try #require(disk.paths.first { $0.hasSuffix(".graph") })
        let bytes = try #require(disk.contents(path))
        func check(_ damaged: [UInt8], _ what: String) throws {
            let copy = disk.copy()
            copy.setContents(path, damaged)
            let restored = try HNSWHarness(restoring: harness.lsn, from: copy)
            #expect(restored.damagedGraphs.count == 1, "\(what)")
            #expect(restored.damagedGraphs.allSatisfy { $0.hasPrefix(path) }, "\(what)")
            #expect(restored.digest == harness.digest, "\(what)")
            #expect(restored.index.stats.indexed == 0, "\(what)")
            #expect(restored.index.stats.unindexed == 1300, "\(what)")
        }
        for place in Array(0..<80) + (0..<150).map({ _ in Int.random(in: 80..<bytes.count, using: &random) }) {
            var damaged = bytes
            damaged[place] ^= 1 << UInt8(random.next() % 8)
            try check(damaged, "byte \(place)")
        }
        for _ in 0..<50 {
            let length = Int.random(in: 0..<bytes.count, using: &random)
            try check(Array(bytes.prefix(length)), "cut at \(length)")
        }
        // Checksums that match, over links that cannot be: to itself, to a row that is not there, too many of them.
        for (place, value) in [(74, UInt32(0)), (74, 1300), (74, .max), (72, 0xFF), (73, 0xFF)] {
            var wrong = bytes
            wrong.withUnsafeMutableBytes { file in
                if value == 0xFF { file.store(UInt8(value), at: place) } else { file.store(value, at: place) }
                let payload = UnsafeRawBufferPointer(file).part(
                    72,
                    Int(UnsafeRawBufferPointer(file).integer(UInt32.self, at: 64))
                )
                file.store(Checksum.crc32c(payload), at: 68)
            }
            try check(wrong, "\(value) at \(place)")
        }
        let missing = disk.copy()
        try missing.remove(path)
        let restored = try HNSWHarness(restoring: harness.lsn, from: missing)
        #expect(restored.damagedGraphs.count == 1)
        restored.settle()
        #expect(restored.index.stats.indexed == 1300)
        #expect(restored.index.graphViolations == [])
    }

    @Test("a crash after any call of a checkpoint with a graph leaves a whole checkpoint, and the state either way")
    func crashPoints() throws {
        var random = SeededRandom.fromEnvironment("graph crashPoints")
        let prepared = SimulatedFileSystem()
        let first = try HNSWLifeTests.filled(prepared, rows: 1400) { $0.lastCheckpointSeconds = 60 }
        first.waitUntilIndexed()
        first.close()
        for call in 1... {
            let disk = prepared.copy()
            let second = try DatabaseTests.open(disk) { $0.lastCheckpointSeconds = 60 }
            DatabaseTests.write(second, try (0..<50).map { try HNSWLifeTests.put($0, $0 + 5000) })
            let digest = second.digest
            disk.fail(callFromNow: call, .stop)
            second.close()
            let reachedEnd = !disk.isStopped
            random.oneIn(2) ? disk.kill() : disk.crash(using: &random)
            let third = try DatabaseTests.open(disk) { $0.lastCheckpointSeconds = 0 }
            let files = disk.paths.filter { $0.hasPrefix(CheckpointTests.directory) }
            #expect(
                files.count == 3 * files.filter { $0.hasSuffix(".manifest") }.count,
                "call \(call): a rest is there"
            )
            #expect(third.digest == digest, "call \(call)")
            #expect(third.checkpoint.damaged.isEmpty && third.checkpoint.damagedGraphs.isEmpty, "call \(call)")
            third.close()
            if reachedEnd { break }
        }
    }

    private static let goldenFiles = [
        ("checkpoint-graph.manifest", "manifest"), ("checkpoint-graph.index", "index"), ("graph-v1.graph", "graph"),
    ]

    @Test("graph format 1 is read as it was, and written again the same")
    func goldenFormat() throws {
        let golden = CheckpointTests.golden
        if let target = getenv("SPRINGG_WRITE_GOLDEN") {
            // A graph is only begun with many rows, and kept with few.
            var random = SeededRandom(seed: 1)
            var harness = try GraphCheckpointTests.harness(&random, dimensions: 4)
            for number in 120..<GraphCheckpointTests.rows { harness.delete("v\(number)") }
            harness.settle()
            let disk = SimulatedFileSystem()
            try harness.checkpoint(to: disk)
            for (file, suffix) in GraphCheckpointTests.goldenFiles {
                let path = try #require(disk.paths.first { $0.hasSuffix("." + suffix) })
                let out = try PosixFileSystem().open(String(cString: target) + "/" + file, .create)
                try #require(disk.contents(path)).withBytes { try out.write($0, at: 0) }
            }
        }
        let kept = SimulatedFileSystem()
        let lsn = UInt64(1 + 2 * GraphCheckpointTests.rows - 120)
        for (file, suffix) in GraphCheckpointTests.goldenFiles {
            let digits = String(lsn)
            let name = String(repeating: "0", count: 20 - digits.utf8.count) + digits
            let path = CheckpointTests.directory + "/" + name + (suffix == "manifest" ? "." : "-000000.") + suffix
            kept.setContents(path, try CheckpointTests.contents(golden + "/" + file))
        }
        let restored = try HNSWHarness(restoring: lsn, from: kept)
        #expect(restored.damagedGraphs == [])
        #expect(restored.index.stats.indexed == 120)
        #expect(restored.index.graphViolations == [])
        let written = SimulatedFileSystem()
        try restored.checkpoint(to: written)
        #expect(written.paths.count == 3)
        for path in written.paths { #expect(written.contents(path) == kept.contents(path), "\(path)") }
    }
}
