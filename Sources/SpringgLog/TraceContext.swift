/// Where a request stands in a trace that runs through several programs: W3C Trace Context, `traceparent`.
public struct TraceContext: Hashable, Sendable, CustomStringConvertible {
    /// The upper and the lower half of the trace's number, which is not 0.
    package let high: UInt64
    package let low: UInt64
    /// The number of the caller's span, which is not 0.
    package let parent: UInt64
    /// Bit 0: the caller records; bit 1: the trace's number is random.
    package let flags: UInt8

    /// The bits that have a meaning: others are to be ignored.
    private static let knownFlags: UInt8 = 3
    /// Characters of version 00: `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
    private static let characters = 55

    /// Reads the header's value; nil for what the standard says to ignore.
    ///
    /// Digits are small letters only, numbers are not 0, version ff is none. A later version may have more behind a
    /// further `-`, which is passed over.
    public init?(traceparent text: String) {
        let bytes = Array(text.utf8.prefix(Self.characters + 1))
        func number(_ start: Int, _ count: Int) -> UInt64? {
            var value: UInt64 = 0
            for byte in bytes[start..<start + count] {
                switch byte {
                case 0x30...0x39: value = value << 4 | UInt64(byte - 0x30)
                case 0x61...0x66: value = value << 4 | UInt64(byte - 0x61 + 10)
                default: return nil
                }
            }
            return value
        }
        let dash = UInt8(ascii: "-")
        guard bytes.count >= Self.characters, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            let version = number(0, 2), version != 0xFF, let high = number(3, 16), let low = number(19, 16),
            let parent = number(36, 16), let flags = number(53, 2), high | low != 0, parent != 0
        else { return nil }
        if bytes.count > Self.characters {
            guard version > 0, bytes[Self.characters] == dash else { return nil }
        }
        (self.high, self.low, self.parent) = (high, low, parent)
        self.flags = UInt8(truncatingIfNeeded: flags) & Self.knownFlags
    }

    /// The trace's number, in 32 digits.
    public var traceID: String { digits(high, 16) + digits(low, 16) }

    /// The header's value, of version 00.
    public var description: String { "00-\(traceID)-\(digits(parent, 16))-\(digits(UInt64(flags), 2))" }

    private func digits(_ value: UInt64, _ width: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: width - text.utf8.count) + text
    }

    // MARK: Bytes

    /// Bytes in an envelope: the trace's number (16) and the span's (8) as printed, the flags, 7 zeros.
    package static let byteCount = 32

    /// Reads the bytes of an envelope; nil for numbers that are 0.
    init?(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        high = bytes.integer(UInt64.self, at: offset).byteSwapped
        low = bytes.integer(UInt64.self, at: offset + 8).byteSwapped
        parent = bytes.integer(UInt64.self, at: offset + 16).byteSwapped
        flags = bytes.integer(UInt8.self, at: offset + 24) & Self.knownFlags
        if high | low == 0 || parent == 0 { return nil }
    }

    func write(to bytes: UnsafeMutableRawBufferPointer, at offset: Int) {
        bytes.store(high.byteSwapped, at: offset)
        bytes.store(low.byteSwapped, at: offset + 8)
        bytes.store(parent.byteSwapped, at: offset + 16)
        bytes.store(UInt64(flags), at: offset + 24)
    }
}
