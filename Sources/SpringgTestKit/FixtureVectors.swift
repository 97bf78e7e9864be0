import Glibc

/// The repository's real embeddings: glosses of WordNet, 384 dimensions, stored as half floats.
public struct FixtureVectors: Sendable {
    /// Dimensions of each row.
    public static let dimensions = 384

    /// The rows, in the order of the file.
    public let rows: [[Float]]

    /// Reads the file of half floats: row-major, little-endian, no header.
    public init(path: String) throws {
        let bytes = try Files.read(path)
        let rowBytes = Self.dimensions * 2
        guard !bytes.isEmpty, bytes.count % rowBytes == 0 else {
            throw TestKitError("\(path) holds \(bytes.count) bytes, no whole number of rows of \(rowBytes)")
        }
        rows = stride(from: 0, to: bytes.count, by: rowBytes).map { start in
            (0..<Self.dimensions).map { column in
                let at = start + column * 2
                return Self.float(half: UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8)
            }
        }
    }

    /// The float32 of the same value as an IEEE 754 half.
    static func float(half: UInt16) -> Float {
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
