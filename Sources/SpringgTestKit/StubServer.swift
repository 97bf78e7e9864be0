import Glibc
import Synchronization

/// An HTTP server on the loopback that answers as a test says, misbehaviour included.
///
/// One thread a connection, both bounded; requests are read whole before they are answered, unless `refuseEarly` says no to
/// their head. Stopped when released.
public final class StubServer: Sendable {
    /// A request as it came.
    public struct Request: Sendable {
        /// The method.
        public let method: String
        /// Path and query exactly as sent.
        public let target: String
        /// The headers in their order.
        public let headers: [(name: String, value: String)]
        /// The body.
        public let body: [UInt8]

        /// The first header of a name, whatever its case.
        public func header(_ name: String) -> String? {
            headers.first { $0.name.lowercased() == name.lowercased() }?.value
        }

        /// The path exactly as sent.
        public var path: String { String(target.prefix { $0 != "?" }) }

        /// The query exactly as sent, without its question mark.
        public var query: String { String(target.dropFirst(path.count + 1)) }
    }

    /// An answer without `Content-Length`, which is added.
    public struct Answer: Sendable {
        /// The status code.
        public var status: Int
        /// Headers to send.
        public var headers: [(name: String, value: String)]
        /// The body; an answer to HEAD announces its length only.
        public var body: [UInt8]

        /// An answer from its parts.
        public init(_ status: Int, _ headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
            self.status = status
            self.headers = headers
            self.body = body
        }
    }

    /// What to do with a request.
    public enum Reply: Sendable {
        /// Answer it.
        case answer(Answer)
        /// Close the connection without a word.
        case drop
        /// Announce the whole body, send so many bytes of it, and close the connection.
        case cut(Answer, after: Int)
        /// Announce the whole body, send so many bytes of it, and then nothing until the client gives up.
        case stall(Answer, after: Int)
    }

    /// `http://127.0.0.1:port`.
    public var endpoint: String { "http://127.0.0.1:\(core.port)" }
    /// The port of 127.0.0.1 that is listened on.
    public var port: Int { core.port }

    private let core: Core

    /// Starts a server.
    ///
    /// `handle` is called on many threads.
    public init(
        refuseEarly: @escaping @Sendable (Request) -> Answer? = { _ in nil },
        _ handle: @escaping @Sendable (Request) -> Reply
    ) throws {
        core = try Core(refuseEarly, handle)
        try core.start()
    }

    deinit { core.stop() }

    /// Ends all connections, as a server does that is killed, and waits for its threads.
    ///
    /// Harmless when repeated.
    public func stop() { core.stop() }
}

/// What the server's threads share; the server itself can go while they still run.
private final class Core: Sendable {
    private struct State {
        var connections: Set<Int32> = []
        var threads: [WorkerThread] = []
        var isStopped = false
    }

    let port: Int
    private let listener: Int32
    private let refuseEarly: @Sendable (StubServer.Request) -> StubServer.Answer?
    private let handle: @Sendable (StubServer.Request) -> StubServer.Reply
    private let state = Mutex(State())

    private static let connectionsMax = 64
    private static let headBytesMax = 64 << 10
    private static let bodyBytesMax = 256 << 20

    init(
        _ refuseEarly: @escaping @Sendable (StubServer.Request) -> StubServer.Answer?,
        _ handle: @escaping @Sendable (StubServer.Request) -> StubServer.Reply
    ) throws {
        self.refuseEarly = refuseEarly
        self.handle = handle
        (listener, port) = try Socket.listen(backlog: Core.connectionsMax)
    }

    func start() throws {
        let thread = try WorkerThread { [self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else {
                    if errno == EINTR { continue }
                    return
                }
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                let isWelcome = state.withLock { state in
                    guard !state.isStopped, state.connections.count < Core.connectionsMax else { return false }
                    return state.connections.insert(connection).inserted
                }
                guard isWelcome, let thread = try? WorkerThread({ [self] in serve(connection) }) else {
                    end(connection)
                    continue
                }
                state.withLock { $0.threads.append(thread) }
            }
        }
        state.withLock { $0.threads.append(thread) }
    }

