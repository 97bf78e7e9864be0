/// Reads bytes from the front; never beyond the end, whatever lengths the bytes claim.
package struct ByteReader: Sendable {
    private let bytes: ArraySlice<UInt8>
    /// Bytes read so far.
    package private(set) var position = 0

    package init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    package init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

    package var remaining: Int { bytes.count - position }
    package var isAtEnd: Bool { remaining == 0 }

    package mutating func byte() throws(WireError) -> UInt8 {
        guard remaining > 0 else { throw .truncated }
        defer { position += 1 }
        return bytes[bytes.startIndex + position]
    }

    package mutating func take(_ count: Int) throws(WireError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining else { throw .truncated }
        let start = bytes.startIndex + position
        position += count
        return bytes[start..<start + count]
    }

    /// All that is left.
    package mutating func rest() -> ArraySlice<UInt8> {
        defer { position = bytes.count }
        return bytes[(bytes.startIndex + position)...]
    }

    package mutating func bigEndian<T: FixedWidthInteger & UnsignedInteger>(
        _ type: T.Type
    ) throws(WireError) -> T {
        var value: T = 0
        for byte in try take(MemoryLayout<T>.size) { value = value << 8 | T(byte) }
        return value
    }
}

extension [UInt8] {
    /// Appends the bytes of an integer, the most significant first.
    package mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}
