public import SpringgLog

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
