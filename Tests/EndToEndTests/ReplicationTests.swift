import SpringgCluster
import SpringgLog
import SpringgTestKit
import Synchronization
import Testing

extension EndToEnd {
    /// Real nodes that hold the same, whatever happens to them.
    @Suite struct ReplicationTests {
        /// Nodes of a test's own that look for each other, with a secret that all share.
        static func cluster(_ names: [String], _ more: [String: String] = [:]) throws -> [API] {
            var nodes: [API] = []
            var ports: [Int] = []
            for _ in names { ports.append(try Socket.freePort()) }
            let seeds = ports.map { "localhost:\($0)" }.joined(separator: ",")
            for (name, port) in zip(names, ports) {
                let flags = [
                    "cluster-enabled": "true", "node-id": name, "cluster-bind-port": "\(port)", "cluster-seeds": seeds,
                    "jwt-secret": Token.secret, "bulk-cpu-threshold-percent": "0",
                ]
                nodes.append(try API(flags.merging(more) { $1 }))
            }
            return nodes
        }

        private static func digest(_ api: API) throws -> String? { try api.get("/api/stats").data()["digest"]?.string }

        /// Waits until all nodes show the same.
        private static func agree(_ nodes: [API]) throws -> Bool {
            try comesTrue {
                let digests = try Set(nodes.map { try digest($0) })
                return digests.count == 1
            }
        }

        /// Waits until the log of a node begins behind an event; something is written meanwhile.
        ///
        /// The log is kept back to the checkpoint before the last one, and there is none of what has not changed.
        private static func trims(_ node: API, beyond lsn: Int) throws -> Bool {
            try comesTrue {
                try #require(try node.post("/api/marks", #"{"name":"now","move":true}"#).status == 200)
                return try node.get("/api/stats").data()["log"]?["first_lsn"]?.int ?? 0 > lsn
            }
        }

        /// What was acknowledged, by several threads.
        private final class Acknowledged: Sendable {
            private let rows = Mutex<[String: Float]>([:])

            func note(_ id: String, _ value: Float?) { rows.withLock { $0[id] = value } }
            var all: [String: Float] { rows.withLock { $0 } }
        }

        private static func log(_ nodes: [API]) -> Comment { "\(nodes.map(\.node.log).joined(separator: "\n---\n"))" }

