import SpringgTestKit
import Testing

extension EndToEnd {
    /// Real nodes that forget what was deleted, and nodes that were forgotten themselves.
    @Suite struct StabilityTests {
        private static func cluster(_ names: [String]) throws -> [API] {
            var ports: [Int] = []
            for _ in names { ports.append(try Socket.freePort()) }
            let seeds = ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
            return try zip(names, ports).map { name, port in
                try API([
                    "cluster-enabled": "true", "node-id": name, "cluster-bind-port": "\(port)", "cluster-seeds": seeds,
                    "jwt-secret": Token.secret, "tombstone-grace": "0s",
                ])
            }
        }

        private static func eventually(_ nodes: [API], _ isSo: () throws -> Bool) throws {
            guard try comesTrue(isSo) else { throw TestKitError(nodes.map(\.node.log).joined(separator: "\n---\n")) }
        }

        private static func tombstones(_ api: API) throws -> (kept: Int, dropped: Int) {
            let found = try api.get("/api/stats").data()["tombstones"]
            return (found?["kept"]?.int ?? -1, found?["dropped"]?.int ?? -1)
        }

        private static func members(_ api: API) throws -> [String]? {
            try api.get("/internal/cluster/status").data()["members"]?.array?.compactMap(\.string)
        }

        private static func command(_ api: API, _ arguments: [String]) throws -> CommandResult {
            try api.node.run(
                ["cluster"] + arguments
                    + ["--port", "\(api.node.port)", "--require-jwt", "false", "--jwt-secret", Token.secret]
            )
        }

