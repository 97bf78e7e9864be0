import SpringgProjections
import SpringgTestKit

/// Recall after three times the rows have passed through an index, beside a fresh one with the same rows.
enum ChurnSection {
    private static let efs = [24, 32, 64, 128]
    private static let timesPassed = 3

    static func measure(_ settings: Settings) throws -> SectionReport {
        let data = try DataSet(directory: settings.embeddings)
        var report = SectionReport(title: "recall after churn, \(data.count) × \(data.dimensions) real embeddings")
        let churned = try GraphDatabase(data, in: settings.directory)
        let seconds = try Monotonic.seconds { try churn(churned, data, seed: settings.seed) }
        report.add("passing \(timesPassed) × \(data.count) rows through", seconds, "s")
        report.add("nodes that no path led to, linked again", Double(churned.index.stats.sweeps.relinked), "")
        report.add("faults of the graph at the end", Double(churned.index.graphViolations.count), "", .atMost(0))
        let fresh = try GraphDatabase(data, in: settings.directory)
        var short = 0
        for ef in efs {
            let (old, new) = (try churned.search(ef: ef, .hnsw).answers, try fresh.search(ef: ef, .hnsw).answers)
            short += old.count { $0 < 0 }
            let difference = data.recall(new) - data.recall(old)
            report.add("ef \(ef): recall of a fresh graph - after churn", difference, "", .atMost(0.01))
            report.notes.append(
                "ef \(ef): recall@\(DataSet.k) fresh \(data.recall(new)), after churn \(data.recall(old))"
            )
        }
        report.add("rows missing in answers", Double(short), "", .atMost(0))
        return report
    }

    /// Half of the ids at random, round after round: some are removed, the others get the vectors of other rows; then all of
    /// them get their own back.
    private static func churn(_ graph: GraphDatabase, _ data: DataSet, seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var passed = 0
        while passed < timesPassed * data.count {
            let half = Array((0..<data.count).shuffled(using: &random).prefix(data.count / 2))
            let (removed, replaced) = (half.prefix(half.count / 2), half.dropFirst(half.count / 2))
            let others = replaced.shuffled(using: &random)
            try graph.write(zip(replaced, others).map { (id: $0, row: $1) }, removing: Array(removed))
            graph.database.waitUntilIndexed()
            try graph.write(half.map { (id: $0, row: $0) })
            graph.database.waitUntilIndexed()
            passed += replaced.count + half.count
            progress("  \(passed) rows have passed through")
        }
    }
}
