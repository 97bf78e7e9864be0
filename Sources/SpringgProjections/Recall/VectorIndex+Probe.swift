import SpringgLog
import Synchronization

extension VectorIndex {
    /// What probes found so far.
    package var recallFound: RecallReport { recallEstimate.withLock { $0.report } }

    /// Answers a query through the graph and exactly, both at one moment, and counts what the graph missed.
    ///
    /// `goesOn` is asked before the rows are compared and now and then while they are; once it says no, the probe is
    /// given up.
    package func probe(_ query: [Float], k: Int, ef: Int?, while goesOn: () -> Bool) {
        query.withUnsafeBufferPointer { query in
            resources.epochs.withSnapshot { moment in
                var plan = SearchPlan()
                let scores = nearest(query, k, ef, nil, moment, &plan, nil, nil).map(\.score)
                // Without the graph there is nothing to learn.
                guard plan.method == .hnsw else { return }
                let exact = exactScores(query, k, moment, while: goesOn)
                recallEstimate.withLock { $0.record(exact.map { ProbeOutcome(scores: scores, exact: $0) }) }
            }
        }
    }

    /// Scores of the nearest rows, best first, by comparing with every one; nil when it was given up.
    private func exactScores(
        _ query: UnsafeBufferPointer<Float>,
        _ k: Int,
        _ moment: LSN,
        while goesOn: () -> Bool
    ) -> [Float]? {
        ExactSearch.withScorer(query, store) { scorer in
            var best = BoundedHeap(capacity: k)
            var isWhole = goesOn()
            store.forEachRun(at: moment) { slot, rows, scales, count in
                guard isWhole else { return }
                scorer.offer(slot, rows, scales, count, to: &best)
                isWhole = goesOn()
            }
            return isWhole ? best.sorted(in: store).map(\.score) : nil
        }
    }
}
