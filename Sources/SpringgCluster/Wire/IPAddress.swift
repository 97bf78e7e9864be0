import Glibc

/// An IPv4 or IPv6 address.
///
/// Agents that listen on all addresses write their IPv4 address in sixteen bytes (`::ffff:a.b.c.d`), others in four, and
/// they compare the bytes of a name's addresses. So the form in which an address came is kept for passing it on, but two
/// forms of one address are equal here.
package struct IPAddress: Sendable, CustomStringConvertible {
    private let high: UInt64
    private let low: UInt64
    private let isSentInFourBytes: Bool

    private static let mappedPrefix: UInt64 = 0x0000_FFFF_0000_0000

    /// Takes four or sixteen bytes in network order.
    package init?(bytes: some Collection<UInt8>) {
        func number(_ part: some Collection<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        switch bytes.count {
        case 4:
            (high, low, isSentInFourBytes) = (0, Self.mappedPrefix | number(bytes), true)
        case 16:
            (high, low, isSentInFourBytes) = (number(bytes.prefix(8)), number(bytes.suffix(8)), false)
        default:
            return nil
        }
    }

    /// Reads a number such as `10.0.0.1` or `fd00::1`; names are not looked up.
    package init?(_ text: String) {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.init(bytes: Swift.withUnsafeBytes(of: four) { Array($0) })
            return
        }
        var sixteen = in6_addr()
        guard inet_pton(AF_INET6, text, &sixteen) == 1 else { return nil }
        self.init(bytes: Swift.withUnsafeBytes(of: sixteen) { Array($0) })
    }

    package var isIPv4: Bool { high == 0 && low >> 32 == Self.mappedPrefix >> 32 }

    /// True for `0.0.0.0` and `::`, which nobody can send to.
    package var isUnspecified: Bool { high == 0 && (low == 0 || low == Self.mappedPrefix) }

    /// The bytes as they came.
    package var bytes: [UInt8] {
        var all: [UInt8] = []
        all.appendBigEndian(high)
        all.appendBigEndian(low)
        return isSentInFourBytes ? Array(all.suffix(4)) : all
    }

    package var description: String {
        if isIPv4 {
            return (0..<4).map { String(low >> UInt64(24 - 8 * $0) & 0xFF) }.joined(separator: ".")
        }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "?" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension IPAddress: Hashable {
    package static func == (a: IPAddress, b: IPAddress) -> Bool { (a.high, a.low) == (b.high, b.low) }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(high)
        hasher.combine(low)
    }
}

/// Where a node listens, with UDP and TCP on one port.
package struct NodeAddress: Hashable, Sendable, CustomStringConvertible {
    package var address: IPAddress
    package var port: UInt16

    package init(_ address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    package var description: String { address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }
}
