import Glibc
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization

/// Search by the graph in this process, on real embeddings: queries a second and recall for several values of `ef`.
enum GraphSection {
    private static let efs = [10, 16, 24, 32, 48, 64, 96, 128, 200]
    private static let k = 10
    private static let rounds = 5

    static func measure(_ settings: Settings) throws -> SectionReport {
        let data = try EmbeddingFiles(directory: settings.embeddings)
        var report = SectionReport(title: "graph search, \(data.rows.count) × \(data.dimensions) real, one thread")
        let directory = try TemporaryDirectory(in: settings.directory)
        var options = DatabaseOptions(dataPath: directory.path)
        options.durability = .interval(milliseconds: 1000)
        options.maxMemoryBytes = 0
        let database = try Database.open(options)
        defer { database.close() }
        let seconds = try Monotonic.seconds { try fill(database, data) }
        guard let index = database.indexes().first else { throw TestKitError("the index is not there") }
        report.add("writing and linking all rows", seconds, "s")
        report.add("memory / float rows", Double(index.stats.memoryBytes) / Double(data.bytes), "×")
        let exact = best { run(index, data, ef: 10, .exact) }
        report.add("exact", exact.rate, "/s")
        for ef in efs {
            let result = best { run(index, data, ef: ef, .hnsw) }
            report.add("ef \(ef): searches", result.rate, "/s")
            report.notes.append(
                "ef \(ef): recall@\(k) \((result.recall * 1e4).rounded() / 1e4), \(Int(result.distances)) distances a search"
            )
        }
        return report
    }

    private struct Result {
        var rate = 0.0
        var recall = 0.0
        var distances = 0.0
    }

    private static func best(_ body: () -> Result) -> Result {
        (0..<rounds).map { _ in body() }.max { $0.rate < $1.rate } ?? Result()
    }

    private static func run(
        _ index: VectorIndex,
        _ data: EmbeddingFiles,
        ef: Int,
        _ method: SearchPlan.Method
    ) -> Result {
        var found = 0
        var distances = 0
        let seconds = Monotonic.seconds {
            for (query, truth) in zip(data.queries, data.groundTruth) {
                query.withUnsafeBufferPointer { query in
                    index.withHits(query: query, k: k, ef: ef, method: method) { hits, plan in
                        for hit in hits where truth.contains(Array(hit.id)) { found += 1 }
                        distances += plan.distances
                    }
                }
            }
        }
        let count = Double(data.queries.count)
        return Result(
            rate: count / seconds,
            recall: Double(found) / count / Double(k),
            distances: Double(distances) / count
        )
    }

    private static func fill(_ database: Database, _ data: EmbeddingFiles) throws {
        guard let name = IndexName("bench") else { return }
        var commands: [Command] = [.createIndex(name: name, dimensions: data.dimensions)]
        for (number, row) in data.rows.enumerated() {
            guard let id = VectorID("\(number)") else { return }
            commands.append(
                .put(
                    row.withUnsafeBufferPointer {
                        PreparedVector(
                            index: name,
                            id: id,
                            vector: $0,
                            metadata: UnsafeRawBufferPointer(start: nil, count: 0)
                        )
                    },
                    mustExist: false
                )
            )
        }
        let done = Semaphore()
        let accepted = Mutex(0)
        database.submit(commands) { results in
            accepted.withLock { $0 = results.compactMap { try? $0.get() }.count }
            done.signal()
        }
        done.wait()
        guard accepted.withLock({ $0 }) == commands.count else { throw TestKitError("rows were refused") }
        database.waitUntilIndexed()
    }
}

/// Embeddings in a directory laid out as Fixtures is, of which only the numbers are read.
struct EmbeddingFiles {
    let dimensions = FixtureVectors.dimensions
    let rows: [[Float]]
    let queries: [[Float]]
    /// Ids of the ten nearest rows of each query.
    let groundTruth: [Set<[UInt8]>]

    var bytes: Int { rows.count * dimensions * 4 }

    init(directory: String) throws {
        (rows, queries) = try FixtureVectors.numbers(directory: directory)
        groundTruth = try FixtureVectors.neighbours(directory: directory, queries: queries.count).map { numbers in
            Set(numbers.map { Array("\($0)".utf8) })
        }
    }
}
