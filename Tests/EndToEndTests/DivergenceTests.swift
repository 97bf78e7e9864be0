import Glibc
import SpringgLog
import SpringgTestKit
import Testing

extension EndToEnd {
    /// What must not happen, made to happen: two nodes with the same events show different rows.
    @Suite struct DivergenceTests {
        @Test("nodes that differ say so with the buckets wherever one looks, and that they agree again")
        func alarm() throws {
            let nodes = try ReplicationTests.cluster(["a", "b"])
            let (a, b) = (nodes[0], nodes[1])
            let log: () -> Comment = { "\(a.node.log)\n---\n\(b.node.log)" }
            let count = 500
            // Of no more than 64 rows each.
            let bits = 3
            for index in ["same", "other"] {
                try #require(try a.createIndex(index, 3).status == 200)
                let rows = (0..<count).map {
                    #"{"id":"row\#($0)","vector":[1,\#($0),3],"metadata":{"custom":{"n":\#($0)}}}"#
                }
                let body = #"{"vectors":[\#(rows.joined(separator: ","))]}"#
                try #require(try a.post("/api/indexes/\(index)/vectors/bulk", body).status == 200)
            }
            func agree() throws -> Bool {
                try comesTrue {
                    try a.get("/api/stats").data()["digest"] == b.get("/api/stats").data()["digest"]
                }
            }
            #expect(try agree(), log())
            try b.stop()
            try ForgedCheckpoint.rename("row77", to: "owr77", in: b.node.dataPath)
            try b.start()

            func bucket(_ id: String) -> Int {
                Array(id.utf8).withUnsafeBytes { Int(Checksum.hash64($0) >> (64 - UInt64(bits))) }
            }
            let buckets = Set([bucket("row77"), bucket("owr77")]).sorted()
            let numbers = buckets.map { "\($0)" }.joined(separator: ", ")
            for (node, peer) in [(a, "b"), (b, "a")] {
                let own = peer == "b" ? "a" : "b"
                let diff = "springg cluster diff \(own) \(peer)"
                let isFound = try comesTrue {
                    node.node.log.contains("Where two nodes do not show the same: \(diff) lists the rows")
                }
                try #require(isFound, log())
                #expect(node.node.log.contains("(buckets \(numbers) of \(1 << bits))"), log())
                // What a person reads who asks, and what machines do.
                let status = try Self.cluster(node, ["status"])
                #expect(status.status == .exited(6), "\(status)")
                #expect(status.output.contains("\(own) and \(peer) differ in "), "\(status)")
                #expect(
                    status.output.contains("(buckets \(numbers) of \(1 << bits)): \(diff) lists the rows"),
                    "\(status)"
                )
                let seen = try node.get("/internal/cluster/status").data()["peers"]?[peer]
                #expect(seen?["digest"]?.string == "differ")
                let place = seen?["differs_in"]?.array?.first
                #expect(seen?["indexes_differ"]?.int == 1 && place?["buckets_differ"]?.int == buckets.count)
                #expect(place?["buckets_of"]?.int == 1 << bits)
                #expect(place?["buckets"]?.array?.compactMap(\.int) == buckets)
                let health = try node.get("/api/health")
                #expect(
                    health.status == 200 && health.text.contains(#""status":"degraded""#) && health.text.contains(diff)
                )
                // Which of them is right nobody knows: neither is taken away.
                #expect(try node.get("/readyz").status == 200)
                let metrics = try node.get("/metrics").text
                #expect(metrics.contains("springg_peer_diverged{node=\"\(peer)\"} 1\n"))
                #expect(metrics.contains("springg_peer_diverged_buckets{node=\"\(peer)\"} \(buckets.count)\n"))
            }
            // What the alarm says to run.
            let rows = try Self.cluster(a, ["diff", "a", "b"])
            #expect(rows.status == .exited(6), "\(rows)")
            #expect(
                rows.output.contains(" owr77: on b only\n") && rows.output.contains(" row77: on a only\n"),
                "\(rows)"
            )
            let listed = try #require(try JSONValue(text: Self.cluster(a, ["diff", "a", "b", "--json"]).output).array)
            #expect(Set(listed.compactMap { $0["bucket"]?.int }) == Set(buckets))

            // Writes beside it change the digests, and are no news.
            try #require(try a.add("same", "new", [1, 2, 3]).status == 200)
            // What is written anew is the same on both.
            for index in ["same", "other"] {
                for id in ["row77", "owr77"] { try #require(try a.add(index, id, [3, 2, 1]).status == 200) }
            }
            #expect(try agree(), log())
            for node in nodes {
                let isOver = try comesTrue { node.node.log.contains("Two nodes show the same again") }
                #expect(isOver, log())
                #expect(try Self.cluster(node, ["status"]).status == .exited(0))
                #expect(try node.get("/api/health").text.contains(#""status":"healthy""#))
                let alarms = node.node.log.split(separator: "\n").filter { $0.contains("do not show the same") }
                #expect(alarms.count == 2, "\(alarms)")
            }
        }

        private static func cluster(_ node: API, _ arguments: [String]) throws -> CommandResult {
            try node.node.run(
                ["cluster"] + arguments + ["--port", "\(node.node.port)", "--require-jwt", "false"],
                environment: ["SPRINGG_JWT_SECRET": Token.secret]
            )
        }
    }
}
