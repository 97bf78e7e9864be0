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
    /// Threads that link rows into graphs; 0 for one a core.
    ///
    /// The same rows give the same graph, however many there are.
    public var indexingThreads = 0
    /// Share of one core, in per cent, that the probe of live queries may use; 0 for none.
    public var recallProbePercent = 1.0
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
    /// Seconds for which deleted ids and indexes are kept at least, whatever else is known of them.
    public var tombstoneGraceSeconds = 3600.0
    /// Deleted ids go only below what `forgetDeleted(below:)` names, as others may still write; false for a node that is alone.
    public var sharesHistory = false
    /// Why commands are refused until `originate` is called; nil to take them at once.
    ///
    /// A member of a cluster first asks the others whether they hold events of its own that its disk has lost.
    public var holdsCommands: String?
    /// Called, on a thread of its own, after each checkpoint.
    public var checkpointed: (@Sendable (CheckpointReport) -> Void)?
    /// Called, on a thread of its own, when old segments have been removed from the log, or could not be.
    public var trimmed: (@Sendable (TrimReport) -> Void)?
    /// Called on the writer's thread when writes that found no room find it again.
    public var roomFound: (@Sendable () -> Void)?
    /// Called on the writer's thread when writes begin to fail; again only after one has succeeded in between.
    public var writesFail: (@Sendable (LogError) -> Void)?
    /// Called, on a thread of its own, when a graph begins to catch up with its rows after the start, and when it has.
    public var catchesUp: (@Sendable (CatchUpReport) -> Void)?
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

    package init(bytesDone: UInt64, bytesTotal: UInt64, events: UInt64) {
        self.bytesDone = bytesDone
        self.bytesTotal = bytesTotal
        self.events = events
    }
}

/// The checkpoint that a database was opened from.
public struct CheckpointRecovery: Sendable {
    /// What it holds; zero when there was none, and the whole log was read.
    public let lsn: LSN
    /// Newer ones that could not be used, and why.
    public let damaged: [String]
    /// Graphs in it that could not be used, and why: they are built anew from their rows.
    public let damagedGraphs: [String]
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
    private let markBook: MarkBook
    private let options: DatabaseOptions
    private let pipeline: WritePipeline
    private let thread: WriterThread?
    private let indexer: Indexer
    private let indexerThread: WriterThread
    private let probe: RecallProbe
    private let probeThread: WriterThread?
    private let checkpointer: Checkpointer?
    private let holds: RetentionHolds
    /// What every write is answered with; nil when writes are taken.
    private let refusal: CommandError?
    private let tombstoneCounts: TombstoneCounts?
    private let forgetter: Forgetter?
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

