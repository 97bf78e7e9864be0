import Glibc
import SpringgTestKit

/// Vectors, queries and the queries' true neighbours, read from a directory.
///
/// The directory is laid out as Fixtures, or made by `DataRecipe`:
///
///     base.f16 or base.f32   rows of half floats or float32, little-endian, row after row, no header
///     queries.f32            queries, likewise
///     groundtruth.i32        for each query the numbers of the nearest rows, nearest first; ten or more
///     set.json               {"name": …, "dimensions": …}; without it 384 dimensions, as in Fixtures
final class DataSet: @unchecked Sendable {
    // Why @unchecked: the memory is written by the initialiser and only read afterwards.

    /// Neighbours that count.
    static let k = 10

    let name: String
    let dimensions: Int
    private let rows: UnsafeMutableBufferPointer<Float>
    private let queries: UnsafeMutableBufferPointer<Float>
    private let truth: [Int32]
    private let truthColumns: Int

    var count: Int { rows.count / dimensions }
    var queryCount: Int { queries.count / dimensions }
    /// Bytes of the rows as float32.
    var bytes: Int { rows.count * 4 }

    init(directory: String) throws {
        let path = directory + "/set.json"
        let about = Files.exists(path) ? try JSONValue(Files.read(path)) : nil
        name = about?["name"]?.string ?? "real embeddings"
        dimensions = about?["dimensions"]?.int ?? FixtureVectors.dimensions
        if Files.exists(directory + "/base.f32") {
            rows = try Self.load(directory + "/base.f32", of: Float.self) { $0 }
        } else {
            rows = try Self.load(directory + "/base.f16", of: UInt16.self) { FixtureVectors.float(half: $0) }
        }
        queries = try Self.load(directory + "/queries.f32", of: Float.self) { $0 }
        let numbers = try Self.load(directory + "/groundtruth.i32", of: Int32.self) { $0 }
        defer { numbers.deallocate() }
        truth = Array(numbers)
        guard dimensions > 0, rows.count % dimensions == 0, queries.count % dimensions == 0, !queries.isEmpty,
            truth.count % (queries.count / dimensions) == 0
        else { throw TestKitError("\(directory): the sizes of the files do not fit \(dimensions) dimensions") }
        truthColumns = truth.count / (queries.count / dimensions)
        guard truthColumns >= Self.k else { throw TestKitError("\(directory): fewer than \(Self.k) true neighbours") }
    }

    deinit {
        rows.deallocate()
        queries.deallocate()
    }

    func row(_ number: Int) -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(rebasing: rows[number * dimensions..<(number + 1) * dimensions])
    }

    func query(_ number: Int) -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(rebasing: queries[number * dimensions..<(number + 1) * dimensions])
    }

    /// The share of the true ten that is among the ten answers to each query; -1 stands for no answer.
    func recall(_ answers: [Int32]) -> Double {
        var found = 0
        for query in 0..<answers.count / Self.k {
            let truth = truth[query * truthColumns..<query * truthColumns + Self.k]
            for answer in answers[query * Self.k..<(query + 1) * Self.k] where truth.contains(answer) { found += 1 }
        }
        return Double(found) / Double(answers.count)
    }

    /// Reads a file of numbers, which the caller frees.
    private static func load<Stored, Value>(
        _ path: String,
        of type: Stored.Type,
        _ value: (Stored) -> Value
    ) throws -> UnsafeMutableBufferPointer<Value> {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw TestKitError.system("opening \(path)") }
        defer { close(file) }
        var about = stat()
        guard fstat(file, &about) == 0, about.st_size % MemoryLayout<Stored>.stride == 0 else {
            throw TestKitError("\(path) holds no whole number of values")
        }
        let values = UnsafeMutableBufferPointer<Value>.allocate(capacity: about.st_size / MemoryLayout<Stored>.stride)
        let piece = UnsafeMutableBufferPointer<Stored>.allocate(capacity: 1 << 16)
        defer { piece.deallocate() }
        var done = 0
        while done < values.count {
            let wanted = min(piece.count, values.count - done)
            var got = 0
            while got < wanted * MemoryLayout<Stored>.stride {
                let count = read(
                    file,
                    UnsafeMutableRawPointer(piece.baseAddress).map { $0 + got },
                    wanted * MemoryLayout<Stored>.stride - got
                )
                guard count > 0 else { throw TestKitError.system("reading \(path)") }
                got += count
            }
            for place in 0..<wanted { values.initializeElement(at: done + place, to: value(piece[place])) }
            done += wanted
        }
        return values
    }
}
