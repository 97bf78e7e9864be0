import SpringgNet
import SpringgProjections
import SpringgTestKit
import Testing

/// Limits and time-outs, against clients that would exceed them.
@Suite struct LimitTests {
    // MARK: Rate

    @Test func anAddressHasARateWhateverItsPortsAndHeadersSay() async throws {
        try await TestServer.run({
            $0.rateLimitPerSecond = 1; $0.rateLimitBurst = 5
        }) { server throws in
            var statuses: [Int] = []
            let began = Monotonic.nanoseconds()
            for number in 0..<20 {
                // A connection each, hence a port each; and a header that once was believed.
                let client = server.client()
                let response = try client.request(
                    "GET",
                    "/api/health",
                    headers: [(name: "X-Forwarded-For", value: "10.0.0.\(number)")]
                )
                statuses.append(response.status)
                if response.status == 429 {
                    #expect(response.text == "Rate limit exceeded" && response.header("retry-after") == "1")
                    #expect(response.header("content-type") == "text/plain; charset=utf-8")
                }
            }
            #expect(statuses.prefix(5).allSatisfy { $0 == 200 })
            let seconds = Double(Monotonic.nanoseconds() - began) / 1e9
            let admitted = statuses.count { $0 != 429 }
            #expect(Double(admitted) <= 5 + seconds + 1, "\(admitted) in \(seconds) s")
        }
    }

