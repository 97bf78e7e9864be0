import SpringgTestKit

/// Every endpoint of the hot path: what the node does of it, how long it takes at half of that, and where the processor time goes.
///
/// Three runs each. A closed loop says how many requests a second there are at most. An open loop at half of that says how long they
/// take, from the moment at which each should have been sent. The same once more on a node with `measure_stages`, whose
/// threads read their own clock whenever a request goes from HTTP to its body, to its work and back, says what is whose.
enum EndpointsSection {
    private static let rows = 10_000
    private static let connections = 16
    /// Of an open loop: more than are ever needed at once, so that no request waits here.
    private static let openConnections = 64
    private static let seconds = 2.0

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(
            title: "endpoints: \(rows) × \(Settings.dimensions), \(connections) connections, client on the same cores"
        )
        let plain = try run(settings, measuresStages: false, rates: [:])
        let rates = Dictionary(uniqueKeysWithValues: plain.map { ($0.name, $0.rate) })
        let staged = try run(settings, measuresStages: true, rates: rates)
        report.notes.append(
            padded("", 22)
                + ["most", "p50", "p99", "p99.9", "CPU", "CPU", "HTTP", "JSON", "work", "beside"]
                .map { padded($0, -9) }.joined()
        )
        report.notes.append(
            padded("", 22)
                + ["/s", "ms", "ms", "ms", "µs, most", "µs, half", "µs", "µs", "µs", "µs"].map { padded($0, -9) }
                .joined()
        )
        for (full, parts) in zip(plain, staged) {
            let columns: [(String, Double, String)] = [
                ("at most", full.rate, "/s"), ("p50 at half", full.half.milliseconds(50), "ms"),
                ("p99 at half", full.half.milliseconds(99), "ms"),
                ("p99.9 at half", full.half.milliseconds(99.9), "ms"),
                ("server CPU at most", full.atMost.cpuMicroseconds, "µs"),
                ("server CPU at half", full.half.cpuMicroseconds, "µs"),
                ("HTTP", parts.half.http, "µs"), ("JSON", parts.half.json, "µs"), ("work", parts.half.work, "µs"),
                ("beside it", parts.half.beside, "µs"),
            ]
            report.notes.append(padded(full.name, 22) + columns.map { padded(Figure.text($0.1), -9) }.joined())
            for (column, value, unit) in columns {
                report.figures.append(
                    Figure(name: "\(full.name): \(column)", value: value, unit: unit, isInTable: true)
                )
            }
            for run in [full.atMost, full.half, parts.half] where run.failed > 0 {
                report.notes.append("\(full.name): \(run.failed) requests failed: the figures are void")
            }
        }
        if let health = plain.first, let search = staged.first(where: { $0.name == searchName }) {
            report.add("GET /api/health: server CPU at half", health.half.cpuMicroseconds, "µs", .atMost(30))
            report.add("search: HTTP and JSON", search.half.http + search.half.json, "µs", .atMost(60))
        }
        return report
    }

    private static let searchName = "search"

    /// What came of one run.
    private struct Run {
        var load = LoadGenerator.Report()
        /// Per request, in µs: of the threads that serve and of the log's.
        var cpuMicroseconds = 0.0
        var http = 0.0
        var json = 0.0
        var work = 0.0
        var beside = 0.0

        /// Refused, lost, or so many not sent in time that the pace was not kept.
        var failed: Int { load.refused + load.lost + (load.unsent * 100 > load.answered ? load.unsent : 0) }

        func milliseconds(_ percent: Double) -> Double { Double(load.latency.percentile(percent)) / 1e6 }
    }

    private struct Row {
        let name: String
        var rate = 0.0
        var atMost = Run()
        var half = Run()
    }

    private static func run(_ settings: Settings, measuresStages: Bool, rates: [String: Double]) throws -> [Row] {
        let node = try NodeFixture(
            flags: [
                "max-vectors-per-index": "0", "max-memory-mb": "0", "log-level": "warn",
                "bulk-cpu-threshold-percent": "0",
                "max-concurrent-bulk-requests": "0", "max-unindexed-rows": "0", "measure-stages": "\(measuresStages)",
            ],
            place: settings.directory
        )
        try node.start()
        let load = try EndpointLoad(node, rows: rows, connections: openConnections, seed: settings.seed)
        var table: [Row] = []
        for endpoint in load.endpoints {
            var row = Row(name: endpoint.name)
            if let rate = rates[endpoint.name] {
                row.rate = rate
            } else {
                // Twice: the first finds caches and buffers cold.
                _ = try run(node, endpoint, rate: nil, seconds: seconds / 8)
                row.atMost = try run(node, endpoint, rate: nil, seconds: seconds)
                row.rate = row.atMost.load.rate
            }
            row.half = try run(node, endpoint, rate: row.rate / 2, seconds: seconds)
            table.append(row)
            progress("  \(row.name): \(Int(row.rate)) a second")
        }
        try node.terminate()
        return table
    }

    private static func run(
        _ node: NodeFixture,
        _ endpoint: EndpointLoad.Endpoint,
        rate: Double?,
        seconds: Double
    ) throws -> Run {
        let source = try endpoint.source()
        let generator = try LoadGenerator(port: node.port, connections: rate == nil ? connections : openConnections)
        let (before, stagesBefore) = (try ThreadUsage(pid: node.pid), try stages(node))
        var run = Run()
        run.load = try generator.run(source, rate: rate, stopAfterSeconds: seconds)
        let (used, stagesAfter) = (try ThreadUsage(pid: node.pid).since(before), try stages(node))
        let count = Double(max(run.load.answered, 1)) * 1000
        run.cpuMicroseconds = (used.serving + used.writing) / count
        run.json = (stagesAfter.json - stagesBefore.json) * 1e9 / count
        let work = (stagesAfter.work - stagesBefore.work) * 1e9 / count
        run.http = used.serving / count - run.json - work
        run.work = work + used.writing / count
        run.beside = used.background / count
        return run
    }

    private static func stages(_ node: NodeFixture) throws -> (json: Double, work: Double) {
        func seconds(_ stage: String) throws -> Double {
            try BenchNode.metric(node, "springg_request_cpu_seconds_total{stage=\"\(stage)\"}")
        }
        return (try seconds("json"), try seconds("work"))
    }
}
