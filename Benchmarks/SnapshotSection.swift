import Glibc
import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit

/// A snapshot of 100,000 vectors to a directory, and the next one after a single change.
enum SnapshotSection {
    private static let rows = 100_000

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(title: "snapshots of 100,000 × 1,024 random components to a directory")
        let place = try TemporaryDirectory(in: settings.directory)
        let store = try DirectoryStore(path: place.path + "/store", createIfMissing: true)
        var random = SeededRandom(seed: settings.seed)
        let state = Materializer()
        var writer = LoneOrigin()
        func apply(_ event: EncodedEvent) {
            let lsn = writer.stamp(event)
            guard let decoded = event.envelope.event else { return }
            state.apply(decoded, of: event.envelope, recordBytes: 0, lsn: lsn)
        }
        apply(.indexCreated(name: "a", dimensions: Settings.dimensions, options: .empty))
        for row in 0..<rows { apply(EventSet.put("a", "row-\(row)", random.floats(Settings.dimensions))) }
        state.publish()

        func snapshot() throws -> (report: SnapshotReport, seconds: Double) {
            let begun = Monotonic.nanoseconds()
            let written = try SnapshotWriter(to: store)
                .write(state.captureState(heads: writer.heads), origin: writer.id, newest: .none).report
            return (written, Double(Monotonic.nanoseconds() - begun) / 1e9)
        }
        let first = try snapshot()
        report.add("first snapshot", first.seconds, "s")
        report.add("first snapshot: blocks", Double(first.report.blocksWritten), "")
        report.add("first snapshot: bytes of blocks", Double(first.report.bytesWritten), "bytes")
        report.add(
            "bytes stored for a byte of content",
            Double(first.report.bytes) / Double(first.report.contentBytes),
            ""
        )
        apply(EventSet.put("a", "row-4711", random.floats(Settings.dimensions)))
        state.publish()
        let second = try snapshot()
        report.add("after one changed vector", second.seconds, "s")
        report.add("after one changed vector: blocks written", Double(second.report.blocksWritten), "", .atMost(1))
        report.add("after one changed vector: bytes of blocks", Double(second.report.bytesWritten), "bytes")
        report.add("after one changed vector: bytes of the manifest", Double(second.report.manifestBytes), "bytes")
        report.add(
            "a whole copy in bytes by what one changed vector stores",
            Double(first.report.bytesWritten) / Double(second.report.bytesWritten + second.report.manifestBytes),
            ""
        )

        let reader = SnapshotReader(from: store)
        let begun = Monotonic.nanoseconds()
        let restored = Materializer()
        _ = try reader.restore(reader.manifest(nil), into: restored, at: state.appliedLSN)
        report.add("restored into memory", Double(Monotonic.nanoseconds() - begun) / 1e9, "s")
        if restored.digest != state.digest { report.notes.append("the restored state has another digest") }
        return report
    }
}
