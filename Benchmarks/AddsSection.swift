import SpringgTestKit

/// Durable adds over REST to the real program: 1024 dimensions as JSON, every add on disk before it is answered.
enum AddsSection {
    private static let slices = 5

    private struct Slice {
        var report: LoadGenerator.Report
        var cpuSeconds: Double
        var writtenBytes: Int
        var residentBytes: Int
    }

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(
            title:
                "durable adds over REST, \(Settings.dimensions) dimensions as JSON, fsync on, client on the same cores"
        )
        for connections in settings.connections { try measure(settings, connections, &report) }
        return report
    }

    private static func measure(_ settings: Settings, _ connections: Int, _ report: inout SectionReport) throws {
        let node = try BenchNode.start(in: settings.directory)
        var random = SeededRandom(seed: settings.seed)
        let source = AddRequests(
            index: BenchNode.index,
            dimensions: Settings.dimensions,
            connections: connections,
            random: &random
        )
        let generator = try LoadGenerator(port: node.port, connections: connections)
        var slices: [Slice] = []
        let loadBefore = try MachineLoad.now(with: node.usage())
        for number in 0..<Self.slices {
            source.allow(settings.vectors * (number + 1) / Self.slices - settings.vectors * number / Self.slices)
            let before = try node.usage()
            let result = try generator.run(source)
            let after = try node.usage()
            slices.append(
                Slice(
                    report: result,
                    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
                    writtenBytes: after.writtenBytes - before.writtenBytes,
                    residentBytes: after.residentBytes
                )
            )
            progress("  \(connections) connections, slice \(number + 1): \(Int(result.rate)) adds/s")
        }
        let others = try MachineLoad.now(with: node.usage()).othersCores(since: loadBefore)
        let occupied = Files.treeSize(node.dataPath + "/log").occupied
        try node.terminate()
        fill(&report, slices, connections, source, occupied)
        report.add("\(connections) connections: cores kept busy by others", others, "")
    }

    private static func fill(
        _ report: inout SectionReport,
        _ slices: [Slice],
        _ connections: Int,
        _ source: AddRequests,
        _ occupied: Int
    ) {
        var total = LoadGenerator.Report()
        for slice in slices { total.append(slice.report) }
        let adds = Double(max(total.answered, 1))
        let payload = adds * Double(source.payloadBytes)
        let cpu = slices.map { $0.cpuSeconds / Double(max($0.report.answered, 1)) * 1e6 }
        let name = "\(connections) connections: "
        report.add(name + "adds", total.rate, "/s", .atLeast(8000))
        report.add(name + "server CPU an add", cpu.reduce(0, +) / Double(cpu.count), "µs", .atMost(150))
        report.add(name + "latency p50", Double(total.latency.percentile(50)) / 1e6, "ms")
        report.add(name + "latency p99", Double(total.latency.percentile(99)) / 1e6, "ms", .atMost(10))
        report.add(name + "latency p99.9", Double(total.latency.percentile(99.9)) / 1e6, "ms")
        let written = Double(slices.map(\.writtenBytes).reduce(0, +))
        report.add(name + "bytes written / payload", written / payload, "×", .atMost(1.1))
        report.add(name + "log's space on disk / payload", Double(occupied) / payload, "×")
        // 10 % is what two equal slices differ by on a shared machine.
        report.add(
            name + "rate, last slice / first",
            slices[slices.count - 1].report.rate / slices[0].report.rate,
            "×",
            .atLeast(0.9)
        )
        report.add(name + "server CPU, last slice / first", cpu[cpu.count - 1] / max(cpu[0], 1e-9), "×", .atMost(1.1))
        report.add(name + "client CPU an add", total.clientCPUSeconds / adds * 1e6, "µs")
        if total.refused + total.lost > 0 {
            report.notes.append("\(total.refused) adds were refused and \(total.lost) lost: the figures are void")
        }
        report.notes.append(
            padded("slice", 8) + padded("vectors", -9) + padded("adds/s", -9) + padded("CPU µs", -9)
                + padded("p50 ms", -9)
                + padded("p99 ms", -9) + padded("max ms", -9) + padded("bytes ×", -9) + padded("RSS MB", -9)
        )
        var vectors = 0
        for (number, slice) in slices.enumerated() {
            vectors += slice.report.answered
            let sent = Double(max(slice.report.answered, 1) * source.payloadBytes)
            let columns = [
                Double(vectors), slice.report.rate, cpu[number], Double(slice.report.latency.percentile(50)) / 1e6,
                Double(slice.report.latency.percentile(99)) / 1e6, Double(slice.report.latency.maxNanoseconds) / 1e6,
                Double(slice.writtenBytes) / sent, Double(slice.residentBytes >> 20),
            ]
            report.notes.append(
                padded("\(connections)/\(number + 1)", 8) + columns.map { padded(Figure.text($0), -9) }.joined()
            )
        }
    }
}

/// The node that sections measure: the real program with no limit in the way.
enum BenchNode {
    static let index = "bench"

    /// A node that has not started.
    static func make(in directory: String) throws -> NodeFixture {
        try NodeFixture(
            flags: ["max-vectors-per-index": "0", "max-memory-mb": "0", "log-level": "warn"],
            place: directory
        )
    }

    /// A running node with one empty index.
    static func start(in directory: String, dimensions: Int = Settings.dimensions) throws -> NodeFixture {
        let node = try make(in: directory)
        try node.start(timeoutSeconds: 120)
        let body = #"{"dimensions":\#(dimensions)}"#
        let response = try node.client().request("POST", "/api/indexes/\(index)", json: body)
        guard response.status == 200 else { throw TestKitError("creating an index was answered \(response)") }
        return node
    }

    /// Adds vectors as fast as they go.
    static func fill(_ node: NodeFixture, _ source: AddRequests, _ count: Int, connections: Int) throws {
        source.allow(count)
        let result = try LoadGenerator(port: node.port, connections: connections).run(source)
        guard result.statuses == [200: count] else { throw TestKitError("adding was answered \(result.statuses)") }
    }

    /// Asks for the index's stats until all rows are in its graph; nil when it does without one, or takes too long.
    static func waitUntilIndexed(_ node: NodeFixture) throws -> Double? {
        let client = HTTPClient(port: node.port)
        let begun = Monotonic.nanoseconds()
        while true {
            let stats = try client.request("GET", "/api/indexes/\(index)/stats").data()
            let seconds = Double(Monotonic.nanoseconds() - begun) / 1e9
            if stats["unindexed"]?.int == 0 { return seconds }
            if stats["indexed"]?.int == 0, seconds > 2 { return nil }
            if seconds > 900 { return nil }
        }
    }
}
