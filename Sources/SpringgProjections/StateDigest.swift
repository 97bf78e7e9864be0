package import SpringgLog

/// A 128-bit digest of a set, independent of order: the sum (modulo 2¹²⁸, by halves) of a hash of each member.
///
/// Members are the visible rows' (id, version) pairs, so equal digests mean equal rows: a version names one event, and
/// an event has one value. Adding and removing cost one hash each.
public struct StateDigest: Equatable, Hashable, Sendable, CustomStringConvertible {
    /// The lower half of the sum.
    public private(set) var low: UInt64 = 0
    /// The upper half of the sum.
    public private(set) var high: UInt64 = 0

    /// The digest of the empty set.
    public init() {}

    /// A digest that was written down, by its printed halves.
    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads the 32 hexadecimal digits that `description` prints.
    package init?(_ text: String) {
        guard let halves = OriginID(text) else { return nil }
        self.init(high: halves.high, low: halves.low)
    }

    /// Takes a row in.
    package mutating func insert(id: UnsafeRawBufferPointer, version: EventVersion) {
        let hash = StateDigest.hash(id, version)
        low &+= hash.low
        high &+= hash.high
    }

    /// Takes a row out.
    mutating func remove(id: UnsafeRawBufferPointer, version: EventVersion) {
        let hash = StateDigest.hash(id, version)
        low &-= hash.low
        high &-= hash.high
    }

    /// Takes another digest in under a name: how the digest of a node is made from those of its indexes.
    package mutating func insert(_ digest: StateDigest, named name: String, version: EventVersion) {
        var bytes = Array(name.utf8)
        withUnsafeBytes(of: digest.low.littleEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: digest.high.littleEndian) { bytes.append(contentsOf: $0) }
        bytes.withUnsafeBytes { insert(id: $0, version: version) }
    }

    /// XXH3-128 over version (HLC, origin) and id.
    private static func hash(_ id: UnsafeRawBufferPointer, _ version: EventVersion) -> (low: UInt64, high: UInt64) {
        withUnsafeTemporaryAllocation(byteCount: 24 + id.count, alignment: 8) { bytes in
            bytes.storeBytes(of: version.hlc.rawValue.littleEndian, toByteOffset: 0, as: UInt64.self)
            bytes.storeBytes(of: version.origin.high.bigEndian, toByteOffset: 8, as: UInt64.self)
            bytes.storeBytes(of: version.origin.low.bigEndian, toByteOffset: 16, as: UInt64.self)
            UnsafeMutableRawBufferPointer(rebasing: bytes[24...]).copyMemory(from: id)
            return Checksum.hash128(UnsafeRawBufferPointer(bytes))
        }
    }

    /// 32 hexadecimal digits.
    public var description: String { hexadecimal(high) + hexadecimal(low) }
}
