import Glibc
import SpringgCluster
import SpringgTestKit
import Testing

@Suite("Membership on a bad network, in virtual time")
struct SimulationTests {
    /// Time in which everybody must agree again once the network is well: longest pause of a contact, then gossip.
    private static let agreementLimit = Duration.seconds(150)

    @Test("nodes that start together find each other within seconds", arguments: [1, 2, 3, 5, 20, 50])
    func start(count: Int) throws {
        var random = SeededRandom.fromEnvironment("start of \(count)")
        var cluster = SimulatedCluster(count, seed: random.next())
        cluster.startAll()
        let time = cluster.run(until: { $0.isAgreed && $0.statesAreAgreed }, limit: .seconds(30))
        let taken = try #require(time, "\(cluster.disagreements)")
        print("\(count) nodes agree after \(taken)")
        #expect(cluster.nodes.allSatisfy { $0.falseDeaths == 0 })
    }

    @Test("loss, delay and repetition make nobody dead for good", arguments: [3, 4, 5, 12, 30])
    func badWeather(count: Int) throws {
        var random = SeededRandom.fromEnvironment("bad weather of \(count)")
        var (falseDeaths, hours) = (0, 0.0)
        for _ in 0..<3 {
            var cluster = SimulatedCluster(count, seed: random.next())
            cluster.startAll()
            try #require(cluster.run(until: \.isAgreed, limit: .seconds(60)) != nil, "\(cluster.disagreements)")
            cluster.weather.loss = 0.15
            cluster.weather.repetition = 0.05
            cluster.weather.delay = .milliseconds(1)...(.milliseconds(120))
            cluster.run(.seconds(300))
            hours += Double(count) * 300 / 3600
            falseDeaths += cluster.nodes.reduce(0) { $0 + $1.falseDeaths }
            cluster.heal()
            let time = cluster.run(until: { $0.isAgreed && $0.statesAreAgreed }, limit: Self.agreementLimit)
            try #require(time != nil, "\(cluster.disagreements)")
        }
        print("\(count) nodes, 15% loss: \(falseDeaths) false deaths in \(hours) node hours")
        // Each is taken back; but with this loss there should hardly be one.
        #expect(falseDeaths <= count)
    }

