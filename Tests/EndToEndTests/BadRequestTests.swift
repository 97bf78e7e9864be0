import SpringgTestKit
import Testing

extension EndToEnd {
    /// Bodies, paths and framing that no server should take: each is refused, and nothing is changed by any of them.
    @Suite struct BadRequests {
        /// A body for `POST /api/indexes/a/vectors` of an index of two dimensions.
        private static let badVectorBodies: [String] = [
            // No JSON at all, or not one document.
            "", " ", "x", "nul", "{", "}", "[", "]", "{]", "\"", "{\"id\"", "{\"id\":", "{\"id\":}", "{\"id\":\"x\"",
            "{\"id\":\"x\",}", "{,}", "{\"id\":\"x\" \"vector\":[1,2]}", "{'id':'x','vector':[1,2]}",
            "{id:\"x\",vector:[1,2]}",
            "{\"id\":\"x\",\"vector\":[1,2]}}", "{\"id\":\"x\",\"vector\":[1,2]} {}",
            "{\"id\":\"x\",\"vector\":[1,2]}\u{0}",
            "\u{FEFF}{\"id\":\"x\",\"vector\":[1,2]}", "// x\n{\"id\":\"x\",\"vector\":[1,2]}",
            // Another type.
            "null", "true", "1", "\"x\"", "[]", "[{\"id\":\"x\",\"vector\":[1,2]}]", "{\"id\":1,\"vector\":[1,2]}",
            "{\"id\":[\"x\"],\"vector\":[1,2]}", "{\"id\":\"x\",\"vector\":\"[1,2]\"}",
            "{\"id\":\"x\",\"vector\":{\"0\":1}}",
            "{\"id\":\"x\",\"vector\":1}", "{\"id\":\"x\",\"vector\":[\"1\",2]}", "{\"id\":\"x\",\"vector\":[1,null]}",
            "{\"id\":\"x\",\"vector\":[[1,2]]}", "{\"id\":\"x\",\"vector\":[true,false]}",
            "{\"id\":\"x\",\"vector\":[1,2],\"metadata\":1}", "{\"id\":\"x\",\"vector\":[1,2],\"metadata\":[]}",
            "{\"id\":\"x\",\"vector\":[1,2],\"metadata\":\"{}\"}",
            "{\"id\":\"x\",\"vector\":[1,2],\"metadata\":{\"custom\":[]}}",
            "{\"id\":\"x\",\"vector\":[1,2],\"metadata\":{\"published_date\":5}}",
            // Numbers that JSON does not know, or float32 cannot hold.
            "{\"id\":\"x\",\"vector\":[01,2]}", "{\"id\":\"x\",\"vector\":[1.,2]}", "{\"id\":\"x\",\"vector\":[.5,2]}",
            "{\"id\":\"x\",\"vector\":[+1,2]}", "{\"id\":\"x\",\"vector\":[1e,2]}", "{\"id\":\"x\",\"vector\":[1e+,2]}",
            "{\"id\":\"x\",\"vector\":[-,2]}", "{\"id\":\"x\",\"vector\":[0x1,2]}", "{\"id\":\"x\",\"vector\":[NaN,2]}",
            "{\"id\":\"x\",\"vector\":[Infinity,2]}", "{\"id\":\"x\",\"vector\":[1e39,2]}",
            "{\"id\":\"x\",\"vector\":[-1e400,2]}",
            "{\"id\":\"x\",\"vector\":[1 2]}", "{\"id\":\"x\",\"vector\":[1,,2]}", "{\"id\":\"x\",\"vector\":[,1,2]}",
            "{\"id\":\"x\",\"vector\":[1,2,]}", "{\"id\":\"x\",\"vector\":[1,2}", "{\"id\":\"x\",\"vector\":[1_0,2]}",
            // Strings that are none.
            "{\"id\":\"x\ny\",\"vector\":[1,2]}", "{\"id\":\"\\x\",\"vector\":[1,2]}",
            "{\"id\":\"\\u12\",\"vector\":[1,2]}",
            "{\"id\":\"\\ud800\",\"vector\":[1,2]}", "{\"id\":\"\\udc00\\ud800\",\"vector\":[1,2]}",
            "{\"id\":\"x\\\",\"vector\":[1,2]}", "{\"id\":\"x\",\"other\":\"\u{1}\",\"vector\":[1,2]}",
            // Right as JSON, wrong as a vector.
            "{\"id\":\"x\",\"vector\":[1]}", "{\"id\":\"x\",\"vector\":[1,2,3]}", "{\"id\":\"x\",\"vector\":[]}",
            "{\"id\":\"x\"}",
            "{\"vector\":[1,2]}", "{\"id\":\"\",\"vector\":[1,2]}", "{}",
            "{\"id\":\"\(String(repeating: "x", count: 513))\",\"vector\":[1,2]}",
            // Too deep, too much.
            "{\"id\":\"x\",\"vector\":[1,2],\"metadata\":{\"custom\":" + String(repeating: "{\"a\":", count: 100) + "1"
                + String(repeating: "}", count: 100) + "}}",
            "{\"id\":\"x\",\"vector\":[1,2],\"other\":" + String(repeating: "[", count: 100_000)
                + String(repeating: "]", count: 100_000) + "}",
            "{\"id\":\"x\",\"vector\":[1,2],\"metadata\":{\"custom\":{\"a\":\"\(String(repeating: "x", count: 1 << 20))\"}}}",
            "{\"id\":\"x\",\"vector\":[" + String(repeating: "1,", count: 70_000) + "1]}",
        ]

