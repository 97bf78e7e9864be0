import SpringgTestKit
import Synchronization

/// How long searches take while two connections add without pause, beside how long they take at rest.
enum SearchUnderWritesSection {
    private static let seconds = 8.0
    private static let adders = 2
    private static let addsMax = 2_000_000

    static func measure(_ settings: Settings) throws -> SectionReport {
        let data = try DataSet(directory: settings.embeddings)
        var report = SectionReport(
            title: "searches of one connection beside adds, \(data.count) × \(data.dimensions)"
        )
        let search = try SearchNode(data, settings)
        guard let (requests, ef, _) = try search.searches(recall: 0.95) else {
            throw TestKitError("no ef reaches a recall of 0.95")
        }
        report.notes.append("ef \(ef), for a recall@\(DataSet.k) of 0.95 at rest")
        let searcher = try LoadGenerator(port: search.node.port, connections: 1)
        func run() throws -> LoadGenerator.Report {
            try searcher.run(RepeatedRequests(requests, count: addsMax), stopAfterSeconds: seconds)
        }
        _ = try searcher.run(RepeatedRequests(requests, count: requests.count))
        let rest = try run()

        // The adds have a thread of their own, which begins before the searches and ends after them.
        let port = search.node.port
        let added = Mutex<LoadGenerator.Report?>(nil)
        let (dimensions, seed) = (data.dimensions, settings.seed)
        let adder = try WorkerThread {
            var random = SeededRandom(seed: seed)
            let source = AddRequests(
                index: BenchNode.index,
                dimensions: dimensions,
                connections: adders,
                random: &random
            )
            source.allow(addsMax)
            let generator = try? LoadGenerator(port: port, connections: adders)
            let result = try? generator?.run(source, stopAfterSeconds: seconds + 2)
            added.withLock { $0 = result }
        }
        let client = HTTPClient(port: port)
        // From the first add on.
        while try rows(client) == data.count {}
        let beside = try run()
        let stats = try client.request("GET", "/api/indexes/\(BenchNode.index)/stats").data()
        adder.join()
        guard let adds = added.withLock({ $0 }), adds.refused + adds.lost == 0 else {
            throw TestKitError("adds failed")
        }
        for (name, result) in [("at rest", rest), ("beside adds", beside)] {
            report.add("\(name): searches", result.rate, "/s")
            report.add("\(name): p50", Double(result.latency.percentile(50)) / 1e6, "ms")
            report.add("\(name): p99", Double(result.latency.percentile(99)) / 1e6, "ms")
            report.add("\(name): longest", Double(result.latency.maxNanoseconds) / 1e6, "ms")
        }
        report.add(
            "p99 beside adds / at rest",
            Double(beside.latency.percentile(99)) / Double(max(rest.latency.percentile(99), 1)),
            "×",
            .atMost(3)
        )
        report.add("adds meanwhile", adds.rate, "/s")
        report.add("rows not in the graph at the end", Double(stats["unindexed"]?.int ?? 0), "")
        try search.node.terminate()
        return report
    }

    private static func rows(_ client: HTTPClient) throws -> Int? {
        try client.request("GET", "/api/indexes/\(BenchNode.index)/stats").data()["count"]?.int
    }
}
