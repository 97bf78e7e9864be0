import SpringgCluster
import SpringgLog
import SpringgTestKit
import Testing

/// How often a peer is tried that cannot be reached.
@Suite("Circuit breaker")
struct CircuitBreakerTests {
    private func until(_ breaker: CircuitBreaker) -> Duration? {
        if case .open(let until) = breaker.state { until } else { nil }
    }

    @Test("pauses double up to the longest, and one attempt follows each")
    func pauses() throws {
        var random = SeededRandom.fromEnvironment("breaker")
        var breaker = CircuitBreaker()
        var now = Duration.zero
        for failure in 0..<12 {
            #expect(breaker.admits(now) == true)
            breaker.failed(now, using: &random)
            let pause = min(CircuitBreaker.pauseMin * (1 << failure), CircuitBreaker.pauseMax)
            let end = try #require(until(breaker))
            #expect((now + pause / 2...now + pause).contains(end))
            #expect(breaker.admits(end - .milliseconds(1)) == false)
            now = end
        }
        #expect([breaker.admits(now), breaker.admits(now)] == [true, false])
        breaker.succeeded()
        #expect(breaker == CircuitBreaker())
    }

    @Test("who hears of the peer ends the pause, and pesters nobody whom only that way reaches")
    func heard() throws {
        var random = SeededRandom.fromEnvironment("breaker that hears")
        var breaker = CircuitBreaker()
        breaker.heard(.zero)
        #expect(breaker == CircuitBreaker())
        for _ in 0..<12 { breaker.failed(.zero, using: &random) }
        breaker.heard(.seconds(1))
        #expect([breaker.admits(.seconds(1)), breaker.admits(.seconds(1))] == [true, false])
        // While its outcome is not known, hearing means nothing.
        breaker.heard(.seconds(1))
        #expect(breaker.admits(.seconds(1)) == false)
        // A quarter of an hour in which it is heard of ten times a second, and does not answer.
        breaker.failed(.seconds(1), using: &random)
        var attempts = 0
        for tenth in 10..<9010 {
            let now = Duration.milliseconds(100 * tenth)
            breaker.heard(now)
            if breaker.admits(now) {
                attempts += 1
                breaker.failed(now, using: &random)
            }
        }
        let longest = 900 / Int(CircuitBreaker.pauseMax / .seconds(1))
        #expect((longest...4 * longest).contains(attempts), "\(attempts)")
    }

    @Test("a peer that is heard of is asked at once")
    func replication() throws {
        let address = APIAddress(NodeAddress(try #require(IPAddress("10.0.0.2")), port: 8080))
        var core = Replication(
            options: ReplicationOptions(),
            origin: OriginID(high: 1, low: 1),
            vector: VersionVector(),
            expectsPeers: true,
            claim: nil,
            now: .zero,
            random: SeededRandom.fromEnvironment("replication that hears")
        )
        func exchange(_ directives: [ReplicationDirective]) -> Exchange? {
            for case .exchange(let exchange) in directives { return exchange }
            return nil
        }
        var now = Duration.zero
        var next = exchange(core.setPeers([PeerAddress(name: "b", address: address)], now))
        for _ in 0..<8 {
            let failed = try #require(next)
            _ = core.ended(failed, .failed("no route"), now)
            guard case .open(let until) = core.allPeers.first?.breaker.state else { throw TestKitError("not open") }
            now = until
            next = exchange(core.tick(now))
        }
        _ = core.ended(try #require(next), .failed("no route"), now)
        now += .seconds(1)
        #expect(exchange(core.tick(now)) == nil)
        #expect(exchange(core.heard(of: "somebody else", now)) == nil)
        #expect(exchange(core.heard(of: "b", now))?.peer == "b")
    }
}
