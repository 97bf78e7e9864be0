import SpringgProjections
import SpringgTestKit

/// Search by the graph in this process, on real embeddings: queries a second and recall for several values of `ef`.
enum GraphSection {
    private static let efs = [10, 16, 24, 32, 48, 64, 96, 128, 200]
    private static let rounds = 5

    static func measure(_ settings: Settings) throws -> SectionReport {
        let data = try DataSet(directory: settings.embeddings)
        var report = SectionReport(title: "graph search, \(data.count) × \(data.dimensions) real, one thread")
        let graph = try GraphDatabase(data, in: settings.directory)
        report.add("writing and linking all rows", graph.writeSeconds + graph.linkSeconds, "s")
        report.add("memory / float rows", Double(graph.index.stats.memoryBytes) / Double(data.bytes), "×")
        let queries = Double(data.queryCount)
        report.add("exact", queries / (try best { try graph.search(ef: nil, .exact) }.seconds), "/s")
        for ef in efs {
            let pass = try best { try graph.search(ef: ef, .hnsw) }
            report.add("ef \(ef): searches", queries / pass.seconds, "/s")
            let recall = (data.recall(pass.answers) * 1e4).rounded() / 1e4
            report.notes.append(
                "ef \(ef): recall@\(DataSet.k) \(recall), \(pass.distances / data.queryCount) distances a search"
            )
        }
        return report
    }

    private static func best(_ body: () throws -> GraphDatabase.Pass) throws -> GraphDatabase.Pass {
        var best = try body()
        for _ in 1..<rounds {
            let pass = try body()
            if pass.seconds < best.seconds { best = pass }
        }
        return best
    }
}
