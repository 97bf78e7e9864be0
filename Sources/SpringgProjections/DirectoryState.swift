public import SpringgLog

/// What a data directory holds at one moment, read beside the node that serves it or without one.
///
/// Takes no lock and changes nothing. The moment is the end of the log as it is read: every write that was acknowledged
/// before reading began is in it. It takes as much memory as the node's own vectors.
public final class DirectoryState {
    private let materializer: Materializer
    /// The last event that is in it.
    public let lsn: LSN

    private init(_ materializer: Materializer, _ lsn: LSN) {
        self.materializer = materializer
        self.lsn = lsn
        materializer.publish()
    }

    /// So often a directory is read from its beginning when files go away meanwhile, as old segments and checkpoints do.
    private static let attemptsMax = 3

    /// Reads the newest checkpoint and the log behind it.
    ///
    /// - Throws: `LogError` as opening the database does.
    public static func read(
        _ dataPath: String,
        fileSystem: any FileSystem = PosixFileSystem(),
        progress: (@Sendable (ReplayProgress) -> Void)? = nil
    ) throws(LogError) -> DirectoryState {
        for _ in 1..<attemptsMax {
            do throws(LogError) {
                return try readOnce(dataPath, fileSystem, progress)
            } catch {
                guard case .io = error else { throw error }
            }
        }
        return try readOnce(dataPath, fileSystem, progress)
    }

    private static func readOnce(
        _ dataPath: String,
        _ fileSystem: any FileSystem,
        _ progress: (@Sendable (ReplayProgress) -> Void)?
    ) throws(LogError) -> DirectoryState {
        var options = DatabaseOptions(dataPath: dataPath)
        options.progress = progress
        let files = CheckpointFiles(directory: dataPath + "/checkpoints", fileSystem: fileSystem)
        let (materializer, base, checkpoint) = Database.restoreNewest(files, threads: 1)
        let scan = LogScan(directory: dataPath + "/log", fileSystem: fileSystem)
        let trimmed = try scan.segments().first?.firstLSN.previous ?? .zero
        try Database.requireWhole(scan.directory, base, trimmed: trimmed, damaged: checkpoint.damaged)
        var replay = Replay(options, fileSystem, from: base)
        var last = base.lsn
        do throws(LogError) {
            _ = try scan.run(from: base) { record throws(LogError) in
                try replay.apply(record, to: materializer)
                last = record.lsn
            }
        } catch {
            guard case .corrupt = error, isWritten(last.next, behind: base, scan) else { throw error }
        }
        return DirectoryState(materializer, last)
    }

    /// Whether a record that could not be read can be read now.
    ///
    /// Then it was being written: it had not been acknowledged when it was looked at, and the state ends before it. What
    /// is damaged stays as it is.
    private static func isWritten(_ lsn: LSN, behind base: LogBase, _ scan: LogScan) -> Bool {
        var last = LSN.zero
        _ = try? scan.run(from: base) { record throws(LogError) in last = record.lsn }
        return last >= lsn
    }

    /// The index of that name; nil when it does not exist.
    public func index(_ name: IndexName) -> VectorIndex? { materializer.directory[name] }

    /// All indexes, in the order of their names.
    public func indexes() -> [VectorIndex] { materializer.indexes }
}
