import Glibc

/// A blocking HTTP/1.1 client on one connection, for tests that want to see and send exact bytes.
///
/// It keeps the connection alive between requests and opens a new one when the server has closed it. Not for use from two
/// threads at once.
public final class HTTPClient {
    /// IPv4 address of the server.
    public let host: String
    /// Port of the server.
    public let port: Int
    /// IPv4 address of this machine to connect from; nil lets the system choose.
    public var sourceAddress: String?
    /// How long one answer may take.
    public var timeoutSeconds: Double
    /// Header fields sent with every request.
    public var headers: [(name: String, value: String)]

    private let machine: Machine?
    private var descriptor: Int32 = -1
    private var received: [UInt8] = []

    /// A client that connects when first used.
    public convenience init(
        port: Int,
        host: String = "127.0.0.1",
        headers: [(name: String, value: String)] = [],
        timeoutSeconds: Double = 30
    ) {
        self.init(port: port, host: host, headers: headers, timeoutSeconds: timeoutSeconds, on: nil)
    }

    /// A client on a machine of a test's network: by default beside the server, whatever happens to the network.
    package init(
        port: Int,
        host: String = "127.0.0.1",
        headers: [(name: String, value: String)] = [],
        timeoutSeconds: Double = 30,
        on machine: Machine?
    ) {
        self.machine = machine
        self.host = host
        self.port = port
        self.headers = headers
        self.timeoutSeconds = timeoutSeconds
    }

    deinit { close() }

