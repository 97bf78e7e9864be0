import Glibc
package import SpringgLog
package import SpringgProjections

/// What a restore has made.
package struct RestoreReport: Sendable {
    /// Whose events the new directory will write.
    package var origin: OriginID
    /// The last event, by its place in the new log.
    package var lastLSN: LSN
    /// The first event that the new log itself holds.
    package var firstLSN: LSN
    /// The highest clock reading in the state.
    package var highestHLC: HLC
    /// Digest of everything visible, as a node shows it.
    package var digest: StateDigest
    /// Visible rows.
    package var rows: Int
    /// Living indexes.
    package var indexes: Int
    /// Rows that graphs hold already.
    package var rowsLinked: Int
    /// Graphs that could not be used, and why; they are built anew from their rows.
    package var damagedGraphs: [String]
}

/// Builds a data directory with the state of a moment.
///
/// It gets a log (all of the source's events up to the moment where the source has all; else those behind the base) and a
/// checkpoint of the moment, and a new origin for what will be written there. While it is built a file `RESTORING` stands
/// in it, durable before anything else: no node starts on it, and another restore begins again, with the objects of an
/// archive that were fetched before. The lock is held.
package struct Restorer {
    private let fileSystem: any FileSystem
    private let segmentBytes: Int
    private let graphThreads: Int

    /// `graphThreads` is how many threads make the codes of graphs that a snapshot has; 0 leaves those out.
    package init(
        fileSystem: any FileSystem,
        segmentBytes: Int = 64 << 20,
        graphThreads: Int = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    ) {
        self.fileSystem = fileSystem
        self.segmentBytes = segmentBytes
        self.graphThreads = graphThreads
    }

    /// Restores into `path`, which must be empty, missing, or left by a restore that was interrupted.
    ///
    /// `origin` is freshly minted.
    package func restore(
        _ prospect: RestoreProspect,
        from source: RestoreSource,
        into path: String,
        origin: OriginID,
        progress: @escaping (RestoreProgress) -> Void = { _ in }
    ) throws(RestoreError) -> RestoreReport {
        try RestoreError.wrap {
            try checkEmpty(path)
            try fileSystem.createDirectory(path)
            let lock = try lock(path)
            defer { withExtendedLifetime(lock) {} }
            try checkEmpty(path)
            try mark(path, prospect.target)
            try clear(path)
            let report = try build(prospect, source, path, origin, progress)
            try fileSystem.syncDirectory(path)
            try fileSystem.remove(path + "/" + RestoreMarker.fileName)
            try fileSystem.syncDirectory(path)
            return report
        }
    }

    /// Whether a directory is empty or missing, or was left by a restore to the same target that was interrupted.
    package func canBegin(in path: String, to target: RestoreTarget) -> Bool {
        guard let names = try? fileSystem.list(path), names.contains(RestoreMarker.fileName) else {
            return (try? checkEmpty(path)) != nil
        }
        guard let file = try? fileSystem.open(path + "/" + RestoreMarker.fileName, .read) else { return false }
        let expected = Restorer.text(of: target)
        var found = [UInt8](repeating: 0, count: expected.count)
        _ = found.withMutableBytes { try? file.read(at: 0, into: $0) }
        return found == expected
    }

    private static func text(of target: RestoreTarget) -> [UInt8] {
        Array(
            "A restore to \(target) is being made here. Until this file is gone nothing may use the directory.\n".utf8
        )
    }

    private func lock(_ path: String) throws -> any FileLock {
        do throws(FileSystemError) {
            return try fileSystem.lock(path + "/LOCK")
        } catch {
            throw error.code == EWOULDBLOCK ? LogError.locked(path: path + "/LOCK") : LogError.io(error)
        }
    }

    private func checkEmpty(_ path: String) throws(RestoreError) {
        // A directory that cannot be listed is not there, or making it will say what is wrong.
        guard let names = try? fileSystem.list(path), !names.contains(RestoreMarker.fileName) else { return }
        let found = names.filter { $0 != "LOCK" && $0 != "lost+found" }
        guard found.isEmpty else {
            throw .notEmpty(path: path, found: found.sorted().prefix(3).joined(separator: ", "))
        }
    }

    private func mark(_ path: String, _ target: RestoreTarget) throws {
        let file = try fileSystem.open(path + "/" + RestoreMarker.fileName, .create)
        try Restorer.text(of: target).withBytes { bytes throws(FileSystemError) in try file.write(bytes, at: 0) }
        try file.sync()
        try fileSystem.syncDirectory(path)
    }

    /// Removes what an interrupted restore left, but for the objects that it had fetched.
    private func clear(_ path: String) throws {
        for directory in [path + "/log", path + "/checkpoints"] {
            guard let names = try? fileSystem.list(directory), !names.isEmpty else { continue }
            for name in names { try fileSystem.remove(directory + "/" + name) }
            try fileSystem.syncDirectory(directory)
        }
    }

    private func build(
        _ prospect: RestoreProspect,
        _ source: RestoreSource,
        _ path: String,
        _ origin: OriginID,
        _ progress: @escaping (RestoreProgress) -> Void
    ) throws -> RestoreReport {
        var options = LogOptions()
        options.segmentBytes = segmentBytes
        // With history the log begins where the source's does, so that a checkpoint's place in it stays what it is.
        var behind = prospect.plan.base.base
        if prospect.plan.keepsHistory {
            behind = LogBase(lsn: prospect.log?.trimmed ?? .zero, heads: VersionVector(), highestHLC: HLC(0))
        }
        let writer = try Log.begin(
            in: path + "/log",
            options: options,
            fileSystem: fileSystem,
            origin: origin,
            behind: behind
        )
        let fetched = path + "/fetched"
        let state = try source.load(
            prospect,
            copyingTo: writer,
            fetching: (fetched, fileSystem),
            graphThreads: graphThreads,
            progress: progress
        )
        writer.close()
        guard case .closed? = writer.log.failure else { throw writer.log.failure ?? LogError.closed }
        if state.base.lsn > .zero {
            try state.materializer.checkpoint(heads: state.base.heads, to: path + "/checkpoints", fileSystem)
        }
        // What was written is read back: the disk may have other bytes than those it took.
        let outcome = try LogScan(directory: path + "/log", fileSystem: fileSystem).run { _ throws(LogError) in }
        guard outcome.lastLSN == state.base.lsn, outcome.torn == nil else {
            throw RestoreError.unproven(
                "the restored log ends with LSN \(outcome.lastLSN) instead of \(state.base.lsn)"
                    + (outcome.torn.map { " and a torn record: \($0)" } ?? "")
            )
        }
        if source.archive != nil {
            for name in try fileSystem.list(fetched) { try fileSystem.remove(fetched + "/" + name) }
            try fileSystem.remove(fetched)
        }
        let indexes = state.materializer.indexes
        return RestoreReport(
            origin: origin,
            lastLSN: state.base.lsn,
            firstLSN: behind.lsn.next,
            highestHLC: state.base.highestHLC,
            digest: state.materializer.digest,
            rows: indexes.reduce(0) { $0 + $1.count },
            indexes: indexes.count,
            rowsLinked: indexes.reduce(0) { $0 + $1.count - $1.stats.unindexed },
            damagedGraphs: state.damagedGraphs
        )
    }
}
