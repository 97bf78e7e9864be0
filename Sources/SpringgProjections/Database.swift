import Glibc
public import SpringgLog
import Synchronization

/// How a database is kept.
public struct DatabaseOptions: Sendable {
    /// Everything is below this directory, which is made when missing.
    public var dataPath: String
    /// What an acknowledgement means.
    public var durability = Durability.fsync
    /// Size of a log segment in bytes.
    public var segmentBytes = 64 << 20
    /// Rows that an index may have; 0 for no limit.
    public var maxVectorsPerIndex = 100_000
    /// Bytes that the projections may hold; 0 for no limit.
    public var maxMemoryBytes = 2048 << 20
    /// Rows of an index that may wait to be linked into its graph; 0 for no limit.
    ///
    /// Beyond it writers are slowed to the pace of linking, and never refused. So many rows of 1,024 dimensions are
    /// compared in about 15 ms.
    public var maxUnindexedRows = 50_000
    /// Write zeros into new segments instead of reserving extents.
    public var writeZerosAhead = false
    /// Bytes that log and checkpoints may take on disk; 0 for no bound.
    ///
    /// At the bound writes are refused and reads go on. A checkpoint that is being written may exceed it for a while.
    public var maxDiskBytes = 0
    /// What is kept of the log beyond what a start needs.
    public var retention = RetentionPolicy()
    /// Seconds between two checkpoints; 0 for none but the last, when the database is closed.
    public var checkpointSeconds = 300.0
    /// Seconds that the last checkpoint may take; 0 for none.
    public var lastCheckpointSeconds = 1.0
    /// Called, on a thread of its own, after each checkpoint.
    public var checkpointed: (@Sendable (CheckpointReport) -> Void)?
    /// Called, on a thread of its own, when old segments have been removed from the log, or could not be.
    public var trimmed: (@Sendable (TrimReport) -> Void)?
    /// Called on the writer's thread when writes that found no room find it again.
    public var roomFound: (@Sendable () -> Void)?
    /// Called on the writer's thread when writes begin to fail; again only after one has succeeded in between.
    public var writesFail: (@Sendable (LogError) -> Void)?
    /// Called now and then while the log is replayed.
    public var progress: (@Sendable (ReplayProgress) -> Void)?

    /// The defaults, in `dataPath`.
    public init(dataPath: String) { self.dataPath = dataPath }
}

/// How far the replay of the log has come.
public struct ReplayProgress: Sendable {
    /// Bytes of records applied.
    public let bytesDone: UInt64
    /// Bytes of the segment files; more than there are records, since the last one is reserved ahead.
    public let bytesTotal: UInt64
    /// Events applied.
    public let events: UInt64
}

/// The checkpoint that a database was opened from.
public struct CheckpointRecovery: Sendable {
    /// What it holds; zero when there was none, and the whole log was read.
    public let lsn: LSN
    /// Newer ones that could not be used, and why.
    public let damaged: [String]
}

/// Whether the database takes writes.
public enum DatabaseHealth: Sendable, Equatable {
    /// It does.
    case healthy
    /// It serves reads only, until there is room on the disk.
    case full(reason: String)
    /// It serves reads only.
    case readOnly(reason: String)
}

/// Space on disk.
public struct DiskUse: Sendable {
    /// Bytes of the log's segments, which are reserved whole.
    public let logBytes: Int
    /// Bytes of the checkpoints.
    public let checkpointBytes: Int
    /// Bytes that both may take; 0 for no bound.
    public let limitBytes: Int
}

/// Memory of the projections.
public struct MemoryUse: Sendable {
    /// Bytes held.
    public let totalBytes: Int
    /// Bytes allowed; 0 for no limit.
    public let limitBytes: Int
}

/// A database: the log in `DATA/log`, the projections in memory, and the one thread that writes both.
public final class Database: Sendable {
    /// The log, for those who read it.
    public let log: Log
    /// What opening found.
    public let recovery: RecoveryReport
    /// What opening began with.
    public let checkpoint: CheckpointRecovery
    private let directory: IndexDirectory
    private let options: DatabaseOptions
    private let pipeline: WritePipeline
    private let thread: WriterThread
    private let indexer: Indexer
    private let indexerThread: WriterThread
    private let checkpointer: Checkpointer
    private let lock: Mutex<(any FileLock)?>

    /// Opens the database on the real file system.
    ///
    /// See `open(_:fileSystem:wallClock:)`.
    public static func open(_ options: DatabaseOptions) throws -> Database {
        try open(options, fileSystem: PosixFileSystem(), wallClock: unixMilliseconds)
    }

