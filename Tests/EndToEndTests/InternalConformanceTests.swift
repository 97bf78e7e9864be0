import SpringgTestKit
import Testing

extension EndToEnd {
    /// The routes under /internal, as nodes of the program before used them.
    @Suite struct InternalConformance {
        private static let cluster = ["cluster-enabled": "true"]

        private func replicate(_ api: API, _ message: String) throws -> HTTPResponse {
            try api.post("/internal/replicate", message)
        }

        @Test func replicatedOperationsAreCarriedOut() throws {
            let api = try API(Self.cluster)
            func succeed(_ message: String) throws {
                try expect(replicate(api, message), data: #"{"replicated":true}"#)
            }
            try succeed(#"{"operation":"create_index","index_name":"articles","dimensions":3}"#)
            // A create that is already there and a delete of nothing are what the sender wants.
            try succeed(#"{"operation":"create_index","index_name":"articles","dimensions":3}"#)
            try succeed(
                """
                {"operation":"add","index_name":"articles","vector_id":"doc-123","vector":[0.1,0.2,0.3],\
                "metadata":{"published_date":"2024-01-15"}}
                """
            )
            try expect(
                api.vector("articles", "doc-123"),
                data: #"{"id":"doc-123","vector":[0.1,0.2,0.3],"metadata":{"published_date":"2024-01-15"}}"#
            )
            try succeed(#"{"operation":"update","index_name":"articles","vector_id":"doc-123","vector":[1,2,3]}"#)
            try expect(api.vector("articles", "doc-123"), data: #"{"id":"doc-123","vector":[1,2,3]}"#)
            try succeed(#"{"operation":"delete","index_name":"articles","vector_id":"doc-123"}"#)
            #expect(try api.count("articles") == 0)
            try succeed(#"{"operation":"delete_index","index_name":"articles"}"#)
            try succeed(#"{"operation":"delete_index","index_name":"articles"}"#)
            try expect(api.get("/api/indexes"), data: "[]")
        }

        @Test func refusedOperationsSayWhy() throws {
            let api = try API(Self.cluster)
            expect(
                try replicate(api, #"{"operation":"frobnicate","index_name":"a"}"#),
                error: "unknown operation: frobnicate",
                status: 500
            )
            expect(
                try replicate(api, #"{"operation":"add","index_name":"a","vector_id":"x","vector":[1]}"#),
                error: "index not found: index a not found",
                status: 500
            )
            expect(try replicate(api, "{"), error: "Invalid request body", status: 400)
        }

        @Test func aBatchIsAnsweredWithWhatWasDone() throws {
            let api = try API(Self.cluster)
            try api.createIndex("a", 2)
            let messages = [
                #"{"operation":"add","index_name":"a","vector_id":"x","vector":[1,2]}"#,
                #"{"operation":"add","index_name":"nothing","vector_id":"y","vector":[1,2]}"#,
                #"{"operation":"add","index_name":"a","vector_id":"z","vector":[3,4]}"#,
            ]
            let response = try api.http.request(
                "POST",
                "/internal/replicate",
                headers: [(name: "X-Batch-Size", value: "3")],
                json: #"{"messages":[\#(messages.joined(separator: ","))]}"#
            )
            try expect(response, data: #"{"replicated":2,"errors":["y: index not found: index nothing not found"]}"#)
            #expect(try api.count("a") == 2)
            let bad = try api.http.request(
                "POST",
                "/internal/replicate",
                headers: [(name: "X-Batch-Size", value: "1")],
                json: "[]"
            )
            expect(bad, error: "Invalid batch request body", status: 400)
        }

        @Test func aNameThatIsAPathIsRefusedAndWritesNothingOutside() throws {
            let api = try API(Self.cluster)
            let before = try Files.list(api.node.directory)
            for name in ["../../x", "..", ".", "a/b", "/etc/x", "", "x\\u0000", String(repeating: "x", count: 129)] {
                let create = #"{"operation":"create_index","index_name":"\#(name)","dimensions":2}"#
                let add = #"{"operation":"add","index_name":"\#(name)","vector_id":"v","vector":[1,2]}"#
                for message in [create, add] {
                    let response = try replicate(api, message)
                    #expect(response.status >= 400 && response.error != nil, "\(name): \(response)")
                }
            }
            try expect(api.get("/api/indexes"), data: "[]")
            #expect(try Files.list(api.node.directory) == before)
        }

        @Test func withoutAClusterTheRoutesSayHowTheyAreOff() throws {
            let api = try API(["cluster-enabled": "false"])
            try api.createIndex("a", 2)
            expect(
                try replicate(api, #"{"operation":"delete_index","index_name":"a"}"#),
                error: "Replication not enabled",
                status: 503
            )
            expect(try api.get("/internal/cluster/status"), error: "Clustering not enabled", status: 503)
            #expect(try api.count("a") == 0)
        }

        @Test func statusShowsThisNode() throws {
            let api = try API(Self.cluster)
            try api.createIndex("a", 2)
            try api.add("a", "x", [1, 2])
            let status = try api.get("/internal/cluster/status").data()
            let node = try #require(status["responding_node"]?.string)
            #expect(status["cluster_size"]?.int == 1)
            let peer = try #require(status["peers"]?[node])
            #expect(peer["node_id"]?.string == node)
            #expect(peer["ip"]?.string?.isEmpty == false)
            #expect(peer["last_s3_sync"] == .string("0001-01-01T00:00:00Z"))
            #expect(peer["vector_count"]?.int == 1)
            #expect(peer["first_seen"]?.string?.hasPrefix("20") == true)
            #expect(peer["last_seen"]?.string?.hasPrefix("20") == true)
            #expect(try #require(status["memory"]?["total_mb"]?.double) >= 0)
            #expect(status["memory"]?["limit_mb"]?.double == 2048)
            #expect(try #require(status["memory"]?["usage_percent"]?.double) >= 0)
            #expect(status["memory"]?["per_index_mb"]?.keys == ["a"])
            #expect(try #require(status["qps"]?["total"]?.int) >= 2)
            #expect(try #require(status["qps"]?["last_minute"]?.double) >= 0)
        }

        @Test func internalIndexesAreTheList() throws {
            let api = try API(Self.cluster)
            try api.createIndex("a", 2)
            try expect(api.get("/internal/indexes"), data: #"[{"name":"a","dimensions":2,"count":0}]"#)
        }

        /// Blocks of 1,000 in byte order of the ids, each with the hash that a node of the program before computes.
        @Test func manifestAndBlocksDescribeEveryVector() throws {
            let api = try API(Self.cluster.merging(["bulk-cpu-threshold-percent": "0"]) { $1 })
            try api.createIndex("a", 2)
            let metadata = #"{"published_date":"2024-01-15","custom":{"title":"x"}}"#
            let ids = (0..<2345).map { "id-\($0)" }
            let rows = ids.enumerated().map { number, id in
                (id: id, vector: [Float(number), 0.1], metadata: number % 3 == 0 ? metadata : nil)
            }
            let bodies = rows.map { API.vectorBody($0.id, $0.vector, $0.metadata) }
            let response = try api.post(
                "/api/indexes/a/vectors/bulk",
                #"{"vectors":[\#(bodies.joined(separator: ","))]}"#
            )
            #expect(try response.data()["success"]?.int == rows.count)

            let sorted = rows.sorted { Array($0.id.utf8).lexicographicallyPrecedes(Array($1.id.utf8)) }
            let manifest = try api.get("/internal/sync/a/manifest").data()
            #expect(manifest["index_name"] == .string("a"))
            #expect(manifest["total_count"]?.int == rows.count)
            #expect(manifest["block_size"]?.int == 1000)
            let blocks = try #require(manifest["blocks"]?.array)
            #expect(blocks.count == 3)
            for (number, block) in blocks.enumerated() {
                let part = sorted[(number * 1000)..<min(number * 1000 + 1000, sorted.count)]
                #expect(block["block_index"]?.int == number)
                #expect(block["start_id"]?.int == number * 1000)
                #expect(block["end_id"]?.int == number * 1000 + part.count)
                #expect(block["first_key"]?.string == part.first?.id)
                #expect(block["last_key"]?.string == part.last?.id)
                var hashed: [UInt8] = []
                for row in part {
                    hashed += row.id.utf8
                    for value in row.vector { withUnsafeBytes(of: value.bitPattern.littleEndian) { hashed += $0 } }
                    hashed += (row.metadata ?? "").utf8
                }
                #expect(block["hash"]?.string == Token.sha256(hashed))

                let content = try api.get("/internal/sync/a/block/\(number)").data()
                #expect(content["block_index"]?.int == number)
                let vectors = try #require(content["vectors"]?.array)
                #expect(vectors.count == part.count)
                for (vector, row) in zip(vectors, part) {
                    #expect(vector["id"]?.string == row.id && vector["vector"]?.floats == row.vector)
                    #expect(try vector["metadata"] == row.metadata.map { try JSONValue(text: $0) })
                }
            }
        }

        @Test func blocksThatAreNotThereAreRefused() throws {
            let api = try API(Self.cluster)
            try api.createIndex("a", 2)
            try api.add("a", "x", [1, 2])
            expect(try api.get("/internal/sync/a/block/x"), error: "Invalid block index", status: 400)
            for number in ["1", "-1", "99999999999999999999"] {
                let response = try api.get("/internal/sync/a/block/\(number)")
                #expect(response.status == 400, "\(response)")
                #expect(["Invalid block index", "block index out of range"].contains(response.error), "\(response)")
            }
            expect(try api.get("/internal/sync/b/block/0"), error: "index b not found", status: 404)
            expect(try api.get("/internal/sync/b/manifest"), error: "index b not found", status: 404)
        }
    }
}
