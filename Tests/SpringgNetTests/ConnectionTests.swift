import Logging
import SpringgNet
import SpringgTestKit
import Synchronization
import Testing

/// HTTP itself: what clients of every kind, in good order and not, meet on a connection.
@Suite struct ConnectionTests {
    private static let health = "GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n"

    private func post(_ path: String, _ body: String, _ headers: String = "") -> String {
        "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\(headers)\r\n\(body)"
    }

    // MARK: Pipelining and pieces

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            // Quick and slow ones mixed: an add waits for the disk, a get does not.
            var requests = ""
            for number in 0..<50 {
                requests += post("/api/indexes/a/vectors", #"{"id":"\#(number)","vector":[\#(number)]}"#)
                requests += "GET /api/indexes/a/vectors/\(number) HTTP/1.1\r\nHost: x\r\n\r\n"
                requests += "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
            }
            try client.send(requests)
            for number in 0..<50 {
                #expect(try client.receive().data()["added"]?.bool == true)
                #expect(try client.receive().data()["vector"]?.floats == [Float(number)])
                #expect(try client.receive().status == 404)
            }
        }
    }

    @Test func aPacketFullOfTinyRequestsIsWorkedOffWithoutDeepStacks() async throws {
        try await TestServer.run { server throws in
            let connection = try RawConnection(port: server.server.port)
            // As many as one read of the server takes, again and again, until its reads have grown that large.
            let count = 3000
            for _ in 0..<8 {
                connection.send(String(repeating: "GET /x HTTP/1.1\r\n\r\n", count: count))
                let received = connection.receive(until: "404 page not found", count: count)
                #expect(received.occurrences(of: "HTTP/1.1 404 Not Found\r\n") == count)
            }
        }
    }

    @Test func aRequestMayComeInAnyTwoPieces() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            let plain = Array(post("/api/indexes/a/vectors", #"{"id":"é","vector":[1,2]}"#).utf8)
            let chunked = Array(
                ("POST /api/indexes/a/vectors HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "5\r\n{\"id\"\r\nC;x=y\r\n:\"é\",\"vecto\r\n9\r\nr\":[1,2]}\r\n0\r\n\r\n").utf8
            )
            for request in [plain, chunked] {
                for cut in 1..<request.count {
                    try client.send(Array(request[..<cut]))
                    try client.send(Array(request[cut...]))
                    let response = try client.receive()
                    #expect(response.status == 200, "cut at \(cut): \(response)")
                }
                for byte in request { try client.send([byte]) }
                #expect(try client.receive().status == 200)
            }
        }
    }

    @Test func whatOneClientSendsAtOnceDoesNotMixWithWhatOthersSend() async throws {
        try await TestServer.run { server throws in
            #expect(try server.client().request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            let wrong = Atomic<Int>(0)
            try WorkerThread.run(8) { worker in
                let client = server.client()
                for number in 0..<100 {
                    let id = "\(worker)-\(number)"
                    let body = #"{"id":"\#(id)","vector":[\#(worker * 1000 + number)]}"#
                    let added = try? client.request("POST", "/api/indexes/a/vectors", body).data()
                    let got = try? client.request("GET", "/api/indexes/a/vectors/\(id)").data()
                    if added?["id"]?.string != id || got?["vector"]?.floats != [Float(worker * 1000 + number)] {
                        wrong.add(1, ordering: .relaxed)
                    }
                }
            }
            #expect(wrong.load(ordering: .relaxed) == 0)
            #expect(try server.client().request("GET", "/api/indexes").data()[0]?["count"]?.int == 800)
        }
    }

    // MARK: Bodies

    @Test func aBodyBeyondTheLimitIsRefusedBeforeItIsRead() async throws {
        try await TestServer.run({ $0.bodyBytesMax = 1000 }) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            let padding = String(repeating: " ", count: 1000 - 25)
            #expect(
                try client.request("POST", "/api/indexes/a/vectors", #"{"id":"12","vector":[10]}"# + padding).status
                    == 200
            )
            // The head alone is answered: nothing of the body was sent.
            try client.send("POST /api/indexes/a/vectors HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
            let refused = try client.receive()
            #expect(refused.status == 413 && refused.error == "request body is larger than 1000 bytes")
            #expect(refused.header("connection") == "close")
            // Without a length, when it has become too much.
            try client.send("POST /api/indexes/a/vectors HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            try client.send("3E8\r\n" + String(repeating: " ", count: 1000) + "\r\n1\r\n \r\n")
            #expect(try client.receive().status == 413)
        }
    }

    @Test func anAnswerThatComesEarlyReachesAClientThatIsStillSending() async throws {
        try await TestServer.run({ $0.bodyBytesMax = 1000 }) { server throws in
            let connection = try RawConnection(port: server.server.port)
            let body = String(repeating: " ", count: 4 << 20)
            connection.send(post("/api/indexes/a/vectors/bulk", body))
            #expect(connection.receiveAll().hasPrefix("HTTP/1.1 413 "))
        }
    }

    @Test func aShortBodyOfARefusedRequestIsPassedOver() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            try client.send(post("/nowhere", String(repeating: "x", count: 60_000)) + Self.health)
            #expect(try client.receive().status == 404)
            #expect(try client.receive().status == 200)
        }
    }

    @Test func aClientThatAsksMaySendItsBody() async throws {
        try await TestServer.run { server throws in
            let connection = try RawConnection(port: server.server.port)
            let body = #"{"dimensions":3}"#
            let expect = "Host: x\r\nExpect: 100-continue\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            connection.send("POST /api/indexes/a HTTP/1.1\r\n" + expect)
            #expect(connection.receive(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            connection.send(body)
            #expect(connection.receive(until: "}}").hasPrefix("HTTP/1.1 200 OK\r\n"))
            // Who may not is told at once, and the connection ends: nobody knows whether the body will come.
            connection.send("POST /nowhere HTTP/1.1\r\n" + expect)
            let refused = connection.receiveAll()
            #expect(refused.hasPrefix("HTTP/1.1 404 Not Found\r\n") && refused.contains("\r\nConnection: close\r\n"))
        }
    }

    // MARK: Methods, paths, origins

    @Test func unknownPathsAndMethods() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            for path in ["/api", "/api/health/", "/api/indexes/", "/favicon.ico"] {
                let response = try client.request("GET", path)
                #expect(response.status == 404 && response.text == "404 page not found")
                #expect(response.header("content-type") == "text/plain; charset=utf-8")
            }
            for (method, path) in [("HEAD", "/api/health"), ("PATCH", "/api/indexes"), ("OPTIONS", "/api/indexes")] {
                let response = try client.request(method, path)
                #expect(response.status == 405 && response.body.isEmpty)
                #expect(response.header("allow") == "GET, OPTIONS")
                #expect(response.header("content-length") == "0")
            }
            #expect(try client.request("GET", "/api/indexes/%").status == 400)
        }
    }

    @Test func pagesOfAnyOriginMayCall() async throws {
        try await TestServer.run({
            $0.requireJWT = true; $0.jwtSecret = TestServer.secret
        }) { server throws in
            let client = server.client()
            // Asking needs no token: a browser sends none with it.
            let preflight = try client.request(
                "OPTIONS",
                "/api/indexes/a/vectors/1",
                headers: [
                    (name: "Origin", value: "https://example.org"),
                    (name: "Access-Control-Request-Method", value: "DELETE"),
                    (name: "Access-Control-Request-Headers", value: "authorization"),
                ]
            )
            #expect(preflight.status == 200 && preflight.body.isEmpty)
            #expect(preflight.header("access-control-allow-origin") == "*")
            #expect(preflight.header("access-control-allow-methods") == "GET, POST, PUT, DELETE, OPTIONS")
            #expect(
                preflight.header("access-control-allow-headers")
                    == "Accept, Authorization, Content-Type, Traceparent, X-Request-Id, X-Springg-After"
            )
            #expect(preflight.header("access-control-max-age") == "300")
            let refused = try client.request("GET", "/api/indexes", headers: [(name: "Origin", value: "null")])
            #expect(refused.status == 401 && refused.header("access-control-allow-origin") == "*")
            #expect(refused.header("access-control-expose-headers") == "Link, X-Request-Id")
            #expect(try client.request("GET", "/api/health").header("access-control-allow-origin") == nil)
        }
    }

    // MARK: Keeping and closing

    @Test func connectionsAreKeptAndClosedAsTheClientSays() async throws {
        try await TestServer.run { server throws in
            let connection = try RawConnection(port: server.server.port)
            connection.send("GET /api/health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(connection.receive(until: "}}").contains("\r\nConnection: keep-alive\r\n"))
            connection.send(
                Self.health + "GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + Self.health
            )
            let received = connection.receiveAll()
            #expect(received.occurrences(of: "HTTP/1.1 200 OK") == 2)
            let old = try RawConnection(port: server.server.port)
            old.send("GET /api/health HTTP/1.0\r\n\r\n")
            #expect(old.receiveAll().contains("\r\nConnection: close\r\n"))
        }
    }

    @Test func aClientThatWillSendNoMoreStillGetsItsAnswers() async throws {
        try await TestServer.run { server throws in
            let connection = try RawConnection(port: server.server.port)
            connection.send(post("/api/indexes/a", #"{"dimensions":3}"#) + Self.health + Self.health)
            connection.closeSending()
            #expect(connection.receiveAll().occurrences(of: "HTTP/1.1 200 OK") == 3)
        }
    }

    @Test(arguments: [
        "BREW /pot HTTP/1.1\r\n\r\n", "GET /api/health\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\n: empty\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5x\r\n\r\nhello", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    ])
    func whatIsNotHTTPIsAnsweredAndTheConnectionClosed(bytes: String) async throws {
        try await TestServer.run { server throws in
            let connection = try RawConnection(port: server.server.port)
            connection.send(bytes)
            let received = connection.receiveAll()
            #expect(received.hasPrefix("HTTP/1.1 4"), "\(received)")
            #expect(received.contains("\r\nConnection: close\r\n"))
            #expect(try server.client().request("GET", "/api/health").status == 200)
        }
    }

    @Test func whoWantsAnotherProtocolGetsAnAnswerInThisOne() async throws {
        try await TestServer.run { server throws in
            // What clients of HTTP/2 ask first on a connection without TLS, with and without a body.
            let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
            for request in [
                "GET /api/health HTTP/1.1\r\nHost: x\r\n\(upgrade)\r\n",
                post("/api/indexes/a", #"{"dimensions":3}"#, upgrade),
            ] {
                let connection = try RawConnection(port: server.server.port)
                connection.send(request)
                let received = connection.receiveAll()
                #expect(received.hasPrefix("HTTP/1.1 200 OK\r\n"), "\(received)")
                #expect(received.contains("\r\nConnection: close\r\n"))
            }
            let tunnel = try RawConnection(port: server.server.port)
            tunnel.send("CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(tunnel.receiveAll().hasPrefix("HTTP/1.1 404 Not Found\r\n"))
        }
    }

    @Test func answersBeforeABrokenRequestStillCome() async throws {
        try await TestServer.run { server throws in
            let connection = try RawConnection(port: server.server.port)
            connection.send(post("/api/indexes/a", #"{"dimensions":3}"#) + Self.health + "rubbish\r\n\r\n")
            let received = connection.receiveAll()
            #expect(received.occurrences(of: "HTTP/1.1 200 OK") == 2)
            #expect(received.occurrences(of: "HTTP/1.1 400 Bad Request") == 1)
        }
    }

    @Test func aHeadBeyondTheLimitIsRefused() async throws {
        try await TestServer.run { server throws in
            for head in [
                "GET / HTTP/1.1\r\nX: " + String(repeating: "x", count: 100_000),
                "GET /" + String(repeating: "x", count: 100_000),
                "GET / HTTP/1.1\r\n" + String(repeating: "a: b\r\n", count: 1000),
            ] {
                let connection = try RawConnection(port: server.server.port)
                connection.send(head)
                #expect(connection.receiveAll().hasPrefix("HTTP/1.1 431 "))
            }
        }
    }

    @Test func theLimitOfAHeadIsWhatIsSet() async throws {
        @Sendable func head(_ bytes: Int) -> String {
            "GET /api/health HTTP/1.1\r\nX: \(String(repeating: "x", count: bytes))\r\nConnection: close\r\n\r\n"
        }
        for (limit, good, bad) in [(1024, 500, 1100), (200_000, 150_000, 250_000), (0, 500_000, nil)] {
            try await TestServer.run({ $0.headBytesMax = limit }) { server throws in
                let taken = try RawConnection(port: server.server.port)
                taken.send(head(good))
                #expect(taken.receiveAll().hasPrefix("HTTP/1.1 200 OK"), "\(limit)")
                guard let bad else { return }
                let refused = try RawConnection(port: server.server.port)
                refused.send(head(bad))
                #expect(refused.receiveAll().hasPrefix("HTTP/1.1 431 "), "\(limit)")
            }
        }
    }

    @Test func randomBytesNeverStopTheServer() async throws {
        var random = SeededRandom.fromEnvironment("randomBytesNeverStopTheServer")
        let requests = [
            Self.health, post("/api/indexes/a/vectors", #"{"id":"1","vector":[1,2]}"#),
            post("/api/indexes/a/search", #"{"vector":[1,2],"k":3,"recency_boost":{"field":"published_date"}}"#),
            post("/api/indexes/a/vectors/bulk", #"{"vectors":[{"id":"1","vector":[1,2],"metadata":{"custom":{}}}]}"#),
            post("/internal/replicate", #"{"messages":[{"operation":"add","index_name":"a"}]}"#, "X-Batch-Size: 1\r\n"),
        ].map { Array($0.utf8) }
        var rounds: [[UInt8]] = []
        for _ in 0..<300 {
            var bytes = requests[Int.random(in: 0..<requests.count, using: &random)]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            rounds.append(bytes + (random.oneIn(2) ? requests[0] : []))
        }
        try await TestServer.run { [rounds] server throws in
            #expect(try server.client().request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            for bytes in rounds {
                let connection = try RawConnection(port: server.server.port)
                connection.send(bytes)
                connection.closeSending()
                _ = connection.receiveAll()
            }
            #expect(try server.client().request("GET", "/api/health").status == 200)
        }
    }

    @Test func accessLinesNameTheRequestAndNotItsToken() async throws {
        let lines = Mutex<[String]>([])
        let token = JSONWebToken.sign(claims: #"{"iss":"springg"}"#, secret: TestServer.secret)
        var logger = Logger(label: "test") { _ in LineCollector { line in lines.withLock { $0.append(line) } } }
        logger.logLevel = .debug
        try await TestServer.run(
            {
                $0.requireJWT = true; $0.jwtSecret = TestServer.secret
            },
            logger: logger
        ) { server throws in
            let client = server.client()
            let headers = [(name: "Authorization", value: "Bearer \(token)")]
            #expect(try client.request("GET", "/api/indexes", headers: headers).status == 200)
            #expect(try client.request("GET", "/api/indexes").status == 401)
            let named = headers + [(name: "X-Request-Id", value: "watch-me")]
            #expect(try client.request("GET", "/api/indexes", headers: named).status == 200)
            let traced =
                named + [
                    (name: "traceparent", value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
                ]
            #expect(try client.request("GET", "/api/indexes", headers: traced).status == 200)
        }
        let written = lines.withLock { $0 }
        #expect(written.contains { $0.hasSuffix("request_id=watch-me") })
        #expect(written.contains { $0.hasSuffix("request_id=watch-me trace_id=0af7651916cd43dd8448eb211c80319c") })
        #expect(written.contains { $0.hasPrefix("GET /api/indexes 200 ") && $0.contains("µs request_id=") })
        #expect(written.contains { $0.hasPrefix("GET /api/indexes 401 ") })
        #expect(!written.contains { $0.contains(token) || $0.contains(TestServer.secret) })
    }
}

/// Hands every line's text to a closure.
private struct LineCollector: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.debug
    let write: @Sendable (String) -> Void

    init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = (event.metadata ?? [:]).map { " \($0.key)=\($0.value)" }.sorted().joined()
        write("\(event.message)\(fields)")
    }
}
