import Glibc
import SpringgTestKit
import Testing

extension EndToEnd {
    /// Nodes that replicate and real memberlist agents in one cluster, on a network that loses packets.
    @Suite struct InteroperationTests {
        private static let ours = 3
        private static let theirs = 3
        private static let key = [UInt8](0..<32)

        private static func setting(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

        /// Agents that join our first node: Debian's Alertmanager, or what SPRINGG_MEMBERLIST_AGENT names, encrypted and,
        /// with SPRINGG_MEMBERLIST_LABEL, labelled.
        private static func agents(_ machines: ArraySlice<Machine>, joining peer: String) throws -> [any ForeignAgent] {
            try machines.map { machine in
                guard let program = setting("SPRINGG_MEMBERLIST_AGENT") else {
                    return try Alertmanager(
                        gossipPort: NetworkCluster.gossipPort,
                        joining: ["\(peer):\(NetworkCluster.gossipPort)"],
                        on: machine
                    )
                }
                let label = setting("SPRINGG_MEMBERLIST_LABEL")
                return try MemberlistAgent(program, key: key, label: label, joining: peer, on: machine)
            }
        }

        private static var flags: [String: String] {
            guard setting("SPRINGG_MEMBERLIST_AGENT") != nil else { return [:] }
            // 32 bytes from 0 on, in base64.
            let keyed = ["cluster-keys": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]
            return keyed.merging(setting("SPRINGG_MEMBERLIST_LABEL").map { ["cluster-label": $0] } ?? [:]) { $1 }
        }

        @Test("each lists all others while one packet in ten is lost, and who is killed is missed by all")
        func underLoss() throws {
            let random = SeededRandom.fromEnvironment("underLoss")
            let cluster = try NetworkCluster(machines: Self.ours + Self.theirs, Self.flags, random: random)
            for _ in 0..<Self.ours { try cluster.add(seeds: Self.ours) }
            let machines = cluster.network.machines
            var agents = try Self.agents(machines[Self.ours...], joining: machines[0].address)
            var alive = Set(machines.map(\.address))
            /// What each lists: our nodes first.
            func lists() throws -> [Set<String>] {
                try cluster.running.map { try cluster.addresses($0) } + agents.map(\.addresses)
            }
            func agree(_ what: String) throws {
                let seconds = try Monotonic.seconds {
                    try cluster.eventually("\(what): all list \(alive.sorted())") {
                        try lists().allSatisfy { $0 == alive }
                    }
                }
                print("\(what): all agree after \((seconds * 10).rounded() / 10) s")
            }
            try agree("start")
            try #require(try cluster.nodes[0].createIndex("i", 1).status == 200)
            try cluster.agree(cluster.running)
            try cluster.write(on: cluster.running)

            cluster.network.weather(loss: 0.1)
            let deadline = Deadline(seconds: Self.setting("SPRINGG_INTEROP_SECONDS").flatMap { Double($0) } ?? 8)
            var looks = 0
            while !deadline.isOver {
                let lists = try lists()
                looks += lists.count
                for list in lists where list != alive { Issue.record("\(list.sorted()) in place of \(alive.sorted())") }
                // Whoever is asked without a pause has no time for anything else.
                usleep(200_000)
            }
            #expect(cluster.network.figures.lost > 0)
            print("\(looks) looks at lists of members; \(cluster.network.figures)")

            // One of theirs and one of ours, without a word, while packets are lost; then one of theirs with one.
            try agents.removeLast().end(SIGKILL)
            try cluster.nodes[Self.ours - 1].node.kill()
            alive.subtract([machines[machines.count - 1].address, machines[Self.ours - 1].address])
            try agree("one of each killed")
            cluster.network.heal()
            try cluster.nodes[Self.ours - 1].start()
            alive.insert(machines[Self.ours - 1].address)
            try agree("ours back")
            try agents.removeLast().end(SIGTERM)
            alive.remove(machines[machines.count - 2].address)
            try agree("farewell")
            try cluster.settle(cluster.running)
        }
    }
}
