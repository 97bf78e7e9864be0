import NIOHTTP1
import SpringgCluster

/// Who sends requests, in a form to count and to compare by: IPv4 as the IPv6 address that is mapped to it.
struct ClientAddress: Sendable, Equatable {
    let upper: UInt64
    let lower: UInt64

    init(upper: UInt64, lower: UInt64) {
        self.upper = upper
        self.lower = lower
    }

    init(ipv4: UInt32) {
        self.init(upper: 0, lower: 0xFFFF_0000_0000 | UInt64(ipv4))
    }

    /// A numeric address, with brackets and a port or without.
    init?(_ text: some StringProtocol) {
        var host = text.prefix { $0 != "]" }
        if host.first == "[" {
            host = host.dropFirst()
        } else if host.count(where: { $0 == ":" }) == 1 {
            host = host.prefix { $0 != ":" }
        }
        guard let bytes = IPAddress(String(host))?.bytes else {
            return nil
        }
        func number(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        if bytes.count == 4 {
            self.init(ipv4: UInt32(number(bytes[...])))
        } else {
            self.init(upper: number(bytes.prefix(8)), lower: number(bytes.suffix(8)))
        }
    }

    var isIPv4: Bool { upper == 0 && lower >> 32 == 0xFFFF }

    var isLoopback: Bool {
        upper == 0 && lower == 1 || isIPv4 && UInt8(truncatingIfNeeded: lower >> 24) == 127
    }
}

/// Who may say on whose behalf a request comes.
///
/// Each proxy adds the address that it was asked from at the end of `X-Forwarded-For`. Read from there, an address is
/// believed as long as those behind it are trusted: what a client wrote itself stands further left, and is never reached.
public struct TrustedProxies: Sendable {
    private struct Network: Sendable {
        let address: ClientAddress
        let prefix: Int

        func contains(_ other: ClientAddress) -> Bool {
            func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : ~(.max >> UInt64(bits)) }
            return (address.upper ^ other.upper) & mask(prefix) == 0
                && (address.lower ^ other.lower) & mask(prefix - 64) == 0
        }
    }

    private var networks: [Network] = []

    /// Nobody.
    public init() {}

    /// Addresses and networks (`10.0.0.0/8`), separated by commas; nil when one of them is none.
    public init?(_ list: String) {
        for item in list.split(separator: ",") {
            let parts = item.filter { $0 != " " }.split(separator: "/", omittingEmptySubsequences: false)
            guard let address = parts.first.flatMap({ ClientAddress($0) }), parts.count <= 2 else {
                return nil
            }
            let bits = address.isIPv4 ? 32 : 128
            guard let prefix = parts.count > 1 ? Int(parts[1]) : bits, (0...bits).contains(prefix) else {
                return nil
            }
            networks.append(Network(address: address, prefix: prefix + 128 - bits))
        }
    }

    /// Whoever a request comes from.
    func client(_ headers: HTTPHeaders, from peer: RemotePeer) -> RemotePeer {
        let name = "x-forwarded-for"
        guard !networks.isEmpty || peer.isLoopback, headers.contains(name: name), var address = peer.address else {
            return peer
        }
        for text in headers[canonicalForm: name].reversed() {
            guard trusts(address) else {
                break
            }
            guard let next = ClientAddress(text) else {
                break
            }
            address = next
        }
        // What was forwarded does not come from this machine, whoever has forwarded it.
        return RemotePeer(address, isForwarded: true)
    }

    /// True for one of these proxies itself.
    func trusts(_ peer: RemotePeer) -> Bool { peer.address.map(trusts) ?? false }

    private func trusts(_ address: ClientAddress) -> Bool {
        networks.contains { $0.contains(address) }
    }
}
