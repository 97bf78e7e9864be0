import SpringgTestKit
import Synchronization

/// Four times as many searches as the node can do, for a while: what is answered is answered soon, the rest is turned away, and
/// afterwards all is as before.
enum OverloadSection {
    private static let rows = 20_000
    /// More than searches ever wait at once: a request that waited here for a connection would look like one that waited there.
    private static let connections = 2000
    private static let seconds = 5.0
    private static let index = BenchNode.index
    /// Default of `max_search_wait`.
    private static let waitSeconds = 1.0

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(
            title: "overload: four times the searches that the node can do, \(connections) connections, \(seconds) s"
        )
        let node = try BenchNode.start(in: settings.directory)
        var random = SeededRandom(seed: settings.seed)
        let adds = AddRequests(
            index: index,
            dimensions: Settings.dimensions,
            connections: 16,
            random: &random
        )
        try BenchNode.fill(node, adds, rows, connections: 16)
        _ = try BenchNode.waitUntilIndexed(node)
        // Wide walks: a search of a millisecond or more, so that turning it away costs much less than doing it.
        let searches = RequestBytes(capacity: 64 * 13_000)
        for _ in 0..<64 {
            let vector = JSONValue.array(of: random.floats(Settings.dimensions))
            let body = #"{"vector":\#(vector),"k":10,"ef":2000}"#
            searches.append(method: "POST", path: "/api/indexes/\(index)/search", body: body)
        }
        func run(_ count: Int, rate: Double?) throws -> LoadGenerator.Report {
            let source = RepeatedRequests(searches, count: 1_000_000_000)
            return try LoadGenerator(port: node.port, connections: count).run(
                source,
                rate: rate,
                stopAfterSeconds: seconds
            )
        }
        _ = try run(16, rate: nil)
        let before = try run(16, rate: nil)
        let residentBefore = try node.usage().residentBytes
        let beside = try Beside(port: node.port, rate: 100, seconds: seconds, seed: settings.seed)
        let storm = try run(connections, rate: before.rate * 4)
        let others = beside.finish()
        let residentAfter = try node.usage().residentBytes
        let limits = try node.client().request("GET", "/metrics").text.split(separator: "\n")
            .filter { $0.hasPrefix("springg_limit_hits_total") && !$0.hasSuffix(" 0") }
        let after = try run(16, rate: nil)

        report.add("before: searches", before.rate, "/s")
        report.add("before: p99", Double(before.latency.percentile(99)) / 1e6, "ms")
        report.add("storm: searches that came", Double(storm.answered + storm.unsent) / storm.seconds, "/s")
        let accepted = storm.acceptedLatency
        report.add("storm: answered", Double(accepted.count) / storm.seconds, "/s")
        report.add("storm: turned away with 503", Double(storm.statuses[503] ?? 0) / storm.seconds, "/s")
        report.add("storm: answered, p50", Double(accepted.percentile(50)) / 1e6, "ms")
        // What may be waited for, and as much again for the way there and back on cores that have too much to do.
        report.add("storm: answered, p99", Double(accepted.percentile(99)) / 1e6, "ms", .atMost(2000 * waitSeconds))
        report.add("storm: answered, longest", Double(accepted.maxNanoseconds) / 1e6, "ms")
        report.add("storm: adds beside it", others.rate, "/s")
        report.add("storm: adds beside it, p99", Double(others.latency.percentile(99)) / 1e6, "ms")
        report.add("storm: lost connections", Double(storm.lost), "", .atMost(0))
        report.add("memory after / before", Double(residentAfter) / Double(residentBefore), "×", .atMost(1.25))
        report.add("after / before: searches", after.rate / before.rate, "×", .atLeast(0.9))
        report.add("after: p99", Double(after.latency.percentile(99)) / 1e6, "ms")
        report.notes.append("statuses: \(storm.statuses), of the adds: \(others.statuses); not sent: \(storm.unsent)")
        report.notes += limits.map(String.init)
        try node.terminate()
        return report
    }

    /// Adds at a moderate pace beside something else.
    private final class Beside {
        private let thread: WorkerThread
        private let result: Shared

        private final class Shared: Sendable {
            let report = Mutex<LoadGenerator.Report?>(nil)
        }

        init(port: Int, rate: Double, seconds: Double, seed: UInt64) throws {
            let shared = Shared()
            result = shared
            thread = try WorkerThread {
                var random = SeededRandom(seed: seed)
                let adds = AddRequests(
                    index: OverloadSection.index,
                    dimensions: Settings.dimensions,
                    bodies: 100,
                    connections: 16,
                    random: &random
                )
                adds.allow(1_000_000)
                let generator = try? LoadGenerator(port: port, connections: 16)
                let report = try? generator?.run(adds, rate: rate, stopAfterSeconds: seconds)
                shared.report.withLock { $0 = report }
            }
        }

        /// Waits for the end.
        func finish() -> LoadGenerator.Report {
            thread.join()
            return result.report.withLock { $0 } ?? LoadGenerator.Report()
        }
    }
}
