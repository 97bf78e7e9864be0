import SpringgTestKit

/// Durable adds over REST to the real program: 1024 dimensions as JSON, every add on disk before it is answered.
enum AddsSection {
    private static let slices = 5
    /// Each number of connections so often, on a new node: what a disk does in one third of a second says nothing about the next.
    private static let rounds = 5

    private struct Slice {
        var report: LoadGenerator.Report
        var cpuSeconds: Double
        var writtenBytes: Int
        var residentBytes: Int
        /// The mean of its syncs.
        var syncSeconds: Double

        var cpuMicroseconds: Double { cpuSeconds / Double(max(report.answered, 1)) * 1e6 }
    }

    /// One node, from none to all of its vectors.
    private struct Round {
        var slices: [Slice] = []
        var occupiedBytes = 0
        var payloadBytes = 0
        var othersCores = 0.0

        /// The slices at the beginning and at the end.
        var first: ArraySlice<Slice> { slices.prefix(Round.compared) }
        var last: ArraySlice<Slice> { slices.suffix(Round.compared) }

        private static let compared = 2
    }

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(
            title:
                "durable adds over REST, \(Settings.dimensions) dimensions as JSON, fsync on, client on the same cores"
        )
        for connections in settings.connections {
            var linkSeconds: Double?
            let rounds = try (1...Self.rounds).map { number in
                let node = try BenchNode.start(in: settings.directory)
                let round = try fill(node, settings, connections, number)
                if number == Self.rounds { linkSeconds = try BenchNode.waitUntilIndexed(node) }
                try node.terminate()
                return round
            }
            add(rounds, connections, &report)
            if let linkSeconds { report.add("\(connections) connections: then all linked after", linkSeconds, "s") }
            let others = median(rounds.map(\.othersCores))
            report.add("\(connections) connections: cores kept busy by others", others, "")
        }
        return report
    }

    private static func fill(
        _ node: NodeFixture,
        _ settings: Settings,
        _ connections: Int,
        _ number: Int
    ) throws -> Round {
        var random = SeededRandom(seed: settings.seed)
        let source = AddRequests(
            index: BenchNode.index,
            dimensions: Settings.dimensions,
            connections: connections,
            random: &random
        )
        let generator = try LoadGenerator(port: node.port, connections: connections)
        var round = Round()
        let loadBefore = try MachineLoad.now(with: node.usage())
        for number in 0..<Self.slices {
            source.allow(settings.vectors * (number + 1) / Self.slices - settings.vectors * number / Self.slices)
            let (before, syncsBefore) = (try node.usage(), try syncs(node))
            let result = try generator.run(source)
            let (after, syncsAfter) = (try node.usage(), try syncs(node))
            round.slices.append(
                Slice(
                    report: result,
                    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
                    writtenBytes: after.writtenBytes - before.writtenBytes,
                    residentBytes: after.residentBytes,
                    syncSeconds: (syncsAfter.seconds - syncsBefore.seconds)
                        / max(syncsAfter.count - syncsBefore.count, 1)
                )
            )
        }
        round.othersCores = try MachineLoad.now(with: node.usage()).othersCores(since: loadBefore)
        round.occupiedBytes = Files.treeSize(node.dataPath + "/log").occupied
        round.payloadBytes = source.payloadBytes
        let rates = round.slices.map {
            "\(Figure.text($0.report.rate.rounded())) (\(Figure.text($0.syncSeconds * 1e3)))"
        }
        progress("  \(connections) connections, round \(number), adds/s (ms a sync): \(rates.joined(separator: ", "))")
        return round
    }

    private static func syncs(_ node: NodeFixture) throws -> (seconds: Double, count: Double) {
        let name = "springg_log_sync_duration_seconds"
        return (try BenchNode.metric(node, name + "_sum"), try BenchNode.metric(node, name + "_count"))
    }

    private static func add(_ rounds: [Round], _ connections: Int, _ report: inout SectionReport) {
        let slices = rounds.flatMap(\.slices)
        var total = LoadGenerator.Report()
        for slice in slices { total.append(slice.report) }
        let adds = Double(max(total.answered, 1))
        let payload = adds * Double(rounds[0].payloadBytes)
        let name = "\(connections) connections: "
        report.add(name + "adds", total.rate, "/s", .atLeast(8000))
        report.add(name + "server CPU an add", cpuMicroseconds(slices), "µs", .atMost(150))
        report.add(name + "latency p50", Double(total.latency.percentile(50)) / 1e6, "ms")
        report.add(name + "latency p99", Double(total.latency.percentile(99)) / 1e6, "ms", .atMost(10))
        report.add(name + "latency p99.9", Double(total.latency.percentile(99.9)) / 1e6, "ms")
        let written = Double(slices.map(\.writtenBytes).reduce(0, +))
        report.add(name + "bytes written / payload", written / payload, "×", .atMost(1.1))
        let occupied = Double(rounds.map(\.occupiedBytes).reduce(0, +))
        report.add(name + "log's space on disk / payload", occupied / payload, "×")
        // 10 % is what equal slices differ by on a shared machine.
        let (first, last) = (rounds.flatMap(\.first), rounds.flatMap(\.last))
        report.add(name + "rate, last two slices / first two", rate(last) / rate(first), "×", .atLeast(0.9))
        report.add(
            name + "server CPU, last two slices / first two",
            cpuMicroseconds(last) / max(cpuMicroseconds(first), 1e-9),
            "×",
            .atMost(1.1)
        )
        report.add(name + "client CPU an add", total.clientCPUSeconds / adds * 1e6, "µs")
        if total.refused + total.lost > 0 {
            report.notes.append("\(total.refused) adds were refused and \(total.lost) lost: the figures are void")
        }
        addTable(rounds, connections, &report)
    }

    /// Adds a second of some slices together.
    private static func rate(_ slices: [Slice]) -> Double {
        let answered = slices.map(\.report.answered).reduce(0, +)
        return Double(answered) / max(slices.map(\.report.seconds).reduce(0, +), 1e-9)
    }

    private static func cpuMicroseconds(_ slices: [Slice]) -> Double {
        slices.map(\.cpuMicroseconds).reduce(0, +) / Double(max(slices.count, 1))
    }

    /// A line a slice, with the median of the rounds.
    private static func addTable(_ rounds: [Round], _ connections: Int, _ report: inout SectionReport) {
        report.notes.append(
            padded("slice", 8)
                + ["vectors", "adds/s", "CPU µs", "sync ms", "p50 ms", "p99 ms", "max ms", "bytes ×", "RSS MB"]
                .map { padded($0, -9) }.joined()
        )
        var vectors = 0
        for number in 0..<Self.slices {
            let slices = rounds.map { $0.slices[number] }
            func middle(_ value: (Slice) -> Double) -> Double { median(slices.map(value)) }
            vectors += slices[0].report.answered
            let columns = [
                Double(vectors), middle(\.report.rate), middle(\.cpuMicroseconds), middle { $0.syncSeconds * 1e3 },
                middle { Double($0.report.latency.percentile(50)) / 1e6 },
                middle { Double($0.report.latency.percentile(99)) / 1e6 },
                middle { Double($0.report.latency.maxNanoseconds) / 1e6 },
                middle { Double($0.writtenBytes) / Double(max($0.report.answered, 1) * rounds[0].payloadBytes) },
                middle { Double($0.residentBytes >> 20) },
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

    /// What `/metrics` says of a series; 0 when it is not there.
    static func metric(_ node: NodeFixture, _ name: String) throws -> Double {
        let text = try node.client().request("GET", "/metrics").text
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { Double($0.dropFirst(name.count + 1)) } ?? 0
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
