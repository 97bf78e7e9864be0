import SpringgLog
import SpringgTestKit

/// From the start of the process to the ready line, after kill -9: the log is read back whole.
enum ReplaySection {
    private static let connections = 64
    private static let starts = 3
    private static let scans = 5

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(
            title: "start after kill -9, log replayed from its first record, files in the page cache"
        )
        let node = try BenchNode.start(in: settings.directory)
        var random = SeededRandom(seed: settings.seed)
        let source = AddRequests(
            index: BenchNode.index,
            dimensions: Settings.dimensions,
            connections: connections,
            random: &random
        )
        var stored = 0
        for vectors in [20_000, 50_000] {
            try BenchNode.fill(node, source, vectors - stored, connections: connections)
            stored = vectors
            var seconds: [Double] = []
            var cpu: [Double] = []
            for _ in 0..<starts {
                try node.kill()
                seconds.append(try node.start(timeoutSeconds: 120))
                cpu.append(try node.usage().cpuSeconds)
            }
            let log = Double(Files.treeSize(node.dataPath + "/log").apparent)
            report.add("start at \(vectors) vectors", median(seconds), "s", vectors == 20_000 ? .atMost(2) : nil)
            report.add("start at \(vectors) vectors: CPU", median(cpu), "s")
            report.add("start at \(vectors) vectors: log read", log / median(seconds) / 1e6, "MB/s")
            let stats = try node.client().request("GET", "/api/indexes/\(BenchNode.index)/stats").data()
            if stats["count"]?.int != vectors { report.notes.append("after the start the count is \(stats)") }
        }
        try node.terminate()
        try measureVerify(node.dataPath + "/log", &report)
        return report
    }

    /// Every check of recovery, and nothing else: what `logdump verify` does.
    private static func measureVerify(_ path: String, _ report: inout SectionReport) throws {
        let scan = LogScan(directory: path, fileSystem: PosixFileSystem())
        var bytes = 0
        var seconds: [Double] = []
        for _ in 0..<scans {
            bytes = 0
            let began = Monotonic.nanoseconds()
            _ = try scan.run { record throws(LogError) in bytes += record.recordBytes }
            seconds.append(Double(Monotonic.nanoseconds() - began) / 1e9)
        }
        report.add("verifying the log, one thread", Double(bytes) / median(seconds) / 1e9, "GB/s", .atLeast(1.5))
    }
}
