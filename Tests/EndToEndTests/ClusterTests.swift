import SpringgTestKit
import Testing

extension EndToEnd {
    /// Real nodes and real memberlist agents in one cluster.
    @Suite struct ClusterTests {
        /// A node of a test's own that looks for others.
        private func node(_ name: String, seeds: [Int], _ more: [String: String] = [:]) throws -> (API, port: Int) {
            let port = try Socket.freePort()
            let flags = [
                "cluster-enabled": "true", "node-id": name, "cluster-bind-port": "\(port)",
                "cluster-seeds": seeds.map { "localhost:\($0)" }.joined(separator: ","),
            ]
            return (try API(flags.merging(more) { $1 }), port)
        }

        /// Names of the members that a node takes for alive, by their word for it.
        private func live(_ api: API) throws -> Set<String> {
            let peers = try api.get("/internal/cluster/status").data()["peers"]
            return Set((peers?.keys ?? []).filter { peers?[$0]?["status"]?.string == "alive" })
        }

        /// Two of ours and two of theirs: each lists all, each notices a death and a farewell.
        @Test func oneClusterWithRealAgents() throws {
            let first = try Alertmanager(peers: [])
            let (a, portA) = try node("a", seeds: [first.gossipPort])
            let second = try Alertmanager(peers: [portA])
            // It knows one of theirs only, and finds the others through it.
            let (b, portB) = try node("b", seeds: [second.gossipPort])
            let addresses = Set([first.gossipPort, second.gossipPort, portA, portB].map { "127.0.0.1:\($0)" })
            #expect(try comesTrue { try live(a).count == 4 && live(b).count == 4 }, "\(a.node.log)\(b.node.log)")
            #expect(try live(a).isSuperset(of: ["a", "b"]) && live(a) == live(b))
            #expect(try comesTrue { first.peers == addresses && second.peers == addresses })
            #expect(try a.get("/internal/cluster/status").data()["peers"]?["b"]?["version"]?.string?.isEmpty == false)

            try second.kill()
            let dead = "127.0.0.1:\(second.gossipPort)"
            #expect(try comesTrue { try live(a).count == 3 && live(b).count == 3 && !first.peers.contains(dead) })

            try b.node.kill()
            #expect(try comesTrue { try live(a).count == 2 && first.peers.count == 2 })

            // Back under its name, with an incarnation that the others know better than it does.
            let (again, _) = try node("b", seeds: [portA], ["cluster-bind-port": "\(portB)"])
            #expect(try comesTrue { try live(a).count == 3 && live(again).count == 3 && first.peers.count == 3 })

            // A farewell needs no time-out.
            try a.stop()
            #expect(try comesTrue(within: 10) { try live(again).count == 2 && first.peers.count == 2 })
        }

        @Test func wrongSettingsEndTheStart() throws {
            let fixture = try NodeFixture(flags: ["cluster-enabled": "true", "cluster-keys": "c2hvcnQ="])
            let keys = try fixture.startExpectingExit()
            #expect(keys.status == .exited(1) && "\(keys)".contains("invalid cluster_keys"))
            fixture.flags["cluster-keys"] = nil
            fixture.flags["cluster-seeds"] = "good, bad:port:x"
            let seeds = try fixture.startExpectingExit()
            #expect(seeds.status == .exited(1) && "\(seeds)".contains("invalid cluster_seeds: bad:port:x"))
            fixture.flags["cluster-seeds"] = nil
            fixture.flags["cluster-advertise-address"] = "0.0.0.0"
            let address = try fixture.startExpectingExit()
            #expect(address.status == .exited(1) && "\(address)".contains("cluster_advertise_address"))
        }
    }
}
