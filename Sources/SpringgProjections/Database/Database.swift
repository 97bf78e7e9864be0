public import SpringgLog
import Synchronization

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