        /// Writers on all nodes while one is killed, deletes while it is down, and a fresh node in its place.
        @Test func nothingAcknowledgedIsLost() throws {
            let nodes = try Self.cluster(["a", "b", "c"])
            let (a, b, c) = (nodes[0], nodes[1], nodes[2])
            try #require(try a.createIndex("i", 4).status == 200)
            #expect(try comesTrue { try nodes.allSatisfy { try $0.get("/api/indexes/i/stats").status == 200 } })

            let acknowledged = Acknowledged()
            let isOver = Atomic(false)
            let ports = nodes.map(\.node.port)
            let writers = try ports.enumerated().map { place, port in
                try WorkerThread {
                    let http = HTTPClient(port: port, timeoutSeconds: 10)
                    var number = 0
                    while !isOver.load(ordering: .relaxed) {
                        let (id, value) = ("\(place)-\(number)", Float(number))
                        let body = API.vectorBody(id, [value, 1, 2, 3])
                        let answer = try? http.request("POST", "/api/indexes/i/vectors", json: body)
                        // A node that was killed takes no more: its next life has another port.
                        guard let answer else { return }
                        if answer.status == 200 { acknowledged.note(id, value) }
                        number += 1
                    }
                }
            }
            #expect(try comesTrue { acknowledged.all.count > 600 })
            try c.node.kill()
            let deleted = (0..<50).map { "\($0 % 2)-\($0)" }
            for id in deleted { try #require(try a.remove("i", id).status == 200, Self.log(nodes)) }
            isOver.store(true, ordering: .relaxed)
            for writer in writers { writer.join() }
            for id in deleted { acknowledged.note(id, nil) }
            try c.start()
            #expect(try Self.agree(nodes), Self.log(nodes))

            // A fresh one in the place of another.
            try b.stop()
            let fresh = try API(b.node.flags.merging(["node-id": "d", "data-path": b.node.directory + "/new"]) { $1 })
            #expect(try Self.agree([a, c, fresh]), Self.log([a, c, fresh]))
            for node in [a, c, fresh] {
                // One write of the node that was killed may be stored without its client having heard of it.
                #expect(try (0...1).contains(node.count("i") - acknowledged.all.count))
                for id in deleted { #expect(try node.vector("i", id).status == 404) }
                // What was on its way between them was no reason for an alarm.
                #expect(!node.node.log.contains("do not show the same"), Self.log([node]))
            }
            for (id, value) in acknowledged.all {
                #expect(try fresh.vector("i", id).data()["vector"]?.floats?.first == value)
            }
        }

        /// Two clients put and delete one id on two nodes at once, again and again.
        @Test func sameIDRaces() throws {
            let nodes = try Self.cluster(["a", "b"])
            try #require(try nodes[0].createIndex("i", 2).status == 200)
            #expect(try comesTrue { try nodes[1].get("/api/indexes/i/stats").status == 200 })
            let ports = nodes.map(\.node.port)
            try WorkerThread.run(2) { place in
                let http = HTTPClient(port: ports[place], timeoutSeconds: 10)
                for trial in 0..<60 {
                    let path = "/api/indexes/i/vectors"
                    let body = API.vectorBody("race\(trial)", [Float(place), Float(trial)])
                    for _ in 0..<3 { _ = try? http.request("POST", path, json: body) }
                    if trial % 4 == place { _ = try? http.request("DELETE", "\(path)/race\(trial)") }
                }
            }
            #expect(try Self.agree(nodes), Self.log(nodes))
            for trial in 0..<60 {
                let answers = try nodes.map { try $0.vector("i", "race\(trial)") }
                #expect(answers[0].status == answers[1].status && answers[0].body == answers[1].body)
            }
        }

        /// A log that no longer reaches back: a new node takes a snapshot, then the log.
        @Test func newNodesAreSeeded() throws {
            let small = ["log-segment-mb": "1", "log-retention-mb": "2", "persistence-interval": "1s"]
            let nodes = try Self.cluster(["a"], small)
            let a = nodes[0]
            try a.createIndex("i", 512)
            let vector = [Float](repeating: 0.25, count: 512)
            // One by one: old segments go when checkpoints follow each other, and so while writes go on.
            for number in 0..<4000 {
                try #require(
                    try a.add("i", "\(number % 700)", vector, metadata: #"{"custom":{"n":\#(number)}}"#).status == 200
                )
            }
            #expect(try Self.trims(a, beyond: 1), Self.log([a]))
            let b = try API(
                a.node.flags.merging([
                    "node-id": "b", "data-path": a.node.directory + "/b",
                    "cluster-bind-port": "\(try Socket.freePort())",
                ]) { $1 }
            )
            #expect(b.node.log.contains("Seeded by a peer's snapshot"), Self.log([a, b]))
            #expect(try Self.agree([a, b]), Self.log([a, b]))
            #expect(try b.count("i") == 700)
            // What comes afterwards comes by the log, both ways, also after a restart.
            try #require(try b.add("i", "from b", vector).status == 200)
            try #require(try a.remove("i", "5").status == 200)
            #expect(try Self.agree([a, b]), Self.log([a, b]))
            try b.restart()
            try #require(try b.add("i", "again", vector).status == 200)
            #expect(try Self.agree([a, b]), Self.log([a, b]))
            #expect(try a.count("i") == 701)
        }

        /// A node was away for longer than the logs of the others reach back: it says so wherever one looks, and what to do helps.
        @Test func whoIsOutOfReachSaysSo() throws {
            let small = ["log-segment-mb": "1", "log-retention-mb": "2", "persistence-interval": "1s"]
            let nodes = try Self.cluster(["a", "b"], small)
            let (a, b) = (nodes[0], nodes[1])
            func status(_ node: API) throws -> CommandResult {
                try node.node.run(
                    ["cluster", "status", "--port", "\(node.node.port)", "--require-jwt", "false"],
                    environment: ["SPRINGG_JWT_SECRET": Token.secret]
                )
            }
            func metric(_ node: API, _ name: String) throws -> Bool {
                try node.get("/metrics").text.contains(name + " 1\n")
            }
            try #require(try a.createIndex("i", 1024).status == 200)
            #expect(try Self.agree(nodes), Self.log(nodes))
            #expect(try status(b).status == .exited(0))
            try b.stop()
            // More than the other one's memory of its newest records holds, too.
            let vector = [Float](repeating: 0.25, count: 1024)
            for number in 0..<6000 { try #require(try a.add("i", "\(number % 700)", vector).status == 200) }
            #expect(try Self.trims(a, beyond: 2), Self.log([a]))

            try b.start()
            #expect(try comesTrue { try b.get("/readyz").status == 503 }, Self.log(nodes))
            #expect(try b.get("/readyz").text.contains(#""code":"out_of_reach""#))
            #expect(try b.get("/api/health").data()["status"]?.string == "degraded")
            #expect(try metric(b, "springg_cluster_out_of_reach"))
            let found = try status(b)
            #expect(found.status == .exited(6) && found.output.contains("move its data directory away"), "\(found)")
            // The other one knows whom it cannot help.
            #expect(try comesTrue { try metric(a, #"springg_peer_out_of_reach{node="b"}"#) })
            #expect(try status(a).status == .exited(6))

            try b.stop()
            Files.removeTree(b.node.dataPath)
            try b.start()
            #expect(try Self.agree(nodes), Self.log(nodes))
            #expect(try comesTrue { try b.get("/readyz").status == 200 }, Self.log(nodes))
            #expect(
                try comesTrue { try nodes.allSatisfy { try status($0).status == .exited(0) } },
                Self.log(nodes)
            )
        }

        /// So much is missing that full batches follow each other; the node is killed among them, and writes itself meanwhile.
        @Test func whoIsFarBehindCatchesUp() throws {
            let nodes = try Self.cluster(["a", "b"])
            let (a, b) = (nodes[0], nodes[1])
            try #require(try a.createIndex("i", 1024).status == 200)
            #expect(try Self.agree(nodes), Self.log(nodes))
            try b.stop()
            let rows = 6000
            try a.add("i", 0..<rows) { number in
                var vector = [Float](repeating: 0.5, count: 1024)
                vector[number % 1024] = Float(number)
                return API.vectorBody("\(number)", vector)
            }
            try b.start()
            try b.crashAndRestart()
            for number in 0..<50 {
                let vector = [Float](repeating: -1, count: 1024)
                try #require(try b.add("i", "b\(number)", vector).status == 200)
                try #require(try a.add("i", "a\(number)", vector).status == 200)
            }
            #expect(try Self.agree(nodes), Self.log(nodes))
            #expect(try nodes.allSatisfy { try $0.count("i") == rows + 100 }, Self.log(nodes))
        }

        /// What the writer's graph knows, a new node has not to find out again; and it comes no faster than the bound allows.
        @Test func newNodesAreSeededWithTheGraph() throws {
            let small = [
                "log-segment-mb": "1", "log-retention-mb": "2", "persistence-interval": "1s",
                "replication-bandwidth-mbps": "8",
            ]
            let a = try Self.cluster(["a"], small)[0]
            let (rows, dimensions) = (4000, 256)
            try a.createIndex("i", dimensions)
            var random = SeededRandom.fromEnvironment("seeded with the graph")
            var query: [Float] = []
            for first in stride(from: 0, to: rows, by: 500) {
                let vectors = (first..<first + 500).map { number in
                    query = (0..<dimensions).map { _ in Float.random(in: -1...1, using: &random) }
                    return API.vectorBody("\(number)", query)
                }
                let body = #"{"vectors":[\#(vectors.joined(separator: ","))]}"#
                try #require(try a.post("/api/indexes/i/vectors/bulk", body).status == 200)
            }
            func indexed(_ node: API) throws -> Int? { try node.get("/api/indexes/i/stats").data()["indexed"]?.int }
            #expect(try comesTrue { try indexed(a) == rows })
            #expect(try Self.trims(a, beyond: 1), Self.log([a]))
            let begun = Monotonic.nanoseconds()
            let b = try API(
                a.node.flags.merging([
                    "node-id": "b", "data-path": a.node.directory + "/b",
                    "cluster-bind-port": "\(try Socket.freePort())",
                ]) { $1 }
            )
            let seconds = Double(Monotonic.nanoseconds() - begun) / 1e9
            let seeded = b.node.log.split(separator: "\n").first { $0.contains("Seeded by a peer's snapshot") }
            #expect(seeded?.contains("linked=\(rows)") == true, Self.log([a, b]))
            #expect(try indexed(b) == rows)
            #expect(!b.node.log.contains("Graph is behind its rows"), Self.log([b]))
            let body = #"{"vector":\#(JSONValue.array(of: query)),"k":1,"explain":true}"#
            let answer = try b.post("/api/indexes/i/search", body)
            #expect(
                answer.text.contains(#""id":"\#(rows - 1)""#) && answer.text.contains(#""method":"hnsw""#),
                "\(answer)"
            )
            #expect(try Self.agree([a, b]), Self.log([a, b]))
            // A second's worth may go at once, and a block is charged when it has been read.
            let bytes = Files.treeSize(a.node.dataPath + "/seeding").apparent
            #expect(bytes > 3_500_000 && seconds > (Double(bytes) - 2_200_000) / 1e6, "\(bytes) bytes in \(seconds) s")
        }

        /// Eight megabits are a million bytes: what lies beyond a second's worth and a batch comes no faster, whether it is sent or fetched.
        @Test func bandwidthIsBounded() throws {
            let nodes = try Self.cluster(["a", "b"], ["replication-bandwidth-mbps": "8"])
            let (a, b) = (nodes[0], nodes[1])
            try #require(try a.createIndex("i", 1024).status == 200)
            #expect(try Self.agree(nodes), Self.log(nodes))
            try b.stop()
            let vector = [Float](repeating: 0.25, count: 1024)
            try a.add("i", 0..<1000) { API.vectorBody("\($0)", vector) }
            let begun = Monotonic.nanoseconds()
            let (port, token) = (a.node.port, Token.with(permissions: ["internal"]))
            let question = VectorMessage(origin: .none, vector: VersionVector()).encoded
            let fetched = Atomic(0)
            let fetcher = try WorkerThread {
                let client = HTTPClient(port: port, timeoutSeconds: 20)
                while fetched.load(ordering: .relaxed) < 3_000_000 {
                    // 429 when others were quicker for too long.
                    let answer = try? client.request(
                        "POST",
                        "/internal/log/pull",
                        headers: [(name: "Authorization", value: "Bearer \(token)")],
                        body: question
                    )
                    guard let answer, [200, 429].contains(answer.status) else { return }
                    if answer.status == 200 { fetched.wrappingAdd(answer.body.count, ordering: .relaxed) }
                }
            }
            try b.start()
            #expect(try Self.agree(nodes), Self.log(nodes))
            fetcher.join()
            #expect(fetched.load(ordering: .relaxed) >= 3_000_000, Self.log(nodes))
            // 7.1 MB, of which two may go at once, before the one who sends and the one who answers have heard of each other, and a quarter
            // more of each is charged afterwards.
            #expect(Double(Monotonic.nanoseconds() - begun) / 1e9 > 4.5)
        }

        /// A disk is replaced by an older copy while the only one who holds what was written since is stopped.
        @Test func whoIsAwayMayHoldMore() throws {
            let nodes = try Self.cluster(["a", "b", "c"])
            let (a, b, c) = (nodes[0], nodes[1], nodes[2])
            /// The writer's origin.
            func write(_ id: String) throws -> String? {
                let answer = try a.post("/api/indexes/i/vectors?ack=local", API.vectorBody(id, [1, 2]))
                return try answer.json()["receipt"]?["origin"]?.string
            }
            try #require(try a.createIndex("i", 2).status == 200)
            let first = try #require(try write("copied"))
            #expect(try Self.agree(nodes), Self.log(nodes))
            try a.stop()
            let copy = a.node.directory + "/copy"
            try Files.copyTree(a.node.dataPath, to: copy)
            try a.start()
            try c.stop()
            let second = try #require(try write("lost"))
            #expect(try Self.agree([a, b]), Self.log(nodes))
            try a.stop()
            try b.stop()

            a.node.flags["data-path"] = copy
            try c.start()
            try a.start()
            let next = try #require(try write("anew"))
            #expect(next != first && next != second, Self.log(nodes))
            try b.start()
            #expect(try Self.agree(nodes), Self.log(nodes))
            #expect(try nodes.allSatisfy { try $0.count("i") == 3 }, Self.log(nodes))
        }

        /// Without a token of the nodes nobody puts events into a log.
        @Test func strangersAreRefused() throws {
            let node = try API(["cluster-enabled": "true", "jwt-secret": Token.secret])
            for path in ["/internal/log", "/internal/log/pull", "/internal/snapshot"] {
                #expect(try node.post(path, "").status == 401)
                let client = node.node.client(token: Token.with(permissions: ["read", "write", "admin"]))
                #expect([401, 403].contains(try client.request("POST", path, json: "{}").status))
            }
            let client = node.node.client(token: Token.with(permissions: ["internal"]))
            #expect(try client.request("POST", "/internal/log", json: "{}").status == 400)
        }
    }
}
