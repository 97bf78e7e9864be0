import Glibc
import SpringgLog
import SpringgTestKit
import Testing

/// Clusters of 3 to 5 nodes that suffer everything at once, and then are left in peace.
@Suite("A cluster keeps its promises")
struct ReplicationSimulationTests {
    /// What a run saw; a run in which nothing happened would prove nothing.
    struct Tally {
        var writes = 0, crashes = 0, rollbacks = 0, newOrigins = 0, restored = 0, exchanges = 0
        var simulated = Duration.zero
    }

    /// One cluster's life.
    static func live(_ seed: UInt64, _ tally: inout Tally) throws {
        let cluster = ReplicaSimulation(seed: seed)
        var copies: [Int: [(path: String, bytes: [UInt8])]] = [:]
        // Each seed has its own troubles: all of them in every run would leave nothing quiet enough to go on.
        let troubles = Set((0..<8).filter { _ in Bool.random(using: &cluster.random) })
        if troubles.contains(0) {
            cluster.weather.loss = Double.random(in: 0...0.3, using: &cluster.random)
            cluster.weather.repetition = 0.2
            cluster.weather.delay = .milliseconds(1)...(.milliseconds(500))
        }
        for _ in 0..<Int.random(in: 20...60, using: &cluster.random) {
            try cluster.run(for: .milliseconds(Int64.random(in: 10...1500, using: &cluster.random)))
            let node = Int.random(in: cluster.nodes.indices, using: &cluster.random)
            let other = Int.random(in: cluster.nodes.indices, using: &cluster.random)
            for _ in 0..<Int.random(in: 0...5, using: &cluster.random) {
                try cluster.write(Int.random(in: cluster.nodes.indices, using: &cluster.random))
            }
            let trouble = Int.random(in: 1..<16, using: &cluster.random)
            guard troubles.contains(trouble) else { continue }
            let pause = Duration.milliseconds(Int64.random(in: 100...8000, using: &cluster.random))
            switch trouble {
            case 1: cluster.cut(node, other)
            case 2: cluster.heal()
            case 3: cluster.crash(node, for: pause)
            case 4: cluster.crashSoon(node)
            case 5:
                cluster.setClock(
                    node,
                    offsetMilliseconds: Int64.random(in: -9_000_000...9_000_000, using: &cluster.random)
                )
            case 6:
                // Who is forgotten is not asked: an operator who forgets a node says that its disk is gone (nor is anybody
                // forgotten from now until this one has asked). And a disk takes longer to be replaced than a packet to arrive.
                if let copy = copies[node], !cluster.someoneIsForgotten {
                    cluster.rollBack(node, to: copy, for: pause + .seconds(1))
                } else if cluster.nodes[node].running != nil, !cluster.nodes[node].disk.isStopped {
                    copies[node] = cluster.copyOfDisk(node)
                }
            default: cluster.setForgotten(node, cluster.random.oneIn(2))
            }
            try cluster.check()
        }
        cluster.heal()
        var waited = 0
        while try !cluster.hasConverged() || !cluster.isRule() {
            guard waited < 240 else { throw ReplicaSimulation.Violation("no agreement after two minutes of peace") }
            waited += 1
            try cluster.run(for: .milliseconds(500))
            try cluster.check()
        }
        tally.writes += cluster.writes
        tally.crashes += cluster.crashes
        tally.rollbacks += cluster.rollbacks
        tally.newOrigins += cluster.newOrigins
        tally.restored += cluster.restored
        tally.exchanges += cluster.exchanges
        tally.simulated += cluster.now
    }

    private static func number(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }

    @Test(
        "whatever fails: nothing acknowledged is lost, no number is given twice, equal vectors have equal digests, and all agree in the end"
    )
    func everything() {
        let first: UInt64
        let count: UInt64
        if let seed = Self.number("SPRINGG_SEED") {
            (first, count) = (seed, 1)
        } else {
            var system = SystemRandomNumberGenerator()
            (first, count) = (system.next() >> 32, Self.number("SPRINGG_SIMULATION_SEEDS") ?? 2000)
        }
        print("replication: seeds \(first) to \(first + count - 1)")
        var tally = Tally()
        var failed = 0
        for seed in first..<first + count where failed < 10 {
            do {
                try Self.live(seed, &tally)
            } catch {
                failed += 1
                Issue.record("SPRINGG_SEED=\(seed): \(error)")
            }
        }
        print("\(tally)")
        if count >= 1000 {
            #expect(tally.crashes > 100 && tally.rollbacks > 20 && tally.restored > 20 && tally.newOrigins > 20)
        }
    }
}
