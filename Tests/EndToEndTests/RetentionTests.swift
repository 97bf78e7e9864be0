import SpringgTestKit
import Testing

extension EndToEnd {
    /// The space on disk is bounded, visible, and no reason for a restart.
    @Suite struct DiskSpace {
        private static let vector = "[" + Array(repeating: "0.5", count: 1024).joined(separator: ",") + "]"

        private static func number(_ api: API, _ group: String, _ name: String) throws -> Int {
            try #require(try api.get("/api/stats").data()[group]?[name]?.int)
        }

        @Test func oldSegmentsGoAndNothingElse() throws {
            let api = try API(["log-segment-mb": "1", "log-retention-mb": "3", "max-disk-mb": "12"])
            try api.createIndex("a", 1024)
            // 4 kB each, 16 MB together: more than the disk may hold.
            for number in 0..<4000 {
                let body = #"{"id":"\#(number % 300)","vector":\#(Self.vector),"metadata":{"custom":{"n":\#(number)}}}"#
                try #require(try api.post("/api/indexes/a/vectors", body).status == 200, "write \(number)")
            }
            #expect(try Self.number(api, "log", "first_lsn") > 2000)
            #expect(try Self.number(api, "disk", "log_bytes") <= 12 << 20)
            #expect(try Self.number(api, "disk", "checkpoint_bytes") > 0)
            let digest = try #require(try api.get("/api/stats").data()["digest"]?.string)
            #expect(api.node.log.contains("Old segments of the log removed"))
            try api.crashAndRestart()
            #expect(try api.get("/api/stats").data()["digest"]?.string == digest)
            for id in 0..<300 {
                let found = try api.vector("a", "\(id)").data()["metadata"]?["custom"]?["n"]?.int
                #expect(found == 3999 - (3999 - id) % 300)
            }
        }

        @Test func atTheBoundWritesAreRefusedAndReadsGoOn() throws {
            let api = try API(["log-segment-mb": "1", "max-disk-mb": "4"])
            try api.createIndex("a", 1024)
            var stored = 0
            var refused: HTTPResponse?
            while refused == nil, stored < 3000 {
                let response = try api.post("/api/indexes/a/vectors", #"{"id":"\#(stored)","vector":\#(Self.vector)}"#)
                if response.status == 200 { stored += 1 } else { refused = response }
            }
            let response = try #require(refused, "nothing was refused")
            #expect(response.status == 507)
            #expect(response.error?.contains("Nothing was written") == true)
            #expect(try api.get("/api/stats").data()["disk"]?["full"]?.bool == true)
            let health = try api.get("/api/health")
            #expect(health.status == 200)
            #expect(try health.data()["status"]?.string == "degraded")
            #expect(try api.count("a") == stored)
            #expect(api.node.log.contains("Raise max_disk_mb"))
            #expect(try api.hits("a", [Float](repeating: 1, count: 1024), k: 5).count == 5)
            api.node.flags["max-disk-mb"] = "50"
            try api.restart()
            #expect(try api.count("a") == stored)
            let more = try api.post("/api/indexes/a/vectors", #"{"id":"more","vector":\#(Self.vector)}"#)
            #expect(more.status == 200)
        }
    }
}