    /// Locks the directory, recovers the log and replays it.
    ///
    /// Blocking.
    ///
    /// - Throws: `LogError`: `.locked`, `.corrupt`, `.newerFormat`, `.io`, `.diskFull`.
    public static func open(
        _ options: DatabaseOptions,
        fileSystem: any FileSystem,
        wallClock: @escaping @Sendable () -> UInt64
    ) throws -> Database {
        try Log.io { () throws(FileSystemError) in try fileSystem.createDirectory(options.dataPath) }
        let lockPath = options.dataPath + "/LOCK"
        let lock: any FileLock
        do {
            lock = try fileSystem.lock(lockPath)
        } catch {
            throw error.code == EWOULDBLOCK ? LogError.locked(path: lockPath) : LogError.io(error)
        }

        var logOptions = LogOptions()
        logOptions.segmentBytes = options.segmentBytes
        logOptions.durability = options.durability
        logOptions.writeZerosAhead = options.writeZerosAhead
        logOptions.bytesMax = options.maxDiskBytes
        var generator = SystemRandomNumberGenerator()
        let files = CheckpointFiles(directory: options.dataPath + "/checkpoints", fileSystem: fileSystem)
        let (materializer, base, damaged) = restoreNewest(files)
        let indexer = Indexer(
            limits: .init(unindexedRows: options.maxUnindexedRows, memoryBytes: options.maxMemoryBytes),
            resources: materializer.resources
        )
        materializer.onBacklog = indexer.request
        var replay = Replay(options, fileSystem, from: base)
        let (log, writer, report) = try Log.open(
            directory: options.dataPath + "/log",
            options: logOptions,
            fileSystem: fileSystem,
            newOrigin: OriginID(using: &generator),
            from: base
        ) { record throws(LogError) in
            try replay.apply(record, to: materializer)
        }
        materializer.publish()
        guard base.lsn > .zero || report.trimmed == .zero else {
            // Without a checkpoint the state would lack what was removed, and nobody would notice.
            throw LogError.corrupt(
                LogDamage(
                    segment: log.directory + "/" + SegmentHeader.fileName(firstLSN: report.trimmed.next),
                    offset: 0,
                    lsn: LSN(1),
                    reason: (["the log begins with LSN \(report.trimmed.next), and no checkpoint can be used"] + damaged)
                        .joined(separator: "; ")
                )
            )
        }
        log.markApplied(report.last)
        log.markCheckpointed(base.lsn)
        // What an interrupted checkpoint left takes space and nothing else; should this fail, the next one does it.
        try? files.removeAll(except: files.all())
        let sequencer = Sequencer(
            origin: log.origin,
            limits: .init(vectorsPerIndex: options.maxVectorsPerIndex, memoryBytes: options.maxMemoryBytes),
            highestHLC: report.highestHLC
        )
        let pipeline = WritePipeline()
        let directory = materializer.directory
        let markCheckpointed = materializer.markCheckpointed
        // Also those that a checkpoint brought back and no event has touched since.
        for index in materializer.indexes where index.backlog > 0 { indexer.request(index) }
        let thread = WriterThread(name: "springg-writer") {
            pipeline.run(
                writer,
                sequencer,
                materializer,
                pace: { Database.keepPace(with: indexer, materializer) },
                wallClock: wallClock,
                writesFail: options.writesFail ?? { _ in }
            )
        }
        let indexerThread = WriterThread(name: "springg-indexer") { indexer.run() }
        let checkpointer = Checkpointer(
            files: files,
            pipeline: pipeline,
            log: log,
            retention: Retention(log: log, files: files, policy: options.retention, wallClock: wallClock),
            markCheckpointed: markCheckpointed,
            report: options.checkpointed ?? { _ in },
            trimmed: options.trimmed ?? { _ in },
            roomFound: options.roomFound ?? {}
        )
        checkpointer.start(
            interval: options.checkpointSeconds > 0 ? UInt64(options.checkpointSeconds * 1e9) : nil
        )
        let checkpoint = CheckpointRecovery(lsn: base.lsn, damaged: damaged)
        return Database(
            log,
            report,
            checkpoint,
            directory,
            options,
            pipeline,
            thread,
            indexer,
            indexerThread,
            checkpointer,
            lock
        )
    }

    /// The newest checkpoint that is whole, in fresh projections; without one, nothing and the beginning of the log.
    private static func restoreNewest(
        _ files: CheckpointFiles
    ) -> (materializer: Materializer, base: LogBase, damaged: [String]) {
        var damaged: [String] = []
        var checkpoints: [LSN] = []
        do throws(FileSystemError) {
            checkpoints = try files.all()
        } catch {
            damaged.append("\(error)")
        }
        for lsn in checkpoints {
            do throws(CheckpointDamage) {
                let (materializer, base) = try Materializer.restore(lsn, from: files.directory, files.fileSystem)
                return (materializer, base, damaged)
            } catch {
                damaged.append("\(error)")
            }
        }
        return (Materializer(), .beginning, damaged)
    }

    private init(
        _ log: Log,
        _ recovery: RecoveryReport,
        _ checkpoint: CheckpointRecovery,
        _ directory: IndexDirectory,
        _ options: DatabaseOptions,
        _ pipeline: WritePipeline,
        _ thread: WriterThread,
        _ indexer: Indexer,
        _ indexerThread: WriterThread,
        _ checkpointer: Checkpointer,
        _ lock: any FileLock
    ) {
        self.log = log
        self.recovery = recovery
        self.checkpoint = checkpoint
        self.checkpointer = checkpointer
        self.directory = directory
        self.options = options
        self.pipeline = pipeline
        self.thread = thread
        self.indexer = indexer
        self.indexerThread = indexerThread
        self.lock = Mutex(lock)
    }

