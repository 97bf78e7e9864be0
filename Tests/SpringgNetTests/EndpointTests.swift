import SpringgNet
import SpringgProjections
import SpringgTestKit
import Testing

/// What the API promises, asked of a live server.
@Suite struct EndpointTests {
    private func expect(
        _ client: HTTPClient,
        _ method: String,
        _ path: String,
        _ body: String?,
        status: Int = 200,
        _ text: Expected,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let response = try client.request(method, path, body)
        #expect(response.status == status, "\(method) \(path) \(body ?? "")", sourceLocation: sourceLocation)
        let expected = try JSONValue(text: text.json)
        if let error = expected["error"] {
            // Which code stands beside a text is for ErrorTests.
            #expect(response.error == error.string, sourceLocation: sourceLocation)
        } else {
            #expect(try JSONValue(response.body).without("receipt") == expected, sourceLocation: sourceLocation)
        }
        #expect(response.header("content-type") == "application/json", sourceLocation: sourceLocation)
    }

    private func expect(
        _ client: HTTPClient,
        _ method: String,
        _ path: String,
        status: Int = 200,
        _ text: Expected,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        try expect(client, method, path, nil, status: status, text, sourceLocation: sourceLocation)
    }

    /// A whole answer: a type of its own, so that it is not taken for a body.
    private struct Expected {
        let json: String
    }

