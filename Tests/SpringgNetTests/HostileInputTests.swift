import SpringgLog
import SpringgNet
import SpringgProjections
import SpringgTestKit
import Testing

/// Some hundred requests that nobody should send: each has its status, and none leaves a trace.
@Suite struct HostileInputTests {
    private struct Case: Sendable {
        var method = "POST"
        var path: String
        var headers: [(name: String, value: String)] = []
        var body: [UInt8]?
        var status: Int
    }

    /// Bodies that are not JSON, or not of the kind that anything takes.
    private static let bodies: [String] = {
        let deep = String(repeating: "[", count: 100_000)
        return [
            "", " ", "null", "true", "0", "\"\"", "[]", "[[]]", "{", "}", "{]", "[}", "{,}", "{\"a\"}", "{\"a\":}",
            "{\"a\":1,}",
            "{'a':1}", "{a:1}", "{\"a\":1}{\"a\":1}", "{\"a\":1} x", "\u{FEFF}{}", "\u{0}", "{\u{0}}", "// {}",
            "/* */{}",
            "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":-}", "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":1e}",
            "{\"a\":0x1}",
            "{\"a\":+1}", "{\"a\":tru}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"", "{\"a\":[1,2", "{\"a\":{\"b\":", deep, "{\"a\":\(deep)", "{\"vector\":[\"1\"]}",
            "{\"vector\":[null]}",
            "{\"vector\":[[1]]}", "{\"vector\":{}}", "{\"vector\":\"1,2\"}", "{\"vector\":true}", "{\"vector\":[1 2]}",
            "{\"vector\":[1,,2]}",
        ]
    }()

    /// Bytes that are not UTF-8, in a string.
    private static let binary: [[UInt8]] = [
        [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82],
    ]

