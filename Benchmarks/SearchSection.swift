import CSpringg
import CTestKit
import Glibc
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization

/// Exact search in this process, beside the time that merely reading the same rows takes.
enum SearchSection {
    private static let rows = 10_000
    private static let rounds = 31
    private static let k = 10
    /// Read before each measurement; several times what caches hold.
    private static let evictionBytes = 256 << 20

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(title: "exact search, \(rows) × \(Settings.dimensions), k = \(k), one core")
        let directory = try TemporaryDirectory(in: settings.directory)
        var random = SeededRandom(seed: settings.seed)
        var options = DatabaseOptions(dataPath: directory.path)
        options.durability = .interval(milliseconds: 1000)
        let database = try Database.open(options)
        defer { database.close() }
        guard let index = try fill(database, &random) else { throw TestKitError("the index is not there") }

        let pieces = pieces(of: index)
        let bytes = pieces.map(\.count).reduce(0, +)
        let queries = (0..<rounds).map { _ in random.floats(Settings.dimensions) }
        var searchSeconds: [Double] = []
        var readSeconds: [Double] = []
        var sink: UInt64 = 0
        let eviction = UnsafeMutableRawPointer.allocate(byteCount: evictionBytes, alignment: 4096)
        defer { eviction.deallocate() }
        memset(eviction, 1, evictionBytes)
        for query in queries {
            // Turn by turn, so that whatever the neighbours do hits both alike, and each with nothing in the caches.
            sink ^= testkit_read_all(eviction, evictionBytes)
            searchSeconds.append(
                Monotonic.seconds {
                    query.withUnsafeBufferPointer { query in
                        index.withHits(query: query, k: k) { hits in sink ^= UInt64(hits[0].score.bitPattern) }
                    }
                }
            )
            sink ^= testkit_read_all(eviction, evictionBytes)
            readSeconds.append(
                Monotonic.seconds {
                    for piece in pieces { sink ^= testkit_read_all(piece.baseAddress, piece.count) }
                }
            )
        }
        blackHole(sink)
        let search = median(searchSeconds)
        let read = median(readSeconds)
        report.add("search / reading its rows from memory", search / read, "×", .atMost(1.3))
        report.add("search", search * 1e3, "ms")
        report.add("reading \(bytes >> 20) MB in \(pieces.count) pieces", read * 1e3, "ms")
        report.add("search", Double(bytes) / search / 1e9, "GB/s")
        kernels(&report, &random)
        return report
    }

    private static func fill(_ database: Database, _ random: inout SeededRandom) throws -> VectorIndex? {
        guard let name = IndexName("bench") else { return nil }
        try submit(database, [.createIndex(name: name, dimensions: Settings.dimensions)])
        for start in stride(from: 0, to: rows, by: 500) {
            var commands: [Command] = []
            for number in start..<min(start + 500, rows) {
                guard let id = VectorID("vec-\(number)") else { return nil }
                let vector = random.floats(Settings.dimensions).withUnsafeBufferPointer {
                    PreparedVector(
                        index: name,
                        id: id,
                        vector: $0,
                        metadata: UnsafeRawBufferPointer(start: nil, count: 0)
                    )
                }
                commands.append(.put(vector, mustExist: false))
            }
            try submit(database, commands)
        }
        return database.index(name)
    }

    /// Submits the commands and waits for their results.
    private static func submit(_ database: Database, _ commands: [Command]) throws {
        let outcome = Outcome()
        database.submit(commands) { results in outcome.finish(results.compactMap { try? $0.get() }.count) }
        let accepted = outcome.wait()
        guard accepted == commands.count else { throw TestKitError("\(accepted) of \(commands.count) were accepted") }
    }

    /// The memory that holds the rows, as few pieces as it comes in.
    ///
    /// The pointers are used outside the closure that lends them: nothing writes to the index while they are, and the
    /// handle keeps the memory.
    private static func pieces(of index: VectorIndex) -> [UnsafeRawBufferPointer] {
        var rows: [UnsafeRawBufferPointer] = []
        index.forEachRowInIDOrder { row in
            rows.append(UnsafeRawBufferPointer(row.vector))
            return true
        }
        rows.sort { UInt(bitPattern: $0.baseAddress) < UInt(bitPattern: $1.baseAddress) }
        var pieces: [UnsafeRawBufferPointer] = []
        for row in rows {
            if let last = pieces.last, let end = last.baseAddress.map({ $0 + last.count }), end == row.baseAddress {
                pieces[pieces.count - 1] = UnsafeRawBufferPointer(
                    start: last.baseAddress,
                    count: last.count + row.count
                )
            } else {
                pieces.append(row)
            }
        }
        return pieces
    }

    /// The kernel with run-time dispatch beside its portable twin: rows in the cache, and rows in memory.
    private static func kernels(_ report: inout SectionReport, _ random: inout SeededRandom) {
        let dimensions = Settings.dimensions
        let query = random.floats(dimensions)
        for (place, count) in [("cache", 64), ("memory", 50_000)] {
            let rows = UnsafeMutableBufferPointer<Float>.allocate(capacity: count * dimensions)
            defer { rows.deallocate() }
            for number in rows.indices { rows[number] = Float(number & 1023) / 512 - 1 }
            var dots = [Float](repeating: 0, count: count)
            let repeats = max(1, 50_000 / count)
            var fast: [Double] = []
            var portable: [Double] = []
            for _ in 0..<7 {
                fast.append(
                    Monotonic.seconds {
                        for _ in 0..<repeats {
                            springg_dot_rows(query, rows.baseAddress, dimensions, dimensions, count, &dots)
                        }
                    }
                )
                portable.append(
                    Monotonic.seconds {
                        for _ in 0..<repeats {
                            springg_dot_rows_portable(query, rows.baseAddress, dimensions, dimensions, count, &dots)
                        }
                    }
                )
            }
            blackHole(dots)
            let name = springg_has_avx2() ? "AVX2" : "chosen"
            report.add("\(name) kernel, rows in \(place)", median(fast) / Double(count * repeats) * 1e9, "ns/row")
            report.add("portable kernel, rows in \(place)", median(portable) / Double(count * repeats) * 1e9, "ns/row")
        }
    }
}

/// One number handed from the writer's thread to one that waits for it.
private final class Outcome: Sendable {
    private let accepted = Mutex<Int?>(nil)
    private let done = Semaphore()

    func finish(_ count: Int) {
        accepted.withLock { $0 = count }
        done.signal()
    }

    func wait() -> Int {
        done.wait()
        return accepted.withLock { $0 ?? 0 }
    }
}
