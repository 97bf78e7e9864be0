import SpringgNet
import SpringgTestKit
import Testing

/// `/internal/…`, as peers and operators use it.
@Suite struct InternalTests {
    @Test func operationsOfPeersAreApplied() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            func replicate(_ body: String, batch: Bool = false) throws -> HTTPResponse {
                try client.request(
                    "POST",
                    "/internal/replicate",
                    body,
                    headers: batch ? [(name: "X-Batch-Size", value: "1")] : []
                )
            }
            let create = #"{"operation":"create_index","index_name":"a","dimensions":2}"#
            for body in [
                create, create,
                #"{"operation":"add","index_name":"a","vector_id":"1","vector":[1,2],"metadata":{"custom":{"t":1}}}"#,
                #"{"operation":"update","index_name":"a","vector_id":"2","vector":[3,4]}"#,
                #"{"operation":"delete","index_name":"a","vector_id":"never"}"#,
                #"{"operation":"delete_index","index_name":"never"}"#,
            ] {
                let response = try replicate(body)
                #expect(response.status == 200 && response.text.contains(#""replicated":true"#), "\(response)")
            }
            let got = try client.request("GET", "/api/indexes/a/vectors/1").data()
            #expect(got["vector"]?.floats == [1, 2] && got["metadata"]?["custom"]?["t"]?.int == 1)
            let table: [(String, Int, String)] = [
                (#"{"operation":"zap","index_name":"a"}"#, 500, "unknown operation: zap"),
                (
                    #"{"operation":"add","index_name":"b","vector_id":"1","vector":[1,2]}"#, 500,
                    "index not found: index b not found"
                ),
                (
                    #"{"operation":"add","index_name":"a","vector_id":"1","vector":[1]}"#, 500,
                    "vector dimension mismatch: expected 2, got 1"
                ),
                ("{", 400, "Invalid request body"),
            ]
            for (body, status, error) in table {
                let response = try replicate(body)
                #expect(response.status == status && response.error == error, "\(body)")
            }
            for name in ["../../x", "/etc", "", ".."] {
                let response = try replicate(#"{"operation":"create_index","index_name":"\#(name)","dimensions":2}"#)
                #expect(response.status == 400)
                #expect(response.error?.hasPrefix("invalid index name: ") == true)
            }
            let batch = try replicate(
                #"{"messages":[{"operation":"add","index_name":"a","vector_id":"3","vector":[1,2]},"#
                    + #"{"operation":"add","index_name":"a","vector_id":"4","vector":[1]},"#
                    + #"{"operation":"zap","index_name":"a","vector_id":"5"},"#
                    + #"{"operation":"delete","index_name":"a","vector_id":"1"}]}"#,
                batch: true
            )
            let data = try batch.data()
            #expect(data["replicated"]?.int == 2)
            #expect(
                data["errors"]?.array?.compactMap { $0.string } == [
                    "5: unknown operation: zap", "4: vector dimension mismatch: expected 2, got 1",
                ]
            )
            #expect(try replicate("[]", batch: true).error == "Invalid batch request body")
            #expect(try replicate("{}", batch: true).data()["replicated"]?.int == 0)
            #expect(try client.request("GET", "/api/indexes/a/vectors/1").status == 404)
            let first = try client.request("GET", "/internal/indexes").body
            #expect(try client.request("GET", "/api/indexes").body == first)
        }
    }

    @Test func withoutAClusterThereIsNoReplication() async throws {
        try await TestServer.run({ $0.clusterEnabled = false }) { server throws in
            let client = server.client()
            let replicate = try client.request("POST", "/internal/replicate", "{}")
            #expect(replicate.status == 503 && replicate.error == "Replication not enabled")
            let status = try client.request("GET", "/internal/cluster/status")
            #expect(status.status == 503 && status.error == "Clustering not enabled")
        }
    }

    @Test func theStatusShowsThisNode() async throws {
        try await TestServer.run({ $0.nodeID = "i-0abc" }) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            let response = try client.request("GET", "/internal/cluster/status")
            #expect(response.text.hasPrefix("{\n  \"status\": \"success\",\n  \"data\": {\n"))
            let status = try response.data()
            #expect(status["responding_node"]?.string == "i-0abc" && status["cluster_size"]?.int == 1)
            let node = try #require(status["peers"]?["i-0abc"])
            let fields = ["first_seen", "ip", "last_s3_sync", "last_seen", "node_id", "status", "vector_count"]
            #expect(node.keys == fields)
            #expect(node["ip"]?.string == "127.0.0.1" && node["last_s3_sync"]?.string == "0001-01-01T00:00:00Z")
            #expect(status["memory"]?.keys == ["limit_mb", "per_index_mb", "total_mb", "usage_percent"])
            #expect(status["memory"]?["per_index_mb"]?.keys == ["a"])
            #expect(status["qps"]?["total"]?.int == 2)
        }
        try await TestServer.run { server throws in
            let status = try server.client().request("GET", "/internal/cluster/status").data()
            #expect(status["responding_node"]?.string == "local-127.0.0.1")
            #expect(status["memory"]?["per_index_mb"]?.keys == [])
        }
    }

    @Test func blocksCoverAnIndexInTheOrderOfItsIDs() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            let empty = try client.request("GET", "/internal/sync/a/manifest").data()
            #expect(empty["total_count"]?.int == 0 && empty["blocks"]?.array?.count == 0)
            #expect(try client.request("GET", "/internal/sync/a/block/0").error == "block index out of range")

            let vectors = (0..<1500).map { number in
                let metadata = number == 7 ? #","metadata":{"published_date":"2024-01-15"}"# : ""
                return #"{"id":"\#(1_000_000 + number)","vector":[\#(number),0.5]\#(metadata)}"#
            }
            let body = #"{"vectors":["# + vectors.joined(separator: ",") + "]}"
            #expect(try client.request("POST", "/api/indexes/a/vectors/bulk", body).data()["success"]?.int == 1500)

            let manifest = try client.request("GET", "/internal/sync/a/manifest").data()
            #expect(manifest["index_name"]?.string == "a" && manifest["total_count"]?.int == 1500)
            #expect(manifest["block_size"]?.int == 1000)
            let blocks = try #require(manifest["blocks"]?.array)
            #expect(blocks.map { $0["block_index"]?.int } == [0, 1])
            #expect(blocks.map { $0["start_id"]?.int } == [0, 1000])
            #expect(blocks.map { $0["end_id"]?.int } == [1000, 1500])
            #expect(blocks.map { $0["first_key"]?.string } == ["1000000", "1001000"])
            #expect(blocks.map { $0["last_key"]?.string } == ["1000999", "1001499"])
            #expect(blocks.allSatisfy { $0["hash"]?.string?.utf8.count == 64 })

            let second = try client.request("GET", "/internal/sync/a/block/1").data()
            #expect(second["block_index"]?.int == 1)
            let rows = try #require(second["vectors"]?.array)
            #expect(rows.count == 500 && rows[0]["id"]?.string == "1001000")
            #expect(rows[0]["vector"]?.floats == [1000, 0.5])
            let seventh = try client.request("GET", "/internal/sync/a/block/0").data()["vectors"]?[7]
            #expect(seventh?["metadata"]?["published_date"]?.string == "2024-01-15")

            // A change shows in the hash of its block alone.
            #expect(try client.request("DELETE", "/api/indexes/a/vectors/1001499").status == 200)
            let changed = try #require(client.request("GET", "/internal/sync/a/manifest").data()["blocks"]?.array)
            #expect(changed[0]["hash"]?.string == blocks[0]["hash"]?.string)
            #expect(changed[1]["hash"]?.string != blocks[1]["hash"]?.string)

            for block in ["2", "9223372036854775807"] {
                #expect(
                    try client.request("GET", "/internal/sync/a/block/\(block)").error == "block index out of range"
                )
            }
            for block in ["0junk", "-1", "+1", "1.0", "%201", "0x1", "９", "9223372036854775808"] {
                let path =
                    "/internal/sync/a/block/"
                    + block.utf8.map { $0 < 128 ? String(UnicodeScalar($0)) : "%" + String($0, radix: 16) }.joined()
                let response = try client.request("GET", path)
                #expect(response.status == 400 && response.error == "Invalid block index", "\(block)")
            }
            #expect(try client.request("GET", "/internal/sync/b/manifest").status == 404)
            #expect(try client.request("GET", "/internal/sync/../manifest").status == 400)
        }
    }

    @Test func aBlockHashIsWhatPeersCompute() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            for body in [#"{"id":"b","vector":[1,2]}"#, #"{"id":"a","vector":[0.5,-1],"metadata":{"custom":{"x":1}}}"#]
            {
                #expect(try client.request("POST", "/api/indexes/a/vectors", body).status == 200)
            }
            let manifest = try client.request("GET", "/internal/sync/a/manifest").data()
            // sha256 of: "a", 0000003f 000080bf, {"custom":{"x":1}}, "b", 0000803f 00000040.
            #expect(
                manifest["blocks"]?[0]?["hash"]?.string
                    == "8ea22f20af754fd71d71fb67d43c90c2c208b3e7ae714e902534b4c2d727f167"
            )
        }
    }
}
