import Glibc
import SpringgConfiguration
import SpringgLog
import SpringgNet

/// The server that runs on this machine by the same configuration, asked over its API.
///
/// One request a connection, read to its end: all that a command needs.
struct RunningNode {
    /// An answer to a command is short; what is longer is not from our server.
    private static let answerBytesMax = 64 << 20
    /// A write waits for a sync, and that for a slow disk; longer than any of them.
    private static let timeoutSeconds = 30

    private let address: String
    private let port: Int
    private let token: String?
    private let advice: String

    /// The address and the secret that `springg serve` would use.
    init(
        _ settings: Configuration,
        advice: String = "the data directory is in use: run this with the configuration of the server that uses it "
            + "(--config, SPRINGG_PORT, SPRINGG_JWT_SECRET)"
    ) {
        let bind = settings[Keys.bindAddress]
        self.init(
            address: ["0.0.0.0", "::", ""].contains(bind) ? "127.0.0.1" : bind,
            port: settings[Keys.port],
            secret: settings[Keys.jwtSecret],
            advice: advice
        )
    }

    /// Any server with this secret; `advice` is what to do when it does not answer.
    init(address: String, port: Int, secret: String, advice: String) {
        (self.address, self.port, self.advice) = (address, port, advice)
        let now = Int64(time(nil))
        let claims = JSONValue.object([
            "iss": .string("springg"), "user_id": .string("springg-cli"), "iat": .integer(now),
            "exp": .integer(now + 60), "permissions": .array([.string("admin"), .string("internal")]),
        ])
        token = secret.isEmpty ? nil : JSONWebToken.sign(claims: claims.text(), secret: secret)
    }

    /// True when some process has the data directory open.
    static func holds(_ dataPath: String) throws -> Bool {
        guard access(dataPath + "/LOCK", F_OK) == 0 else { return false }
        do {
            _ = try PosixFileSystem().lock(dataPath + "/LOCK")
            return false
        } catch {
            guard error.code == EWOULDBLOCK else { throw CommandFailure("\(error)") }
            return true
        }
    }

    /// Sends a request; returns what the answer has under `data`.
    /// - Throws: `CommandFailure` with the server's own text, or why there is no answer.
    func send(_ method: String, _ path: String, body: JSONValue? = nil) throws -> JSONValue {
        let text = body?.text() ?? ""
        var head = "\(method) \(path) HTTP/1.1\r\nHost: \(address):\(port)\r\nConnection: close\r\n"
        if let token { head += "Authorization: Bearer \(token)\r\n" }
        head += "Content-Type: application/json\r\nContent-Length: \(text.utf8.count)\r\n\r\n"
        let answer = try exchange(Array((head + text).utf8))
        guard answer.starts(with: "HTTP/1.1 ".utf8), answer.count > 12,
            let status = Int(String(decoding: answer[9..<12], as: UTF8.self)),
            let end = answer.indices.dropLast(3).first(where: { answer[$0..<$0 + 4].elementsEqual("\r\n\r\n".utf8) }),
            case .object(let members)? = try? JSONValue(parsing: Array(answer[(end + 4)...]))
        else {
            throw CommandFailure("what listens on \(address):\(port) is no Springg server", advice: advice)
        }
        guard (200..<300).contains(status), let data = members["data"] else {
            guard case .string(let text)? = members["error"] else { throw CommandFailure("HTTP status \(status)") }
            throw CommandFailure(text)
        }
        return data
    }

    private func exchange(_ request: [UInt8]) throws -> [UInt8] {
        func failure(_ what: String) -> CommandFailure {
            CommandFailure("\(what) \(address):\(port): \(String(cString: strerror(errno)))", advice: advice)
        }
        let socket = try connect()
        defer { close(socket) }
        var sent = 0
        while sent < request.count {
            let count = request[sent...].withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw failure("cannot send to") }
            sent += count
        }
        var answer: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(socket, &piece, piece.count, 0)
            if count == 0 { return answer }
            guard count > 0, answer.count + count <= RunningNode.answerBytesMax else { throw failure("no answer from") }
            answer += piece[..<count]
        }
    }

    private func connect() throws -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(address, String(port), &hints, &found) == 0, let first = found else {
            throw CommandFailure("cannot resolve \(address)", advice: advice)
        }
        defer { freeaddrinfo(first) }
        let socket = socket(first.pointee.ai_family, first.pointee.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: RunningNode.timeoutSeconds, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard socket >= 0, Glibc.connect(socket, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 else {
            let reason = String(cString: strerror(errno))
            close(socket)
            throw CommandFailure("cannot reach the server at \(address):\(port): \(reason)", advice: advice)
        }
        return socket
    }
}