        @Test("what was deleted is forgotten once every member has seen it, and not before; nothing comes back")
        func tombstones() throws {
            let nodes = try Self.cluster(["a", "b", "c"])
            let (a, b, c) = (nodes[0], nodes[1], nodes[2])
            try #require(try a.createIndex("i", 2).status == 200)
            try Self.eventually(nodes) { try nodes.allSatisfy { try $0.get("/api/indexes/i/stats").status == 200 } }
            func write(_ ids: Range<Int>, on api: API) throws {
                let vectors = ids.map { #"{"id":"v\#($0)","vector":[\#($0),1]}"# }.joined(separator: ",")
                try #require(try api.post("/api/indexes/i/vectors/bulk", #"{"vectors":[\#(vectors)]}"#).status == 200)
            }
            try write(0..<300, on: b)
            try Self.eventually(nodes) { try nodes.allSatisfy { try $0.count("i") == 300 } }
            for number in 0..<200 { try #require(try a.remove("i", "v\(number)").status == 200) }
            try Self.eventually(nodes) {
                try nodes.allSatisfy { try Self.tombstones($0) == (0, 200) && $0.count("i") == 100 }
            }

            // Who is away has not seen what is deleted now.
            try c.node.kill()
            for number in 200..<250 { try #require(try b.remove("i", "v\(number)").status == 200) }
            try #require(try a.createIndex("temporary", 2).status == 200)
            try #require(try a.delete("/api/indexes/temporary").status == 200)
            try Self.eventually([a, b]) {
                let status = try a.get("/internal/cluster/status").data()["stable"]?["waiting_for"]?.array
                return try status?.compactMap(\.string) == ["c"] && a.count("i") == 50
            }
            #expect(try Self.tombstones(a).kept == 50 && Self.tombstones(b).kept == 50)
            try c.start()
            try Self.eventually(nodes) {
                try nodes.allSatisfy { try Self.tombstones($0).kept == 0 && $0.count("i") == 50 }
            }
            let digests = try Set(nodes.map { try $0.get("/api/stats").data()["digest"]?.string })
            #expect(digests.count == 1)

            // After a restart, which reads checkpoints without them and the log, all is as it was.
            try a.restart()
            try c.crashAndRestart()
            try Self.eventually(nodes) {
                try nodes.allSatisfy { try Self.tombstones($0).kept == 0 && $0.count("i") == 50 }
            }
            #expect(try a.get("/metrics").text.contains("springg_tombstones 0\n"))
        }

        @Test("who was forgotten and has what nobody has stays out, and says so; an empty directory brings it back")
        func forgottenWithWrites() throws {
            let nodes = try Self.cluster(["a", "b", "c"])
            let (a, b, c) = (nodes[0], nodes[1], nodes[2])
            try #require(try a.createIndex("i", 1).status == 200)
            try Self.eventually(nodes) { try nodes.allSatisfy { try $0.get("/api/indexes/i/stats").status == 200 } }
            try Self.eventually(nodes) { try nodes.allSatisfy { try Self.members($0) == ["a", "b", "c"] } }
            try a.node.kill()
            try b.node.kill()
            try #require(try c.add("i", "only on c", [1]).status == 200)
            try c.node.kill()
            try a.start()
            try b.start()
            let forgotten = try Self.command(a, ["forget", "c"])
            #expect(forgotten.status == .exited(0), "\(forgotten)")
            try Self.eventually([a, b]) { try Self.members(a) == ["a", "b"] && Self.members(b) == ["a", "b"] }

            try c.start()
            try Self.eventually(nodes) {
                try c.get("/readyz").text.contains("holds writes that no member has")
            }
            let refused = try c.add("i", "more", [1])
            #expect(refused.status == 503, "\(refused)")
            let status = try Self.command(c, ["status"])
            #expect(status.output.contains("c: this node was forgotten"), "\(status)")
            #expect(try a.vector("i", "only on c").status == 404 && c.vector("i", "only on c").status == 200)
            // Reads go on, with what the members write.
            try #require(try a.add("i", "from a", [2]).status == 200)
            try Self.eventually(nodes) { try c.vector("i", "from a").status == 200 }

            try c.stop()
            c.node.flags["data-path"] = c.node.directory + "/new"
            try c.start()
            try Self.eventually(nodes) { try nodes.allSatisfy { try Self.members($0) == ["a", "b", "c"] } }
            try Self.eventually(nodes) { try c.add("i", "again", [3]).status == 200 }
            try Self.eventually(nodes) { try nodes.allSatisfy { try $0.vector("i", "again").status == 200 } }
        }

        @Test("two sides that forgot each other are one again when an operator says so, with the writes of both")
        func readmitted() throws {
            let nodes = try Self.cluster(["a", "b", "c"])
            let (a, b, c) = (nodes[0], nodes[1], nodes[2])
            // Each has written: one that never has waits for a member that knows it.
            try #require(try c.createIndex("i", 1).status == 200)
            try Self.eventually(nodes) { try nodes.allSatisfy { try $0.get("/api/indexes/i/stats").status == 200 } }
            try Self.eventually(nodes) { try nodes.allSatisfy { try Self.members($0) == ["a", "b", "c"] } }
            let refused = try Self.command(c, ["readmit"])
            #expect(refused.status == .exited(1) && refused.errors.contains("was not forgotten"), "\(refused)")

            try c.node.kill()
            try Self.eventually(nodes) { try Self.command(a, ["forget", "c"]).status == .exited(0) }
            try #require(try a.add("i", "on a", [1]).status == 200)
            try Self.eventually([a, b]) { try b.vector("i", "on a").status == 200 && Self.members(b) == ["a", "b"] }
            try a.node.kill()
            try b.node.kill()
            try c.start()
            try Self.eventually([c]) { try c.add("i", "on c", [2]).status == 200 }
            for name in ["a", "b"] {
                try Self.eventually([c]) { try Self.command(c, ["forget", name]).status == .exited(0) }
            }
            try a.start()
            try b.start()
            try Self.eventually(nodes) {
                try nodes.allSatisfy { try $0.get("/readyz").text.contains("holds writes that no member has") }
            }

            for node in [c, a] {
                let readmitted = try Self.command(node, ["readmit"])
                #expect(readmitted.status == .exited(0), "\(readmitted)")
                try Self.eventually(nodes) { try node.add("i", "after", [3]).status == 200 }
            }
            try Self.eventually(nodes) {
                try nodes.allSatisfy { try Self.members($0) == ["a", "b", "c"] && $0.count("i") == 3 }
            }
            try Self.eventually(nodes) { try b.add("i", "on b", [4]).status == 200 }
            let digests = { try Set(nodes.map { try $0.get("/api/stats").data()["digest"]?.string }) }
            try Self.eventually(nodes) { try digests().count == 1 && c.vector("i", "on b").status == 200 }
        }
    }
}
