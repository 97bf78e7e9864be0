import Glibc
import SpringgNet

/// One kept connection of the load generator: sends a request, waits for its answer.
final class BenchConnection {
    private let socket: Int32
    private var tls: TLSClient?
    private var received: [UInt8] = []
    private var piece = [UInt8](repeating: 0, count: 64 << 10)

    /// Seconds without a byte after which a node counts as gone.
    private static let timeoutSeconds = 30

    init(_ target: BenchAddress) throws {
        let (host, port) = (target.url.host, target.url.port)
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let first = found else {
            throw CommandFailure("cannot resolve \(host)")
        }
        defer { freeaddrinfo(first) }
        let entry = first.pointee
        socket = Glibc.socket(entry.ai_family, entry.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0, connect(socket, entry.ai_addr, entry.ai_addrlen) == 0 else {
            let reason = String(cString: strerror(errno))
            if socket >= 0 { close(socket) }
            throw CommandFailure("cannot reach \(host):\(port): \(reason)")
        }
        var yes: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        var limit = timeval(tv_sec: Self.timeoutSeconds, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard target.url.isSecure else { return }
        do throws(TLSFailure) {
            tls = try TLSClient(socket, name: target.certificateName, certificates: target.authorities)
        } catch {
            throw CommandFailure("cannot reach https://\(host):\(port): \(error)")
        }
    }

    deinit { close(socket) }

    /// The status of the answer, and its body.
    func exchange(_ request: [UInt8]) throws -> (status: Int, body: ArraySlice<UInt8>) {
        guard request.withUnsafeBytes({ send($0) }) else { throw CommandFailure("the node closed the connection") }
        received.removeAll(keepingCapacity: true)
        var end: Int?
        while true {
            if end == nil { end = headEnd() }
            if let end {
                let length = try contentLength(end)
                if received.count >= end + length { return (try status(), received[end..<end + length]) }
            }
            let count = receive()
            guard count > 0 else { throw CommandFailure("the node closed the connection") }
            received += piece[..<count]
        }
    }

    private func send(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if let tls { return tls.send(bytes) }
        var sent = 0
        while sent < bytes.count {
            let count = Glibc.send(
                socket,
                bytes.baseAddress?.advanced(by: sent),
                bytes.count - sent,
                Int32(MSG_NOSIGNAL)
            )
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    private func receive() -> Int {
        piece.withUnsafeMutableBytes { space in
            tls?.receive(into: space) ?? recv(socket, space.baseAddress, space.count, 0)
        }
    }

    private func headEnd() -> Int? {
        guard received.count >= 4 else { return nil }
        for place in 3..<received.count where received[place] == 10 {
            if received[place - 1] == 13, received[place - 2] == 10, received[place - 3] == 13 { return place + 1 }
        }
        return nil
    }

    private func status() throws -> Int {
        guard received.count > 12, let status = Int(String(decoding: received[9..<12], as: UTF8.self)) else {
            throw CommandFailure("what listens there does not speak HTTP")
        }
        return status
    }

    private func contentLength(_ end: Int) throws -> Int {
        let name = Array("\r\ncontent-length: ".utf8)
        for start in 0..<max(0, end - name.count) {
            guard received[start] == 13 else { continue }
            let isHere = name.indices.allSatisfy { received[start + $0] | 0x20 == name[$0] | 0x20 }
            guard isHere else { continue }
            let digits = received[(start + name.count)..<end].prefix { (0x30...0x39).contains($0) }
            guard let length = Int(String(decoding: digits, as: UTF8.self)) else { break }
            return length
        }
        throw CommandFailure("an answer without a length")
    }
}
