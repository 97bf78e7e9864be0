import Glibc
import NIOCore
package import SpringgCluster

/// Something that knows where other nodes may be: a list, the name service, a cloud's interface.
///
/// It is asked again and again, since answers change; asking may block.
package protocol SeedSource: Sendable {
    /// Where nodes may be; this node itself may be among them.
    /// - Throws: When it cannot say now; what it said before stays in force.
    func endpoints() throws -> [NodeAddress]
}

/// A seed of the configuration: a name or an address, looked up anew each time.
package struct NamedSeed: SeedSource, Equatable, CustomStringConvertible {
    package let host: String
    package let port: UInt16

    /// Why a name gave no address.
    package struct LookupError: Error, CustomStringConvertible {
        package let description: String
    }

    /// Reads `host`, `host:port`, `address`, `[address]:port`.
    package init?(_ text: String, defaultPort: Int) {
        guard let defaultPort = UInt16(exactly: defaultPort), !text.isEmpty else { return nil }
        if IPAddress(text) != nil {
            (host, port) = (text, defaultPort)
            return
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let name: Substring
        switch parts.count {
        case 1: (name, port) = (text[...], defaultPort)
        default:
            guard let last = parts.last, let given = UInt16(last), given > 0 else { return nil }
            (name, port) = (text.dropLast(last.count + 1), given)
        }
        if name.hasPrefix("["), name.hasSuffix("]") {
            host = String(name.dropFirst().dropLast())
            guard IPAddress(host) != nil else { return nil }
        } else {
            host = String(name)
            guard !host.isEmpty, !host.utf8.contains(where: { $0 == 0x3A || $0 <= 0x20 }) else { return nil }
        }
    }

    package var description: String { "\(host):\(port)" }

    /// Addresses of one name that are used; a name with more is most likely a mistake.
    private static let addressesMax = 256

    package func endpoints() throws -> [NodeAddress] {
        if let address = IPAddress(host) { return [NodeAddress(address, port: port)] }
        var hints = addrinfo()
        // Without a kind of socket each address would come once for every kind.
        hints.ai_protocol = Int32(IPPROTO_TCP)
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, nil, &hints, &found)
        defer { freeaddrinfo(found) }
        guard status == 0 else {
            throw LookupError(description: "\(host) has no address: \(String(cString: gai_strerror(status)))")
        }
        var endpoints: [NodeAddress] = []
        var next = found
        while let entry = next?.pointee, endpoints.count < Self.addressesMax {
            if let address = IPAddress(entry.ai_addr) { endpoints.append(NodeAddress(address, port: port)) }
            next = entry.ai_next
        }
        return endpoints
    }
}

extension IPAddress {
    /// The address in what the system gave.
    ///
    /// By offsets, as in `RemotePeer`: a sockaddr_in has its address at 4, a sockaddr_in6 at 8.
    fileprivate init?(_ address: UnsafePointer<sockaddr>?) {
        guard let address else { return nil }
        let bytes = UnsafeRawPointer(address)
        switch Int32(bytes.loadUnaligned(as: sa_family_t.self)) {
        case AF_INET: self.init(bytes: UnsafeRawBufferPointer(start: bytes + 4, count: 4))
        case AF_INET6: self.init(bytes: UnsafeRawBufferPointer(start: bytes + 8, count: 16))
        default: return nil
        }
    }

    /// An address of this machine that others can probably reach: a private IPv4 one if there is, no loopback.
    static func ofThisMachine() -> IPAddress? {
        let addresses = (try? System.enumerateDevices())?.compactMap { $0.address?.ipAddress.flatMap { IPAddress($0) } }
        let candidates = (addresses ?? []).filter { !$0.isOfThisMachineAlone }
        return candidates.first { $0.isPrivate } ?? candidates.first { $0.isIPv4 } ?? candidates.first
    }

    /// 10/8, 172.16/12, 192.168/16 (RFC 1918).
    private var isPrivate: Bool {
        let bytes = bytes
        guard isIPv4 else { return false }
        return bytes[0] == 10 || (bytes[0] == 172 && bytes[1] & 0xF0 == 16) || (bytes[0] == 192 && bytes[1] == 168)
    }

    /// Loopback, or good on one link only.
    private var isOfThisMachineAlone: Bool {
        let bytes = bytes
        return isIPv4
            ? bytes[0] == 127 || (bytes[0] == 169 && bytes[1] == 254)
            : (bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80) || (bytes.dropLast().allSatisfy { $0 == 0 })
    }
}