        let names = try Log.io { () throws(FileSystemError) in try fileSystem.list(options.dataPath) }
        guard !names.contains(RestoreMarker.fileName) else { throw LogError.unfinishedRestore(path: options.dataPath) }
        var logOptions = LogOptions()
        logOptions.segmentBytes = options.segmentBytes
        logOptions.durability = options.durability
        logOptions.writeZerosAhead = options.writeZerosAhead
        logOptions.bytesMax = options.maxDiskBytes
        var generator = SystemRandomNumberGenerator()
        let files = CheckpointFiles(directory: options.dataPath + "/checkpoints", fileSystem: fileSystem)
        let threads = options.indexingThreads > 0 ? options.indexingThreads : sysconf(Int32(_SC_NPROCESSORS_ONLN))
        let (materializer, base, checkpoint) = restoreNewest(files, threads: threads)
        materializer.resources.memory.limit.store(options.maxMemoryBytes, ordering: .relaxed)
        let indexer = Indexer(
            limits: .init(
                unindexedRows: options.maxUnindexedRows,
                memoryBytes: options.maxMemoryBytes,
                threads: threads
            ),
            resources: materializer.resources,
            report: options.catchesUp ?? { _ in }
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
        materializer.goLive()
        try requireWhole(log.directory, base, trimmed: report.trimmed, damaged: checkpoint.damaged)
        log.markApplied(report.last)
        log.markCheckpointed(base.lsn)
        // What an interrupted checkpoint left takes space and nothing else; should this fail, the next one does it.
        try? files.removeAll(except: files.all())
        let batch = WriteBatch(
            writer: writer,
            materializer: materializer,
            limits: WriteLimits(vectorsPerIndex: options.maxVectorsPerIndex, memoryBytes: options.maxMemoryBytes),
            highestHLC: report.highestHLC,
            writesFail: options.writesFail ?? { _ in }
        )
        let pipeline = WritePipeline()
        if let reason = options.holdsCommands { pipeline.begin(holding: .readOnly(reason)) }
        let directory = materializer.directory
        let markCheckpointed = materializer.markCheckpointed
        let holds = RetentionHolds()
        let forgetter = Forgetter(
            log: log,
            pipeline: pipeline,
            graceSeconds: options.tombstoneGraceSeconds,
            isAlone: !options.sharesHistory,
            wallClock: wallClock
        )
        let tombstones = materializer.resources.tombstones
        // Also those that a checkpoint brought back and no event has touched since.
        for index in materializer.indexes where index.backlog > 0 { indexer.requestAtStart(index) }
        let thread = WriterThread(name: "springg-writer") {
            var pace = Pace()
            pipeline.run(
                batch,
                writer,
                materializer,
                pace: { pace.verdict(materializer.mostBehind, indexer, now: monotonicNanoseconds()) },
                wallClock: wallClock
            )
        }
        let indexerThread = WriterThread(name: "springg-indexer") { indexer.run() }
        let checkpointer = Checkpointer(
            files: files,
            pipeline: pipeline,
            log: log,
            retention: Retention(
                log: log,
                files: files,
                policy: options.retention,
                holds: holds,
                wallClock: wallClock
            ),
            forgetter: forgetter,
            markCheckpointed: markCheckpointed,
            report: options.checkpointed ?? { _ in },
            trimmed: options.trimmed ?? { _ in },
            roomFound: options.roomFound ?? {}
        )
        checkpointer.start(
            interval: options.checkpointSeconds > 0 ? UInt64(options.checkpointSeconds * 1e9) : nil
        )
        let probe = materializer.resources.probe
        return Database(
            log,
            report,
            checkpoint,
            directory,
            materializer.marks,
            options,
            pipeline,
            thread,
            indexer,
            indexerThread,
            probe,
            startProbe(probe, options, memory: materializer.resources.memory),
            checkpointer,
            lock,
            holds: holds,
            tombstones: tombstones,
            forgetter: forgetter
        )
    }

    /// Without a checkpoint the state would lack what was removed from the log's beginning, and nobody would notice.
    static func requireWhole(
        _ directory: String,
        _ base: LogBase,
        trimmed: LSN,
        damaged: [String]
    ) throws(LogError) {
        guard base.lsn == .zero, trimmed > .zero else { return }
        throw .corrupt(
            LogDamage(
                segment: directory + "/" + SegmentHeader.fileName(firstLSN: trimmed.next),
                offset: 0,
                lsn: LSN(1),
                reason: (["the log begins with LSN \(trimmed.next), and no checkpoint can be used"] + damaged)
                    .joined(separator: "; ")
            )
        )
    }

