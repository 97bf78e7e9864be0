import SpringgCluster
import Testing

/// When a divergence is said, and when its rows are looked for.
@Suite("Divergence")
struct DivergenceTests {
    private func divergence(_ peer: String, _ number: UInt64) -> Divergence {
        Divergence(peer: peer, ours: .init(low: number, high: 1), theirs: .init(low: number, high: 2))
    }

    private let places = [DivergentIndex("i", buckets: [3, 5], of: 8)]

    @Test("it is said once, looked for one at a time, and told when it has changed")
    func once() {
        var rule = DivergenceRule()
        let (b, c) = (divergence("b", 1), divergence("c", 1))
        #expect(rule.next(.zero) == nil && rule.peers.isEmpty && rule.places("b") == nil)
        #expect([rule.differ(c), rule.differ(b), rule.differ(b)] == [true, true, false])
        #expect(rule.peers == ["b", "c"] && rule.places("b") == [])
        #expect(rule.next(.zero) == b && rule.next(.zero) == nil)
        #expect(rule.located(places, b, .zero) == true && rule.places("b") == places)
        #expect(rule.next(.zero) == c)
        #expect(rule.located(places, c, .zero) == true)
        // It lasts: nothing to look for, ever.
        #expect(rule.next(.seconds(1_000_000)) == nil)
        // Writes go on: each announcement has other digests.
        for number in 2...100 { #expect(rule.differ(divergence("b", UInt64(number))) == false) }
        let last = divergence("b", 100)
        #expect(rule.next(DivergenceRule.pauseFound - .seconds(1)) == nil)
        #expect(rule.next(DivergenceRule.pauseFound) == last)
        #expect(rule.located(places, last, DivergenceRule.pauseFound) == false, "nothing new was found")
        _ = rule.differ(divergence("b", 101))
        #expect(rule.next(DivergenceRule.pauseFound * 2) == divergence("b", 101))
        #expect(rule.located([], divergence("b", 101), DivergenceRule.pauseFound * 2) == true)
        #expect([rule.agree("b"), rule.agree("b")] == [true, false] && rule.places("b") == nil)
        #expect(rule.differ(b) == true, "it is news again")
        rule.keep(only: ["c"])
        #expect(rule.peers == ["c"])
    }

    @Test("a look that could tell nothing is repeated soon, and one of a peer that agrees meanwhile says nothing")
    func failed() {
        var rule = DivergenceRule()
        let b = divergence("b", 1)
        _ = rule.differ(b)
        #expect(rule.next(.zero) == b)
        #expect(rule.located(nil, b, .zero) == false && rule.places("b") == [])
        #expect(rule.next(DivergenceRule.pauseFailed - .milliseconds(1)) == nil)
        #expect(rule.next(DivergenceRule.pauseFailed) == b)
        _ = rule.agree("b")
        #expect(rule.located(places, b, DivergenceRule.pauseFailed) == false && rule.peers.isEmpty)
    }

    @Test("what is told of an index is bounded, and says how much more there is")
    func bounded() {
        let many = DivergentIndex("i", buckets: Array(0..<100), of: 128)
        #expect(
            many.text(peer: "b") == "i (buckets \((0..<16).map { "\($0)" }.joined(separator: ", ")) and 84 more of 128)"
        )
        #expect(places[0].text(peer: "b") == "i (buckets 3, 5 of 8)")
        #expect(DivergentIndex("i", .onlyThere).text(peer: "b") == "i (on b only)")
        #expect(DivergentIndex("i", .onlyHere).text(peer: "b") == "i (on this node only)")
    }
}