    func stop() {
        let isFirst = state.withLock { state in
            defer { state.isStopped = true }
            for connection in state.connections { shutdown(connection, Int32(SHUT_RDWR)) }
            return !state.isStopped
        }
        guard isFirst else { return }
        shutdown(listener, Int32(SHUT_RDWR))
        while let thread = state.withLock({ $0.threads.popLast() }) { thread.join() }
        close(listener)
    }

    /// Forgets and closes a connection, in this order: its number may be another's a moment later.
    private func end(_ connection: Int32) {
        state.withLock { _ = $0.connections.remove(connection) }
        close(connection)
    }

    // MARK: - One connection

    private func serve(_ connection: Int32) {
        defer { end(connection) }
        var on: Int32 = 1
        setsockopt(connection, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var pending: [UInt8] = []
        while let head = readHead(connection, &pending) {
            if let answer = refuseEarly(head) {
                // Not read: the client must notice while it is still sending.
                _ = write(connection, answer, to: head, bodyBytes: answer.body.count)
                return
            }
            guard let request = readBody(connection, head, &pending) else { return }
            switch handle(request) {
            case .answer(let answer):
                guard write(connection, answer, to: request, bodyBytes: answer.body.count) else { return }
            case .drop: return
            case .cut(let answer, let count):
                _ = write(connection, answer, to: request, bodyBytes: count)
                return
            case .stall(let answer, let count):
                _ = write(connection, answer, to: request, bodyBytes: count)
                // Returns when the client closes, or the server is stopped.
                var byte: UInt8 = 0
                while recv(connection, &byte, 1, 0) > 0 {}
                return
            }
        }
    }

    private func readHead(_ connection: Int32, _ pending: inout [UInt8]) -> StubServer.Request? {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let position = pending.firstRange(of: end) {
                let lines = String(decoding: pending[..<position.lowerBound], as: UTF8.self).split(separator: "\r\n")
                pending.removeFirst(position.upperBound)
                let words = lines.first?.split(separator: " ") ?? []
                guard words.count == 3 else { return nil }
                let headers = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
                    guard let colon = line.firstIndex(of: ":") else { return nil }
                    return (String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " }))
                }
                return StubServer.Request(
                    method: String(words[0]),
                    target: String(words[1]),
                    headers: headers,
                    body: []
                )
            }
            guard pending.count < Core.headBytesMax, receive(connection, &pending) else { return nil }
        }
    }

    private func readBody(
        _ connection: Int32,
        _ head: StubServer.Request,
        _ pending: inout [UInt8]
    ) -> StubServer.Request? {
        let length = head.header("content-length").map { Int($0) ?? -1 } ?? 0
        guard (0...Core.bodyBytesMax).contains(length) else { return nil }
        pending.reserveCapacity(length)
        while pending.count < length {
            guard receive(connection, &pending) else { return nil }
        }
        let body = Array(pending[..<length])
        pending.removeFirst(length)
        return StubServer.Request(method: head.method, target: head.target, headers: head.headers, body: body)
    }

    private func receive(_ connection: Int32, _ pending: inout [UInt8]) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { piece in
            let count = recv(connection, piece.baseAddress, piece.count, 0)
            guard count > 0 else { return false }
            pending.append(contentsOf: piece[..<count])
            return true
        }
    }

    private func write(
        _ connection: Int32,
        _ answer: StubServer.Answer,
        to request: StubServer.Request,
        bodyBytes: Int
    ) -> Bool {
        var head = "HTTP/1.1 \(answer.status) Stub\r\n"
        for (name, value) in answer.headers { head += "\(name): \(value)\r\n" }
        head += "Content-Length: \(answer.body.count)\r\n\r\n"
        var bytes = Array(head.utf8)
        if request.method != "HEAD" { bytes += answer.body.prefix(bodyBytes) }
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { piece in
                send(connection, piece.baseAddress, piece.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }
}
