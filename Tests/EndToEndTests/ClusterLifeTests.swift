import Glibc
import SpringgTestKit
import Testing

extension EndToEnd {
    /// Real nodes as operators run them: found through EC2, counted, forgotten, compared, asked for receipts.
    @Suite struct ClusterLifeTests {
        private struct Nodes {
            /// Of gossip, one for each node.
            let ports: [Int]
            var nodes: [API] = []

            init() throws { ports = try (0..<3).map { _ in try Socket.freePort() } }

            mutating func start(
                _ number: Int,
                _ flags: [String: String] = [:],
                environment: [String: String] = [:]
            ) throws {
                let all = [
                    "cluster-enabled": "true", "cluster-bind-port": "\(ports[number])", "ack-timeout": "50ms",
                ]
                nodes.append(try API(all.merging(flags) { $1 }, environment: environment))
            }

            /// Waits until every node of `whom` shows what `isSo` says.
            func eventually(_ whom: [Int], _ isSo: (JSONValue) -> Bool) throws {
                for number in whom {
                    var status = JSONValue.null
                    let isShown = try comesTrue {
                        status = try nodes[number].get("/internal/cluster/status").data()
                        return isSo(status)
                    }
                    guard isShown else {
                        throw TestKitError("node \(number) shows \(status)\n\(nodes[number].node.log)")
                    }
                }
            }

            func command(_ number: Int, _ arguments: [String]) throws -> CommandResult {
                let node = nodes[number].node
                return try node.run(
                    ["cluster"] + arguments
                        + ["--bind-address", node.host, "--port", "\(node.port)", "--require-jwt", "false"]
                )
            }
        }

        private func live(_ count: Int) -> (JSONValue) -> Bool { { $0["cluster_size"]?.int == count } }

        private func members(_ names: [String]) -> (JSONValue) -> Bool {
            { $0["members"]?.array?.compactMap(\.string) == names }
        }