    @Test func nodesAreNotCountedAndWhoeverElseAsksForTheirPathsIs() async throws {
        let token = JSONWebToken.sign(
            claims: #"{"iss":"springg","permissions":["internal"]}"#,
            secret: TestServer.secret
        )
        for (path, authorization, first) in [
            ("/internal/log", "Bearer \(token)", 400), ("/internal/log", "", 401), ("/internal/log", "Bearer x", 401),
            ("/internal/snapshot", "Bearer \(token)x", 401), ("/internal/logs", "Bearer \(token)", 404),
        ] {
            try await TestServer.run({
                $0.rateLimitPerSecond = 1; $0.rateLimitBurst = 5; $0.jwtSecret = TestServer.secret
            }) { server throws in
                let client = server.client()
                let headers = authorization.isEmpty ? [] : [(name: "Authorization", value: authorization)]
                let began = Monotonic.nanoseconds()
                let statuses = try (0..<40).map { _ in
                    try client.request("POST", path, headers: headers, body: Array("{}".utf8)).status
                }
                let seconds = Double(Monotonic.nanoseconds() - began) / 1e9
                #expect(statuses.first == first, "\(path) \(authorization)")
                let admitted = statuses.count { $0 != 429 }
                #expect(
                    first == 400 ? admitted == 40 : Double(admitted) <= 5 + seconds + 1,
                    "\(path) \(authorization): \(statuses) in \(seconds) s"
                )
            }
        }
    }

    // MARK: Connections

    @Test func oneConnectionTooManyIsClosedAndMakesRoomWhenOneGoes() async throws {
        try await TestServer.run({ $0.connectionsMax = 2 }) { server throws in
            let clients = [server.client(), server.client()]
            for client in clients { #expect(try client.request("GET", "/api/health").status == 200) }
            let third = try RawConnection(port: server.server.port)
            third.send("GET /api/health HTTP/1.1\r\n\r\n")
            #expect(third.isClosed())
            for client in clients { #expect(try client.request("GET", "/api/health").status == 200) }
            clients[0].close()
            // The server learns of it a moment later: asked until then.
            let deadline = Deadline(seconds: 30)
            var status = 0
            while status != 200, !deadline.isOver {
                status = (try? server.client().request("GET", "/api/health").status) ?? 0
            }
            #expect(status == 200)
        }
    }

    // MARK: Time

    @Test func aSlowHeadEndsTheConnection() async throws {
        try await TestServer.run({ $0.readTimeoutSeconds = 0.3 }) { server throws in
            let connection = try RawConnection(port: server.server.port)
            let seconds = Monotonic.seconds {
                connection.send("GET /api/health HT")
                #expect(connection.isClosed())
            }
            #expect(seconds >= 0.3)
        }
    }

    @Test func aByteNowAndThenDoesNotExtendTheTime() async throws {
        try await TestServer.run({ $0.readTimeoutSeconds = 0.5 }) { server throws in
            let connection = try RawConnection(port: server.server.port)
            // One byte at a time, faster than the limit, until the server has had enough.
            let head = Array("GET /api/health HTTP/1.1\r\nX: \(String(repeating: "x", count: 2000))".utf8)
            let deadline = Deadline(seconds: 30)
            var sent = 0
            let seconds = Monotonic.seconds {
                while !deadline.isOver, connection.send([head[sent % head.count]]), !connection.hasEnded(within: 0.02) {
                    sent += 1
                }
            }
            #expect(seconds >= 0.5 && !deadline.isOver, "\(sent) bytes in \(seconds) s")
        }
    }

    @Test func aSlowBodyIsToldSo() async throws {
        try await TestServer.run({ $0.readTimeoutSeconds = 0.3 }) { server throws in
            let connection = try RawConnection(port: server.server.port)
            connection.send("POST /api/indexes/a HTTP/1.1\r\nContent-Length: 100\r\n\r\n{\"dim")
            let received = connection.receiveAll()
            #expect(received.hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
            #expect(received.contains("\r\nConnection: close\r\n"))
        }
    }

    @Test func theTimeOfTheNextRequestBeginsWithItsOwnFirstByte() async throws {
        try await TestServer.run({
            $0.readTimeoutSeconds = 0.4; $0.idleTimeoutSeconds = 20
        }) { server throws in
            let connection = try RawConnection(port: server.server.port)
            for _ in 0..<3 {
                connection.send("GET /api/health HTTP/1.1\r\n\r\n")
                #expect(connection.receive(until: "}}").hasPrefix("HTTP/1.1 200 OK"))
                // Longer than the time for a request: between requests it does not run.
                #expect(!connection.hasEnded(within: 0.6))
            }
        }
    }

    @Test func anIdleConnectionIsClosed() async throws {
        try await TestServer.run({ $0.idleTimeoutSeconds = 0.3 }) { server throws in
            let silent = try RawConnection(port: server.server.port)
            let used = try RawConnection(port: server.server.port)
            used.send("GET /api/health HTTP/1.1\r\n\r\n")
            #expect(used.receiveAll().hasPrefix("HTTP/1.1 200 OK"))
            #expect(silent.isClosed())
        }
    }

    @Test func aClientThatDoesNotReadIsLetGo() async throws {
        try await TestServer.run({
            $0.writeTimeoutSeconds = 0.5; $0.connectionsMax = 2
        }) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1024}"#).status == 200)
            let vector = JSONValue.array(of: (0..<1024).map { Float($0) * 0.001 })
            let rows = (0..<1000).map { #"{"id":"\#($0)","vector":\#(vector)}"# }.joined(separator: ",")
            #expect(
                try client.request("POST", "/api/indexes/a/vectors/bulk", #"{"vectors":[\#(rows)]}"#).status == 200
            )
            // Some 10 MB of answer each, none of it read.
            let request = "GET /internal/sync/a/block/0 HTTP/1.1\r\n\r\n"
            let deaf = try RawConnection(port: server.server.port, receiveBufferBytes: 4096)
            deaf.send(String(repeating: request, count: 50))
            // There is room for another one when the deaf client has been let go.
            #expect(try client.request("GET", "/api/health").status == 200)
            let deadline = Deadline(seconds: 30)
            var status = 0
            while status != 200, !deadline.isOver {
                status = (try? server.client().request("GET", "/api/health").status) ?? 0
            }
            #expect(status == 200)
            withExtendedLifetime(deaf) {}
        }
    }

    @Test func whatTakesTooLongIsAnsweredWithATimeOut() async throws {
        // So short that whatever leaves the event loop may come too late, and work for another thread always does.
        try await TestServer.run({ $0.requestTimeoutSeconds = 1e-6 }) { server throws in
            let client = server.client()
            // What is answered so may have been done all the same.
            let deadline = Deadline(seconds: 30)
            while server.database.indexes().isEmpty, !deadline.isOver {
                _ = try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#)
            }
            let late = try client.request("GET", "/internal/sync/a/manifest")
            #expect(late.status == 504 && late.error == "Request timeout")
            // The connection goes on, and no late answer comes in place of another one.
            for number in 0..<300 {
                let response = try client.request(
                    "POST",
                    "/api/indexes/a/vectors",
                    #"{"id":"\#(number)","vector":[1]}"#
                )
                #expect(try response.status == 504 || response.data()["id"]?.string == "\(number)")
                #expect(try client.request("GET", "/api/health").data()["status"]?.string == "healthy")
            }
        }
    }

    // MARK: Bulk

    @Test func bulkRequestsAreLimitedInNumber() async throws {
        try await TestServer.run({ $0.bulkConcurrencyMax = 1 }) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            let body = #"{"vectors":[{"id":"1","vector":[1]}]}"#
            // A request that has begun holds the one place.
            let first = try RawConnection(port: server.server.port)
            first.send("POST /api/indexes/a/vectors/bulk HTTP/1.1\r\nContent-Length: \(body.utf8.count)\r\n")
            first.send("Expect: 100-continue\r\n\r\n")
            #expect(first.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 100 "))
            let refused = try client.request("POST", "/api/indexes/a/vectors/bulk", body)
            #expect(refused.status == 429 && refused.header("retry-after") == "2")
            #expect(refused.error == "Too many concurrent bulk requests, please retry")
            first.send(body)
            #expect(first.receive(until: "}}").hasPrefix("HTTP/1.1 200 OK"))
            #expect(try client.request("POST", "/api/indexes/a/vectors/bulk", body).status == 200)
            // A client that goes away in the middle gives its place back.
            first.send("POST /api/indexes/a/vectors/bulk HTTP/1.1\r\nContent-Length: 50\r\n")
            first.send("Expect: 100-continue\r\n\r\n")
            #expect(first.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 100 "))
            first.closeSending()
            #expect(first.isClosed())
            #expect(try client.request("POST", "/api/indexes/a/vectors/bulk", body).status == 200)
        }
    }

    @Test func bulkRequestsWaitWhileTheProcessorsAreBusy() async throws {
        try await TestServer.run({ $0.bulkCPUThresholdPercent = 0.001 }) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            // Any work at all is beyond this threshold, once the meter has looked.
            let deadline = Deadline(seconds: 30)
            var response = try client.request("POST", "/api/indexes/a/vectors/bulk", "{}")
            while response.status != 429, !deadline.isOver {
                response = try client.request("POST", "/api/indexes/a/vectors/bulk", "{}")
            }
            #expect(response.status == 429 && response.header("retry-after") == "5")
            let text = try #require(response.error)
            #expect(text.hasPrefix("Server overloaded (CPU: ") && text.hasSuffix("%), please retry"))
        }
    }

    // MARK: Memory

    @Test func allBodiesTogetherAreBounded() async throws {
        try await TestServer.run({
            $0.bodyBytesMax = 64 << 20
            $0.bulkConcurrencyMax = 0
        }) { server throws in
            let announce =
                "POST /api/indexes/a/vectors/bulk HTTP/1.1\r\nContent-Length: \(64 << 20)\r\nExpect: 100-continue\r\n\r\n"
            // Four of the largest are what the server holds at once.
            var connections: [RawConnection] = []
            for _ in 0..<4 {
                let connection = try RawConnection(port: server.server.port)
                connection.send(announce)
                #expect(connection.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 100 "))
                connections.append(connection)
            }
            let fifth = try RawConnection(port: server.server.port)
            fifth.send(announce)
            let refused = fifth.receiveAll()
            #expect(refused.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
            #expect(refused.contains("\r\nRetry-After: 1\r\n") && refused.contains("Server busy, please retry"))
            // Small ones are not in their way, and what goes makes room.
            #expect(try server.client().request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            connections[0].closeSending()
            #expect(connections[0].isClosed())
            let sixth = try RawConnection(port: server.server.port)
            sixth.send(announce)
            #expect(sixth.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 100 "))
        }
    }

    @Test func everyLimitMayBeOff() async throws {
        try await TestServer.run({
            $0.bodyBytesMax = 0
            $0.connectionsMax = 0
            $0.bulkConcurrencyMax = 0
            $0.idleTimeoutSeconds = 0
            $0.readTimeoutSeconds = 0
            $0.requestTimeoutSeconds = 0
            $0.writeTimeoutSeconds = 0
        }) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            let bulk = #"{"vectors":[{"id":"1","vector":[1]}]}"# + String(repeating: " ", count: 1 << 20)
            #expect(try client.request("POST", "/api/indexes/a/vectors/bulk", bulk).status == 200)
            #expect(try client.request("GET", "/internal/sync/a/manifest").status == 200)
        }
    }

    // MARK: Stopping

    @Test func stoppingLetsARequestFinishAndClosesTheIdle() async throws {
        try await TestServer.run { server throws in
            let idle = try RawConnection(port: server.server.port)
            idle.send("GET /api/health HTTP/1.1\r\n\r\n")
            #expect(idle.receive(until: "}}").hasPrefix("HTTP/1.1 200 OK"))
            let half = try RawConnection(port: server.server.port)
            half.send("POST /api/indexes/a HTTP/1.1\r\nContent-Length: 16\r\nExpect: 100-continue\r\n\r\n")
            #expect(half.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 100 "))
            let stopping = try WorkerThread { server.shutdown(gracePeriodSeconds: 20) }
            #expect(idle.isClosed())
            half.send(#"{"dimensions":3}"#)
            let answer = half.receiveAll()
            #expect(answer.hasPrefix("HTTP/1.1 200 OK") && answer.contains("\r\nConnection: close\r\n"))
            stopping.join()
            #expect(server.database.indexes().count == 1)
        }
    }

    @Test func stoppingDoesNotWaitLongerThanAllowed() async throws {
        try await TestServer.run { server throws in
            let half = try RawConnection(port: server.server.port)
            half.send("POST /api/indexes/a HTTP/1.1\r\nContent-Length: 16\r\nExpect: 100-continue\r\n\r\n")
            #expect(half.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 100 "))
            let start = Monotonic.nanoseconds()
            server.shutdown(gracePeriodSeconds: 0.2)
            #expect(Double(Monotonic.nanoseconds() - start) / 1e9 < 10)
            #expect(half.isClosed())
        }
    }
}
