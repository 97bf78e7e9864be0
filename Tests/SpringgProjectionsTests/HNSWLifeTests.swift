import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

@Suite("The graph follows the store")
struct HNSWLifeTests {
    static let dimensions = 32

    static func vector(_ number: Int) -> [Float] {
        var random = SeededRandom(seed: UInt64(number))
        return random.floats(dimensions)
    }

    static func put(_ id: Int, _ vector: Int) throws -> Command {
        try DatabaseTests.put("a", "v\(id)", HNSWLifeTests.vector(vector))
    }

    static func filled(
        _ disk: SimulatedFileSystem,
        rows: Int,
        _ change: (inout DatabaseOptions) -> Void = { _ in }
    ) throws -> Database {
        let database = try DatabaseTests.open(disk, change)
        DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: dimensions)])
        for start in stride(from: 0, to: rows, by: 500) {
            let results = DatabaseTests.write(database, try (start..<min(start + 500, rows)).map { try put($0, $0) })
            #expect(results.allSatisfy { DatabaseTests.error($0) == nil })
        }
        return database
    }

    @Test("a row is found as soon as its write is answered, linked or not, and never once its delete is")
    func atOnce() throws {
        let database = try HNSWLifeTests.filled(SimulatedFileSystem(), rows: 3000)
        defer { database.close() }
        let index = try #require(database.index(try DatabaseTests.name("a")))
        for number in 3000..<3400 {
            DatabaseTests.write(database, [try HNSWLifeTests.put(number, number)])
            let found = HNSWHarness.search(index, HNSWLifeTests.vector(number), k: 1).answer
            #expect(found.ids == ["v\(number)"])
            if number % 3 == 0 {
                DatabaseTests.write(
                    database,
                    [.delete(index: try DatabaseTests.name("a"), id: try DatabaseTests.id("v\(number)"))]
                )
                let after = HNSWHarness.search(index, HNSWLifeTests.vector(number), k: 10).answer
                #expect(!after.ids.contains("v\(number)"))
                #expect(after.ids.count == 10)
            }
        }
        #expect(database.waitUntilIndexed())
        #expect(index.graphViolations == [])
        #expect(index.stats.indexed == index.count)
        #expect(index.stats.unindexed == 0)
    }

    @Test("searches beside writers and the indexer see k rows, none twice, none whose delete was answered")
    func concurrent() throws {
        let database = try HNSWLifeTests.filled(SimulatedFileSystem(), rows: 2000)
        defer { database.close() }
        let index = try #require(database.index(try DatabaseTests.name("a")))
        // Of each id the number of the vector that stands, and whether a delete of it has been answered: ids are written
        // in order and removed in order, so two counters say it all.
        let answered = Atomic<Int>(2000)
        let removed = Atomic<Int>(0)
        let isDone = Atomic<Bool>(false)
        let wrong = Mutex<[String]>([])
        let readers = try (0..<2).map { reader in
            try WorkerThread {
                var random = SeededRandom(seed: UInt64(reader))
                while !isDone.load(ordering: .acquiring) {
                    let gone = removed.load(ordering: .acquiring)
                    let there = answered.load(ordering: .acquiring)
                    let wanted = Int.random(in: max(gone, there - 300)..<there, using: &random)
                    let (answer, _) = HNSWHarness.search(index, HNSWLifeTests.vector(wanted))
                    let goneAfter = removed.load(ordering: .acquiring)
                    var failures: [String] = []
                    if answer.ids.count != 10 { failures.append("\(answer.ids.count) rows") }
                    if Set(answer.ids).count != answer.ids.count { failures.append("a row twice: \(answer.ids)") }
                    for id in answer.ids where (Int(id.dropFirst()) ?? -1) < gone { failures.append("\(id) is dead") }
                    // Unless it was removed meanwhile; one that is being removed has been counted before it was asked for.
                    if wanted >= goneAfter + 50, !answer.ids.contains("v\(wanted)") { failures.append("no v\(wanted)") }
                    if !failures.isEmpty { wrong.withLock { $0 += failures } }
                }
            }
        }
        for start in stride(from: 2000, to: 6000, by: 50) {
            DatabaseTests.write(database, try (start..<start + 50).map { try HNSWLifeTests.put($0, $0) })
            answered.store(start + 50, ordering: .releasing)
            let first = start - 2000
            let name = try DatabaseTests.name("a")
            DatabaseTests.write(
                database,
                try (first..<first + 50).map { .delete(index: name, id: try DatabaseTests.id("v\($0)")) }
            )
            removed.store(first + 50, ordering: .releasing)
        }
        isDone.store(true, ordering: .releasing)
        for reader in readers { reader.join() }
        #expect(wrong.withLock { $0 } == [])
        // The last rows to be removed may have been in a reader's sight until now: they go with the next write.
        DatabaseTests.write(database, [try HNSWLifeTests.put(6000, 6000)])
        #expect(database.waitUntilIndexed())
        #expect(index.graphViolations == [])
        #expect(index.stats.indexed == 2001)
    }

    @Test("without a checkpoint a graph is built again after a restart, which is told; searches are right meanwhile")
    func restart() throws {
        let disk = SimulatedFileSystem()
        let first = try HNSWLifeTests.filled(disk, rows: 3000) { $0.lastCheckpointSeconds = 0 }
        first.waitUntilIndexed()
        let digest = first.digest
        first.close()
        let reports = Mutex<[CatchUpReport]>([])
        let second = try DatabaseTests.open(disk) {
            $0.catchesUp = { report in reports.withLock { $0.append(report) } }
        }
        defer { second.close() }
        #expect(second.checkpoint.lsn == .zero)
        #expect(second.digest == digest)
        let index = try #require(second.index(try DatabaseTests.name("a")))
        for number in stride(from: 0, to: 3000, by: 100) {
            #expect(HNSWHarness.search(index, HNSWLifeTests.vector(number), k: 1).answer.ids == ["v\(number)"])
        }
        #expect(second.waitUntilIndexed())
        #expect(second.rowsToLink == 0)
        #expect(index.stats.indexed == 3000)
        #expect(index.graphViolations == [])
        let told = reports.withLock { $0 }
        #expect(told.map(\.rows) == [3000, 3000])
        #expect(told.map { $0.seconds == nil } == [true, false])
        #expect(told.allSatisfy { $0.index == index.name })
    }

    @Test("options are kept with the index, over a restart; those that cannot be are refused")
    func options() throws {
        let disk = SimulatedFileSystem()
        let name = try DatabaseTests.name("a")
        let first = try DatabaseTests.open(disk)
        for options in [
            IndexOptions(m: 3), IndexOptions(m: 65), IndexOptions(efConstruction: 9),
            IndexOptions(efConstruction: 2001), IndexOptions(ef: 9), IndexOptions(ef: 2001), IndexOptions(m: .min),
        ] {
            let results = DatabaseTests.write(first, [.createIndex(name: name, dimensions: 4, options: options)])
            #expect(DatabaseTests.error(results.first) == options.refusal.map(CommandError.invalidOptions))
        }
        DatabaseTests.write(
            first,
            [.createIndex(name: name, dimensions: 32, options: IndexOptions(m: 6, efConstruction: 50, ef: 33))]
        )
        first.close()
        let second = try DatabaseTests.open(disk)
        defer { second.close() }
        for start in stride(from: 0, to: 2000, by: 500) {
            DatabaseTests.write(second, try (start..<start + 500).map { try HNSWLifeTests.put($0, $0) })
        }
        second.waitUntilIndexed()
        let index = try #require(second.index(name))
        #expect(HNSWHarness.search(index, HNSWLifeTests.vector(1)).plan.ef == 33)
    }

    @Test("writers far ahead of the graph are slowed, not refused")
    func pace() throws {
        let database = try HNSWLifeTests.filled(SimulatedFileSystem(), rows: 6000) { $0.maxUnindexedRows = 100 }
        defer { database.close() }
        let index = try #require(database.index(try DatabaseTests.name("a")))
        #expect(index.count == 6000)
        // The last batch may be waiting, and those before it have waited.
        #expect(index.stats.unindexed <= 1000)
    }

    @Test("events of other nodes do not wait for the graph")
    func paceOfOthers() throws {
        let (rows, batch) = (4000, 500)
        // A graph that takes seconds to build.
        let options = #"{"m":64,"ef_construction":2000}"#
        let database = try DatabaseTests.open(SimulatedFileSystem()) { $0.maxUnindexedRows = 100 }
        defer { database.close() }
        var random = SeededRandom(seed: 9)
        let create = Array(options.utf8).withUnsafeBytes {
            EncodedEvent.indexCreated(name: "a", dimensions: 256, options: $0)
        }
        let history = ReceiveTests.history(
            ReceiveTests.foreign,
            [create] + (0..<rows).map { EventSet.put("a", "v\($0)", random.floats(256)) }
        )
        for start in stride(from: 0, to: history.count, by: batch) {
            let outcome = try ReceiveTests.receive(database, history[start..<min(start + batch, history.count)])
            #expect(outcome.refusals.isEmpty && outcome.failure == nil)
        }
        let index = try #require(database.index(try DatabaseTests.name("a")))
        #expect(index.count == rows)
        // Held to the pace of linking, no more than the last batch would be ahead.
        #expect(database.rowsToLink > 100 + batch)
    }

    @Test("memory of replaced rows and of a deleted index comes back")
    func memory() throws {
        let database = try HNSWLifeTests.filled(SimulatedFileSystem(), rows: 3000)
        defer { database.close() }
        let name = try DatabaseTests.name("a")
        database.waitUntilIndexed()
        let once = database.memory.totalBytes
        for round in 1...5 {
            for start in stride(from: 0, to: 3000, by: 500) {
                DatabaseTests.write(
                    database,
                    try (start..<start + 500).map { try HNSWLifeTests.put($0, $0 + round * 3000) }
                )
            }
            database.waitUntilIndexed()
        }
        let index = try #require(database.index(name))
        #expect(index.graphViolations == [])
        #expect(index.stats.indexed == 3000)
        // The old row stays until the graph has let go of it, so that twice the rows were held for a moment.
        #expect(database.memory.totalBytes <= 3 * once)
    }

    @Test("where memory ends the graph stops growing, and rows are found without it")
    func memoryLimit() throws {
        let limit = 2 << 20
        let database = try HNSWLifeTests.filled(SimulatedFileSystem(), rows: 3000) {
            $0.maxMemoryBytes = limit
            $0.maxUnindexedRows = 10
        }
        defer { database.close() }
        let index = try #require(database.index(try DatabaseTests.name("a")))
        #expect(database.memory.totalBytes <= limit)
        for number in stride(from: 0, to: 3000, by: 100) {
            #expect(HNSWHarness.search(index, HNSWLifeTests.vector(number), k: 1).answer.ids == ["v\(number)"])
        }
    }
}
