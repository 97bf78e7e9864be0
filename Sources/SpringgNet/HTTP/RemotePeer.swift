import NIOCore

/// Who is at the other end of a connection, as the socket says it.
struct RemotePeer: Sendable {
    /// Nil for what has no address to count by.
    let key: AddressKey?
    let isLoopback: Bool

    init(_ address: SocketAddress?) {
        switch address {
        case .v4:
            // sockaddr_in: family and port, 2 bytes each, then the address, the most significant byte first.
            let value = UInt32(bigEndian: Self.load(address, at: 4))
            self.key = AddressKey(ipv4: value)
            self.isLoopback = value >> 24 == 127
        case .v6:
            // sockaddr_in6: family and port, 4 bytes of flow information, then the address.
            let upper = UInt64(bigEndian: Self.load(address, at: 8))
            let lower = UInt64(bigEndian: Self.load(address, at: 16))
            self.key = AddressKey(ipv6Upper: upper, lower: lower)
            let isMappedLoopback = upper == 0 && lower >> 24 == 0xFFFF_7F
            self.isLoopback = upper == 0 && lower == 1 || isMappedLoopback
        case .unixDomainSocket, nil:
            self.key = nil
            self.isLoopback = false
        }
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
