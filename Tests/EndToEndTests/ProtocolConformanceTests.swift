import SpringgTestKit
import Testing

extension EndToEnd {
    /// What holds for every request: health, unknown routes, methods, CORS, keep-alive, pipelining.
    @Suite struct ProtocolConformance {
        @Test func healthNeedsNothing() throws {
            let api = try API(["require-jwt": "true", "jwt-secret": Token.secret])
            try expect(api.get("/api/health"), data: #"{"status":"healthy","service":"springg"}"#)
        }

        @Test func unknownRoutesAreNotFound() throws {
            let api = try API()
            let paths = [
                "/api", "/api/", "/api/indexes/", "/api/health/", "/api/indexes/a/", "/api/indexes/a/nothing",
                "/api/indexes/a/vectors/", "/api/indexes/a/vectors/b/c", "/internal", "/internal/", "/x",
                "//api/health",
                "/API/health", "/api/indexes/a/stats/",
            ]
            for path in paths {
                let response = try api.get(path)
                #expect(response.status == 404, "\(path)")
                #expect(response.text.split(separator: "\n") == ["404 page not found"], "\(path)")
            }
        }

        @Test func otherMethodsAreNotAllowed() throws {
            let api = try API()
            try api.createIndex("a", 2)
            try api.add("a", "x", [1, 2])
            let requests = [
                ("POST", "/api/health"), ("HEAD", "/api/health"), ("DELETE", "/api/indexes"), ("GET", "/api/indexes/a"),
                ("PUT", "/api/indexes/a"), ("GET", "/api/indexes/a/vectors"), ("GET", "/api/indexes/a/search"),
                ("PATCH", "/api/indexes/a/vectors/x"), ("HEAD", "/api/indexes/a/vectors/x"),
                ("POST", "/api/indexes/a/stats"),
            ]
            for (method, path) in requests {
                let response = try api.http.request(method, path)
                #expect(response.status == 405, "\(method) \(path)")
                #expect(response.body.isEmpty, "\(method) \(path)")
            }
            try expect(api.vector("a", "x"), data: #"{"id":"x","vector":[1,2]}"#)
        }

        @Test func aQueryStringChangesNothing() throws {
            let api = try API()
            #expect(try api.get("/api/health?x=/y").status == 200)
            #expect(try api.get("/api/indexes?").status == 200)
        }

        @Test func everyOriginMayAskAndRead() throws {
            let api = try API()
            let origin = (name: "Origin", value: "https://app.example")
            let answer = try api.http.request("GET", "/api/health", headers: [origin])
            #expect(answer.header("Access-Control-Allow-Origin") == "*")
            #expect(answer.header("Access-Control-Expose-Headers") == "Link, X-Request-Id")
            let refused = try api.http.request("GET", "/api/indexes/a/stats", headers: [origin])
            #expect(refused.status == 404 && refused.header("Access-Control-Allow-Origin") == "*")
            for method in ["GET", "POST", "PUT", "DELETE"] {
                let preflight = try api.http.request(
                    "OPTIONS",
                    "/api/indexes/a/vectors/x",
                    headers: [
                        origin, (name: "Access-Control-Request-Method", value: method),
                        (name: "Access-Control-Request-Headers", value: "authorization, content-type"),
                    ]
                )
                #expect((200...204).contains(preflight.status))
                #expect(preflight.header("Access-Control-Allow-Origin") == "*")
                #expect(preflight.header("Access-Control-Allow-Methods")?.contains(method) == true)
                #expect(preflight.header("Access-Control-Max-Age") == "300")
                let headers = preflight.header("Access-Control-Allow-Headers")?.lowercased() ?? ""
                #expect(headers.contains("authorization") && headers.contains("content-type"))
            }
        }

        @Test func aPreflightNeedsNoToken() throws {
            let api = try API(["require-jwt": "true", "jwt-secret": Token.secret])
            let preflight = try api.http.request(
                "OPTIONS",
                "/api/indexes",
                headers: [
                    (name: "Origin", value: "https://app.example"),
                    (name: "Access-Control-Request-Method", value: "GET"),
                ]
            )
            #expect((200...204).contains(preflight.status))
        }

        @Test func pipelinedRequestsAreAnsweredInOrder() throws {
            let api = try API()
            try api.createIndex("a", 2)
            var bytes: [UInt8] = []
            for number in 0..<50 {
                let body = API.vectorBody("v\(number)", [1, Float(number)])
                bytes += Array(
                    """
                    POST /api/indexes/a/vectors HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)\
                    GET /api/indexes/a/vectors/v\(number) HTTP/1.1\r\nHost: x\r\n\r\n
                    """.utf8
                )
            }
            try api.http.send(bytes)
            for number in 0..<50 {
                try expect(api.http.receive(), data: #"{"id":"v\#(number)","added":true}"#)
                try expect(api.http.receive(), data: #"{"id":"v\#(number)","vector":[1,\#(number)]}"#)
            }
        }

        @Test func aRequestMayArriveByteByByteAndInChunks() throws {
            let api = try API()
            try api.createIndex("a", 2)
            let body = API.vectorBody("v", [1, 2])
            for byte in Array(
                "POST /api/indexes/a/vectors HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                    .utf8
            ) {
                try api.http.send([byte])
            }
            try expect(api.http.receive(), data: #"{"id":"v","added":true}"#)
            try api.http.send("POST /api/indexes/a/vectors HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for character in API.vectorBody("w", [3, 4]) { try api.http.send("1\r\n\(character)\r\n") }
            try api.http.send("0\r\n\r\n")
            try expect(api.http.receive(), data: #"{"id":"w","added":true}"#)
            #expect(try api.count("a") == 2)
        }

        @Test func expectContinueIsAnswered() throws {
            let api = try API()
            let body = #"{"dimensions":2}"#
            try api.http.send(
                """
                POST /api/indexes/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: \(body.utf8.count)\r\n\r\n
                """
            )
            try api.http.send(body)
            #expect(try api.http.receive().status == 200)
        }

        @Test func closeAndHTTP10EndTheConnection() throws {
            let api = try API()
            try api.http.send("GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let response = try api.http.receive()
            #expect(response.status == 200 && response.header("Connection")?.lowercased() == "close")
            let old = HTTPClient(port: api.node.port)
            try old.send("GET /api/health HTTP/1.0\r\n\r\n")
            #expect(try old.receive().status == 200)
            #expect(old.isClosedByServer(withinSeconds: 5))
        }

        @Test func debugLogHasOneLineARequest() throws {
            let api = try API(["log-level": "debug"])
            try api.createIndex("logged", 2)
            _ = try api.get("/api/indexes/nothing/stats")
            try api.stop()
            let lines = api.node.log.split(separator: "\n")
            #expect(lines.filter { $0.contains("POST /api/indexes/logged 200") }.count == 1)
            #expect(lines.filter { $0.contains("GET /api/indexes/nothing/stats 404") }.count == 1)
        }
    }
}