    @Test("a crash is noticed by all within its bound, and nobody else is blamed", arguments: [3, 4, 5, 12, 50])
    func crash(count: Int) throws {
        var random = SeededRandom.fromEnvironment("crash among \(count)")
        var slowest = Duration.zero
        for _ in 0..<5 {
            var cluster = SimulatedCluster(count, seed: random.next())
            cluster.startAll()
            try #require(cluster.run(until: \.isAgreed, limit: .seconds(60)) != nil)
            cluster.weather.loss = 0.05
            cluster.run(.seconds(20))
            let victim = Int.random(in: 0..<count, using: &cluster.random)
            cluster.crash(victim)
            // Found by a probe within two rounds, then the longest suspicion: 6 × 4 × log10(n) seconds.
            let time = cluster.run(until: { $0.isNoticed(victim) }, limit: .seconds(60))
            slowest = max(slowest, try #require(time))
            cluster.heal()
            try #require(cluster.run(until: \.isAgreed, limit: Self.agreementLimit) != nil, "\(cluster.disagreements)")
            cluster.start(victim)
            let back = cluster.run(until: { $0.isAgreed && $0.statesAreAgreed }, limit: Self.agreementLimit)
            try #require(back != nil, "\(cluster.disagreements)")
        }
        print("crash among \(count): noticed by all within \(slowest)")
    }

    @Test("a node that restarts before anybody noticed is not taken for the one it was")
    func quickRestart() throws {
        var random = SeededRandom.fromEnvironment("quick restart")
        for _ in 0..<10 {
            var cluster = SimulatedCluster(5, seed: random.next())
            cluster.startAll()
            try #require(cluster.run(until: \.isAgreed, limit: .seconds(60)) != nil)
            cluster.crash(2)
            cluster.run(.milliseconds(Int.random(in: 0..<8000, using: &random)))
            cluster.start(2)
            let time = cluster.run(until: { $0.isAgreed && $0.statesAreAgreed }, limit: Self.agreementLimit)
            try #require(time != nil, "\(cluster.disagreements)")
        }
    }

    @Test(
        "halves that were apart for long find each other without help",
        arguments: [(2, 1), (4, 2), (5, 2), (20, 10)]
    )
    func split(count: Int, left: Int) throws {
        var random = SeededRandom.fromEnvironment("split of \(count)")
        for apart in [Duration.seconds(20), .seconds(75), .seconds(600)] {
            // Seeds on one side only: the other must remember whom it knew.
            var cluster = SimulatedCluster(count, seed: random.next(), seedNodes: 1)
            cluster.startAll()
            try #require(cluster.run(until: \.isAgreed, limit: .seconds(60)) != nil)
            cluster.split { $0 < left }
            cluster.run(apart)
            if apart > .seconds(60) {
                for node in cluster.nodes {
                    let live = node.core?.liveMembers.count ?? 0
                    #expect(live == (node.index < left ? left : count - left), "node \(node.index) sees \(live)")
                }
            }
            cluster.heal()
            let time = cluster.run(until: { $0.isAgreed && $0.statesAreAgreed }, limit: Self.agreementLimit)
            try #require(time != nil, "\(cluster.disagreements)")
            print("\(left) of \(count) apart for \(apart): one cluster after \(time ?? .zero)")
        }
    }

    @Test("who leaves is gone at once, everywhere, and is not looked for")
    func leave() throws {
        var random = SeededRandom.fromEnvironment("leave")
        var cluster = SimulatedCluster(10, seed: random.next())
        cluster.startAll()
        try #require(cluster.run(until: \.isAgreed, limit: .seconds(60)) != nil)
        cluster.leave(7)
        let time = cluster.run(until: { $0.nodes[7].core?.hasLeft == true && $0.isNoticed(7) }, limit: .seconds(5))
        #expect(time != nil)
        #expect(cluster.running.allSatisfy { cluster.nodes[$0].core?["node-7"]?.status == .left })
        cluster.crash(7)
        cluster.run(.seconds(60))
        #expect(cluster.isAgreed)
        // It may come back.
        cluster.start(7)
        #expect(cluster.run(until: \.isAgreed, limit: .seconds(60)) != nil, "\(cluster.disagreements)")
    }

    /// Clusters that chaos is let loose on: `SPRINGG_CHAOS_CLUSTERS`, by default a few seconds' worth.
    private static let clusters = getenv("SPRINGG_CHAOS_CLUSTERS").flatMap { Int(String(cString: $0)) } ?? 100

    @Test("whatever happens, all agree once the network is well")
    func chaos() throws {
        var random = SeededRandom.fromEnvironment("chaos")
        var (steps, simulated) = (0, Duration.zero)
        for _ in 0..<Self.clusters {
            let seed = random.next() >> 32
            let count = Int.random(in: 3...12, using: &random)
            steps += Self.misfortunes
            simulated += try chaos(count, seed: seed)
        }
        print("\(steps) misfortunes in \(simulated) of simulated time")
    }

    private static let misfortunes = 25

    /// Lets misfortunes happen to a cluster, heals it, and wants it to agree; returns the simulated time.
    private func chaos(_ count: Int, seed: UInt64) throws -> Duration {
        var cluster = SimulatedCluster(count, seed: seed)
        cluster.startAll()
        for _ in 0..<Self.misfortunes {
            Self.misfortune(&cluster)
            cluster.run(.milliseconds(Int.random(in: 0..<15_000, using: &cluster.random)))
        }
        cluster.heal()
        // Where no seed runs, those that have left and come back know nobody who knows them.
        if !cluster.running.contains(0) { cluster.restart(0) }
        let time = cluster.run(until: { $0.isAgreed && $0.statesAreAgreed }, limit: Self.agreementLimit)
        try #require(time != nil, "\(count) nodes, cluster seed \(seed): \(cluster.disagreements)")
        return cluster.now
    }

    private static func misfortune(_ cluster: inout SimulatedCluster) {
        let count = cluster.nodes.count
        let index = Int.random(in: 0..<count, using: &cluster.random)
        switch Int.random(in: 0..<10, using: &cluster.random) {
        case 0 where cluster.running.count > 1:
            cluster.crash(index)
        case 1:
            if cluster.nodes[index].core == nil { cluster.start(index) }
        case 2 where cluster.running.count > 2:
            cluster.leave(index)
            cluster.run(.seconds(2))
            cluster.crash(index)
        case 3, 4:
            // One way only.
            for _ in 0..<count { cluster.cut(from: index, to: Int.random(in: 0..<count, using: &cluster.random)) }
        case 5:
            let border = Int.random(in: 1..<count, using: &cluster.random)
            cluster.split { $0 < border }
        case 6:
            cluster.weather.loss = Double.random(in: 0..<0.6, using: &cluster.random)
            cluster.weather.repetition = Double.random(in: 0..<0.2, using: &cluster.random)
            cluster.weather.delay = .zero...(.milliseconds(Int.random(in: 1..<800, using: &cluster.random)))
        case 7:
            var state = NodeState()
            state.vectorCount = UInt64.random(in: 0..<1000, using: &cluster.random)
            cluster.setState(index, state)
        default:
            cluster.heal()
        }
    }

    /// Nodes of the largest cluster whose traffic is counted: `SPRINGG_TRAFFIC_NODES`; time grows with its square.
    private static let largest = getenv("SPRINGG_TRAFFIC_NODES").flatMap { Int(String(cString: $0)) } ?? 150

    @Test("a larger cluster costs each node no more")
    func traffic() throws {
        var random = SeededRandom.fromEnvironment("traffic")
        var costs: [Double] = []
        for count in [5, 50, Self.largest] {
            var cluster = SimulatedCluster(count, seed: random.next())
            cluster.startAll()
            try #require(cluster.run(until: \.isAgreed, limit: .seconds(120)) != nil, "\(cluster.disagreements)")
            let announced = try #require(cluster.nodes[0].core?.announceInterval)
            // All have said something when they started, so all would do so again at once, and then be silent: for one
            // interval they begin to speak one after the other, and the next one is measured.
            Self.talk(&cluster, for: announced) { Int.random(in: 0..<$0, using: &random) == 0 }
            let seconds = max(60, Int(announced.components.seconds))
            let (bytes, packets) = Self.sent(cluster)
            Self.talk(&cluster, for: .seconds(seconds)) { _ in true }
            let (bytesAfter, packetsAfter) = Self.sent(cluster)
            let perSecond = Double(bytesAfter - bytes) / Double(seconds * count)
            costs.append(perSecond)
            let packetsPerSecond = Double(packetsAfter - packets) / Double(seconds * count)
            print(
                "\(count) nodes: \(Int(perSecond)) bytes and \(Int(packetsPerSecond)) packets a second sent by each;",
                "a change is announced within \(announced)"
            )
            #expect(cluster.nodes.allSatisfy { $0.falseDeaths == 0 })
        }
        #expect(costs[2] < 1.5 * costs[1] && costs[2] < 12_000)
    }

    /// Lets nodes have something new to say, every five seconds those that `speaks` picks by the rounds that are left.
    private static func talk(_ cluster: inout SimulatedCluster, for time: Duration, speaks: (Int) -> Bool) {
        let rounds = max(1, Int(time.components.seconds) / 5)
        for round in 0..<rounds {
            for index in cluster.nodes.indices where speaks(rounds - round) {
                var state = NodeState()
                state.composedAt = UInt64(cluster.now.components.seconds)
                state.vectorCount = UInt64(index)
                cluster.setState(index, state)
            }
            cluster.run(.seconds(5))
        }
    }

    private static func sent(_ cluster: SimulatedCluster) -> (bytes: Int, packets: Int) {
        cluster.nodes.reduce((0, 0)) { ($0.0 + $1.sentBytes, $0.1 + $1.sentPackets) }
    }
}
