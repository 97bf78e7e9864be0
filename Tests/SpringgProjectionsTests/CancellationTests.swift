import SpringgProjections
import SpringgTestKit
import Testing

@Suite("A search that nobody waits for")
struct CancellationTests {
    private static func search(
        _ harness: HNSWHarness,
        _ method: SearchPlan.Method,
        _ cancellation: Cancellation?,
        accepting predicate: ((UInt32) -> Bool)? = nil
    ) -> (hits: Int, plan: SearchPlan) {
        HNSWLifeTests.vector(1_000_000).withUnsafeBufferPointer { query in
            harness.index.withHits(
                query: query,
                k: 10,
                ef: 200,
                method: method,
                cancellation: cancellation,
                accepting: predicate
            ) { ($0.count, $1) }
        }
    }

    @Test("does nothing when it is cancelled before it begins")
    func before() throws {
        let harness = try RecallProbeTests.harness(rows: 3000, options: #"{"m":16}"#)
        let cancelled = Cancellation()
        cancelled.cancel()
        for method in [SearchPlan.Method.exact, .hnsw] {
            #expect(CancellationTests.search(harness, method, nil).hits == 10)
            #expect(CancellationTests.search(harness, method, Cancellation()).hits == 10)
        }
        #expect(CancellationTests.search(harness, .exact, cancelled).hits == 0)
        // The way down to the lowest level, which is short, and nothing there.
        let whole = CancellationTests.search(harness, .hnsw, nil)
        let ended = CancellationTests.search(harness, .hnsw, cancelled)
        #expect(ended.plan.nodesVisited < whole.plan.nodesVisited / 5, "\(ended) of \(whole)")
    }

    @Test("ends while it walks")
    func walking() throws {
        let harness = try RecallProbeTests.harness(rows: 6000, options: #"{"m":16}"#)
        func looked(cancelling: Bool) -> Int {
            let cancellation = Cancellation()
            var count = 0
            _ = CancellationTests.search(harness, .hnsw, cancellation) { _ in
                if cancelling { cancellation.cancel() }
                count += 1
                return true
            }
            return count
        }
        let (all, some) = (looked(cancelling: false), looked(cancelling: true))
        // The neighbours of a node: what was begun is ended.
        #expect(some > 0 && some < all / 2, "\(some) of \(all)")
    }

    @Test("ends while it scans")
    func scanning() throws {
        let rows = 40_000
        let index = try ExactSearchTests.index((0..<rows).map { [1, Float($0)] }, dimensions: 2)
        func looked(cancelling: Bool) -> Int {
            let cancellation = Cancellation()
            var count = 0
            let query: [Float] = [1, 0]
            query.withUnsafeBufferPointer { query in
                // As many results as rows, so that each row is offered.
                index.withHits(
                    query: query,
                    k: rows,
                    ef: nil,
                    method: .exact,
                    cancellation: cancellation,
                    accepting: { _ in
                        if cancelling { cancellation.cancel() }
                        count += 1
                        return true
                    }
                ) { _, _ in }
            }
            return count
        }
        #expect(looked(cancelling: false) == rows)
        let some = looked(cancelling: true)
        // A chunk of rows: what was begun is ended.
        #expect(some > 0 && some < rows / 2, "\(some) of \(rows)")
    }
}