        @Test("members are counted whether there or not, over restarts, until they are forgotten")
        func members() throws {
            var cluster = try Nodes()
            let seeds = ["cluster-seeds": cluster.ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")]
            for (number, name) in ["a", "b", "c"].enumerated() {
                try cluster.start(number, seeds.merging(["node-id": name]) { $1 })
            }
            try cluster.eventually([0, 1, 2], live(3))
            try cluster.eventually([0, 1, 2], members(["a", "b", "c"]))

            try cluster.eventually([0, 1, 2]) { $0["stable"]?["waiting_for"]?.array?.count == 0 }

            // Nobody replicates to these: a receipt says how far a write has got, and a read waits for what is not there.
            let a = cluster.nodes[0]
            let created = try a.post("/api/indexes/x?ack=quorum", #"{"dimensions":2}"#)
            let receipt = try #require(try created.json()["receipt"])
            #expect(created.status == 202 || receipt["ack"]?.string == "quorum", "\(created)")
            let event = "\(receipt["origin"]?.string ?? ""):\(receipt["sequence"]?.int ?? 0)"
            let read = try a.http.request("GET", "/api/indexes", headers: [(name: "X-Springg-After", value: event)])
            #expect(read.status == 200)

            try cluster.nodes[2].node.kill()
            try cluster.eventually([0, 1], live(2))
            let status = try cluster.command(0, ["status"])
            #expect(status.status == .exited(0) && status.output.contains("a majority is 2 of 3 members"), "\(status)")
            // Restarted while c is away it still knows of it, and so its majority.
            try a.restart()
            try cluster.eventually([0, 1], live(2))
            try cluster.eventually([0], members(["a", "b", "c"]))

            let alive = try cluster.command(0, ["forget", "b"])
            #expect(alive.status == .exited(1) && "\(alive)".contains("b is alive"), "\(alive)")
            let unknown = try cluster.command(0, ["forget", "nobody"])
            #expect(unknown.status == .exited(1) && "\(unknown)".contains("nobody is no member"), "\(unknown)")
            let forgotten = try cluster.command(0, ["forget", "c", "--json"])
            #expect(forgotten.status == .exited(0) && forgotten.output.contains(#""forgotten":"c""#), "\(forgotten)")
            // The other one hears of it.
            try cluster.eventually([0, 1], members(["a", "b"]))
            // Back nevertheless it is a member again.
            try cluster.nodes[2].start()
            try cluster.eventually([0, 1, 2], members(["a", "b", "c"]))

            let left = try cluster.command(2, ["leave"])
            #expect(left.status == .exited(0) && left.output == "c has left\n", "\(left)")
            try cluster.eventually([0, 1], members(["a", "b"]))
            #expect(try cluster.nodes[2].get("/api/health").status == 200)
        }

        @Test("a level is reached with those that are there, said when it is not, and read on any node")
        func levels() throws {
            var cluster = try Nodes()
            let seeds = [
                "cluster-seeds": cluster.ports.map { "127.0.0.1:\($0)" }.joined(separator: ","), "cluster-size": "3",
                "ack-timeout": "20s",
            ]
            for (number, name) in ["a", "b", "c"].enumerated() {
                try cluster.start(number, seeds.merging(["node-id": name]) { $1 })
            }
            try cluster.eventually([0, 1, 2], live(3))
            let a = cluster.nodes[0]
            func write(_ path: String, _ body: String) throws -> (status: Int, ack: String?, event: String) {
                let response = try a.post(path, body)
                let receipt = try response.json()["receipt"]
                let event = "\(receipt?["origin"]?.string ?? ""):\(receipt?["sequence"]?.int ?? 0)"
                return (response.status, receipt?["ack"]?.string, event)
            }
            #expect(try write("/api/indexes/x?ack=peer", #"{"dimensions":1}"#).status == 200)
            var last = ""
            for number in 0..<20 {
                let body = #"{"id":"v\#(number)","vector":[1]}"#
                let (status, ack, event) = try write("/api/indexes/x/vectors?ack=quorum", body)
                #expect(status == 200 && ack == "quorum")
                last = event
                // Whichever node is asked has it, or waits until it does.
                for node in cluster.nodes[1...] {
                    let read = try node.http.request(
                        "GET",
                        "/api/indexes/x/vectors/v\(number)",
                        headers: [(name: "X-Springg-After", value: event)]
                    )
                    #expect(read.status == 200, "\(read)")
                }
            }
            // However fast they are shipped: a node that has lost nothing goes on under its origin.
            let origin = last.prefix { $0 != ":" }
            for number in 0..<1500 {
                let body = #"{"id":"v\#(number % 50)","vector":[2]}"#
                let event = try write("/api/indexes/x/vectors", body).event
                guard event.hasPrefix(origin) else {
                    Issue.record("write \(number) is \(event), after \(last)\n\(a.node.log)")
                    break
                }
                last = event
            }
            #expect(try write("/api/indexes/x/vectors?ack=quorum", #"{"id":"end","vector":[1]}"#).status == 200)
            try cluster.eventually([0, 1, 2]) { status in
                ["a", "b", "c"].allSatisfy { status["peers"]?[$0]?["digest"].map { $0.string == "equal" } ?? true }
            }
            let apis = cluster.nodes.map { "127.0.0.1:\($0.node.port)" }
            #expect(try cluster.command(0, ["diff", apis[0], apis[2]]).status == .exited(0))

            // With one of three a majority goes on; alone nothing more than the own disk is claimed.
            try cluster.nodes[2].node.kill()
            #expect(try write("/api/indexes/x/vectors?ack=quorum", #"{"id":"w","vector":[1]}"#).status == 200)
            try cluster.nodes[1].node.kill()
            cluster.nodes[0].node.flags["ack-timeout"] = "200ms"
            try a.restart()
            let alone = try a.add("x", "alone", [1])
            #expect(alone.status == 200 || alone.status == 503, "\(alone)")
            let claimed = try a.post("/api/indexes/x/vectors?ack=quorum", #"{"id":"alone","vector":[2]}"#)
            #expect(claimed.status == 202 || claimed.status == 503, "\(claimed)")
        }

        @Test("one node archives for all, and another goes on when it is gone")
        func archiver() throws {
            var cluster = try Nodes()
            let place = try TemporaryDirectory()
            let flags = [
                "cluster-seeds": cluster.ports.map { "127.0.0.1:\($0)" }.joined(separator: ","), "cluster-size": "3",
                "s3-bucket": "file://\(place.path)/archive", "s3-sync-interval": "2s", "ack-timeout": "20s",
            ]
            for (number, name) in ["a", "b", "c"].enumerated() {
                try cluster.start(number, flags.merging(["node-id": name]) { $1 })
            }
            try cluster.eventually([0, 1, 2], live(3))
            #expect(try cluster.nodes[1].post("/api/indexes/x?ack=s3", #"{"dimensions":1}"#).status == 200)
            func archivers(_ status: JSONValue) -> Set<String> {
                let peers = status["peers"]
                return Set(
                    (peers?.keys ?? []).filter { peers?[$0]?["last_s3_sync"]?.string?.hasPrefix("0001") == false }
                )
            }
            // The work goes round: each of them has archived in the end, as all of them see.
            try cluster.eventually([0, 1, 2]) { archivers($0).count == 3 }
            try cluster.nodes[0].node.kill()
            let written = try cluster.nodes[1].post("/api/indexes/x/vectors?ack=s3", #"{"id":"v","vector":[1]}"#)
            let level = try written.json()["receipt"]?["ack"]?.string
            #expect(written.status == 200 && level == "s3", "\(written)")
        }

        @Test("a node finds others where an operator says, and what two nodes show is compared")
        func joinAndCompare() throws {
            var cluster = try Nodes()
            try cluster.start(0, ["node-id": "a", "cluster-discovery": "none"])
            try cluster.start(1, ["node-id": "b", "cluster-discovery": "none"])
            let wrong = try cluster.command(0, ["join", "no:such:address"])
            #expect(wrong.status == .exited(1) && "\(wrong)".contains("invalid address"), "\(wrong)")
            let joined = try cluster.command(0, ["join", "localhost:\(cluster.ports[1])"])
            #expect(joined.status == .exited(0), "\(joined)")
            try cluster.eventually([0, 1], live(2))

            let apis = cluster.nodes.map { "127.0.0.1:\($0.node.port)" }
            let same = try cluster.command(0, ["diff"] + apis)
            #expect(same.status == .exited(0), "\(same)")
            // Two nodes that have nothing to do with one another: what differs is found, whatever the blocks.
            for (number, ids) in [0..<1500, 500..<2500].enumerated() {
                var lone = try Nodes()
                try lone.start(0, ["cluster-enabled": "false"])
                let api = lone.nodes[0]
                try api.createIndex("x", 1)
                let vectors = ids.map { #"{"id":"\#(10_000 + $0)","vector":[\#($0 == 700 ? number : 7)]}"# }
                let body = #"{"vectors":[\#(vectors.joined(separator: ","))]}"#
                #expect(try api.post("/api/indexes/x/vectors/bulk", body).status == 200)
                cluster.nodes.append(api)
            }
            let lone = cluster.nodes[2...].map { "127.0.0.1:\($0.node.port)" }
            let diff = try cluster.command(0, ["diff", "--json", "--rows", "5000"] + lone)
            #expect(diff.status == .exited(6))
            let found = try #require(try JSONValue(text: diff.output).array)
            func ids(_ what: String) -> [Int] {
                found.filter { $0["difference"]?.string == what }.compactMap { $0["id"]?.string }.compactMap { Int($0) }
            }
            #expect(ids("only_first") == Array(10_000..<10_500) && ids("only_second") == Array(11_500..<12_500))
            #expect(ids("content") == [10_700])
            let text = try cluster.command(0, ["diff", "--rows", "1"] + lone)
            #expect(text.status == .exited(6) && text.output == "x 10000: on \(lone[0]) only\n", "\(text)")
        }

        @Test("a node whose clock is wrong takes no writes until it is right, and shows what the others write")
        func wrongClock() throws {
            let place = try TemporaryDirectory()
            let (library, clock) = (place.path + "/wrong_clock.so", place.path + "/clock")
            let built = try ChildProcess.run(
                "/usr/bin/env",
                ["clang", "-shared", "-fPIC", "-o", library, RepositoryFiles.root + "/Tests/WrongClock/wrong_clock.c"],
                environment: ["PATH": getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"],
                workingDirectory: place.path
            )
            try #require(built.status == .exited(0), "\(built)")
            // 4096 s: further off than the tokens of the nodes are good for.
            try Files.write(clock, [0, 0x10, 0, 0, 0, 0, 0, 0])
            var cluster = try Nodes()
            let flags = [
                "cluster-seeds": cluster.ports.map { "127.0.0.1:\($0)" }.joined(separator: ","),
                "jwt-secret": Token.secret,
            ]
            for (number, name) in ["a", "b", "c"].enumerated() {
                let wrong = ["LD_PRELOAD": library, "WRONG_CLOCK": clock]
                try cluster.start(
                    number,
                    flags.merging(["node-id": name]) { $1 },
                    environment: number == 2 ? wrong : [:]
                )
            }
            try cluster.eventually([0, 1, 2], live(3))
            let (a, c) = (cluster.nodes[0], cluster.nodes[2])
            try #require(try a.createIndex("i", 1).status == 200)
            func eventually(_ what: String, _ isSo: () throws -> Bool) throws {
                try #require(try comesTrue(isSo), "\(what)\n\(a.node.log)\n\(c.node.log)")
            }
            try eventually("c refuses writes") {
                let answer = try c.add("i", "c", [1])
                return answer.status == 503 && answer.error?.contains("clock") == true
            }
            #expect(c.node.log.contains("No writes are taken: this node's clock is"))
            try #require(try a.add("i", "a", [1]).status == 200)
            try eventually("c shows what a wrote") { try c.vector("i", "a").status == 200 }

            // In place, for the process has it in its memory.
            try Files.flip(clock, offset: 1, mask: 0x10)
            try eventually("c takes writes") { try c.add("i", "c again", [1]).status == 200 }
            try eventually("a shows what c wrote") { try a.vector("i", "c again").status == 200 }
        }

        @Test("nodes of one Auto Scaling group find each other, under their instances' ids")
        func autoScalingGroup() throws {
            let ids = ["i-0aaa", "i-0bbb"]
            let addresses = ["127.0.0.2", "127.0.0.3"]
            let cloud = AutoScalingMock()
            var cluster = try Nodes()
            for number in ids.indices {
                try cluster.start(
                    number,
                    // Machines have addresses of their own, and one port.
                    [
                        // By itself where the machine says that it is in EC2.
                        "cluster-discovery": number == 0 ? "ec2" : "auto", "bind-address": addresses[number],
                        "cluster-bind-port": "\(cluster.ports[0])",
                    ],
                    environment: try cloud.launch(ids[number], addresses[number])
                )
            }
            try cluster.eventually([0, 1], live(2))
            try cluster.eventually([0, 1], members(ids))
            let table = try cluster.command(1, ["status"])
            #expect(table.output.contains("i-0bbb *") && table.output.contains("i-0aaa"), "\(table)")
        }

        @Test("a cloud that does not answer keeps no node from starting")
        func noCloud() throws {
            // A port at which nobody listens.
            let nobody = "http://127.0.0.1:\(try Socket.freePort())"
            var cluster = try Nodes()
            let environment = ["AWS_EC2_METADATA_SERVICE_ENDPOINT": nobody]
            try cluster.start(0, ["cluster-discovery": "ec2", "node-id": "a"], environment: environment)
            #expect(cluster.nodes[0].node.log.contains("Nodes are not looked for in EC2"))
            #expect(try cluster.nodes[0].get("/api/health").status == 200)
        }
    }
}