    /// Closes the connection; the next request opens a new one.
    public func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
        received = []
    }

    /// Opens the connection now.
    public func connect() throws {
        close()
        let connect = { [host, port, sourceAddress] in
            try Socket.connect(host: host, port: port, from: sourceAddress)
        }
        descriptor = try machine?.run(connect) ?? connect()
    }

    /// Sends one request and reads its answer; `path` goes out as it is.
    public func request(
        _ method: String,
        _ path: String,
        headers extra: [(name: String, value: String)] = [],
        body: (any Sequence<UInt8>)? = nil
    ) throws -> HTTPResponse {
        if descriptor < 0 || !received.isEmpty || peerHasClosed { try connect() }
        var head = "\(method) \(path) HTTP/1.1\r\nHost: \(host):\(port)\r\n"
        for field in headers + extra { head += "\(field.name): \(field.value)\r\n" }
        var bytes: [UInt8] = []
        if let body {
            let content = Array(body)
            head += "Content-Length: \(content.count)\r\n\r\n"
            bytes = Array(head.utf8) + content
        } else {
            bytes = Array((head + "\r\n").utf8)
        }
        // A server may refuse and close before it has read everything: what it said is then still to be read.
        do { try send(bytes) } catch { return try receive(toHead: method == "HEAD") }
        return try receive(toHead: method == "HEAD")
    }

    /// A request whose body is text.
    public func request(
        _ method: String,
        _ path: String,
        headers extra: [(name: String, value: String)] = [],
        json body: String
    ) throws -> HTTPResponse {
        try request(
            method,
            path,
            headers: [(name: "Content-Type", value: "application/json")] + extra,
            body: Array(body.utf8)
        )
    }

    /// Sends raw bytes, connecting first when there is no connection.
    public func send(_ bytes: [UInt8]) throws {
        if descriptor < 0 { try connect() }
        let deadline = Deadline(seconds: timeoutSeconds)
        var done = 0
        while done < bytes.count {
            try Socket.wait(descriptor, for: Int32(POLLOUT), until: deadline, "sending to port \(port)")
            let sent = bytes[done...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            if sent < 0, errno == EAGAIN || errno == EINTR { continue }
            guard sent > 0 else { throw TestKitError.system("sending to port \(port)") }
            done += sent
        }
    }

    /// Sends raw text.
    public func send(_ text: String) throws {
        try send(Array(text.utf8))
    }

    /// Waits until the server has sent something.
    public func waitForInput() throws {
        let deadline = Deadline(seconds: timeoutSeconds)
        if received.isEmpty { _ = try readMore(deadline) }
    }

    /// Tells the server that nothing more will be sent, and keeps reading.
    public func closeSending() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Reads the next answer, whatever request it belongs to.
    ///
    /// Interim answers (1xx) are passed over. An answer to a HEAD has no body, whatever its fields say.
    public func receive(toHead: Bool = false) throws -> HTTPResponse {
        let deadline = Deadline(seconds: timeoutSeconds)
        while true {
            let headEnd = try headEnd(deadline)
            let head = try HTTPHead.parse(received[..<headEnd])
            received.removeFirst(headEnd + 4)
            if head.status < 200 { continue }
            func field(_ name: String) -> String? { head.headers.first { $0.name.lowercased() == name }?.value }
            var body: [UInt8] = []
            if toHead || head.status == 204 || head.status == 304 {
                body = []
            } else if field("transfer-encoding")?.lowercased() == "chunked" {
                body = try chunks(deadline)
            } else if let text = field("content-length") {
                guard let length = Int(text) else { throw TestKitError("Content-Length: \(text)") }
                try fill(to: length, deadline)
                body = Array(received[..<length])
                received.removeFirst(length)
            } else {
                while try readMore(deadline) {}
                body = received
                received = []
            }
            if field("connection")?.lowercased() == "close" { close() }
            return HTTPResponse(status: head.status, headers: head.headers, body: body)
        }
    }

    /// True when the server closes the connection, sending nothing more, before `seconds` are over.
    public func isClosedByServer(withinSeconds seconds: Double) -> Bool {
        guard descriptor >= 0 else { return true }
        guard received.isEmpty else { return false }
        // A reset is a close as well.
        do { return try !readMore(Deadline(seconds: seconds)) } catch { return "\(error)".contains("reset") }
    }

    /// True when the server has closed its side and nothing is left to read.
    private var peerHasClosed: Bool {
        var byte: UInt8 = 0
        let got = recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT))
        return got == 0 || (got < 0 && errno != EAGAIN)
    }

    private func headEnd(_ deadline: Deadline) throws -> Int {
        var searched = 0
        while true {
            if received.count >= 4 {
                for at in searched...(received.count - 4)
                where received[at] == 13 && received[at + 1] == 10 && received[at + 2] == 13 && received[at + 3] == 10 {
                    return at
                }
                searched = max(0, received.count - 3)
            }
            guard try readMore(deadline) else {
                throw TestKitError("port \(port) closed the connection within a head of \(received.count) bytes")
            }
        }
    }

    private func chunks(_ deadline: Deadline) throws -> [UInt8] {
        var body: [UInt8] = []
        while true {
            let line = try line(deadline)
            guard let size = Int(line.prefix { $0 != ";" }, radix: 16) else {
                throw TestKitError("no size of a chunk: \(line)")
            }
            if size == 0 {
                // Trailer fields, if any, up to the empty line.
                while try !self.line(deadline).isEmpty {}
                return body
            }
            try fill(to: size + 2, deadline)
            body += received[..<size]
            received.removeFirst(size + 2)
        }
    }

    private func line(_ deadline: Deadline) throws -> String {
        while true {
            if let end = received.firstIndex(of: 10) {
                let text = String(decoding: received[..<end].filter { $0 != 13 }, as: UTF8.self)
                received.removeFirst(end + 1)
                return text
            }
            guard try readMore(deadline) else { throw TestKitError("port \(port) closed the connection within a line") }
        }
    }

    private func fill(to count: Int, _ deadline: Deadline) throws {
        while received.count < count {
            guard try readMore(deadline) else {
                throw TestKitError(
                    "port \(port) closed the connection, \(received.count) of \(count) bytes into a body"
                )
            }
        }
    }

    /// Reads what there is; false when the server has closed.
    private func readMore(_ deadline: Deadline) throws -> Bool {
        guard descriptor >= 0 else { throw TestKitError("not connected to port \(port)") }
        try Socket.wait(descriptor, for: Int32(POLLIN), until: deadline, "waiting for an answer of port \(port)")
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        let got = recv(descriptor, &piece, piece.count, 0)
        guard got >= 0 else { throw TestKitError.system("reading from port \(port)") }
        received += piece[..<got]
        return got > 0
    }
}
