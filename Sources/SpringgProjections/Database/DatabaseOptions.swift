public import SpringgLog

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
