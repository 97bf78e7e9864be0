import Glibc
import SpringgTestKit

/// A connection on which a test sends and receives bytes as they are, for what no HTTP client would do.
protocol ByteConnection {
    /// Reads what is there, and waits for the first byte; nothing or less at the end.
    func receive(into space: UnsafeMutableRawBufferPointer) -> Int
}

extension ByteConnection {
    /// Reads until `count` occurrences of `text` have come, or the server closes, or half a minute has passed.
    func receive(until text: String, count: Int = 1) -> String {
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let pattern = Array(text.utf8)
        var (seen, searched) = (0, 0)
        while seen < count {
            let got = buffer.withUnsafeMutableBytes { receive(into: $0) }
            guard got > 0 else { break }
            received += buffer[..<got]
            while searched + pattern.count <= received.count {
                if received[searched..<searched + pattern.count].elementsEqual(pattern) { seen += 1 }
                searched += 1
            }
        }
        return String(decoding: received, as: UTF8.self)
    }

    /// Reads to the end of the stream.
    func receiveAll() -> String { receive(until: "\u{0}never", count: .max) }
}

/// A socket without anything above it.
final class RawConnection: ByteConnection {
    let descriptor: Int32

    /// - Parameters:
    ///   - port: Of the loopback.
    ///   - receiveBufferBytes: What the kernel holds for a client that does not read; nil = as usual.
    /// - Throws: When the port does not answer.
    init(port: Int, receiveBufferBytes: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if var bytes = receiveBufferBytes {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(truncatingIfNeeded: port)).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw TestKitError("cannot connect to port \(port): errno \(errno)") }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var patience = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Sends everything, or as much as the server takes before it closes.
    ///
    /// - Returns: False when the server closed.
    @discardableResult
    func send(_ bytes: some Collection<UInt8>) -> Bool {
        let bytes = Array(bytes)
        var done = 0
        while done < bytes.count {
            let sent = bytes[done...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return false }
            done += sent
        }
        return true
    }

    /// Sends text.
    @discardableResult
    func send(_ text: String) -> Bool { send(text.utf8) }

    func closeSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    func receive(into space: UnsafeMutableRawBufferPointer) -> Int {
        recv(descriptor, space.baseAddress, space.count, 0)
    }

    /// POLLRDHUP of Linux, which Swift's module of the C library leaves out: the other end sends no more.
    private static let endOfInput: Int16 = 0x2000

    /// True when the server closes within `seconds`, whatever came before and was not read; it returns as soon as it does.
    func hasEnded(within seconds: Double) -> Bool {
        var entry = pollfd(fd: descriptor, events: Self.endOfInput, revents: 0)
        return poll(&entry, 1, Int32(seconds * 1000)) > 0
    }

    /// True when the server has closed or closes within half a minute; what comes before is thrown away.
    func isClosed() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let got = recv(descriptor, &buffer, buffer.count, 0)
            if got == 0 || got < 0 && errno == ECONNRESET { return true }
            if got < 0 { return false }
        }
    }
}
