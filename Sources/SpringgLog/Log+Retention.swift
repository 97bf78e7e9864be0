import Synchronization

/// How far the log may be removed: below every one of these, and no further.
public struct RetentionFloors: Sendable, Equatable {
    /// What the slowest peer has; nil when there is none.
    public var shipped: LSN?
    /// What the archive has; nil without one.
    public var archived: LSN?
    /// What the operator wants kept; nil for no wish.
    public var kept: LSN?

    /// Only the checkpoint counts.
    public init(shipped: LSN? = nil, archived: LSN? = nil, kept: LSN? = nil) {
        self.shipped = shipped
        self.archived = archived
        self.kept = kept
    }

    /// The highest record that may go, given the checkpoint.
    func lowest(checkpointed: LSN) -> LSN {
        [shipped, archived, kept].compactMap { $0 }.reduce(checkpointed, min)
    }
}

extension Log {
    /// Removes the segments whose records all lie at or below the newest checkpoint and every floor.
    ///
    /// The last segment always stays. A crash in the middle leaves a shorter log, never one with a hole: the oldest goes
    /// first, and each removal is durable before the next.
    /// - Returns: the paths that were removed.
    @discardableResult
    public func trim(_ floors: RetentionFloors = RetentionFloors()) throws(LogError) -> [String] {
        var removed: [String] = []
        while true {
            let oldest: (path: String, lastLSN: LSN)? = state.withLock { state in
                guard state.segments.count >= 2 else { return nil }
                let last = state.segments[1].firstLSN.previous
                return last <= floors.lowest(checkpointed: state.watermarks.checkpointed)
                    ? (state.segments[0].path, last) : nil
            }
            guard let oldest else { return removed }
            try Log.io { () throws(FileSystemError) in
                try fileSystem.remove(oldest.path)
                try fileSystem.syncDirectory(directory)
            }
            state.withLock { state in
                state.segments.removeFirst()
                state.watermarks.trim(to: oldest.lastLSN)
            }
            removed.append(oldest.path)
        }
    }
}
