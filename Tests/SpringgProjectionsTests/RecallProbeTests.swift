import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

@Suite("Recall that can be seen")
struct RecallProbeTests {
    /// Random vectors, which a graph with few links handles badly.
    static func harness(rows: Int, options: String) throws -> HNSWHarness {
        var harness = try HNSWHarness(dimensions: HNSWLifeTests.dimensions, options: options)
        for number in 0..<rows { harness.put("v\(number)", HNSWLifeTests.vector(number)) }
        harness.settle()
        return harness
    }

    static func query(_ number: Int) -> [Float] { HNSWLifeTests.vector(1_000_000 + number) }

    @Test("what is reported is the recall that searches have: low for a bad graph, 1 where nothing is missed")
    func truth() throws {
        let bad = try RecallProbeTests.harness(rows: 4000, options: #"{"m":4,"ef_construction":10,"ef":10}"#)
        let good = try RecallProbeTests.harness(rows: 2000, options: #"{"m":32,"ef":100}"#)
        let queries = (0..<200).map(RecallProbeTests.query)
        for query in queries {
            bad.index.probe(query, k: 10, ef: nil) { true }
            good.index.probe(query, k: 10, ef: 100) { true }
        }
        let low = try #require(bad.index.recallFound.recall)
        // Scores, not rows, are compared; random vectors have no equal ones, so that both ways count the same.
        #expect(abs(low - bad.recall(queries)) < 1e-9)
        #expect(low < 0.8)
        #expect(bad.index.recallFound.samples == 200)
        let high = try #require(good.index.recallFound.recall)
        #expect(abs(high - good.recall(queries, ef: 100)) < 1e-9)
        #expect(high > 0.99)
    }

    @Test("rows written between its two answers are no misses, and rows removed between them no false finds")
    func oneMoment() throws {
        var harness = try RecallProbeTests.harness(rows: 2000, options: #"{"m":32}"#)
        // One that the graph answers in full.
        let query = try #require(
            (0..<50).map(RecallProbeTests.query).first {
                harness.search($0, ef: 64).answer == harness.search($0, .exact).answer
            }
        )
        let before = harness.search(query, ef: 64).answer
        var isChanged = false
        harness.index.probe(query, k: 10, ef: 64) {
            if !isChanged {
                isChanged = true
                for number in 0..<10 { harness.put("new\(number)", query) }
                for id in before.ids.prefix(5) { harness.delete(id) }
                harness.publish()
            }
            return true
        }
        #expect(isChanged)
        #expect(harness.search(query, .exact).answer.ids == (0..<10).map { "new\($0)" })
        #expect(harness.index.recallFound.recall == 1)
    }

    @Test("a probe that is given up counts as such, and for nothing else; an exact answer teaches nothing")
    func abandoned() throws {
        let harness = try RecallProbeTests.harness(rows: 2000, options: "")
        harness.index.probe(RecallProbeTests.query(0), k: 10, ef: nil) { false }
        #expect(harness.index.recallFound.abandoned == 1)
        #expect(harness.index.recallFound.recall == nil)
        let small = try RecallProbeTests.harness(rows: 100, options: "")
        small.index.probe(RecallProbeTests.query(0), k: 10, ef: nil) { true }
        #expect(small.index.recallFound.abandoned == 0)
        #expect(small.index.recallFound.total == 0)
    }

    @Test("of rows with equal scores either belongs to the nearest")
    func ties() {
        #expect(ProbeOutcome(scores: [1, 0.5, 0.5], exact: [1, 0.5, 0.5]).found == 3)
        #expect(ProbeOutcome(scores: [0.5, 0.5, 0.25], exact: [1, 0.5, 0.5]).found == 2)
        #expect(ProbeOutcome(scores: [], exact: [1, 0.5]).found == 0)
        #expect(ProbeOutcome(scores: [], exact: []).wanted == 0)
    }

    @Test("the budget is kept over any time, whatever a probe takes, and some is there at the beginning")
    func budget() throws {
        var random = SeededRandom.fromEnvironment("budget")
        for percent in [0.1, 1, 10, 100] {
            var now: UInt64 = random.next() >> 20
            let begun = now
            var budget = ProbeBudget(corePercent: percent, at: now)
            let first = budget.wait(at: now)
            #expect(first == 0)
            var used: UInt64 = 0
            var longest: UInt64 = 0
            for _ in 0..<2000 {
                let pause = budget.wait(at: now)
                now += try #require(pause)
                let rest = budget.wait(at: now)
                #expect(rest == 0)
                let cost = UInt64.random(in: 1..<50_000_000, using: &random)
                budget.spend(nanoseconds: cost)
                used += cost
                longest = max(longest, cost)
                now += random.oneIn(4) ? UInt64.random(in: 0..<10_000_000_000, using: &random) : cost
                let allowed = Double(now - begun) * percent / 100 + ProbeBudget.balanceMax + Double(longest)
                #expect(Double(used) <= allowed)
            }
        }
        var none = ProbeBudget(corePercent: 0, at: 0)
        let never = none.wait(at: 1 << 60)
        #expect(never == nil)
    }

    @Test("one query in ten is chosen, of queries that come in turn each now and then")
    func sampling() {
        let chosen = (0..<100_000).filter { ProbeSampling.isChosen(UInt64($0)) }
        #expect((9000...11_000).contains(chosen.count))
        for period in 2...20 {
            #expect(Set(chosen.map { $0 % period }).count == period)
        }
    }

    @Test("live searches are probed, and nothing is when it is switched off")
    func live() throws {
        for percent in [100.0, 0] {
            let database = try HNSWLifeTests.filled(SimulatedFileSystem(), rows: 2000) {
                $0.recallProbePercent = percent
            }
            defer { database.close() }
            #expect(database.waitUntilIndexed())
            let index = try #require(database.index(try DatabaseTests.name("a")))
            // Searches go on until enough of them were probed; were none ever probed, the bound would end the test.
            var searches = 0
            while searches < 200_000, percent > 0 ? index.recallFound.samples < 20 : searches < 2000 {
                RecallProbeTests.query(searches % 50).withUnsafeBufferPointer { query in
                    index.withHits(query: query, k: 10) { #expect($0.count == 10) }
                }
                searches += 1
            }
            let stats = index.stats
            if percent > 0 {
                #expect(try #require(stats.recall).samples >= 20)
                #expect(try #require(stats.recall?.recall) > 0.5)
            } else {
                #expect(stats.recall == nil)
                #expect(index.recallFound.total == 0)
            }
        }
    }
}
