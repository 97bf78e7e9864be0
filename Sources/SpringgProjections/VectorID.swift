import SpringgLog

/// Id of a vector: any UTF-8 of 1 to 512 bytes.
///
/// Equal means equal bytes; nothing is normalised.
public struct VectorID: Hashable, Sendable, CustomStringConvertible {
    let bytes: [UInt8]

    /// Copies and checks bytes; nil when they are not 1 to 512 bytes of valid UTF-8.
    public init?(utf8 bytes: UnsafeRawBufferPointer) {
        guard (1...EventLimits.vectorIDBytesMax).contains(bytes.count),
            String(validating: bytes, as: UTF8.self) != nil
        else { return nil }
        self.bytes = Array(bytes)
    }

    /// Takes a string's UTF-8; nil when it is empty or longer than 512 bytes.
    public init?(_ string: String) {
        guard (1...EventLimits.vectorIDBytesMax).contains(string.utf8.count) else { return nil }
        bytes = Array(string.utf8)
    }

    /// Takes bytes that an event carried.
    package init(trusted bytes: UnsafeRawBufferPointer) { self.bytes = Array(bytes) }

    /// Calls `body` with the bytes.
    public func withUTF8<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try bytes.withUnsafeBytes(body)
    }

    /// The id as text.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}
