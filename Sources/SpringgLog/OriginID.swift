/// Identity of one log writer's life: 128 random bits.
///
/// Minted when a data directory is first used, and again after a restore or a clone, so that a sequence number is never
/// used twice. On disk and on the wire the sixteen bytes stand in the order in which they are printed.
public struct OriginID: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The first eight printed bytes.
    public let high: UInt64
    /// The last eight printed bytes.
    public let low: UInt64

    /// Makes an identity from its two halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Mints a new identity.
    public init(using generator: inout some RandomNumberGenerator) {
        self.init(high: generator.next(), low: generator.next())
    }

    /// Reads the 32 hexadecimal digits that `description` prints.
    public init?(_ text: String) {
        guard text.utf8.count == 32, text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// No origin: what an event carries as "seen" when its writer had seen nothing.
    public static let none = OriginID(high: 0, low: 0)

    /// Orders by the printed bytes.
    public static func < (a: OriginID, b: OriginID) -> Bool {
        (a.high, a.low) < (b.high, b.low)
    }

    /// 32 lower-case hexadecimal digits.
    public var description: String { hexadecimal(high) + hexadecimal(low) }
}

/// Sixteen lower-case hexadecimal digits.
package func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
