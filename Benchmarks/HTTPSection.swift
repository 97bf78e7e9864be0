import SpringgTestKit

/// Reads over REST.
enum HTTPSection {
    private static let connections = 16
    private static let queries = 64

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(title: "reads over REST, \(connections) connections, client on the same cores")
        let node = try BenchNode.start(in: settings.directory)
        var random = SeededRandom(seed: settings.seed)
        let health = RequestBytes(capacity: 1 << 10)
        health.append(method: "GET", path: "/api/health", body: "")
        try measure(&report, "GET /api/health", node, health, count: 100_000)

        let source = AddRequests(
            index: BenchNode.index,
            dimensions: Settings.dimensions,
            connections: 64,
            random: &random
        )
        var stored = 0
        for (rows, count) in [(1000, 5000), (10_000, 1000)] {
            try BenchNode.fill(node, source, rows - stored, connections: 64)
            stored = rows
            let searches = RequestBytes(capacity: queries * 13_000)
            for _ in 0..<queries {
                let body = #"{"vector":\#(JSONValue.array(of: random.floats(Settings.dimensions))),"k":10}"#
                searches.append(method: "POST", path: "/api/indexes/\(BenchNode.index)/search", body: body)
            }
            let name = "search of \(rows) × \(Settings.dimensions), k = 10"
            try measure(&report, name + ", just written", node, searches, count: count)
            if let seconds = try BenchNode.waitUntilIndexed(node) {
                report.add("until \(rows) rows are linked", seconds, "s")
                try measure(&report, name + ", linked", node, searches, count: 5000)
            }
        }
        let gets = RequestBytes(capacity: 1 << 20)
        for number in 0..<1000 {
            gets.append(
                method: "GET",
                path: "/api/indexes/\(BenchNode.index)/vectors/\(AddRequests.id(number))",
                body: ""
            )
        }
        try measure(&report, "GET a vector of \(Settings.dimensions)", node, gets, count: 20_000)
        try node.terminate()
        return report
    }

    private static func measure(
        _ report: inout SectionReport,
        _ name: String,
        _ node: NodeFixture,
        _ requests: RequestBytes,
        count: Int
    ) throws {
        let generator = try LoadGenerator(port: node.port, connections: connections)
        let before = try node.usage()
        let result = try generator.run(RepeatedRequests(requests, count: count))
        let cpu = try node.usage().cpuSeconds - before.cpuSeconds
        report.add(name, result.rate, "/s")
        report.add(name + ": server CPU", cpu / Double(max(result.answered, 1)) * 1e6, "µs")
        report.add(name + ": p50", Double(result.latency.percentile(50)) / 1e6, "ms")
        report.add(name + ": p99", Double(result.latency.percentile(99)) / 1e6, "ms")
        if result.refused + result.lost > 0 {
            report.notes.append("\(name): \(result.refused) refused, \(result.lost) lost: the figures are void")
        }
    }
}
