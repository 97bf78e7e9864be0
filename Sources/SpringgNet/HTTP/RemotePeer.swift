import NIOCore

/// Who is at the other end of a connection, as the socket says it, or behind a proxy that is trusted.
struct RemotePeer: Sendable {
    /// Nil for what has no address to count by.
    let address: ClientAddress?
    let isLoopback: Bool

    /// What limits are counted by.
    var key: AddressKey? { address.map(AddressKey.init) }

    init(_ address: SocketAddress?) {
        switch address {
        case .v4:
            // sockaddr_in: family and port, 2 bytes each, then the address, the most significant byte first.
            self.init(ClientAddress(ipv4: UInt32(bigEndian: Self.load(address, at: 4))))
        case .v6:
            // sockaddr_in6: family and port, 4 bytes of flow information, then the address.
            self.init(
                ClientAddress(
                    upper: UInt64(bigEndian: Self.load(address, at: 8)),
                    lower: UInt64(bigEndian: Self.load(address, at: 16))
                )
            )
        case .unixDomainSocket, nil:
            self.init(nil as ClientAddress?)
        }
    }

    init(_ address: ClientAddress?, isForwarded: Bool = false) {
        self.address = address
        isLoopback = !isForwarded && address?.isLoopback ?? false
    }

    private static func load<Value: FixedWidthInteger & BitwiseCopyable>(
        _ address: SocketAddress?,
        at offset: Int
    ) -> Value {
        address?.withSockAddr { start, size in
            let bytes = UnsafeRawBufferPointer(start: start, count: size)
            return offset + MemoryLayout<Value>.size <= size
                ? bytes.loadUnaligned(fromByteOffset: offset, as: Value.self) : 0
        } ?? 0
    }
}

extension AddressKey {
    init(_ address: ClientAddress) {
        self.init(ipv6Upper: address.upper, lower: address.lower)
    }
}
