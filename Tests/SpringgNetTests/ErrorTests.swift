import SpringgNet
import SpringgTestKit
import Testing

/// What a program can rely on when a request fails: the code, and the name under which the request is in the log.
@Suite struct ErrorTests {
    @Test func eachRefusalHasItsCode() async throws {
        try await TestServer.run({ $0.bodyBytesMax = 1 << 20 }) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            let table: [(String, String, String?, Int, String)] = [
                ("POST", "/api/indexes/a", #"{"dimensions":2}"#, 409, "index_exists"),
                ("POST", "/api/indexes/b", "{}", 400, "invalid_request"),
                ("POST", "/api/indexes/b!", #"{"dimensions":2}"#, 400, "invalid_request"),
                ("DELETE", "/api/indexes/b", nil, 404, "index_not_found"),
                ("GET", "/api/indexes/a/vectors/x", nil, 404, "vector_not_found"),
                ("POST", "/api/indexes/a/vectors", #"{"id":"x","vector":[1]}"#, 400, "dimension_mismatch"),
                ("POST", "/api/indexes/a/search", #"{"vector":[1]}"#, 400, "dimension_mismatch"),
                ("POST", "/api/indexes/a/search", "{", 400, "invalid_request"),
                ("POST", "/api/indexes/b/search", #"{"vector":[1]}"#, 404, "index_not_found"),
                ("GET", "/api/indexes/%F", nil, 400, "invalid_request"),
                ("POST", "/internal/replicate", #"{"operation":"?"}"#, 500, "internal_error"),
                (
                    "POST", "/api/indexes/a/vectors", String(repeating: " ", count: 2 << 20), 413,
                    "payload_too_large"
                ),
            ]
            for (method, path, body, status, code) in table {
                let response = try server.client().request(method, path, body)
                #expect(response.status == status && response.code == code, "\(method) \(path): \(response)")
            }
        }
        try await TestServer.run({
            $0.clusterEnabled = false; $0.requireJWT = true; $0.jwtSecret = TestServer.secret
        }) { server throws in
            let client = server.client()
            #expect(try client.request("GET", "/api/indexes").code == "unauthorized")
            let token = JSONWebToken.sign(
                claims: #"{"iss":"springg","permissions":["read","internal"]}"#,
                secret: TestServer.secret
            )
            let headers = [(name: "Authorization", value: "Bearer \(token)")]
            #expect(try client.request("DELETE", "/api/indexes/a", headers: headers).code == "forbidden")
            #expect(try client.request("GET", "/internal/cluster/status", headers: headers).code == "unavailable")
        }
    }

    @Test func requestsHaveNamesThatCannotDoHarm() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            func name(_ given: String?, path: String = "/api/health") throws -> String? {
                let headers = given.map { [(name: "X-Request-Id", value: $0)] } ?? []
                return try client.request("GET", path, headers: headers).header("x-request-id")
            }
            let longest = String(repeating: "x", count: 64)
            for good in ["a", "0191f2c4-a7b3-4d0e", "web:7/9+=.~@_", longest] {
                #expect(try name(good) == good)
                #expect(try name(good, path: "/nowhere") == good)
            }
            var made: Set<String> = []
            for bad in [nil, "", "a b", "a\"b", "a\tb", "é", "{{x}}", longest + "x"] {
                let own = try #require(try name(bad))
                #expect(own.utf8.count == 15 && own.allSatisfy(\.isHexDigit), "\(own)")
                #expect(made.insert(own).inserted)
            }
            // Also where the request could not be read.
            let connection = try RawConnection(port: server.server.port)
            connection.send("NONSENSE\r\n\r\n")
            #expect(connection.receiveAll().contains("\r\nX-Request-Id: "))
        }
    }

    @Test func theTraceOfARequestIsKeptWithItsEvents() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            func trace(_ number: Int) -> String { "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333\(number)-01" }
            func send(
                _ method: String,
                _ path: String,
                _ body: String?,
                _ traces: String...,
                type: String? = nil
            ) throws {
                var headers = traces.map { (name: "traceparent", value: $0) }
                if let type { headers.append((name: "Content-Type", value: type)) }
                let answer = try client.request(method, path, body, headers: headers)
                #expect(answer.status == 200, "\(answer.text)")
                let isOne = traces.count == 1 && traces[0].hasPrefix("00-0")
                #expect(answer.header("traceparent") == (isOne ? traces[0] : nil))
            }
            try send("POST", "/api/indexes/a", #"{"dimensions":2}"#, trace(1))
            try send("POST", "/api/indexes/a/vectors", #"{"id":"1","vector":[1,2]}"#, trace(2))
            try send("PUT", "/api/indexes/a/vectors/1", #"{"vector":[1,3]}"#, trace(3))
            let rows = #"{"vectors":[{"id":"2","vector":[1,2]},{"id":"3","vector":[1,2]}]}"#
            try send("POST", "/api/indexes/a/vectors/bulk", rows, trace(4))
            let line = #"{"id":"4","vector":[1,2]}"#
            try send("POST", "/api/indexes/a/vectors/bulk", line, trace(5), type: "application/x-ndjson")
            try send("POST", "/api/marks", #"{"name":"m"}"#, trace(6))
            try send("DELETE", "/api/indexes/a/vectors/1", nil, trace(7))
            // Bad ones, two, and none are none; the connection remembers nothing.
            try send("DELETE", "/api/indexes/a/vectors/2", nil, "nonsense")
            try send("DELETE", "/api/indexes/a/vectors/3", nil, trace(8), trace(9))
            try send("DELETE", "/api/indexes/a/vectors/4", nil)
            let events = try #require(try client.request("GET", "/api/events").data().array)
            let kept = events.reversed().map { $0["traceparent"]?.string }
            #expect(kept == [1, 2, 3, 4, 4, 5, 6, 7].map(trace) + [nil, nil, nil])
        }
    }
}
