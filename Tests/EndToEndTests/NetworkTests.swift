import Glibc
import SpringgTestKit
import Testing

extension EndToEnd {
    /// Real nodes on machines of their own, while their network is cut, loses and delays, and clients write everywhere.
    ///
    /// In the end all nodes show the same, and of each id the latest write that was acknowledged.
    @Suite struct NetworkTests {
        /// Starts a cluster with an index `i` on all nodes.
        private static func cluster(
            _ random: SeededRandom,
            nodes count: Int,
            machines: Int? = nil
        ) throws -> NetworkCluster {
            let cluster = try NetworkCluster(machines: machines ?? count, random: random)
            for _ in 0..<count { try cluster.add(seeds: count) }
            try begin(cluster)
            return cluster
        }

        private static func begin(_ cluster: NetworkCluster) throws {
            let all = Array(cluster.nodes.indices)
            try cluster.see(all, all)
            try #require(try cluster.nodes[0].createIndex("i", 1).status == 200)
            try cluster.agree(all)
            try cluster.write(on: all)
        }

        /// Waits until a write on a node gets as far as this with `ack=quorum`; a busy machine may not get there at first.
        private static func quorum(_ cluster: NetworkCluster, _ place: Int, gets level: String) throws {
            let body = API.vectorBody("quorum of \(place)", [1])
            try cluster.eventually("a write on \(cluster.names[place]) gets as far as \(level)") {
                let answer = try cluster.nodes[place].post("/api/indexes/i/vectors?ack=quorum", body)
                let reached = try answer.json()["receipt"]?["ack"]?.string
                // What cannot be is never claimed, and 200 is for what was asked for.
                #expect((answer.status == 200) == (reached == "quorum") && (level == "quorum" || reached != "quorum"))
                return reached == level
            }
        }

        @Test("three nodes: bad weather, a minority of one, one direction, kill -9, rolling restart, a replacement")
        func threeNodes() throws {
            let cluster = try Self.cluster(.fromEnvironment("threeNodes"), nodes: 3, machines: 4)
            let network = cluster.network
            network.weather(loss: 0.05, delay: 0.001...0.03)
            try cluster.progress(50, on: [0, 1, 2])
            #expect(network.figures.lost > 0)
            network.heal()

            // Each side goes on, and says how far its writes get.
            network.cut([0], [1, 2])
            try cluster.see([0], [0])
            try cluster.see([1, 2], [1, 2])
            try cluster.progress(20, on: [0, 1, 2])
            try Self.quorum(cluster, 0, gets: "local")
            try Self.quorum(cluster, 1, gets: "quorum")
            network.heal()
            try cluster.see([0, 1, 2], [0, 1, 2])
            try cluster.progress(20, on: [0, 1, 2])

            // Nothing of b reaches c: its writes come by way of a.
            network.change([1], to: [2]) { $0.isCut = true }
            try cluster.progress(20, on: [0, 1, 2])
            try #require(try cluster.nodes[1].add("i", "detour", [3]).status == 200)
            try cluster.eventually("c shows what b wrote") { try cluster.nodes[2].vector("i", "detour").status == 200 }
            #expect(network.figures.cut > 0)
            network.heal()

            // Deletes while a node is down.
            try cluster.nodes[2].node.kill()
            try cluster.progress(50, on: [0, 1])
            try cluster.nodes[2].start()
            for place in [0, 1, 2] {
                try cluster.nodes[place].restart()
                try cluster.progress(20, on: [0, 1, 2])
            }
            // A fresh node in the place of another, whose disk is gone.
            try cluster.nodes[1].node.kill()
            cluster.ledger.lost(diskOf: "b")
            try cluster.add(seeds: 4)
            try cluster.write(on: [3])
            try cluster.see([0, 2, 3], [0, 2, 3])
            try cluster.progress(20, on: [0, 2, 3])
            try cluster.settle([0, 2, 3])
        }