        /// Bodies that are not even UTF-8.
        private static let badBytes: [[UInt8]] = [
            Array("{\"id\":\"".utf8) + [0xFF] + Array("\",\"vector\":[1,2]}".utf8),
            Array("{\"id\":\"".utf8) + [0xC0, 0x80] + Array("\",\"vector\":[1,2]}".utf8),
            Array("{\"id\":\"".utf8) + [0xED, 0xA0, 0x80] + Array("\",\"vector\":[1,2]}".utf8),
            Array("{\"id\":\"".utf8) + [0xE2, 0x82] + Array("\",\"vector\":[1,2]}".utf8),
            Array("{\"id\":\"x\",\"vector\":[1,2],\"metadata\":{\"custom\":{\"a\":\"".utf8) + [0xF5, 0x80, 0x80, 0x80]
                + Array("\"}}}".utf8),
            [0xFE, 0xFF, 0x00, 0x7B], [0x00], [0x1F, 0x8B, 0x08, 0x00],
        ]

        /// Whole requests: method, path, body, and the status.
        private static let badRequests: [(String, String, String?, ClosedRange<Int>)] = [
            ("POST", "/api/indexes/a%2Fb", #"{"dimensions":2}"#, 400...400),
            ("POST", "/api/indexes/..", #"{"dimensions":2}"#, 400...404),
            ("POST", "/api/indexes/%2E%2E", #"{"dimensions":2}"#, 400...404),
            ("POST", "/api/indexes/a%00b", #"{"dimensions":2}"#, 400...400),
            ("POST", "/api/indexes/a%20b", #"{"dimensions":2}"#, 400...400),
            ("POST", "/api/indexes/%C3%A9", #"{"dimensions":2}"#, 400...400),
            ("POST", "/api/indexes/" + String(repeating: "x", count: 129), #"{"dimensions":2}"#, 400...400),
            ("POST", "/api/indexes/%zz", #"{"dimensions":2}"#, 400...400),
            ("POST", "/api/indexes/%", #"{"dimensions":2}"#, 400...400),
            ("POST", "/api/indexes/%2", #"{"dimensions":2}"#, 400...400),
            ("POST", "/api/indexes/a", #"{"dimensions":2}"#, 409...409),
            ("POST", "/api/indexes/b", #"{"dimensions":"2"}"#, 400...400),
            ("POST", "/api/indexes/b", #"{"dimensions":[2]}"#, 400...400),
            ("POST", "/api/indexes/b", #"{"dimensions":2.5}"#, 400...400),
            ("POST", "/api/indexes/b", #"{"dimensions":1000000}"#, 400...400),
            ("POST", "/api/indexes/b", nil, 400...400),
            ("GET", "/api/indexes/a/vectors/%FF", nil, 400...404),
            ("GET", "/api/indexes/a/vectors/" + String(repeating: "x", count: 600), nil, 400...404),
            ("PUT", "/api/indexes/a/vectors/kept", #"{"vector":[1,2,3]}"#, 400...400),
            ("PUT", "/api/indexes/a/vectors/kept", #"{"vector":[1,"2"]}"#, 400...400),
            ("PUT", "/api/indexes/a/vectors/kept", nil, 400...400),
            ("PUT", "/api/indexes/a/vectors/absent", #"{"vector":[1,2]}"#, 404...404),
            ("DELETE", "/api/indexes/a/vectors/absent", nil, 404...404),
            ("POST", "/api/indexes/a/vectors/bulk", #"{"vectors":{}}"#, 400...400),
            ("POST", "/api/indexes/a/vectors/bulk", #"{"vectors":[1]}"#, 400...400),
            ("POST", "/api/indexes/a/vectors/bulk", #"{"vectors":[{"id":"x","vector":[1,2]},]}"#, 400...400),
            ("POST", "/api/indexes/a/vectors/bulk", #"{"vectors":[{"id":"x","vector":[1,2]}]} x"#, 400...400),
            ("POST", "/api/indexes/a/vectors/bulk", "{", 400...400),
            ("POST", "/api/indexes/a/search", #"{"vector":[1,2],"k":"x"}"#, 400...400),
            ("POST", "/api/indexes/a/search", #"{"vector":[1,2],"k":1.5}"#, 400...400),
            ("POST", "/api/indexes/a/search", #"{"vector":[1,2],"recency_boost":5}"#, 400...400),
            ("POST", "/api/indexes/a/search", #"{"vector":[1e39,2]}"#, 400...400),
            ("POST", "/api/indexes/a/search", #"{"vector":[1,2]"#, 400...400),
        ]

        /// Requests that are not HTTP, or must not be taken for two.
        private static let badFraming: [String] = [
            "GET\r\n\r\n", "\r\n\r\n\r\nx\r\n\r\n", "GET /api/health\r\n\r\n", "GET /api/health HTTP/9.9\r\n\r\n",
            "G\u{1}T / HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /api/indexes/z HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
            "POST /api/indexes/z HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            "POST /api/indexes/z HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST /api/indexes/z HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\nContent-Length: 5\r\n\r\n{\"dimensions\":2}",
            """
            POST /api/indexes/z HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\nTransfer-Encoding: chunked\r\n\r\n\
            {"dimensions":2}
            """,
            "POST /api/indexes/z HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n{\"dimensions\":2}",
            "POST /api/indexes/z HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{\"dimensions\":2}\r\n0\r\n\r\n",
            "GET /api/health HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
            "GET /api/health HTTP/1.1\r\nHost: x\r\nX-Long: \(String(repeating: "x", count: 200_000))\r\n\r\n",
            "GET /\(String(repeating: "x", count: 200_000)) HTTP/1.1\r\nHost: x\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u{16}\u{3}\u{1}\u{0}\u{5}hello\r\n\r\n",
        ]

        @Test func nothingIsTakenAndNothingIsChanged() throws {
            let api = try API(["bulk-cpu-threshold-percent": "0", "read-timeout": "2s"])
            try api.createIndex("a", 2)
            try api.add("a", "kept", [1, 2], metadata: #"{"custom":{"x":1}}"#)
            try api.stop()
            let before = try Logdump.digest(api.node.dataPath)
            try api.start()

            for body in Self.badVectorBodies {
                let response = try api.post("/api/indexes/a/vectors", body)
                #expect((400..<500).contains(response.status), "\(body.prefix(80)): \(response)")
                #expect(response.error?.isEmpty == false, "\(body.prefix(80)): \(response)")
            }
            for bytes in Self.badBytes {
                let response = try api.http.request("POST", "/api/indexes/a/vectors", body: bytes)
                #expect(response.status == 400 && response.error?.isEmpty == false, "\(bytes.prefix(40)): \(response)")
            }
            for (method, path, body, statuses) in Self.badRequests {
                let response = try api.http.request(method, path, body: body.map { Array($0.utf8) })
                #expect(statuses.contains(response.status), "\(method) \(path.prefix(60)) \(body ?? ""): \(response)")
            }
            for text in Self.badFraming {
                let client = HTTPClient(port: api.node.port, timeoutSeconds: 10)
                // The server may refuse before it has read everything.
                try? client.send(text)
                client.closeSending()
                if let response = try? client.receive() {
                    #expect((400..<506).contains(response.status), "\(text.prefix(60)): \(response)")
                }
                #expect(client.isClosedByServer(withinSeconds: 10), "\(text.prefix(60))")
            }

            try expect(api.get("/api/health"), data: #"{"status":"healthy","service":"springg"}"#)
            try expect(api.get("/api/indexes"), data: #"[{"name":"a","dimensions":2,"count":1}]"#)
            try expect(api.vector("a", "kept"), data: #"{"id":"kept","vector":[1,2],"metadata":{"custom":{"x":1}}}"#)
            try api.stop()
            #expect(try Logdump.digest(api.node.dataPath) == before)
        }
    }
}
