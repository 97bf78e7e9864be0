/// The ladder of the log: `trimmed ≤ checkpointed ≤ applied ≤ durable ≤ appended`, each "everything up to here is …".
public struct Watermarks: Equatable, Sendable {
    /// Removed by retention.
    public private(set) var trimmed: LSN
    /// In the newest complete checkpoint of the projections.
    public private(set) var checkpointed: LSN
    /// In the projections, so that readers see it.
    public private(set) var applied: LSN
    /// Synced to disk here.
    public private(set) var durable: LSN
    /// Handed to the file system.
    public private(set) var appended: LSN

    /// A log that holds `(trimmed, last]`, all of it durable, nothing of it applied yet.
    public init(trimmed: LSN, last: LSN) {
        self.trimmed = trimmed
        checkpointed = trimmed
        applied = trimmed
        durable = last
        appended = last
    }

    /// Raises `appended`.
    public mutating func append(to lsn: LSN) {
        appended = max(appended, lsn)
    }

    /// Raises `durable`.
    public mutating func sync(to lsn: LSN) {
        durable = max(durable, lsn)
        check()
    }

    /// Raises `applied`.
    ///
    /// Without fsync on each commit a record may be applied before it is durable.
    public mutating func apply(to lsn: LSN) {
        applied = max(applied, lsn)
        precondition(applied <= appended, "applied \(applied) beyond appended \(appended)")
    }

    /// Raises `checkpointed`.
    public mutating func checkpoint(to lsn: LSN) {
        checkpointed = max(checkpointed, lsn)
        check()
    }

    /// Raises `trimmed`.
    public mutating func trim(to lsn: LSN) {
        trimmed = max(trimmed, lsn)
        check()
    }

    private func check() {
        precondition(
            trimmed <= checkpointed && checkpointed <= applied && checkpointed <= durable && durable <= appended,
            "watermarks out of order: \(self)"
        )
    }
}