    /// The newest checkpoint that is whole, in fresh projections; without one, nothing and the beginning of the log.
    static func restoreNewest(
        _ files: CheckpointFiles,
        threads: Int
    ) -> (materializer: Materializer, base: LogBase, CheckpointRecovery) {
        var damaged: [String] = []
        var checkpoints: [LSN] = []
        do throws(FileSystemError) {
            checkpoints = try files.all()
        } catch {
            damaged.append("\(error)")
        }
        for lsn in checkpoints {
            do throws(CheckpointDamage) {
                let (materializer, base, damagedGraphs) = try Materializer.restore(
                    lsn,
                    from: files.directory,
                    files.fileSystem,
                    threads: threads
                )
                return (
                    materializer, base, CheckpointRecovery(lsn: lsn, damaged: damaged, damagedGraphs: damagedGraphs)
                )
            } catch {
                damaged.append("\(error)")
            }
        }
        return (Materializer(), .beginning, CheckpointRecovery(lsn: .zero, damaged: damaged, damagedGraphs: []))
    }

    init(
        _ log: Log,
        _ recovery: RecoveryReport,
        _ checkpoint: CheckpointRecovery,
        _ directory: IndexDirectory,
        _ markBook: MarkBook,
        _ options: DatabaseOptions,
        _ pipeline: WritePipeline,
        _ thread: WriterThread?,
        _ indexer: Indexer,
        _ indexerThread: WriterThread,
        _ probe: RecallProbe,
        _ probeThread: WriterThread?,
        _ checkpointer: Checkpointer?,
        _ lock: any FileLock,
        holds: RetentionHolds = RetentionHolds(),
        tombstones: TombstoneCounts? = nil,
        forgetter: Forgetter? = nil,
        refusal: CommandError? = nil
    ) {
        self.tombstoneCounts = tombstones
        self.forgetter = forgetter
        self.refusal = refusal
        self.holds = holds
        self.log = log
        self.recovery = recovery
        self.checkpoint = checkpoint
        self.checkpointer = checkpointer
        self.directory = directory
        self.markBook = markBook
        self.options = options
        self.pipeline = pipeline
        self.thread = thread
        self.indexer = indexer
        self.indexerThread = indexerThread
        self.probe = probe
        self.probeThread = probeThread
        self.lock = Mutex(lock)
    }

    deinit { close() }

    /// Whose events this node writes.
    public var origin: OriginID { log.origin }

