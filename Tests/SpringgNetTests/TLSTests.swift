import Glibc
import Logging
import SpringgNet
import SpringgTestKit
import Testing

/// TLS on the API's port: everything as without it, and clients that would harm the server by it.
@Suite struct TLSTests {
    private static func serve(
        _ change: (inout ServerOptions) -> Void = { _ in },
        _ body: @escaping @Sendable (TestServer, CertificateAuthority) throws -> Void
    ) async throws {
        let authority = try CertificateAuthority()
        let (certificate, key) = try authority.issue("node")
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let certificates = try TLSCertificates(certificate: certificate, key: key, logger: logger)
        try await TestServer.run({
            $0.certificates = certificates
            change(&$0)
        }) { server throws in try body(server, authority) }
    }

    /// A connection by TLS of a client that trusts the authority.
    private final class Client: ByteConnection {
        let raw: RawConnection
        private let tls: TLSClient

        init(_ server: TestServer, _ authority: CertificateAuthority, receiveBufferBytes: Int32? = nil) throws {
            raw = try RawConnection(port: server.server.port, receiveBufferBytes: receiveBufferBytes)
            tls = try TLSClient(
                raw.descriptor,
                name: CertificateAuthority.serverName,
                certificates: authority.certificate
            )
        }

        @discardableResult
        func send(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { tls.send($0) } }

        func closeSending() { tls.closeSending() }

        func receive(into space: UnsafeMutableRawBufferPointer) -> Int { tls.receive(into: space) }
    }

    private static let health = "GET /api/health HTTP/1.1\r\n\r\n"

    // MARK: As without it

    @Test func pipelinedRequestsAreAnsweredInOrderHoweverTheyCome() async throws {
        try await Self.serve { server, authority in
            let client = try Client(server, authority)
            let requests = (0..<200).map { number in
                let body = #"{"dimensions":2}"#
                return number % 2 == 0
                    ? "POST /api/indexes/i\(number) HTTP/1.1\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                    : "GET /api/indexes/i\(number - 1)/stats HTTP/1.1\r\n\r\n"
            }
            // All at once, then in records of a few bytes.
            client.send(requests.joined())
            let answers = client.receive(until: "HTTP/1.1 200 OK", count: 200)
            #expect(answers.occurrences(of: "HTTP/1.1 200 OK") == 200)
            var rest = requests.prefix(4).joined()[...]
            while !rest.isEmpty {
                client.send(String(rest.prefix(5)))
                rest = rest.dropFirst(5)
            }
            let again = client.receive(until: "HTTP/1.1", count: 4)
            #expect(again.occurrences(of: "HTTP/1.1 409") == 2 && again.occurrences(of: "HTTP/1.1 200") == 2)
        }
    }

    @Test func aStreamIsWorkedOffWhileItArrives() async throws {
        try await Self.serve { server, authority in
            let client = try Client(server, authority)
            client.send("POST /api/indexes/a HTTP/1.1\r\nContent-Length: 16\r\n\r\n{\"dimensions\":2}")
            #expect(client.receive(until: "}").hasPrefix("HTTP/1.1 200"))
            client.send(
                "POST /api/indexes/a/vectors/bulk HTTP/1.1\r\nContent-Type: application/x-ndjson\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n"
            )
            for number in 0..<3000 {
                let line = #"{"id":"\#(number)","vector":[\#(number),1]}"# + "\n"
                client.send(String(line.utf8.count, radix: 16) + "\r\n\(line)\r\n")
            }
            client.send("0\r\n\r\n")
            #expect(client.receive(until: "receipt").contains(#""total":3000,"success":3000,"failed":0"#))
        }
    }

    @Test func aLargeAnswerComesWholeToASlowReader() async throws {
        try await Self.serve { server, authority in
            let client = try Client(server, authority, receiveBufferBytes: 4096)
            try Self.fill(Client(server, authority))
            client.send("GET /internal/sync/a/block/0 HTTP/1.1\r\nConnection: close\r\n\r\n")
            let answer = client.receiveAll()
            let length = try #require(Self.length(of: answer))
            #expect(length > 1_000_000 && answer.utf8.count == Self.headBytes(answer) + length)
            // The same as without TLS in between.
            let body = String(decoding: answer.utf8.suffix(length), as: UTF8.self)
            #expect(try JSONValue(text: body)["status"]?.string == "success")
        }
    }

    private static func length(of answer: String) -> Int? {
        let line = answer.prefix(2000).split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
        return line.flatMap { Int($0.dropFirst(16)) }
    }

