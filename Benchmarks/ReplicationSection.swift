import Glibc
import SpringgTestKit
import Synchronization

/// Three nodes on one machine: what replication costs the writer, how far the others lag, how fast one catches up.
///
/// All three share the machine's cores with the client, so the cost is told by processor time; the rates are shown beside.
enum ReplicationSection {
    private static let connections = 16
    private static let manyConnections = 64
    /// With and without peers in turns, so that what else the machine does falls on both.
    private static let rounds = 3
    /// Pause between two looks at a follower: far below the goal.
    private static let lookMicroseconds: UInt32 = 500

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(
            title: "replication, three nodes on the same cores, \(Settings.dimensions) dimensions, adds to one of them"
        )
        var (alone, three, beside): ([Load], [Load], [Load]) = ([], [], [])
        for round in 1...rounds {
            progress("round \(round) of \(rounds)")
            alone.append(try load(settings, nodes: 1))
            let loaded = try load(settings, nodes: 3)
            three.append(loaded)
            beside.append(try Burden.with(cores: loaded.othersCores) { try load(settings, nodes: 1) })
        }
        let lags = three.flatMap(\.lags)
        report.add("adds alone", median(alone.map(\.rate)), "/s")
        report.add("adds with two peers, all on the same cores", median(three.map(\.rate)), "/s")
        let (one, of3) = (median(alone.map(\.cpu)), median(three.map(\.cpu)))
        let burdened = median(beside.map(\.cpu))
        report.add(
            "adds alone, beside others that take as much of the cores as the peers",
            median(beside.map(\.rate)),
            "/s"
        )
        report.add("writer's CPU an add, alone", one * 1e6, "µs")
        report.add("writer's CPU an add, alone beside such others", burdened * 1e6, "µs")
        report.add("writer's CPU an add, with two peers", of3 * 1e6, "µs")
        report.add("writer's share of the three nodes' CPU", median(three.map(\.share)), "")
        report.add("writer's CPU an add, with two peers / alone", of3 / one, "×")
        report.add("writer's CPU an add, with two peers / alone beside such others", of3 / burdened, "×", .atMost(1.25))
        report.add("lag of two peers, p50", percentile(lags, 0.5), "ms")
        report.add("lag of two peers, p99", percentile(lags, 0.99), "ms", .atMost(250))
        report.add("requests for replication / writes", median(three.map(\.requests)), "", .atMost(0.01))
        for connections in [connections, manyConnections] {
            let local = try load(settings, nodes: 3, connections: connections)
            let quorum = try load(settings, nodes: 3, ack: "quorum", connections: connections)
            let name = "\(connections) connections"
            report.add("adds with two peers, ack=quorum, \(name)", quorum.rate, "/s")
            report.add("ack=quorum / ack=local, \(name)", quorum.rate / local.rate, "×")
        }
        return report
    }

    /// `bench --section catch-up`.
    static func measureCatchUp(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(
            title:
                "a node that has missed \(settings.madeRows) × \(Settings.dimensions) comes back, both on the same cores"
        )
        try catchUp(settings, &report)
        return report
    }

    private static func percentile(_ values: [Double], _ share: Double) -> Double {
        let sorted = values.sorted()
        return sorted.isEmpty ? .nan : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }

    // MARK: - Nodes

    private static func cluster(_ count: Int, _ settings: Settings) throws -> [NodeFixture] {
        let ports = try (0..<count).map { _ in try Socket.freePort() }
        return try ports.enumerated().map { place, port in
            let node = try BenchNode.make(in: settings.directory)
            if count > 1 {
                node.flags["cluster-enabled"] = "true"
                node.flags["node-id"] = "n\(place)"
                node.flags["cluster-bind-port"] = "\(port)"
                node.flags["cluster-seeds"] = ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
            }
            return node
        }
    }

    private static func createIndex(_ nodes: [NodeFixture]) throws {
        let body = #"{"dimensions":\#(Settings.dimensions)}"#
        let answer = try nodes[0].client().request("POST", "/api/indexes/\(BenchNode.index)", json: body)
        guard answer.status == 200 else { throw TestKitError("creating an index was answered \(answer)") }
        for node in nodes { try wait(for: 0, on: node) }
    }

    private static func wait(for count: Int, on node: NodeFixture) throws {
        let client = node.client()
        let deadline = Deadline(seconds: 300)
        while try client.request("GET", "/api/indexes/\(BenchNode.index)/stats").jsonCount ?? -1 < count {
            guard !deadline.isOver else { throw TestKitError("a node does not catch up") }
            usleep(10_000)
        }
    }

    // MARK: - Under load

    private struct Load {
        var rate: Double
        /// Of the writer, an add.
        var cpu: Double
        var lags: [Double]
        /// Of the processor time of all nodes, the writer's.
        var share: Double
        /// Cores that the other nodes have kept busy.
        var othersCores: Double
        /// Requests that the peers have got for each add.
        var requests: Double
    }

    private static func load(
        _ settings: Settings,
        nodes count: Int,
        ack: String = "local",
        connections: Int = connections
    ) throws -> Load {
        let nodes = try cluster(count, settings)
        for node in nodes { node.flags["default-ack"] = ack }
        for node in nodes { try node.start(timeoutSeconds: 120) }
        try createIndex(nodes)
        var random = SeededRandom(seed: settings.seed)
        let source = AddRequests(
            index: BenchNode.index,
            dimensions: Settings.dimensions,
            connections: connections,
            random: &random
        )
        source.allow(settings.vectors)
        let lags = Mutex<[Double]>([])
        let isOver = Atomic(false)
        let ports = nodes.map(\.port)
        let prober = try WorkerThread {
            while count > 1, !isOver.load(ordering: .relaxed) {
                if let lag = try? probe(ports) { lags.withLock { $0.append(lag) } }
            }
        }
        let looksBefore = looked.load(ordering: .relaxed)
        let before = try (nodes.map { try $0.usage().cpuSeconds }, requests(nodes.dropFirst()))
        let result = try LoadGenerator(port: nodes[0].port, connections: connections).run(source)
        let after = try (nodes.map { try $0.usage().cpuSeconds }, requests(nodes.dropFirst()))
        let ownLooks = looked.load(ordering: .relaxed) - looksBefore
        isOver.store(true, ordering: .relaxed)
        prober.join()
        let adds = Double(max(result.answered, 1))
        let looks = lags.withLock { $0.count }
        for node in nodes { try node.terminate() }
        guard result.refused == 0 else { throw TestKitError("adding was answered \(result.statuses)") }
        let used = zip(after.0, before.0).map(-)
        return Load(
            rate: result.rate,
            cpu: used[0] / adds,
            lags: lags.withLock { $0 },
            share: used[0] / used.reduce(0, +),
            othersCores: used.dropFirst().reduce(0, +) / max(result.seconds, 1e-9),
            // Of each probe, the looks are counted by the prober itself and taken out.
            requests: (Double(after.1 - before.1) - Double(ownLooks)) / (adds + Double(looks))
        )
    }

    /// Looks of the prober at the peers.
    private static let looked = Atomic(0)

    /// Milliseconds from the acknowledgement of a write by the first node to its being seen on all others.
    private static func probe(_ ports: [Int]) throws -> Double {
        var system = SystemRandomNumberGenerator()
        let id = "probe-\(system.next())"
        let vector = [Float](repeating: 0.5, count: Settings.dimensions)
        let body = #"{"id":"\#(id)","vector":\#(JSONValue.array(of: vector))}"#
        let clients = ports.map { HTTPClient(port: $0) }
        let path = "/api/indexes/\(BenchNode.index)/vectors"
        guard try clients[0].request("POST", path, json: body).status == 200 else { return .nan }
        let begun = Monotonic.nanoseconds()
        for client in clients.dropFirst() {
            while true {
                looked.add(1, ordering: .relaxed)
                if try client.request("GET", "\(path)/\(id)").status == 200 { break }
                usleep(lookMicroseconds)
            }
        }
        return Double(Monotonic.nanoseconds() - begun) / 1e6
    }

    private static func requests(_ nodes: ArraySlice<NodeFixture>) throws -> Int {
        try nodes.reduce(0) { sum, node in
            sum + (try node.client().request("GET", "/internal/cluster/status").data()["qps"]?["total"]?.int ?? 0)
        }
    }

    // MARK: - Catching up

    private static func catchUp(_ settings: Settings, _ report: inout SectionReport) throws {
        let nodes = try cluster(2, settings)
        for node in nodes { try node.start(timeoutSeconds: 120) }
        try createIndex(nodes)
        try nodes[1].terminate()
        var random = SeededRandom(seed: settings.seed)
        let source = AddRequests(
            index: BenchNode.index,
            dimensions: Settings.dimensions,
            connections: connections,
            random: &random
        )
        try BenchNode.fill(nodes[0], source, settings.madeRows, connections: connections)
        // What is measured is the way of events, not the building of the writer's graph beside it.
        guard try BenchNode.waitUntilIndexed(nodes[0]) != nil else {
            throw TestKitError("the writer's graph is not built")
        }
        let bytes = Double(settings.madeRows * source.payloadBytes)
        let begun = Monotonic.nanoseconds()
        try nodes[1].start(timeoutSeconds: 120)
        let ready = Monotonic.nanoseconds()
        try wait(for: 1, on: nodes[1])
        let first = Monotonic.nanoseconds()
        try wait(for: settings.madeRows, on: nodes[1])
        let end = Monotonic.nanoseconds()
        // In turns with nothing: both nodes still run, and do as little.
        let copies = try (0..<copyRounds).map { _ in try copySeconds(nodes[0].dataPath + "/log", settings) }
        let copied = median(copies.map { $0.bytes / $0.seconds })
        for node in nodes { try node.terminate() }
        let speed = bytes / (Double(end - ready) / 1e9)
        report.add("start of the process until it is ready", Double(ready - begun) / 1e9, "s")
        report.add("from there to the first event", Double(first - ready) / 1e9, "s")
        report.add("from there to the last event", Double(end - ready) / 1e9, "s")
        report.add("payload by the whole of that time", speed / 1e6, "MB/s")
        report.add("payload from the first event on", bytes / (Double(end - first) / 1e9) / 1e6, "MB/s")
        report.add("curl, the log's bytes over the loopback to a file", copied / 1e6, "MB/s")
        report.add("catch-up, the whole of the time / curl", speed / copied, "×", .atLeast(0.5))
    }

    private static let copyRounds = 3

    /// Fetches the files of a directory with curl from a plain server on the loopback.
    private static func copySeconds(
        _ directory: String,
        _ settings: Settings
    ) throws -> (bytes: Double, seconds: Double) {
        let port = try Socket.freePort()
        let server = try ChildProcess(
            executable: "/usr/bin/python3",
            arguments: ["-m", "http.server", "\(port)", "--bind", "127.0.0.1", "--directory", directory],
            environment: [:],
            workingDirectory: "/"
        )
        defer {
            server.send(signal: SIGKILL)
            _ = try? server.wait(seconds: 10)
        }
        let deadline = Deadline(seconds: 20)
        while (try? HTTPClient(port: port).request("GET", "/")) == nil {
            guard !deadline.isOver else { throw TestKitError("python3 -m http.server does not answer") }
            usleep(20_000)
        }
        let target = settings.directory + "/copied.bytes"
        defer { unlink(target) }
        let names = try Files.list(directory).filter { $0.hasSuffix(".seg") }
        let begun = Monotonic.nanoseconds()
        var bytes = 0.0
        for name in names {
            let copy = try ChildProcess.run(
                "/usr/bin/curl",
                ["-sS", "-o", target, "http://127.0.0.1:\(port)/\(name)"],
                environment: [:],
                workingDirectory: "/"
            )
            guard copy.status == .exited(0) else { throw TestKitError("curl: \(copy)") }
            bytes += Double(Files.treeSize(target).apparent)
        }
        return (bytes, Double(Monotonic.nanoseconds() - begun) / 1e9)
    }
}

extension HTTPResponse {
    /// The rows that an index's stats name; nil when this is something else.
    fileprivate var jsonCount: Int? { status == 200 ? try? data()["count"]?.int : nil }
}