    private func success(_ data: String) -> Expected { Expected(json: #"{"status":"success","data":\#(data)}"#) }

    private func failure(_ text: String) -> Expected {
        Expected(json: #"{"status":"error","error":\#(JSONValue.quoted(text))}"#)
    }

    @Test func indexesAreMadeListedDescribedAndDeleted() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            try expect(
                client,
                "GET",
                "/api/health",
                success(#"{"status":"healthy","service":"springg"}"#)
            )
            try expect(client, "GET", "/api/indexes", success("[]"))
            try expect(
                client,
                "POST",
                "/api/indexes/b",
                #"{"dimensions":3}"#,
                success(#"{"name":"b","dimensions":3,"created":true}"#)
            )
            try expect(
                client,
                "POST",
                "/api/indexes/a.B_9-",
                #" {"Dimensions" : 4, "x": {"dimensions": 9}} "#,
                success(#"{"name":"a.B_9-","dimensions":4,"created":true}"#)
            )
            try expect(
                client,
                "POST",
                "/api/indexes/b",
                #"{"dimensions":3}"#,
                status: 409,
                failure("index b already exists")
            )
            try expect(
                client,
                "GET",
                "/api/indexes",
                success(#"[{"name":"a.B_9-","dimensions":4,"count":0},{"name":"b","dimensions":3,"count":0}]"#)
            )
            #expect(try client.request("POST", "/api/indexes/b/vectors", #"{"id":"1","vector":[1,2,3]}"#).status == 200)
            let stats = try client.request("GET", "/api/indexes/b/stats").data()
            #expect(stats["name"]?.string == "b" && stats["dimensions"]?.int == 3)
            #expect(stats["count"]?.int == 1 && stats["vector_count"]?.int == 1)
            #expect(stats["dirty"]?.bool == true && stats["conflicts"]?.int == 0 && stats["tombstones"]?.int == 0)
            #expect(stats["digest"]?.string?.utf8.count == 32)
            #expect(try #require(stats["memory_bytes"]?.int) > 12)
            #expect(try #require(stats["memory_mb"]?.double) > 0)
            #expect(try #require(stats["disk_size"]?.int) > 12)
            let graph = try #require(stats["graph"])
            #expect(graph.keys == ["last_sweep_relinked", "relinked", "seconds_since_sweep", "sweeps"])
            // One vector is no graph, and its searches are exact: nothing was swept, nothing probed.
            #expect(graph["sweeps"]?.int == 0)
            #expect(graph["seconds_since_sweep"]?.isNull == true)
            let probe = try #require(stats["recall_probe"])
            #expect(probe.keys == ["abandoned", "recall", "samples", "total"])
            #expect(probe["samples"]?.int == 0 && probe["recall"]?.isNull == true)
            try expect(client, "DELETE", "/api/indexes/b", success(#"{"name":"b","deleted":true}"#))
            try expect(client, "DELETE", "/api/indexes/b", status: 404, failure("index b not found"))
            try expect(client, "GET", "/api/indexes/b/stats", status: 404, failure("index b not found"))
        }
    }

    @Test func anIndexNeedsANameAndDimensions() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            let positive = failure("Dimensions must be positive")
            for body in ["{}", #"{"dimensions":0}"#, #"{"dimensions":-1}"#, #"{"dimensions":null}"#] {
                try expect(client, "POST", "/api/indexes/a", body, status: 400, positive)
            }
            let invalid = failure("Invalid request body")
            for body in [
                "", "[]", #"{"dimensions":"3"}"#, #"{"dimensions":4} xx"#, #"{"dimensions":4}{}"#,
                #"{"dimensions":3.5}"#,
                #"{"dimensions":18446744073709551620}"#, #"{"dimensions":03}"#, #"{"dimensions":3,}"#,
                "{'dimensions':3}",
            ] {
                try expect(client, "POST", "/api/indexes/a", body, status: 400, invalid)
            }
            // 2^32 + 4 was once taken for 4.
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":4294967300}"#).status == 400)
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":65537}"#).status == 400)
            for name in ["..", ".", "a%2Fb", "a%20b", "%00", "%C3%A9", String(repeating: "a", count: 129)] {
                let response = try client.request("POST", "/api/indexes/\(name)", #"{"dimensions":3}"#)
                #expect(response.status == 400)
                #expect(response.error?.hasPrefix("invalid index name: ") == true)
            }
            try expect(client, "GET", "/api/indexes", success("[]"))
            let longest = String(repeating: "a", count: 128)
            #expect(try client.request("POST", "/api/indexes/\(longest)", #"{"dimensions":65536}"#).status == 200)
        }
    }

    @Test func aVectorComesBackAsItWasSent() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":4}"#).status == 200)
            let metadata =
                #"{"published_date":"2024-01-15","modified_date":"2024-01-20","custom":{"t":"é\n","n":[1.50]}}"#
            try expect(
                client,
                "POST",
                "/api/indexes/a/vectors",
                #"{"id":"doc-1","vector":[3, -0.1, 1e-45, 16777217],"metadata":\#(metadata),"extra":[{}]}"#,
                success(#"{"id":"doc-1","added":true}"#)
            )
            try expect(
                client,
                "GET",
                "/api/indexes/a/vectors/doc-1",
                success(#"{"id":"doc-1","vector":[3,-0.1,1e-45,16777216],"metadata":\#(metadata)}"#)
            )
            // An existing id is replaced, metadata and all.
            try expect(
                client,
                "POST",
                "/api/indexes/a/vectors",
                #"{"id":"doc-1","vector":[1,2,3,4]}"#,
                success(#"{"id":"doc-1","added":true}"#)
            )
            try expect(
                client,
                "GET",
                "/api/indexes/a/vectors/doc-1",
                success(#"{"id":"doc-1","vector":[1,2,3,4]}"#)
            )
            try expect(
                client,
                "PUT",
                "/api/indexes/a/vectors/doc-1",
                #"{"id":7,"vector":[4,3,2,1],"metadata":{"custom":{}}}"#,
                success(#"{"id":"doc-1","updated":true}"#)
            )
            try expect(
                client,
                "GET",
                "/api/indexes/a/vectors/doc-1",
                success(#"{"id":"doc-1","vector":[4,3,2,1],"metadata":{"custom":{}}}"#)
            )
            try expect(
                client,
                "DELETE",
                "/api/indexes/a/vectors/doc-1",
                success(#"{"id":"doc-1","deleted":true}"#)
            )
            let gone = failure("vector doc-1 not found")
            try expect(client, "GET", "/api/indexes/a/vectors/doc-1", status: 404, gone)
            try expect(client, "DELETE", "/api/indexes/a/vectors/doc-1", status: 404, gone)
            try expect(
                client,
                "PUT",
                "/api/indexes/a/vectors/doc-1",
                #"{"vector":[4,3,2,1]}"#,
                status: 404,
                gone
            )
        }
    }

    @Test func idsAreAnyTextThatFits() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            let longest = String(repeating: "é", count: 256)
            for id in ["a/b", "..", "bulk", "50% \"off\"", "日本語 🎉", "\u{1}\n", "?x=1#y", longest] {
                let path =
                    "/api/indexes/a/vectors/"
                    + id.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                let quoted = JSONValue.quoted(id)
                try expect(
                    client,
                    "POST",
                    "/api/indexes/a/vectors",
                    #"{"id":\#(quoted),"vector":[1]}"#,
                    success(#"{"id":\#(quoted),"added":true}"#)
                )
                try expect(client, "GET", path, success(#"{"id":\#(quoted),"vector":[1]}"#))
                try expect(client, "DELETE", path, success(#"{"id":\#(quoted),"deleted":true}"#))
            }
            let tooLong = longest + "x"
            #expect(
                try client.request("POST", "/api/indexes/a/vectors", #"{"id":"\#(tooLong)","vector":[1]}"#).error
                    == "ID is 513 bytes long, at most 512 are allowed"
            )
            #expect(try client.request("GET", "/api/indexes/a/vectors/%FF").status == 400)
            #expect(try client.request("GET", "/api/indexes/a/vectors/%F").status == 400)
        }
    }

    @Test func bodiesAreReadStrictly() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            let table: [(String, String)] = [
                (#"{"vector":[1,2]}"#, "ID is required"),
                (#"{"id":"","vector":[1,2]}"#, "ID is required"),
                (#"{"id":null,"vector":[1,2]}"#, "ID is required"),
                (#"{"id":"x"}"#, "Vector is required"),
                (#"{"id":"x","vector":null}"#, "Vector is required"),
                (#"{"id":"x","vector":[]}"#, "Vector is required"),
                (#"{"id":"x","vector":[1]}"#, "vector dimension mismatch: expected 2, got 1"),
                (#"{"id":"x","vector":[1,2,3]}"#, "vector dimension mismatch: expected 2, got 3"),
                (#"{"id":"x","vector":[1,3.5e38]}"#, "vector holds a number that is not a finite float32"),
                (#"{"id":"x","vector":[1,1e999]}"#, "vector holds a number that is not a finite float32"),
                ("", "Invalid request body"),
                ("null", "Invalid request body"),
                (#"{"id":"x","vector":[1,2]} x"#, "Invalid request body"),
                (#"{"id":"x","vector":[1,2]"#, "Invalid request body"),
                (#"{"id":1,"vector":[1,2]}"#, "Invalid request body"),
                (#"{"id":"x","vector":[1,"2"]}"#, "Invalid request body"),
                (#"{"id":"x","vector":[1,null]}"#, "Invalid request body"),
                (#"{"id":"x","vector":[1,2,]}"#, "Invalid request body"),
                (#"{"id":"x","vector":[1,NaN]}"#, "Invalid request body"),
                (#"{"id":"x","vector":[1,02]}"#, "Invalid request body"),
                (#"{"id":"x","vector":{"a":1}}"#, "Invalid request body"),
                (#"{"id":"\ud800","vector":[1,2]}"#, "Invalid request body"),
                (#"{"id":"x","vector":[1,2],"metadata":[]}"#, "Invalid request body"),
                (#"{"id":"x","vector":[1,2],"metadata":{"published_date":7}}"#, "Invalid request body"),
                (#"{"id":"x","vector":[1,2],"metadata":{"custom":"a"}}"#, "Invalid request body"),
                (#"{"id":"x","vector":[1,2],"unknown":{"a":[1,}}"#, "Invalid request body"),
                (
                    #"{"id":"x","vector":[1,2],"unknown":"# + String(repeating: "[", count: 100_000),
                    "Invalid request body"
                ),
            ]
            for (body, error) in table {
                let response = try client.request("POST", "/api/indexes/a/vectors", body)
                #expect(response.status == 400 && response.error == error, "\(body.prefix(80))")
            }
            #expect(try client.request("GET", "/api/indexes").data()[0]?["count"]?.int == 0)
            // Names in any case, the last of two, null like nothing, unknown members dropped.
            #expect(
                try client.request(
                    "POST",
                    "/api/indexes/a/vectors",
                    #"{"ID":"w","id":"x","Vector":[9,9,9],"VECTOR":[1,2],"metadata":{"custom":{"a":1}},"#
                        + #""Metadata":{"published_date":null,"Modified_Date":"d","other":1}}"#
                ).status == 200
            )
            try expect(
                client,
                "GET",
                "/api/indexes/a/vectors/x",
                success(#"{"id":"x","vector":[1,2],"metadata":{"modified_date":"d"}}"#)
            )
        }
    }

    @Test func metadataHasALimit() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            func add(_ bytes: Int) throws -> HTTPResponse {
                let text = String(repeating: "m", count: bytes)
                return try client.request(
                    "POST",
                    "/api/indexes/a/vectors",
                    #"{"id":"x","vector":[1],"metadata":{"custom":{"t":"\#(text)"}}}"#
                )
            }
            #expect(try add((1 << 20) - 100).status == 200)
            let got = try client.request("GET", "/api/indexes/a/vectors/x").data()
            #expect(got["metadata"]?["custom"]?["t"]?.string?.utf8.count == (1 << 20) - 100)
            #expect(try add(1 << 20).error == "metadata is too large, at most 1048576 bytes are allowed")
        }
    }

    @Test func bulkAnswersForEachVector() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            let path = "/api/indexes/a/vectors/bulk"
            try expect(client, "POST", path, #"{"vectors":[{"id":"1"}]}"#, status: 404, failure("index a not found"))
            try expect(client, "POST", path, "{", status: 400, failure("Invalid request body"))
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            for body in ["{}", #"{"vectors":[]}"#, #"{"vectors":null}"#] {
                try expect(client, "POST", path, body, status: 400, failure("At least one vector is required"))
            }
            for body in ["", "[]", #"{"vectors":{}}"#, #"{"vectors":[7]}"#, #"{"vectors":[{"id":7}]}"#] {
                try expect(client, "POST", path, body, status: 400, failure("Invalid request body"))
            }
            try expect(
                client,
                "POST",
                path,
                #"{"vectors":[{"id":"1","vector":[1,2]},{"id":"2","vector":[2,1]}]}"#,
                success(#"{"total":2,"success":2,"failed":0}"#)
            )
            try expect(
                client,
                "POST",
                path,
                #"{"vectors":[{"id":"1","vector":[1,2]},{"id":"2","vector":[1]},{"vector":[1,2]},null,{"id":"3"},"#
                    + #"{"id":"4","vector":[1,1e99],"metadata":{}},{"id":"5","vector":[5,5]}]}"#,
                success(
                    #"{"total":7,"success":2,"failed":5,"errors":["#
                        + #"{"index":1,"id":"2","error":"vector dimension mismatch: expected 2, got 1"},"#
                        + #"{"index":2,"error":"ID is required"},{"index":3,"error":"ID is required"},"#
                        + #"{"index":4,"id":"3","error":"Vector is required"},"#
                        + #"{"index":5,"id":"4","error":"vector holds a number that is not a finite float32"}]}"#
                )
            )
            #expect(try client.request("GET", "/api/indexes").data()[0]?["count"]?.int == 3)
        }
    }

    @Test func aLargeBulkRequestDoesNotHoldUpItsEventLoop() async throws {
        try await TestServer.run({ $0.ioThreads = 1 }) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":64}"#).status == 200)
            let vector = "[" + (0..<64).map { "0.\($0)1234567" }.joined(separator: ",") + "]"
            let vectors = (0..<5000).map { #"{"id":"v\#($0)","vector":\#(vector)}"# }
            let body = #"{"vectors":["# + vectors.joined(separator: ",") + "]}"
            try expect(
                client,
                "POST",
                "/api/indexes/a/vectors/bulk",
                body,
                success(#"{"total":5000,"success":5000,"failed":0}"#)
            )
            let hits = try client.request("POST", "/api/indexes/a/search", #"{"vector":\#(vector),"k":20}"#).data()
            #expect(hits.array?.count == 20)
            // All are equally near: then the order of the ids' bytes decides.
            #expect(hits[0]?["id"]?.string == "v0" && hits[1]?["id"]?.string == "v1")
            #expect(hits[2]?["id"]?.string == "v10")
        }
    }

    @Test func searchesFindTheNearest() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            let path = "/api/indexes/a/search"
            try expect(client, "POST", path, #"{"vector":[1,0]}"#, status: 404, failure("index a not found"))
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            try expect(client, "POST", path, #"{"vector":[1,0]}"#, success("[]"))
            let rows = [
                #"{"id":"east","vector":[2,0],"metadata":{"published_date":"2020-01-01","custom":{"n":1}}}"#,
                #"{"id":"north","vector":[0,5],"metadata":{"published_date":"2999-01-01"}}"#,
                #"{"id":"west","vector":[-1,0],"metadata":{"published_date":"2999-01-01"}}"#,
                #"{"id":"northeast","vector":[1,1]}"#,
            ]
            for row in rows {
                #expect(try client.request("POST", "/api/indexes/a/vectors", row).status == 200)
            }
            let east = #"{"id":"east","score":1,"metadata":{"published_date":"2020-01-01","custom":{"n":1}}}"#
            let northeast = #"{"id":"northeast","score":0.70710677}"#
            try expect(client, "POST", path, #"{"vector":[1,0],"k":2}"#, success("[\(east),\(northeast)]"))
            let all = try client.request("POST", path, #"{"vector":[1,0]}"#).data()
            #expect(all.array?.compactMap { $0["id"]?.string } == ["east", "northeast", "north", "west"])
            #expect(all[3]?["score"]?.double == -1)
            for k in ["0", "-3", "null"] {
                #expect(try client.request("POST", path, #"{"vector":[1,0],"k":\#(k)}"#).data().array?.count == 4)
            }
            let table: [(String, String)] = [
                (#"{"vector":[1,0],"k":10001}"#, "k must be at most 10000"),
                (#"{"vector":[1]}"#, "query dimension mismatch: expected 2, got 1"),
                (#"{"k":3}"#, "Vector is required"),
                (#"{"vector":[1,1e39]}"#, "vector holds a number that is not a finite float32"),
                (#"{"vector":[1,0],"k":1.5}"#, "Invalid request body"),
                (#"{"vector":[1,0],"k":"3"}"#, "Invalid request body"),
                (#"{"vector":[1,0],"recency_boost":7}"#, "Invalid request body"),
                (#"{"vector":[1,0],"recency_boost":{"recent_days":"7"}}"#, "Invalid request body"),
            ]
            for (body, error) in table {
                try expect(client, "POST", path, body, status: 400, failure(error))
            }
        }
    }

    @Test func recentVectorsCanRankHigher() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            for (id, vector, date) in [("old", "[1,0.1]", "2020-01-01"), ("new", "[1,1]", "2999-01-01")] {
                let body = #"{"id":"\#(id)","vector":\#(vector),"metadata":{"published_date":"\#(date)"}}"#
                #expect(try client.request("POST", "/api/indexes/a/vectors", body).status == 200)
            }
            func best(_ boost: String) throws -> String? {
                let body = #"{"vector":[1,0],"k":1,"recency_boost":\#(boost)}"#
                let hits = try client.request("POST", "/api/indexes/a/search", body).data()
                #expect(hits.array?.count == 1)
                return hits[0]?["id"]?.string
            }
            #expect(try best("null") == "old")
            #expect(
                try best(
                    #"{"field":"published_date","recent_days":7,"recent_multiplier":2,"medium_days":30,"medium_multiplier":1.1}"#
                )
                    == "new"
            )
            #expect(try best(#"{"field":"modified_date","recent_days":7,"recent_multiplier":2}"#) == "old")
            #expect(try best(#"{"field":"published_date","recent_days":7,"recent_multiplier":1.1}"#) == "old")
        }
    }
}
