/// Reads the part of MessagePack that memberlist's peers write, and every other form that its decoders accept.
///
/// Texts and byte strings may be fixstr, str8/16/32 or bin8/16/32, integers of any width and sign that hold a value in
/// bounds, nil stands for the zero value. No length is believed before it is compared with the bytes that are there.
package struct MessagePackReader: Sendable {
    private var input: ByteReader

    package init(_ bytes: ArraySlice<UInt8>) { input = ByteReader(bytes) }

    package var position: Int { input.position }

    package mutating func take(_ count: Int) throws(WireError) -> ArraySlice<UInt8> { try input.take(count) }

    /// Reads a map and calls `field` with each key; `field` reads or skips the value.
    package mutating func map(
        _ field: (String, inout MessagePackReader) throws(WireError) -> Void
    ) throws(WireError) {
        let count: Int
        switch try input.byte() {
        case let head where head & 0xF0 == 0x80: count = Int(head & 0x0F)
        case 0xDE: count = Int(try input.bigEndian(UInt16.self))
        case 0xDF: count = Int(try input.bigEndian(UInt32.self))
        default: throw .malformed("a map was expected")
        }
        for _ in 0..<count {
            guard let key = try text(bytesMax: Self.keyBytesMax) else { throw .malformed("nil as a key") }
            try field(key, &self)
        }
    }

    /// Longer than every key there is; a longer one is no message of this protocol.
    private static let keyBytesMax = 64

    /// A text or byte string; nil for nil.
    package mutating func bytes(max: Int) throws(WireError) -> ArraySlice<UInt8>? {
        let count: Int
        switch try input.byte() {
        case 0xC0: return nil
        case let head where head & 0xE0 == 0xA0: count = Int(head & 0x1F)
        case 0xC4, 0xD9: count = Int(try input.byte())
        case 0xC5, 0xDA: count = Int(try input.bigEndian(UInt16.self))
        case 0xC6, 0xDB: count = Int(try input.bigEndian(UInt32.self))
        default: throw .malformed("a byte string was expected")
        }
        guard count <= max else { throw .beyondLimit("a byte string of \(count) bytes, \(max) allowed") }
        return try input.take(count)
    }

    /// A text of valid UTF-8; nil for nil.
    package mutating func text(bytesMax: Int) throws(WireError) -> String? {
        guard let bytes = try bytes(max: bytesMax) else { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .malformed("a text is not UTF-8") }
        return text
    }

    /// An integer of whatever width that fits `T`; 0 for nil.
    package mutating func integer<T: FixedWidthInteger>(_ type: T.Type) throws(WireError) -> T {
        let value: T?
        switch try input.byte() {
        case 0xC0: value = 0
        case let head where head < 0x80: value = T(exactly: head)
        case let head where head >= 0xE0: value = T(exactly: Int8(bitPattern: head))
        case 0xCC: value = T(exactly: try input.byte())
        case 0xCD: value = T(exactly: try input.bigEndian(UInt16.self))
        case 0xCE: value = T(exactly: try input.bigEndian(UInt32.self))
        case 0xCF: value = T(exactly: try input.bigEndian(UInt64.self))
        case 0xD0: value = T(exactly: Int8(bitPattern: try input.byte()))
        case 0xD1: value = T(exactly: Int16(bitPattern: try input.bigEndian(UInt16.self)))
        case 0xD2: value = T(exactly: Int32(bitPattern: try input.bigEndian(UInt32.self)))
        case 0xD3: value = T(exactly: Int64(bitPattern: try input.bigEndian(UInt64.self)))
        default: throw .malformed("an integer was expected")
        }
        guard let value else { throw .beyondLimit("an integer") }
        return value
    }

    /// True or false; false for nil.
    package mutating func boolean() throws(WireError) -> Bool {
        switch try input.byte() {
        case 0xC0, 0xC2: false
        case 0xC3: true
        default: throw .malformed("true or false was expected")
        }
    }

    /// Skips one value of any type.
    ///
    /// Counts what is open instead of calling itself: nesting of any depth costs no stack.
    package mutating func skip() throws(WireError) {
        var open = 1
        while open > 0 {
            open -= 1
            switch try input.byte() {
            case 0x00...0x7F, 0xE0...0xFF, 0xC0, 0xC2, 0xC3: ()
            case let head where head & 0xF0 == 0x80: open += 2 * Int(head & 0x0F)
            case let head where head & 0xF0 == 0x90: open += Int(head & 0x0F)
            case let head where head & 0xE0 == 0xA0: _ = try input.take(Int(head & 0x1F))
            case 0xC4, 0xD9: _ = try input.take(Int(try input.byte()))
            case 0xC5, 0xDA: _ = try input.take(Int(try input.bigEndian(UInt16.self)))
            case 0xC6, 0xDB: _ = try input.take(Int(try input.bigEndian(UInt32.self)))
            case 0xC7: _ = try input.take(Int(try input.byte()) + 1)
            case 0xC8: _ = try input.take(Int(try input.bigEndian(UInt16.self)) + 1)
            case 0xC9: _ = try input.take(Int(try input.bigEndian(UInt32.self)) + 1)
            case 0xCC, 0xD0: _ = try input.take(1)
            case 0xCD, 0xD1: _ = try input.take(2)
            case 0xCA, 0xCE, 0xD2: _ = try input.take(4)
            case 0xCB, 0xCF, 0xD3: _ = try input.take(8)
            case 0xD4: _ = try input.take(2)
            case 0xD5: _ = try input.take(3)
            case 0xD6: _ = try input.take(5)
            case 0xD7: _ = try input.take(9)
            case 0xD8: _ = try input.take(17)
            case 0xDC: open += Int(try input.bigEndian(UInt16.self))
            case 0xDD: open += Int(try input.bigEndian(UInt32.self))
            case 0xDE: open += 2 * Int(try input.bigEndian(UInt16.self))
            case 0xDF: open += 2 * Int(try input.bigEndian(UInt32.self))
            default: throw .malformed("byte that begins no value")
            }
            // Every value takes at least a byte: what claims more than there is need not be read to its end.
            guard open <= input.remaining else { throw .truncated }
        }
    }
}