    /// Some 10 MB in one block.
    private static func fill(_ client: Client) {
        func post(_ path: String, _ body: String) {
            client.send("POST \(path) HTTP/1.1\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            #expect(client.receive(until: "receipt").hasPrefix("HTTP/1.1 200 OK"))
        }
        post("/api/indexes/a", #"{"dimensions":1024}"#)
        let vector = JSONValue.array(of: (0..<1024).map { Float($0) * 0.001 })
        let rows = (0..<1000).map { #"{"id":"\#($0)","vector":\#(vector)}"# }.joined(separator: ",")
        post("/api/indexes/a/vectors/bulk", #"{"vectors":[\#(rows)]}"#)
    }

    @Test func aClientThatSaysGoodbyeStillGetsItsAnswers() async throws {
        try await Self.serve { server, authority in
            let client = try Client(server, authority)
            client.send(Self.health + Self.health)
            client.closeSending()
            #expect(client.receiveAll().occurrences(of: "HTTP/1.1 200 OK") == 2)
        }
    }

    // MARK: Limits

    @Test(arguments: ["", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", "\u{16}"])
    func aHandshakeHasTheTimeOfARequest(beginning: String) async throws {
        try await Self.serve({
            $0.readTimeoutSeconds = 0.3; $0.idleTimeoutSeconds = 60
        }) { server, authority in
            let seconds = try Monotonic.seconds {
                let connection = try RawConnection(port: server.server.port)
                connection.send(beginning)
                #expect(connection.isClosed())
            }
            #expect(seconds >= 0.3)
            let client = try Client(server, authority)
            client.send("GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n")
            #expect(client.receiveAll().contains(#"springg_limit_hits_total{limit="read_timeout"} 1"#))
        }
    }

    @Test func afterTheHandshakeAConnectionMayRest() async throws {
        try await Self.serve({
            $0.readTimeoutSeconds = 1; $0.idleTimeoutSeconds = 60
        }) { server, authority in
            let client = try Client(server, authority)
            #expect(!client.raw.hasEnded(within: 1.5))
            client.send(Self.health)
            #expect(client.receive(until: "}}").hasPrefix("HTTP/1.1 200 OK"))
            // And the time of a request counts again from its first byte.
            client.send("GET /api/health HT")
            #expect(client.receiveAll().isEmpty)
        }
    }

    @Test func garbageEndsItsConnectionAlone() async throws {
        var random = SeededRandom.fromEnvironment(#function)
        var pieces: [[UInt8]] = (0..<100).map { _ in
            (0..<Int.random(in: 1...2000, using: &random)).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        }
        // Records of each type, with lengths that lie; a hello of which bytes are wrong.
        for type in UInt8(20)...24 { pieces.append([type, 3, 3, 0xFF, 0xFF] + [UInt8](repeating: 7, count: 70_000)) }
        for type in UInt8(20)...24 { pieces.append([type, 3, 3, 0, 0]) }
        try await Self.serve({ $0.readTimeoutSeconds = 0.5 }) { [pieces] server, authority in
            for piece in pieces {
                let connection = try RawConnection(port: server.server.port)
                connection.send(piece)
                connection.closeSending()
                #expect(connection.isClosed())
            }
            let client = try Client(server, authority)
            client.send(Self.health)
            #expect(client.receive(until: "}}").hasPrefix("HTTP/1.1 200 OK"))
        }
    }

    @Test func whoSpeaksWithoutTLSIsTold() async throws {
        try await Self.serve { server, _ in
            let connection = try RawConnection(port: server.server.port)
            connection.send(Self.health)
            let answer = connection.receiveAll()
            #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n") && answer.hasSuffix(#""code":"bad_request"}"#))
            #expect(answer.contains("Content-Length: \(answer.utf8.count - Self.headBytes(answer))\r\n"))
        }
    }

    private static func headBytes(_ answer: String) -> Int {
        (answer.split(separator: "{", maxSplits: 1).first ?? "").utf8.count
    }

    @Test func whoSpeaksTLSToAPlainPortHearsAtOnce() async throws {
        try await TestServer.run { server throws in
            let connection = try RawConnection(port: server.server.port)
            #expect(throws: TLSFailure.self) { try TLSClient(connection.descriptor, name: "127.0.0.1") }
            #expect(try server.client().request("GET", "/api/health").status == 200)
        }
    }

    @Test func aHandshakeCountsAsARequest() async throws {
        try await Self.serve({
            $0.rateLimitPerSecond = 1; $0.rateLimitBurst = 5
        }) { server, authority in
            var done = 0
            let seconds = Monotonic.seconds {
                for _ in 0..<20 where (try? Client(server, authority)) != nil { done += 1 }
            }
            #expect(done >= 5 && Double(done) <= 5 + seconds + 1, "\(done) in \(seconds) s")
        }
    }

    @Test func aClientThatDoesNotReadIsLetGo() async throws {
        try await Self.serve({
            $0.writeTimeoutSeconds = 0.5; $0.connectionsMax = 2
        }) { server, authority in
            // Of the two connections that there may be, the one that fills stays: its end would be noticed at some moment only.
            let other = try Client(server, authority)
            Self.fill(other)
            let deaf = try Client(server, authority, receiveBufferBytes: 4096)
            deaf.send(String(repeating: "GET /internal/sync/a/block/0 HTTP/1.1\r\n\r\n", count: 50))
            other.send("GET /api/health HTTP/1.1\r\nConnection: close\r\n\r\n")
            #expect(other.receiveAll().hasPrefix("HTTP/1.1 200"))
            // There is room for two more when the deaf client has been let go.
            let deadline = Deadline(seconds: 30)
            var pair: [Client] = []
            while pair.count < 2, !deadline.isOver {
                // What an earlier turn got would take the place of one of these.
                pair = []
                pair = (0..<2).compactMap { _ in try? Client(server, authority) }
            }
            #expect(pair.count == 2)
            withExtendedLifetime(deaf) {}
        }
    }

    @Test func whoTrustsOthersIsNotConnected() async throws {
        try await Self.serve { server, authority in
            func connect(_ name: String, _ certificates: String) throws {
                let connection = try RawConnection(port: server.server.port)
                _ = try TLSClient(connection.descriptor, name: name, certificates: certificates)
            }
            try connect("127.0.0.1", authority.certificate)
            #expect(throws: TLSFailure.self) { try connect("other.test", authority.certificate) }
            #expect(throws: TLSFailure.self) { try connect(CertificateAuthority.serverName, "") }
            let stranger = try CertificateAuthority()
            #expect(throws: TLSFailure.self) { try connect(CertificateAuthority.serverName, stranger.certificate) }
        }
    }
}