    private static var cases: [Case] {
        var cases: [Case] = []
        let paths = [
            "/api/indexes/new", "/api/indexes/a/vectors", "/api/indexes/a/vectors/bulk", "/api/indexes/a/search",
            "/api/indexes/a/search/batch", "/api/marks",
        ]
        for path in paths {
            for body in bodies {
                cases.append(Case(path: path, body: Array(body.utf8), status: 400))
            }
            for bytes in binary {
                let body = Array("{\"id\":\"".utf8) + bytes + Array("\",\"vector\":[1,2]}".utf8)
                cases.append(Case(path: path, body: body, status: 400))
            }
        }
        for body in bodies {
            cases.append(Case(method: "PUT", path: "/api/indexes/a/vectors/x", body: Array(body.utf8), status: 400))
        }
        let names = [
            ".", "..", "%2e%2e", "%2F", "a%00", "a%0a", "a%20b", "a+b", "é", "%C3%A9", "%FF",
            String(repeating: "n", count: 129), "a;b",
            "a%25", "%5C", "%22", "a'", "<script>", "${x}", "%7B%7D",
        ]
        for name in names {
            for (method, rest, body) in [("POST", "", #"{"dimensions":2}"#), ("POST", "/search", #"{"vector":[1,2]}"#)]
            {
                cases.append(
                    Case(method: method, path: "/api/indexes/\(name)\(rest)", body: Array(body.utf8), status: 400)
                )
            }
        }
        for name in ["%", "%1", "%g1", "%%"] {
            cases.append(Case(method: "GET", path: "/api/indexes/\(name)/stats", status: 400))
            cases.append(Case(method: "DELETE", path: "/api/indexes/a/vectors/\(name)", status: 400))
        }
        for path in [
            "//", "/api", "/api/", "/api/indexes/", "/api/indexes//vectors", "/api/indexes/a/",
            "/api/indexes/a/vectors/",
            "/api/indexes/a/vectors/x/y", "/API/indexes", "/api/indexes/a/vectors/x/y/z/../..", "/internal",
            "/internal/sync/a",
            "/etc/passwd", "/..%2f..%2fetc/passwd", "/metrics/", "/livez/x", "/.git/config",
            "/api/indexes/a/search/batch/x",
        ] {
            cases.append(Case(method: "GET", path: path, status: 404))
        }
        for method in ["PATCH", "HEAD", "TRACE", "PROPFIND", "DELETE"] {
            cases.append(Case(method: method, path: "/api/indexes/a/search", status: 405))
        }
        for numbers in [
            "[1e39,0]", "[1e999,0]", "[-1e400,1]", "[1]", "[1,2,3]", "[]", "null",
            "[\(String(repeating: "1,", count: 70_000))1]",
        ] {
            cases.append(
                Case(path: "/api/indexes/a/vectors", body: Array(#"{"id":"x","vector":\#(numbers)}"#.utf8), status: 400)
            )
            cases.append(Case(path: "/api/indexes/a/search", body: Array(#"{"vector":\#(numbers)}"#.utf8), status: 400))
        }
        for member in [
            #""k":10001"#, #""k":1.5"#, #""k":"3""#, #""k":99999999999999999999"#, #""ef":0"#, #""ef":2001"#,
            #""ef":[]"#,
            #""explain":1"#, #""recency_boost":[]"#, #""recency_boost":{"recent_days":"x"}"#,
            #""include_vector":"yes""#,
        ] {
            cases.append(
                Case(path: "/api/indexes/a/search", body: Array(#"{"vector":[1,2],\#(member)}"#.utf8), status: 400)
            )
        }
        for member in [
            #""dimensions":0"#, #""dimensions":-1"#, #""dimensions":65537"#, #""dimensions":2.5"#, #""dimensions":1e3"#,
            #""dimensions":2,"m":1"#, #""dimensions":2,"ef":1"#, #""dimensions":2,"quantization":"int1""#,
            #""dimensions":2,"quantization":[]"#, #""dimensions":2,"ef_construction":99999"#,
        ] {
            cases.append(Case(path: "/api/indexes/new", body: Array("{\(member)}".utf8), status: 400))
        }
        for id in ["{}", "[\"x\"]", "7", "true"] {
            let body = Array("{\"id\":\(id),\"vector\":[1,2]}".utf8)
            cases.append(Case(path: "/api/indexes/a/vectors", body: body, status: 400))
        }
        for id in ["", String(repeating: "x", count: 513)] {
            cases.append(
                Case(path: "/api/indexes/a/vectors", body: Array(#"{"id":"\#(id)","vector":[1,2]}"#.utf8), status: 400)
            )
        }
        for metadata in [
            "[]", "7", #""x""#, #"{"custom":[]}"#, #"{"published_date":{}}"#,
            #"{"custom":{"a":\#(String(repeating: "[", count: 70))}}"#,
        ] {
            cases.append(
                Case(
                    path: "/api/indexes/a/vectors",
                    body: Array(#"{"id":"x","vector":[1,2],"metadata":\#(metadata)}"#.utf8),
                    status: 400
                )
            )
        }
        for type in ["application/vnd.springg.f32", "APPLICATION/VND.SPRINGG.F32; x=y"] {
            for path in ["search", "search/batch", "vectors/bulk"] {
                for count in [1, 3, 7, 9, 15] {
                    cases.append(
                        Case(
                            path: "/api/indexes/a/\(path)",
                            headers: [(name: "Content-Type", value: type)],
                            body: Array(repeating: 0xFF, count: count),
                            status: 400
                        )
                    )
                }
            }
        }
        return cases
    }

    @Test func nothingLeavesATrace() async throws {
        let cases = Self.cases
        #expect(cases.count >= 300)
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            #expect(try client.request("POST", "/api/indexes/a/vectors", #"{"id":"x","vector":[1,2]}"#).status == 200)
            let (digest, marks) = (server.database.digest, server.database.log.watermarks)
            for hostile in cases {
                let client = server.client()
                let answer = try client.request(
                    hostile.method,
                    hostile.path,
                    headers: hostile.headers,
                    body: hostile.body
                )
                let text = String(decoding: hostile.body?.prefix(80) ?? [], as: UTF8.self)
                #expect(answer.status == hostile.status, "\(hostile.method) \(hostile.path) \(text): \(answer)")
                if hostile.status == 400 {
                    #expect(answer.code != nil, "\(hostile.method) \(hostile.path) \(text): \(answer)")
                }
                #expect(
                    server.database.digest == digest && server.database.log.watermarks == marks,
                    "\(hostile.path) \(text)"
                )
            }
            #expect(try client.request("GET", "/readyz").status == 200)
        }
    }
}
