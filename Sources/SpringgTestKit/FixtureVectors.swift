/// The repository's real embeddings: glosses of WordNet, 384 dimensions, with queries and their true neighbours.
///
/// The layout of the files is described in Fixtures/README.md.
public struct FixtureVectors: Sendable {
    /// Dimensions of each row.
    public static let dimensions = 384
    /// Neighbours that the ground truth lists for each query.
    public static let neighbours = 10

    /// The rows of `base.f16`, widened to float32.
    public let rows: [[Float]]
    /// Id of each row, from `texts.tsv`.
    public let ids: [String]
    /// The rows of `queries.f32`.
    public let queries: [[Float]]
    /// For each query the numbers of the ten nearest rows, nearest first, from `groundtruth.i32`.
    public let groundTruth: [[Int]]

    /// Reads the files in a directory.
    public init(directory: String) throws {
        (rows, queries) = try Self.numbers(directory: directory)
        groundTruth = try Self.neighbours(directory: directory, queries: queries.count)
        ids = String(decoding: try Files.read(directory + "/texts.tsv"), as: UTF8.self).split(separator: "\n").map {
            String($0.prefix { $0 != "\t" })
        }
        guard ids.count == rows.count, groundTruth.count == queries.count else {
            throw TestKitError(
                "\(directory): \(rows.count) rows, \(ids.count) ids, \(queries.count) queries, \(groundTruth.count) answers"
            )
        }
    }

    /// The rows and the queries alone, of a directory that may lack the texts.
    public static func numbers(directory: String) throws -> (rows: [[Float]], queries: [[Float]]) {
        let rows = try Self.rows(of: directory + "/base.f16", columns: Self.dimensions, bytesEach: 2) {
            Self.float(half: UInt16(truncatingIfNeeded: $0))
        }
        let queries = try Self.rows(of: directory + "/queries.f32", columns: Self.dimensions, bytesEach: 4) {
            Float(bitPattern: $0)
        }
        return (rows, queries)
    }

    /// For each of so many queries the numbers of the ten nearest rows, nearest first, of a file that may list more.
    public static func neighbours(directory: String, queries: Int) throws -> [[Int]] {
        let path = directory + "/groundtruth.i32"
        let columns = try Files.read(path).count / 4 / max(queries, 1)
        return try Self.rows(of: path, columns: columns, bytesEach: 4) { Int($0) }.map { Array($0.prefix(neighbours)) }
    }

    /// Reads a file of little-endian words, row after row, no header.
    static func rows<Value>(
        of path: String,
        columns: Int,
        bytesEach: Int,
        _ value: (UInt32) -> Value
    ) throws -> [[Value]] {
        let bytes = try Files.read(path)
        let rowBytes = columns * bytesEach
        guard !bytes.isEmpty, bytes.count % rowBytes == 0 else {
            throw TestKitError("\(path) holds \(bytes.count) bytes, no whole number of rows of \(rowBytes)")
        }
        return stride(from: 0, to: bytes.count, by: rowBytes).map { start in
            stride(from: start, to: start + rowBytes, by: bytesEach).map { at in
                value((0..<bytesEach).reduce(0) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) })
            }
        }
    }

    /// The float32 of the same value as an IEEE 754 half.
    public static func float(half: UInt16) -> Float {
        let sign = UInt32(half & 0x8000) << 16
        let exponent = UInt32(half >> 10) & 0x1F
        let fraction = UInt32(half & 0x3FF)
        switch (exponent, fraction) {
        case (0, _):
            // Zero or subnormal: the fraction counts units of 2^-24.
            let magnitude = Float(fraction) * 0x1p-24
            return sign == 0 ? magnitude : -magnitude
        case (0x1F, _): return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
        default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }
}