    deinit { close() }

    /// Whose events this node writes.
    public var origin: OriginID { log.origin }

    /// How far the log holds each origin's events.
    public var versionVector: VersionVector { log.versionVector }

    /// Writes.
    ///
    /// Each command is validated in log order, appended, synced and applied; then `completion` is called once, on the
    /// writer's thread, with one result a command. Never blocks.
    public func submit(
        _ commands: [Command],
        completion: @escaping @Sendable ([Result<Receipt, CommandError>]) -> Void
    ) {
        pipeline.submit(commands, completion)
    }

    /// The index of that name; nil when it does not exist.
    public func index(_ name: IndexName) -> VectorIndex? { directory[name] }

    /// All indexes, in the order of their names.
    public func indexes() -> [VectorIndex] { directory.all }

    /// Digest of everything visible.
    public var digest: StateDigest { directory.digest }

    /// Rows over all indexes.
    public var vectorCount: Int { directory.all.reduce(0) { $0 + $1.count } }

    /// Whether it takes writes.
    public var health: DatabaseHealth {
        switch log.failure {
        case nil: log.full.map { .full(reason: CommandError($0).description) } ?? .healthy
        case .readOnly(let reason)?: .readOnly(reason: reason)
        case let error?: .readOnly(reason: "\(error)")
        }
    }

    /// Space that log and checkpoints take.
    public var disk: DiskUse {
        DiskUse(
            logBytes: log.segments.reduce(0) { $0 + $1.bytes },
            checkpointBytes: log.bytesBeside,
            limitBytes: options.maxDiskBytes
        )
    }

    /// Memory of the projections.
    public var memory: MemoryUse {
        MemoryUse(totalBytes: directory.memory.total, limitBytes: options.maxMemoryBytes)
    }

    /// Stops accepting, finishes what is queued, syncs, and gives the directory free.
    ///
    /// Blocking; idempotent.
    public func close() {
        guard let held = lock.withLock({ $0.take() }) else { return }
        // The directory is free for another process only when the log is closed.
        withExtendedLifetime(held) {
            // The indexer first: the writer waits for it at times.
            indexer.stop()
            checkpointer.close(within: UInt64(options.lastCheckpointSeconds * 1e9))
            pipeline.close()
            thread.join()
            indexerThread.join()
        }
    }

    /// Makes the writer wait while an index that it has just written to is too far ahead of its graph.
    private static func keepPace(with indexer: Indexer, _ materializer: Materializer) {
        guard let index = materializer.mostBehind else { return }
        var backlog = Int.max
        // As long as the indexer gets on; should it not, writes are worth more than its graph.
        while indexer.isTooFarBehind(index), index.backlog < backlog {
            backlog = index.backlog
            _ = indexer.wait(stepsMax: paceStepsMax) { !indexer.isTooFarBehind(index) }
        }
    }

    /// So many steps of the indexer are time enough for it to get on by a row: about a second.
    private static let paceStepsMax = 500

    /// Waits until every graph holds what was written before; false when the database is closed meanwhile.
    ///
    /// Blocking.
    @discardableResult
    public func waitUntilIndexed() -> Bool {
        directory.all.allSatisfy { index in
            indexer.wait(stepsMax: .max) { !index.isBeingIndexed.load(ordering: .acquiring) }
        }
    }
}

/// Applies the log's records to the projections and says how far it is.
private struct Replay {
    private let report: (@Sendable (ReplayProgress) -> Void)?
    private let total: UInt64
    private var done: UInt64 = 0
    private var reported: UInt64 = 0
    private var events: UInt64 = 0
    /// Bytes between two reports: many a second at the speed of replay, without being felt.
    private static let step: UInt64 = 16 << 20

    init(_ options: DatabaseOptions, _ fileSystem: any FileSystem, from base: LogBase) {
        report = options.progress
        let scan = LogScan(directory: options.dataPath + "/log", fileSystem: fileSystem)
        let segments = (try? scan.segments()) ?? []
        let first = segments.lastIndex { $0.firstLSN <= base.lsn.next } ?? 0
        total = segments.dropFirst(first).reduce(0) { sum, segment in
            sum + UInt64((try? fileSystem.open(segment.path, .read).size()) ?? 0)
        }
    }

    mutating func apply(_ record: LogRecord, to materializer: Materializer) throws(LogError) {
        try materializer.replay(record)
        events += 1
        done += UInt64(record.recordBytes)
        guard let report, done - reported >= Replay.step else { return }
        reported = done
        report(ReplayProgress(bytesDone: done, bytesTotal: max(total, done), events: events))
    }
}

/// Unix time in milliseconds.
private func unixMilliseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UInt64(max(0, now.tv_sec)) * 1000 + UInt64(now.tv_nsec) / 1_000_000
}