        @Test("five nodes: a minority of two, a crash, then halves that find each other by themselves")
        func fiveNodes() throws {
            let cluster = try Self.cluster(.fromEnvironment("fiveNodes"), nodes: 5)
            let network = cluster.network
            network.cut([0, 1], [2, 3, 4])
            try cluster.progress(10, on: [0, 1, 2, 3, 4])
            try Self.quorum(cluster, 0, gets: "peer")
            try Self.quorum(cluster, 4, gets: "quorum")
            // Two and two, and a majority of five nowhere.
            try cluster.nodes[4].node.kill()
            try cluster.see([0, 1], [0, 1])
            try cluster.see([2, 3], [2, 3])
            try cluster.progress(10, on: [0, 1, 2, 3])
            for place in [1, 3] { try Self.quorum(cluster, place, gets: "peer") }
            network.heal()
            try cluster.see([0, 1, 2, 3], [0, 1, 2, 3])
            try cluster.nodes[4].start()
            try cluster.see([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
            try cluster.settle([0, 1, 2, 3, 4])
        }

        @Test("five nodes: any of this at any moment, by seed")
        func anyMoment() throws {
            var random = SeededRandom.fromEnvironment("anyMoment")
            let machines = 0..<5
            let cluster = try Self.cluster(random, nodes: machines.count)
            let network = cluster.network
            var current = Array(machines)
            let seconds = getenv("SPRINGG_NETWORK_SECONDS").flatMap { Double(String(cString: $0)) } ?? 10
            let deadline = Deadline(seconds: seconds)
            while !deadline.isOver {
                let down = current.filter { !cluster.running.contains($0) }
                let some = machines.shuffled(using: &random).prefix(Int.random(in: 1...2, using: &random))
                let others = machines.filter { !some.contains($0) }
                switch Int.random(in: 0..<8, using: &random) {
                case 0:
                    let slowest = Double.random(in: 0.001...0.05, using: &random)
                    network.weather(loss: Double.random(in: 0...0.2, using: &random), delay: 0.001...slowest)
                case 1: network.cut(some, others)
                case 2: network.change(some, to: others) { $0.isCut = true }
                case 3: network.heal()
                case 4 where down.count < 2:
                    try cluster.nodes[cluster.running[some[0] % cluster.running.count]].node.kill()
                case 5: if let node = down.first { try cluster.nodes[node].start() }
                case 6: try cluster.nodes[cluster.running[some[0] % cluster.running.count]].restart()
                case 7: try replace(some[0], in: cluster, &current)
                default: continue
                }
                try cluster.progress(10, on: cluster.running)
            }
            network.heal()
            for node in current where !cluster.running.contains(node) { try cluster.nodes[node].start() }
            try cluster.see(current, current)
            try cluster.settle(current)
        }

        /// Puts a fresh node in the place of one whose disk goes with it, once all others hold what it holds.
        private func replace(_ machine: Int, in cluster: NetworkCluster, _ current: inout [Int]) throws {
            cluster.network.heal()
            for node in current where !cluster.running.contains(node) { try cluster.nodes[node].start() }
            try cluster.rest()
            try cluster.agree(current)
            guard let old = current.first(where: { cluster.nodes[$0].node.machine?.number == machine }) else { return }
            try cluster.nodes[old].node.kill()
            current.removeAll { $0 == old }
            current.append(cluster.nodes.count)
            try cluster.add(seeds: cluster.network.machines.count, on: machine)
            try cluster.write(on: current)
        }

        @Test("an Auto Scaling group with a bucket: a node without it, an instance replaced, all of it archived")
        func autoScalingGroup() throws {
            let random = SeededRandom.fromEnvironment("autoScalingGroup")
            let ids = ["i-0aaa", "i-0bbb", "i-0ccc", "i-0ddd"]
            let store = ids.count
            let cluster = try NetworkCluster(machines: store + 1, random: random)
            let network = cluster.network
            let server = try RealServer(.seaweedFS, on: network.machines[store])
            let archive = "s3://test-bucket/cluster"
            let settings = [
                "cluster-discovery": "ec2", "s3-bucket": archive, "s3-endpoint": server.endpoint,
                "s3-sync-interval": "1s", "cluster-size": "3", "ack-timeout": "5s",
            ]
            let keys = ["AWS_ACCESS_KEY_ID": RealServer.keys.id, "AWS_SECRET_ACCESS_KEY": RealServer.keys.secret]
            let cloud = AutoScalingMock()
            func launch(_ place: Int) throws {
                let machine = network.machines[place]
                let environment = try cloud.launch(ids[place], machine.address, on: machine).merging(keys) { $1 }
                try cluster.add(ids[place], on: machine, settings, environment: environment)
            }
            for place in 0..<3 { try launch(place) }
            try Self.begin(cluster)
            network.weather(loss: 0.02, delay: 0.001...0.01)
            network.cut([0], [store])
            try cluster.progress(50, on: [0, 1, 2])
            // Whoever was elected to archive, and cannot: another does.
            let archived = "/api/indexes/i/vectors?ack=s3"
            func isArchived(_ place: Int) throws -> Bool {
                try cluster.nodes[place].post(archived, API.vectorBody("archived \(place)", [4])).status == 200
            }
            try cluster.eventually("another archives") { try isArchived(1) }
            try cluster.nodes[0].node.kill()
            cloud.terminate(ids[0])
            cluster.ledger.lost(diskOf: ids[0])
            try launch(3)
            try cluster.write(on: [3])
            try cluster.see([1, 2, 3], [1, 2, 3])
            try cluster.progress(20, on: [1, 2, 3])
            network.heal()
            try cluster.settle([1, 2, 3])
            for place in 1...3 { try cluster.eventually("all is archived") { try isArchived(place) } }
            try cluster.agree([1, 2, 3])
            let node = cluster.nodes[1].node
            let target = node.directory + "/restored"
            let restored = try node.run(
                ["restore", "--from", archive, "--to", "latest", "--data-path", target, "--json"],
                environment: ["AWS_ENDPOINT_URL_S3": server.endpoint]
            )
            let report = try JSONValue(text: restored.output)["restored"]
            #expect(try report?["digest"]?.string == cluster.digest(1), "\(restored)")
        }
    }
}
