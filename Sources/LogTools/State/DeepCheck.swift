package import SpringgLog
package import SpringgProjections

/// Replays a log and compares its state with each checkpoint at the moment of that checkpoint.
package struct DeepCheck {
    /// What came of one checkpoint.
    package struct Finding: Sendable {
        package enum Verdict: Sendable, Equatable {
            case equal
            /// Names of indexes that differ; empty when only what lies beside the rows does.
            case differs(indexes: [String])
            case damaged(String)
            /// The log does not hold what would be needed to tell.
            case untold(String)
        }

        package var lsn: LSN
        package var verdict: Verdict
    }

    private struct Expected {
        var base: LogBase
        var digest: StateDigest
        var indexes: [String: StateDigest]
    }

    /// Compares all checkpoints in `data`; needs twice the memory of a node at most.
    ///
    /// - Throws: `LogError` when the log cannot be read: verify it first.
    package static func run(
        log: String,
        data: String,
        fileSystem: any FileSystem,
        progress: @escaping (LSN) -> Void
    ) throws -> (findings: [Finding], digest: StateDigest, last: LSN) {
        let directory = data + "/checkpoints"
        var findings: [Finding] = []
        var expected: [Expected] = []
        let files = CheckpointFiles(directory: directory, fileSystem: fileSystem)
        for lsn in try Log.io({ () throws(FileSystemError) in try files.all() }).reversed() {
            do throws(CheckpointDamage) {
                let (state, base, damagedGraphs) = try Materializer.restore(lsn, from: directory, fileSystem)
                findings += damagedGraphs.map { Finding(lsn: lsn, verdict: .damaged($0)) }
                expected.append(Expected(base: base, digest: state.digest, indexes: digests(state)))
            } catch {
                findings.append(Finding(lsn: lsn, verdict: .damaged("\(error)")))
            }
        }
        let (materializer, start) = try begin(log: log, data: data, fileSystem)
        if start.lsn > .zero {
            let past = expected.filter { $0.base.lsn <= start.lsn }
            findings += past.map { Finding(lsn: $0.base.lsn, verdict: .untold("the log no longer reaches back to it")) }
            expected.removeAll { $0.base.lsn <= start.lsn }
        }
        var firstHole: LSN?
        var reached: [Finding] = []
        let outcome = try LogScan(directory: log, fileSystem: fileSystem).run(from: start) { record throws(LogError) in
            if record.lsn.rawValue > materializer.appliedLSN.rawValue + 1, firstHole == nil { firstHole = record.lsn }
            try materializer.replay(record)
            progress(record.lsn)
            guard let next = expected.first, next.base.lsn == record.lsn else { return }
            expected.removeFirst()
            materializer.publish()
            reached.append(Finding(lsn: record.lsn, verdict: compare(next, materializer, firstHole)))
        }
        materializer.publish()
        findings += reached
        findings += expected.map {
            Finding(lsn: $0.base.lsn, verdict: .untold("the log has no record at its LSN"))
        }
        return (findings.sorted { $0.lsn < $1.lsn }, materializer.digest, max(outcome.lastLSN, start.lsn))
    }

    /// Fresh projections, or where the log's beginning was removed those of the oldest whole checkpoint it continues.
    package static func begin(
        log: String,
        data: String?,
        _ fileSystem: any FileSystem
    ) throws -> (Materializer, LogBase) {
        let scan = LogScan(directory: log, fileSystem: fileSystem)
        guard let first = try scan.segments().first else { return (Materializer(), .beginning) }
        let trimmed = try scan.reader(first.path).header.continuesFrom
        guard trimmed > .zero, let data else { return (Materializer(), .beginning) }
        let files = CheckpointFiles(directory: data + "/checkpoints", fileSystem: fileSystem)
        for lsn in try Log.io({ () throws(FileSystemError) in try files.all() }).reversed() where lsn >= trimmed {
            // One that is damaged has been named by then (`run`), or the log's start is refused for want of another.
            if let restored = try? Materializer.restore(lsn, from: data + "/checkpoints", fileSystem) {
                return (restored.materializer, restored.base)
            }
        }
        throw LogError.corrupt(
            LogDamage(
                segment: first.path,
                offset: 0,
                lsn: LSN(1),
                reason: "the log begins with LSN \(trimmed.next), and no checkpoint can be used"
            )
        )
    }

    private static func compare(_ expected: Expected, _ state: Materializer, _ hole: LSN?) -> Finding.Verdict {
        if expected.digest == state.digest { return .equal }
        if let hole { return .untold("events are missing in the log before LSN \(hole)") }
        let found = digests(state)
        let names = Set(found.keys).union(expected.indexes.keys).sorted()
        return .differs(indexes: names.filter { found[$0] != expected.indexes[$0] })
    }

    private static func digests(_ state: Materializer) -> [String: StateDigest] {
        Dictionary(uniqueKeysWithValues: state.indexes.map { ($0.name.description, $0.digest) })
    }
}
