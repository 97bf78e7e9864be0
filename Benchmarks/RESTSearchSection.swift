import SpringgTestKit

/// Searches over REST on a hundred thousand rows, and on real embeddings: what one costs the server, all included.
enum RESTSearchSection {
    private static let connections = [1, 16]
    private static let recall = 0.95
    /// Processor time is counted in hundredths of a second: so many searches are a second or more.
    private static let searches = 20_000

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(
            title: "searches over REST, recall@\(DataSet.k) ≥ \(recall), client on the same cores"
        )
        let made = try DataRecipe.realistic(rows: settings.madeRows, seed: 1).make(in: DataRecipe.place)
        try measure(&report, DataSet(directory: settings.embeddings), settings, .atMost(70))
        try measure(&report, DataSet(directory: made), settings, .atMost(140))
        return report
    }

    private static func measure(
        _ report: inout SectionReport,
        _ data: DataSet,
        _ settings: Settings,
        _ goal: Goal
    ) throws {
        let search = try SearchNode(data, settings)
        let name = "\(data.count) × \(data.dimensions)"
        report.add("\(name): start until all rows are in the graph", search.readySeconds, "s")
        guard let (requests, ef, found) = try search.searches(recall: recall) else {
            report.notes.append("\(name): no ef reaches a recall of \(recall)")
            return
        }
        report.notes.append("\(name): ef \(ef), recall@\(DataSet.k) \((found * 1e4).rounded() / 1e4)")
        for connections in connections {
            let generator = try LoadGenerator(port: search.node.port, connections: connections)
            _ = try generator.run(RepeatedRequests(requests, count: requests.count))
            let before = try search.node.usage()
            let load = try MachineLoad.now(with: before)
            let result = try generator.run(RepeatedRequests(requests, count: searches))
            let after = try search.node.usage()
            let others = try MachineLoad.now(with: after).othersCores(since: load)
            let cpu = (after.cpuSeconds - before.cpuSeconds) / Double(max(result.answered, 1)) * 1e6
            let title = "\(name), \(connections) connection\(connections > 1 ? "s" : ""): "
            report.add(title + "searches", result.rate, "/s")
            report.add(title + "server CPU a search", cpu, "µs", goal)
            report.add(title + "p50", Double(result.latency.percentile(50)) / 1e6, "ms")
            report.add(title + "p99", Double(result.latency.percentile(99)) / 1e6, "ms")
            report.add(title + "cores kept busy by others", others, "")
            if result.refused + result.lost > 0 {
                report.notes.append("\(title)\(result.refused) refused, \(result.lost) lost: the figures are void")
            }
        }
        try search.node.terminate()
    }
}
