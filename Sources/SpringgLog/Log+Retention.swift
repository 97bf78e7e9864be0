import Synchronization

/// What the operator wants kept of the log: history for audit and for restoring a moment of the past.
public struct RetentionPolicy: Sendable, Equatable {
    /// Seconds for which events are kept; nil for ever.
    public var seconds: UInt64?
    /// Bytes of segments beyond which the oldest go, however young they are; nil for no such bound.
    public var bytes: Int?

    /// Everything for ever, unless told otherwise.
    public init(seconds: UInt64? = nil, bytes: Int? = nil) {
        self.seconds = seconds
        self.bytes = bytes
    }

    /// What may go by age and size alone.
    ///
    /// - Parameters:
    ///   - segments: the segments, oldest first; the last one always stays.
    ///   - now: Unix time in seconds.
    /// - Returns: the last record that may go; zero when none may.
    public func floor(of segments: [LogSegment], now: UInt64) -> LSN {
        var rest = segments.reduce(0) { $0 + $1.bytes }
        var floor = LSN.zero
        for (oldest, next) in zip(segments, segments.dropFirst()) {
            let isOld = seconds.map { UInt64(next.previousSeconds) + $0 < now } ?? false
            let isTooMuch = bytes.map { rest > $0 } ?? false
            guard isOld || isTooMuch else { break }
            rest -= oldest.bytes
            floor = next.firstLSN.previous
        }
        return floor
    }
}

/// How far the log may be removed: below every one of these, and no further.
public struct RetentionFloors: Sendable, Equatable {
    /// What the slowest peer has; nil when there is none.
    public var shipped: LSN?
    /// What the archive has; nil without one.
    public var archived: LSN?
    /// What the operator lets go (`RetentionPolicy`); nil for everything.
    public var released: LSN?
    /// What the oldest checkpoint has that a start may have to begin with; nil when that is the newest.
    public var recoverable: LSN?

    /// Only the newest checkpoint counts.
    public init(shipped: LSN? = nil, archived: LSN? = nil, released: LSN? = nil, recoverable: LSN? = nil) {
        self.shipped = shipped
        self.archived = archived
        self.released = released
        self.recoverable = recoverable
    }

    /// The highest record that may go, given the checkpoint.
    func lowest(checkpointed: LSN) -> LSN {
        [shipped, archived, released, recoverable].compactMap { $0 }.reduce(checkpointed, min)
    }
}

extension LogSegment {
    init(_ path: String, _ header: SegmentHeader) {
        self.init(
            firstLSN: header.firstLSN,
            path: path,
            bytes: header.fileBytes,
            previousSeconds: header.previousSeconds
        )
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
                state.entries.removeAll { $0.lsn <= oldest.lastLSN }
                state.watermarks.trim(to: oldest.lastLSN)
            }
            removed.append(oldest.path)
        }
    }

    /// Throws when a segment of so many bytes would exceed the bound.
    func checkBound(adding bytes: Int) throws(LogError) {
        let bound = options.bytesMax
        guard bound > 0 else { return }
        let used = state.withLock { state in state.segments.reduce(state.bytesBeside) { $0 + $1.bytes } }
        if used + bytes > bound { throw .overBound(usedBytes: used, boundBytes: bound) }
    }

    /// Remembers whether a write has found room.
    func noteRoom(after error: LogError?) {
        let found: (@Sendable () -> Void)? = state.withLock { state in
            switch error {
            case nil where state.full != nil:
                state.full = nil
                return state.roomFound
            case .diskFull?, .overBound?:
                state.full = error
                return nil
            default:
                return nil
            }
        }
        found?()
    }
}