    /// Everything is below this directory.
    package var dataPath: String { options.dataPath }

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
        if let refusal { return completion(commands.map { _ in .failure(refusal) }) }
        pipeline.submit(commands, completion)
    }

    /// Takes events that other nodes have written, or this one before its disk was replaced by an older copy.
    ///
    /// Each must be the next of its origin, with the chain that follows from what is held; what is held already is passed
    /// over. They are appended, synced, applied and visible when `completion` is called, once, on the writer's thread.
    /// No limit refuses them and no clock does: they are facts. Never blocks.
    public func receive(_ events: EnvelopeBatch, completion: @escaping @Sendable (ReceiveOutcome) -> Void) {
        guard let refusal else { return pipeline.receive(events, completion) }
        var outcome = ReceiveOutcome()
        outcome.failure = refusal
        outcome.vector = versionVector
        completion(outcome)
    }

    /// The same, waiting for the outcome.
    ///
    /// Blocking.
    package func receiveAndWait(_ events: EnvelopeBatch) -> ReceiveOutcome {
        let answer = Answered<ReceiveOutcome>()
        receive(events) { answer.give($0) }
        return answer.wait()
    }

    /// Returns when everything that was submitted before is on disk, or refused.
    ///
    /// Blocking.
    package func settle() {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        // No bytes are no damaged ones.
        if let none = try? EnvelopeBatch(nothing) { _ = receiveAndWait(none) }
    }

    /// Takes commands from now on: under a new origin, or under the one there is.
    ///
    /// A new one is for a node that may have given numbers that its disk does not know of. What is written from then on is
    /// later than `reading`, which others may have promised never to go below. `completion` is called once, with why it
    /// could not be begun.
    public func originate(
        underNewOrigin isNew: Bool,
        after reading: HLC = HLC(0),
        completion: @escaping @Sendable (LogError?) -> Void
    ) {
        var generator = SystemRandomNumberGenerator()
        pipeline.originate(under: isNew ? OriginID(using: &generator) : nil, after: reading, completion)
    }

    /// Takes no commands from now on, until `originate` is called; events from elsewhere are taken.
    ///
    /// `completion` is called once, on the writer's thread, when those that were taken before are in the log, or have failed.
    package func holdCommands(_ reason: String, completion: @escaping @Sendable () -> Void) {
        pipeline.begin(holding: .readOnly(reason))
        // No bytes are a batch of no events, and its turn comes behind all that is queued.
        let nothing = try? EnvelopeBatch(UnsafeRawBufferPointer(start: nil, count: 0))
        guard let nothing else { return completion() }
        pipeline.receive(nothing) { _ in completion() }
    }

    /// Deleted ids and indexes below `horizon` may go, once they are older than the grace: no event below it will come any more.
    package func forgetDeleted(below horizon: HLC) { forgetter?.allow(below: horizon) }

    /// How it stands with what is kept of deleted rows and indexes.
    public var tombstones: TombstoneReport { (tombstoneCounts ?? TombstoneCounts()).report }

    /// The index of that name; nil when it does not exist.
    public func index(_ name: IndexName) -> VectorIndex? { directory[name] }

    /// All indexes, in the order of their names.
    public func indexes() -> [VectorIndex] { directory.all }

    /// The named moments, earliest first.
    public var marks: [Mark] { markBook.all }

    /// Digest of everything visible.
    public var digest: StateDigest { directory.digest }

    /// Rows over all indexes.
    public var vectorCount: Int { directory.all.reduce(0) { $0 + $1.count } }

    /// Rows over all indexes that wait to be linked into graphs; searches compare them one by one meanwhile.
    public var rowsToLink: Int { directory.all.reduce(0) { $0 + $1.rowsToLink } }

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

    /// Seconds since the last checkpoint was complete, or since the database was opened; nil where none is written.
    public var secondsSinceCheckpoint: Double? { checkpointer?.secondsSinceLast }

    /// Memory of the projections.
    public var memory: MemoryUse {
        MemoryUse(totalBytes: directory.memory.total, limitBytes: options.maxMemoryBytes)
    }

    /// Keeps the log for the archive, which has everything up to `lsn`; until it is called the archive holds nothing back.
    ///
    /// What stays for its sake beyond `log_retention` stays as long as size and disk allow.
    public func hold(archived lsn: LSN) { holds.set { $0.archived = lsn } }

    /// Keeps the log for the slowest peer, which has everything up to `lsn`; nil for no peer.
    public func hold(shipped lsn: LSN?) { holds.set { $0.shipped = lsn } }

    func captureCheckpoint() -> CheckpointCapture? { pipeline.capture() }

    /// Stops accepting, finishes what is queued, syncs, and gives the directory free.
    ///
    /// Blocking; idempotent.
    public func close() {
        guard let held = lock.withLock({ $0.take() }) else { return }
        // The directory is free for another process only when the log is closed.
        withExtendedLifetime(held) {
            // The indexer first: the writer waits for it at times.
            indexer.stop()
            probe.stop()
            checkpointer?.close(within: UInt64(options.lastCheckpointSeconds * 1e9))
            pipeline.close()
            thread?.join()
            indexerThread.join()
            probeThread?.join()
        }
    }

    /// The thread that probes live queries, unless the options say that there is none.
    private static func startProbe(
        _ probe: RecallProbe,
        _ options: DatabaseOptions,
        memory: MemoryAccount
    ) -> WriterThread? {
        guard options.recallProbePercent > 0 else { return nil }
        probe.enable()
        return WriterThread(name: "springg-probe") {
            // A probe keeps the memory of rows that are replaced meanwhile: not where there is none to spare.
            probe.run(corePercent: options.recallProbePercent) {
                options.maxMemoryBytes > 0 && memory.total > options.maxMemoryBytes / 8 * 7
            }
        }
    }

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
struct Replay {
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
