import Glibc
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// The whole write path on a simulated disk, against a model.
@Suite("The database keeps its promises")
struct DatabaseTests {
    static func open(
        _ disk: SimulatedFileSystem,
        _ change: (inout DatabaseOptions) -> Void = { _ in }
    ) throws -> Database {
        var options = DatabaseOptions(dataPath: "/data")
        options.segmentBytes = 64 << 10
        change(&options)
        return try Database.open(options, fileSystem: disk, wallClock: { 1_000_000 })
    }

    /// Submits and waits.
    @discardableResult
    static func write(_ database: Database, _ commands: [Command]) -> [Result<Receipt, CommandError>] {
        let results = Mutex<[Result<Receipt, CommandError>]>([])
        let done = Semaphore()
        database.submit(commands) { answer in
            results.withLock { $0 = answer }
            done.signal()
        }
        done.wait()
        return results.withLock { $0 }
    }

    static func name(_ text: String) throws -> IndexName { try #require(IndexName(text)) }
    static func id(_ text: String) throws -> VectorID { try #require(VectorID(text)) }

    static func put(
        _ index: String,
        _ id: String,
        _ vector: [Float],
        metadata: String = "",
        mustExist: Bool = false
    ) throws -> Command {
        let (index, id) = (try name(index), try self.id(id))
        return vector.withUnsafeBufferPointer { vector in
            Array(metadata.utf8).withUnsafeBytes { metadata in
                .put(PreparedVector(index: index, id: id, vector: vector, metadata: metadata), mustExist: mustExist)
            }
        }
    }

    static func rows(_ database: Database) -> [String: [Float]] {
        var rows: [String: [Float]] = [:]
        for index in database.indexes() {
            index.forEachRowInIDOrder { row in
                rows["\(index.name)/\(String(decoding: row.id, as: UTF8.self))"] = Array(row.vector)
                return true
            }
        }
        return rows
    }

    static func error(_ result: Result<Receipt, CommandError>?) -> CommandError? {
        if case .failure(let error)? = result { error } else { nil }
    }

    /// What the sequencer should decide, told by a dictionary.
    struct Model {
        var indexes: [String: Int] = [:]
        var rows: [String: [Float]] = [:]

        mutating func apply(_ step: Step) -> CommandError? {
            switch step {
            case .create(let name, let dimensions):
                guard let index = IndexName(name) else { return nil }
                if indexes[name] != nil { return .indexExists(index) }
                indexes[name] = dimensions
            case .drop(let name):
                guard let index = IndexName(name) else { return nil }
                if indexes.removeValue(forKey: name) == nil { return .indexNotFound(index) }
                rows = rows.filter { !$0.key.hasPrefix(name + "/") }
            case .put(let name, let id, let vector, let mustExist):
                guard let index = IndexName(name), let key = VectorID(id) else { return nil }
                guard let dimensions = indexes[name] else { return .indexNotFound(index) }
                guard vector.count == dimensions else {
                    return .dimensionMismatch(expected: dimensions, got: vector.count)
                }
                if mustExist, rows["\(name)/\(id)"] == nil { return .vectorNotFound(key) }
                rows["\(name)/\(id)"] = vector
            case .delete(let name, let id):
                guard let index = IndexName(name), let key = VectorID(id) else { return nil }
                guard indexes[name] != nil else { return .indexNotFound(index) }
                if rows.removeValue(forKey: "\(name)/\(id)") == nil { return .vectorNotFound(key) }
            }
            return nil
        }
    }

    enum Step {
        case create(String, Int)
        case drop(String)
        case put(String, String, [Float], mustExist: Bool)
        case delete(String, String)

        static func random(_ random: inout SeededRandom) -> Step {
            let index = ["a", "b"][Int.random(in: 0..<2, using: &random)]
            let id = "v\(Int.random(in: 0..<8, using: &random))"
            switch Int.random(in: 0..<16, using: &random) {
            case 0: return .create(index, random.oneIn(3) ? 3 : 2)
            case 1: return random.oneIn(2) ? .drop(index) : .create(index, 2)
            case 2...5: return .delete(index, id)
            default:
                return .put(index, id, random.floats(random.oneIn(8) ? 3 : 2), mustExist: random.oneIn(3))
            }
        }

        func command() throws -> Command {
            switch self {
            case .create(let name, let dimensions):
                .createIndex(name: try DatabaseTests.name(name), dimensions: dimensions)
            case .drop(let name): .deleteIndex(name: try DatabaseTests.name(name))
            case .put(let index, let id, let vector, let mustExist):
                try DatabaseTests.put(index, id, vector, mustExist: mustExist)
            case .delete(let index, let id):
                .delete(index: try DatabaseTests.name(index), id: try DatabaseTests.id(id))
            }
        }
    }

    @Test("commands are decided in order, also against those of their own batch, as a plain model decides them")
    func againstModel() throws {
        var random = SeededRandom.fromEnvironment("againstModel")
        let disk = SimulatedFileSystem()
        var model = Model()
        for _ in 0..<6 {
            let database = try DatabaseTests.open(disk)
            #expect(DatabaseTests.rows(database) == model.rows)
            for _ in 0..<60 {
                let steps = (0..<Int.random(in: 1...25, using: &random)).map { _ in Step.random(&random) }
                let results = DatabaseTests.write(database, try steps.map { try $0.command() })
                for (step, result) in zip(steps, results) {
                    #expect(DatabaseTests.error(result) == model.apply(step), "\(step)")
                }
                #expect(DatabaseTests.rows(database) == model.rows)
            }
            let digest = database.digest
            if random.oneIn(2) { database.close() }
            disk.kill()
            let again = try DatabaseTests.open(disk.copy())
            #expect(again.digest == digest)
            again.close()
        }
    }

    @Test("a batch that has to be split is still decided as one: nothing admitted is forgotten")
    func splitBatch() throws {
        let database = try DatabaseTests.open(SimulatedFileSystem()) { $0.segmentBytes = 4096 }
        // Each row takes a segment of its own, so each is committed alone.
        let vector = [Float](repeating: 1, count: 900)
        var commands: [Command] = [.createIndex(name: try DatabaseTests.name("a"), dimensions: 900)]
        commands.append(try DatabaseTests.put("a", "v", vector))
        commands.append(try DatabaseTests.put("a", "v", vector, mustExist: true))
        commands.append(.delete(index: try DatabaseTests.name("a"), id: try DatabaseTests.id("v")))
        commands.append(try DatabaseTests.put("a", "v", vector, mustExist: true))
        let errors = DatabaseTests.write(database, commands).map { DatabaseTests.error($0) }
        #expect(errors == [nil, nil, nil, nil, .vectorNotFound(try DatabaseTests.id("v"))])
    }

    @Test("after power loss at any moment every acknowledged write is there, and nothing that was never attempted")
    func powerLoss() throws {
        var random = SeededRandom.fromEnvironment("database powerLoss")
        for _ in 0..<60 {
            let disk = SimulatedFileSystem()
            let database = try DatabaseTests.open(disk)
            DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 40)])
            disk.fail(callFromNow: Int.random(in: 1...60, using: &random), .stop)
            var acknowledged: [String: [Float]] = [:]
            var attempted: [String: [[Float]]] = [:]
            for _ in 0..<30 {
                let batch = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                    ("v\(Int.random(in: 0..<40, using: &random))", random.floats(40))
                }
                let results = DatabaseTests.write(database, try batch.map { try DatabaseTests.put("a", $0.0, $0.1) })
                for (row, result) in zip(batch, results) {
                    attempted["a/" + row.0, default: []].append(row.1)
                    if case .success = result { acknowledged["a/" + row.0] = row.1 }
                }
            }
            database.close()
            disk.crash(using: &random)
            let rows = DatabaseTests.rows(try DatabaseTests.open(disk))
            for (id, vector) in acknowledged {
                let found = rows[id]
                // A later write of the same id may have reached the disk without its answer reaching anyone.
                let later = attempted[id].map { $0.drop { $0 != vector } } ?? []
                #expect(found.map { later.contains($0) } == true, "\(id)")
            }
            #expect(rows.allSatisfy { attempted[$0.key]?.contains($0.value) == true })
        }
    }

    @Test("a full disk answers diskFull, reads go on, and writes too once there is room")
    func diskFull() throws {
        let disk = SimulatedFileSystem()
        let reports = Mutex<[String]>([])
        let database = try DatabaseTests.open(disk) {
            $0.writesFail = { error in reports.withLock { $0.append("\(error)") } }
        }
        DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 256)])
        disk.setCapacity(70 << 10)
        var acknowledged = 0
        var refused = 0
        for number in 0..<200 {
            let results = DatabaseTests.write(
                database,
                [try DatabaseTests.put("a", "v\(number)", Array(repeating: 1, count: 256))]
            )
            switch results.first {
            case .success: acknowledged += 1
            case .failure(.diskFull(let text)):
                refused += 1
                #expect(text.contains("try again once there is room"))
            default: Issue.record("\(results)")
            }
        }
        #expect(acknowledged > 10 && refused > 100)
        // The operator is told once, with what to do, not once a write.
        #expect(reports.withLock { $0.count } == 1)
        #expect(reports.withLock { $0.allSatisfy { $0.contains("Free space") } })
        if case .full = database.health {} else { Issue.record("\(database.health)") }
        #expect(database.vectorCount == acknowledged)
        disk.setCapacity(nil)
        let after = DatabaseTests.write(
            database,
            [try DatabaseTests.put("a", "again", Array(repeating: 1, count: 256))]
        )
        #expect(DatabaseTests.error(after.first) == nil)
        #expect(database.health == .healthy)
        database.close()
        disk.kill()
        #expect(try DatabaseTests.open(disk).vectorCount == acknowledged + 1)
    }

    @Test("after a failed sync the node is read-only, says so, and never shows what it did not acknowledge")
    func failedSync() throws {
        let disk = SimulatedFileSystem()
        let database = try DatabaseTests.open(disk)
        DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 1)])
        DatabaseTests.write(database, [try DatabaseTests.put("a", "kept", [1])])
        disk.setSyncError(EIO)
        for _ in 0..<3 {
            let results = DatabaseTests.write(database, [try DatabaseTests.put("a", "lost", [2])])
            guard case .failure(.readOnly)? = results.first else { Issue.record("\(results)"); return }
        }
        guard case .readOnly(let reason) = database.health else { Issue.record("healthy"); return }
        #expect(reason.contains("fdatasync"))
        #expect(DatabaseTests.rows(database) == ["a/kept": [1]])
    }

    @Test("the memory limit holds to the byte, over batches and within one, and what is deleted makes room")
    func memoryLimit() throws {
        let database = try DatabaseTests.open(SimulatedFileSystem()) { $0.maxMemoryBytes = 9 << 19 }
        let index = try DatabaseTests.name("a")
        DatabaseTests.write(database, [.createIndex(name: index, dimensions: 65_536)])
        func put(_ id: String) throws -> Command {
            try DatabaseTests.put("a", id, Array(repeating: 1, count: 65_536))
        }
        // Eight rows of this size are one chunk of 2 MiB, which the first of them pays for: two chunks fit, not three.
        let results = DatabaseTests.write(database, try (0..<20).map { try put("v\($0)") })
        for (number, result) in results.enumerated() {
            switch DatabaseTests.error(result) {
            case nil: #expect(number < 16)
            case .memoryLimitExceeded: #expect(number >= 16)
            case let other?: Issue.record("\(other)")
            }
        }
        #expect(database.memory.totalBytes <= 9 << 19)
        #expect(DatabaseTests.error(DatabaseTests.write(database, [try put("v0")]).first) != nil)
        DatabaseTests.write(database, [.delete(index: index, id: try DatabaseTests.id("v0"))])
        #expect(DatabaseTests.error(DatabaseTests.write(database, [try put("new")]).first) == nil)
        #expect(DatabaseTests.error(DatabaseTests.write(database, [try put("newer")]).first) != nil)
        // The first row of another index would need a chunk of a megabyte, however small the row.
        let second = DatabaseTests.write(
            database,
            [
                .createIndex(name: try DatabaseTests.name("b"), dimensions: 4096),
                try DatabaseTests.put("b", "v", Array(repeating: 1, count: 4096)),
            ]
        )
        #expect(second.map { DatabaseTests.error($0) == nil } == [true, false])
        #expect(database.memory.totalBytes <= 9 << 19)
    }

    @Test("names of indexes take memory too, and are refused when there is none")
    func manyIndexes() throws {
        let database = try DatabaseTests.open(SimulatedFileSystem()) { $0.maxMemoryBytes = 64 << 10 }
        let results = DatabaseTests.write(
            database,
            try (0..<100).map { .createIndex(name: try DatabaseTests.name("n\($0)"), dimensions: 1) }
        )
        let made = results.filter { DatabaseTests.error($0) == nil }.count
        #expect((1..<100).contains(made))
        #expect(database.memory.totalBytes <= 64 << 10)
        guard case .memoryLimitExceeded? = DatabaseTests.error(results.last) else {
            Issue.record("\(results)")
            return
        }
    }

    @Test("limits on rows and dimensions refuse before anything is written")
    func limits() throws {
        let disk = SimulatedFileSystem()
        let database = try DatabaseTests.open(disk) {
            $0.maxVectorsPerIndex = 3
        }
        let created = DatabaseTests.write(
            database,
            [.createIndex(name: try DatabaseTests.name("a"), dimensions: 1)]
        )
        #expect(created.allSatisfy { DatabaseTests.error($0) == nil })
        let results = DatabaseTests.write(
            database,
            try (0..<5).map { try DatabaseTests.put("a", "v\($0)", [1]) }
        )
        #expect(results.map { DatabaseTests.error($0) != nil } == [false, false, false, true, true])
        #expect(DatabaseTests.error(results[3])?.description.contains("max_vectors_per_index") == true)
        #expect(
            DatabaseTests.error(DatabaseTests.write(database, [try DatabaseTests.put("a", "v0", [2])]).first) == nil
        )
        let invalid = DatabaseTests.write(
            database,
            [0, -1, 65_537, .max].map { .createIndex(name: IndexName("x") ?? "x".fatal, dimensions: $0) }
        )
        #expect(invalid.allSatisfy { DatabaseTests.error($0) != nil })
    }

    @Test("readers see one moment while a writer replaces rows under them")
    func snapshots() throws {
        let disk = SimulatedFileSystem()
        let database = try DatabaseTests.open(disk) { $0.segmentBytes = 8 << 20 }
        let index = try DatabaseTests.name("a")
        DatabaseTests.write(database, [.createIndex(name: index, dimensions: 64)])
        func batch(_ value: Float) throws -> [Command] {
            try (0..<50).map { try DatabaseTests.put("a", "v\($0)", Array(repeating: value, count: 64)) }
        }
        DatabaseTests.write(database, try batch(1))
        let stop = Atomic<Bool>(false)
        let searches = Atomic<Int>(0)
        let readers = try (0..<3).map { _ in
            try WorkerThread {
                let query = [Float](repeating: 1, count: 64)
                while !stop.load(ordering: .relaxed) {
                    guard let living = database.index(index) else {
                        Issue.record("the index is gone")
                        return
                    }
                    // All fifty rows are there in every moment, and each row is whole.
                    let count = query.withUnsafeBufferPointer { living.withHits(query: $0, k: 100) { $0.count } }
                    #expect(count == 50)
                    living.forEachRowInIDOrder { row in
                        #expect(row.vector.allSatisfy { $0 == row.vector[0] })
                        return true
                    }
                    searches.add(1, ordering: .relaxed)
                }
            }
        }
        for value in 2..<150 { DatabaseTests.write(database, try batch(Float(value))) }
        stop.store(true, ordering: .relaxed)
        for reader in readers { reader.join() }
        #expect(searches.load(ordering: .relaxed) > 0)
        // Slots are reused once no reader sees them: memory does not grow with the number of replacements.
        #expect(database.memory.totalBytes < 4 << 20)
    }

    @Test("durability by interval: what is written becomes durable although writes never pause, and also when they do")
    func interval() throws {
        let database = try DatabaseTests.open(SimulatedFileSystem()) {
            $0.durability = .interval(milliseconds: 5)
            $0.segmentBytes = 64 << 20
        }
        DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 1)])
        var writes = 0
        while database.log.watermarks.durable < LSN(100), writes < 1_000_000 {
            DatabaseTests.write(database, [try DatabaseTests.put("a", "v", [Float(writes)])])
            writes += 1
        }
        #expect(database.log.watermarks.durable >= LSN(100))
        let synced = Semaphore()
        database.log.notify(whenDurable: database.log.watermarks.appended) { synced.signal() }
        synced.wait()
        #expect(database.log.watermarks.durable == database.log.watermarks.appended)
    }

    @Test("a receipt names the event, and clocks only go forward although the wall clock stands")
    func receipts() throws {
        let database = try DatabaseTests.open(SimulatedFileSystem())
        var commands: [Command] = [.createIndex(name: try DatabaseTests.name("a"), dimensions: 1)]
        commands += try (0..<4).map { try DatabaseTests.put("a", "v\($0)", [1]) }
        let receipts = DatabaseTests.write(database, commands).compactMap { try? $0.get() }
        #expect(receipts.map(\.sequence.rawValue) == [1, 2, 3, 4, 5])
        #expect(receipts.map(\.lsn.rawValue) == [1, 2, 3, 4, 5])
        #expect(zip(receipts, receipts.dropFirst()).allSatisfy { $0.hlc < $1.hlc })
        #expect(receipts.allSatisfy { $0.origin == database.origin })
    }

    @Test("a second process is refused with what to do; after close the directory is free")
    func locked() throws {
        let disk = SimulatedFileSystem()
        let first = try DatabaseTests.open(disk)
        #expect(throws: LogError.self) { try DatabaseTests.open(disk) }
        DatabaseTests.write(first, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 1)])
        first.close()
        first.close()
        #expect(disk.callsWithoutLock == 0, "the lock was given up before the log was closed")
        let results = DatabaseTests.write(first, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 1)])
        #expect(DatabaseTests.error(results.first) == .shuttingDown)
        try DatabaseTests.open(disk).close()
    }
}

extension String {
    /// For names that are valid by their spelling.
    fileprivate var fatal: IndexName { preconditionFailure("\(self) is no index name") }
}
