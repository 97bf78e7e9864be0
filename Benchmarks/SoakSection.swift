import Glibc
import SpringgTestKit
import Synchronization

/// A node under mixed load for a long time: what it holds must not grow.
///
/// Each kind of work has a thread, a connection and a pace of its own (`SoakLoad`), on a set of ids that does not grow. After a quarter
/// of the time, in which caches fill and retention sets in, everything that a process can leak is looked at: memory, file
/// descriptors, threads, the log on disk.
enum SoakSection {
    /// Lines of the report.
    private static let samples = 40

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(title: "soak: \(Figure.text(settings.minutes)) minutes of mixed load")
        let place = try TemporaryDirectory(in: settings.directory)
        let archive = place.path + "/archive"
        guard mkdir(archive, 0o755) == 0 else { throw TestKitError.system("making \(archive)") }
        let node = try NodeFixture(
            flags: [
                "log-segment-mb": "8", "log-retention-mb": "64", "persistence-interval": "20s", "max-memory-mb": "512",
                "s3-bucket": "file://" + archive, "s3-sync-interval": "2s", "s3-snapshot-interval": "2m",
                "tombstone-grace": "1m", "bulk-cpu-threshold-percent": "0", "read-timeout": "2s", "log-level": "warn",
            ],
            place: settings.directory
        )
        try node.start()
        let load = try SoakLoad(node, seed: settings.seed, pace: settings.pace)
        let seconds = settings.minutes * 60
        let begun = Monotonic.nanoseconds()
        func elapsed() -> Double { Double(Monotonic.nanoseconds() - begun) / 1e9 }
        var table: [Sample] = []
        var trouble: String?
        while trouble == nil, elapsed() < seconds {
            load.rest(seconds: min(seconds / Double(samples), seconds - elapsed()))
            do {
                table.append(try Sample(node, elapsed(), load.done, archive))
                progress(table[table.count - 1].line)
            } catch {
                trouble = "\(error)"
            }
        }
        load.stop()
        report.notes.append(Sample.head)
        report.notes += table.map(\.line)
        report.notes += load.report()
        if let trouble { report.notes.append("ended early: \(trouble)") }
        for line in node.log.split(separator: "\n").suffix(20) { report.notes.append("log: \(line)") }
        judge(table.filter { $0.seconds >= seconds / 4 }, load, &report)
        report.add("restart on what is left", try restart(node), "s")
        return report
    }

    private static func judge(_ table: [Sample], _ load: SoakLoad, _ report: inout SectionReport) {
        let half = table.count / 2
        guard half > 0 else { return }
        func growth(_ value: (Sample) -> Double) -> Double {
            let (first, second) = (table[..<half].map(value), table[half...].map(value))
            return median(Array(second)) / max(median(Array(first)), 1)
        }
        let few = 1.05
        report.add("requests", Double(load.done), "")
        report.add("answers that were not expected", Double(load.surprises), "", .atMost(0))
        report.add("memory, second half / first", growth(\.residentBytes), "×", .atMost(few))
        report.add("file descriptors, second half / first", growth(\.descriptors), "×", .atMost(few))
        report.add("threads, second half / first", growth(\.threads), "×", .atMost(few))
        report.add("log on disk, second half / first", growth(\.logBytes), "×", .atMost(1.2))
        report.add("checkpoints on disk, second half / first", growth(\.checkpointBytes), "×", .atMost(1.2))
    }

    /// The last proof that nothing went wrong unseen: it stops in good order and starts again.
    private static func restart(_ node: NodeFixture) throws -> Double {
        guard try node.terminate() == .exited(0) else { throw TestKitError("the node did not stop in good order") }
        return try node.start(timeoutSeconds: 120)
    }

    /// What a node holds at one moment.
    private struct Sample {
        let seconds: Double
        let requests: Int
        let residentBytes: Double
        let descriptors: Double
        let threads: Double
        let logBytes: Double
        let checkpointBytes: Double
        let archiveBytes: Double
        let vectors: Int
        let cpuSeconds: Double

        init(_ node: NodeFixture, _ seconds: Double, _ requests: Int, _ archive: String) throws {
            self.seconds = seconds
            self.requests = requests
            let usage = try node.usage()
            residentBytes = Double(usage.residentBytes)
            cpuSeconds = usage.cpuSeconds
            descriptors = Double(try Files.list("/proc/\(node.pid)/fd").count)
            threads = Double(try Files.list("/proc/\(node.pid)/task").count)
            let stats = try node.client().request("GET", "/api/stats").data()
            logBytes = Double(stats["disk"]?["log_bytes"]?.int ?? 0)
            checkpointBytes = Double(stats["disk"]?["checkpoint_bytes"]?.int ?? 0)
            vectors = stats["vectors"]?.int ?? 0
            archiveBytes = Double(Files.treeSize(archive).occupied)
        }

        static let head =
            padded("minutes", 9)
            + ["requests", "vectors", "RSS MB", "files", "threads", "log MB", "checkp. MB", "archive MB", "CPU s"]
            .map { padded($0, -11) }.joined()

        var line: String {
            let columns = [
                Double(requests), Double(vectors), (residentBytes / 1e6).rounded(), descriptors, threads,
                (logBytes / 1e6).rounded(), (checkpointBytes / 1e6).rounded(), (archiveBytes / 1e6).rounded(),
                cpuSeconds.rounded(),
            ]
            return padded(Figure.text((seconds / 6).rounded() / 10), 9)
                + columns.map { padded(Figure.text($0), -11) }.joined()
        }
    }
}
