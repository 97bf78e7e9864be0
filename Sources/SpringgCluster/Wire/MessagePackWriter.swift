/// Writes MessagePack as memberlist's peers expect it: old-spec strings only, the shortest unsigned integers, keys in
/// ascending order.
///
/// Old agents drop a message that contains bin8; none minds a byte string written as a text.
package struct MessagePackWriter: Sendable {
    package private(set) var bytes: [UInt8]
    private var keysLeft = 0
    private var lastKey = ""

    package init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    /// Begins a map of `count` fields.
    package mutating func map(_ count: Int) {
        precondition(count < 16 && keysLeft == 0, "a map of \(count) fields within another that lacks \(keysLeft)")
        bytes.append(0x80 | UInt8(count))
        keysLeft = count
        lastKey = ""
    }

    package mutating func field(_ key: String, _ value: some FixedWidthInteger & UnsignedInteger) {
        begin(key)
        switch UInt64(value) {
        case ..<0x80:
            bytes.append(UInt8(value))
        case ..<0x100:
            bytes.append(0xCC)
            bytes.append(UInt8(value))
        case ..<0x1_0000:
            bytes.append(0xCD)
            bytes.appendBigEndian(UInt16(value))
        case ..<0x1_0000_0000:
            bytes.append(0xCE)
            bytes.appendBigEndian(UInt32(value))
        default:
            bytes.append(0xCF)
            bytes.appendBigEndian(UInt64(value))
        }
    }

    package mutating func field(_ key: String, _ value: Bool) {
        begin(key)
        bytes.append(value ? 0xC3 : 0xC2)
    }

    /// A byte string; nil stays nil.
    package mutating func field(_ key: String, _ value: (some Collection<UInt8>)?) {
        begin(key)
        guard let value else { return bytes.append(0xC0) }
        raw(value)
    }

    package mutating func field(_ key: String, _ value: String) {
        begin(key)
        raw(value.utf8)
    }

    private mutating func begin(_ key: String) {
        precondition(keysLeft > 0 && key > lastKey, "key \(key) after \(lastKey), \(keysLeft) fields left")
        keysLeft -= 1
        lastKey = key
        raw(key.utf8)
    }

    private mutating func raw(_ value: some Collection<UInt8>) {
        switch value.count {
        case ..<32:
            bytes.append(0xA0 | UInt8(value.count))
        case ..<0x1_0000:
            bytes.append(0xDA)
            bytes.appendBigEndian(UInt16(value.count))
        default:
            bytes.append(0xDB)
            bytes.appendBigEndian(UInt32(value.count))
        }
        bytes.append(contentsOf: value)
    }
}
