import Glibc
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization

/// A database of this process with the rows of a data set in one index; ids are the rows' numbers.
final class GraphDatabase {
    let database: Database
    let index: VectorIndex
    let data: DataSet
    /// Seconds until all rows were written.
    let writeSeconds: Double
    /// Seconds from then until all of them were linked.
    let linkSeconds: Double
    private let directory: TemporaryDirectory?
    private let name: IndexName

    /// Rows that are handed to the writer at once.
    private static let batch = 1000

    /// Makes the database, in a directory below `place` that goes with it or in one that stays, and waits until every
    /// row is linked.
    init(
        _ data: DataSet,
        in place: String,
        keeping path: String? = nil,
        options: IndexOptions = IndexOptions()
    ) throws {
        directory = path == nil ? try TemporaryDirectory(in: place) : nil
        var settings = DatabaseOptions(dataPath: path ?? directory?.path ?? place)
        settings.durability = .interval(milliseconds: 1000)
        settings.maxMemoryBytes = 0
        settings.maxVectorsPerIndex = 0
        settings.maxUnindexedRows = 0
        settings.checkpointSeconds = 0
        // What stays gets a checkpoint for whoever opens it next.
        settings.lastCheckpointSeconds = path == nil ? 0.001 : 300
        database = try Database.open(settings)
        guard let name = IndexName(BenchNode.index) else { throw TestKitError("no name") }
        try Self.submit(database, [.createIndex(name: name, dimensions: data.dimensions, options: options)])
        guard let index = database.index(name) else { throw TestKitError("the index is not there") }
        let started = Monotonic.nanoseconds()
        for start in stride(from: 0, to: data.count, by: Self.batch) {
            let rows = start..<min(start + Self.batch, data.count)
            try Self.submit(database, rows.map { try Self.put($0, data.row($0), name) })
        }
        let written = Monotonic.nanoseconds()
        database.waitUntilIndexed()
        writeSeconds = Double(written - started) / 1e9
        linkSeconds = Double(Monotonic.nanoseconds() - written) / 1e9
        self.data = data
        self.index = index
        self.name = name
    }

    deinit { close() }

    func close() { database.close() }

    /// Writes rows of the data set under other ids than theirs, and removes others; returns when both are on the log.
    func write(_ rows: [(id: Int, row: Int)], removing: [Int] = []) throws {
        try Self.submit(database, rows.map { try Self.put($0.id, data.row($0.row), name) })
        try Self.submit(database, removing.map { .delete(index: name, id: try Self.id($0)) })
    }

    private static func id(_ number: Int) throws -> VectorID {
        guard let id = VectorID("\(number)") else { throw TestKitError("no id") }
        return id
    }

    private static func put(_ number: Int, _ row: UnsafeBufferPointer<Float>, _ name: IndexName) throws -> Command {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        return .put(PreparedVector(index: name, id: try id(number), vector: row, metadata: none), mustExist: false)
    }

    private static func submit(_ database: Database, _ commands: [Command]) throws {
        guard !commands.isEmpty else { return }
        let done = Semaphore()
        let accepted = Mutex(0)
        database.submit(commands) { results in
            accepted.withLock { $0 = results.compactMap { try? $0.get() }.count }
            done.signal()
        }
        done.wait()
        guard accepted.withLock({ $0 }) == commands.count else { throw TestKitError("rows were refused") }
    }

    /// What one search for each query came to.
    struct Pass: Sendable {
        var seconds = 0.0
        /// Numbers of the rows found, ten a query, -1 where there were fewer.
        var answers: [Int32] = []
        /// Comparisons on all walks.
        var distances = 0
    }

    /// Searches once for each query, on so many threads.
    func search(ef: Int?, _ method: SearchPlan.Method?, threads: Int = 1) throws -> Pass {
        let count = data.queryCount
        let answers = UnsafeMutableBufferPointer<Int32>.allocate(capacity: count * DataSet.k)
        defer { answers.deallocate() }
        answers.initialize(repeating: -1)
        // Threads write to places of their own.
        let places = UInt(bitPattern: answers.baseAddress)
        let distances = Atomic<Int>(0)
        let (index, data) = (index, data)
        @Sendable func search(_ thread: Int) {
            guard let answers = UnsafeMutablePointer<Int32>(bitPattern: places) else { return }
            var sum = 0
            for query in stride(from: thread, to: count, by: threads) {
                index.withHits(query: data.query(query), k: DataSet.k, ef: ef, method: method) { hits, plan in
                    for (place, hit) in hits.enumerated() {
                        answers[query * DataSet.k + place] = hit.id.reduce(0) { $0 * 10 + Int32($1) - 0x30 }
                    }
                    sum += plan.distances
                }
            }
            distances.wrappingAdd(sum, ordering: .relaxed)
        }
        let seconds = try Monotonic.seconds {
            if threads == 1 { search(0) } else { try WorkerThread.run(threads, search) }
        }
        return Pass(seconds: seconds, answers: Array(answers), distances: distances.load(ordering: .relaxed))
    }
}
