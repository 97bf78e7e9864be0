import Synchronization

/// Reads from a log what somebody else lacks: a peer, the archive.
///
/// Events come in the order of the log, of every origin in the order of its history, each only when the receiver holds
/// the one before it. Where to begin is known from the heads that the log keeps for its segments, so a receiver that
/// lacks little costs little.
///
/// The log is the queue: nothing is copied, nothing dropped. Not thread-safe: one for each receiver.
public final class LogShipper {
    /// What a call of `next` has delivered.
    public struct Batch: Equatable, Sendable {
        /// Events.
        public var events = 0
        /// Bytes of their envelopes.
        public var bytes = 0
        /// True when the log has no more for now; `gaps` then tells all that it cannot deliver.
        public var isCaughtUp = false

        /// Nothing yet.
        public init() {}
    }

    /// What the receiver holds once it has everything that was delivered.
    public private(set) var held: VersionVector
    private let log: Log
    private let cursor: LogCursor
    /// By origin, the last event known to be missing before the next that the log has.
    private var missing: [OriginID: Sequence] = [:]

    /// Begins where the log has the first event that `held` lacks.
    public init(log: Log, lacking held: VersionVector) {
        self.log = log
        self.held = held
        let start = log.start(lacking: held)
        cursor = LogCursor(log: log, from: start.lsn)
        note(start.heads)
    }

    /// The record that is looked at next: all before it the receiver has been offered.
    public var position: LSN { cursor.position }

    /// What the receiver lacks and this log no longer has, in ascending order of the origins.
    ///
    /// Complete when a batch was caught up; before that as far as it is known. Other events are delivered all the same.
    public var gaps: [LogLoss.Gap] {
        missing.filter { held[$0.key].sequence < $0.value }
            .map { LogLoss.Gap(origin: $0.key, first: held[$0.key].sequence.next, last: $0.value) }
            .sorted { $0.origin < $1.origin }
    }

    /// Hands out events until `bytesMax` is reached, by one event at most exceeded, or the log has no more.
    ///
    /// The views of a record are valid until `take` returns.
    /// - Throws: `.otherHistory` when the receiver holds another event in the place of one of the log;
    ///   `.trimmed` when retention was quicker: make another shipper; `.corrupt`, `.io`.
    public func next(bytesMax: Int, _ take: (LogRecord) -> Void) throws(LogError) -> Batch {
        var batch = Batch()
        while batch.bytes < bytesMax {
            guard let record = try cursor.next() else {
                try noteEnd()
                batch.isCaughtUp = true
                break
            }
            let envelope = record.envelope
            let head = held[envelope.origin]
            if envelope.sequence > head.sequence.next {
                note(missing: Sequence(envelope.sequence.rawValue - 1), of: envelope.origin)
            } else if envelope.sequence == head.sequence.next {
                guard envelope.continues(head) else {
                    throw .otherHistory(origin: envelope.origin, sequence: head.sequence)
                }
                take(record)
                held[envelope.origin] = envelope.head
                batch.events += 1
                batch.bytes += envelope.bytes.count
            } else if envelope.sequence == head.sequence, envelope.chain != head.chain {
                throw .otherHistory(origin: envelope.origin, sequence: head.sequence)
            }
        }
        return batch
    }

    /// Calls `wake` once, on any thread, when there may be more, or when the log has failed or closed.
    public func notify(_ wake: @escaping @Sendable () -> Void) { cursor.notify(wake) }

    /// Everything up to `heads` stood before the place of reading.
    private func note(_ heads: VersionVector?) {
        guard let heads else { return }
        for origin in heads.origins { note(missing: heads[origin].sequence, of: origin) }
    }

    /// The first word on a gap counts: what is said later speaks of what follows the first event behind it.
    private func note(missing last: Sequence, of origin: OriginID) {
        let head = held[origin].sequence
        if last > head, missing[origin].map({ $0 <= head }) ?? true { missing[origin] = last }
    }

    /// At the end of the log its own heads show what was missed; unless it has gone on meanwhile.
    private func noteEnd() throws(LogError) {
        let position = cursor.position
        let heads = log.state.withLock { $0.watermarks.appended.next == position ? $0.heads : nil }
        guard let heads else { return }
        for origin in heads.origins where heads[origin].sequence == held[origin].sequence {
            guard heads[origin] == held[origin] else {
                throw .otherHistory(origin: origin, sequence: held[origin].sequence)
            }
        }
        note(heads)
    }
}

extension Log {
    /// A record up to which whoever holds these heads needs nothing of the log, and retention may go for its sake.
    ///
    /// Not the last such record, but that before a segment: nothing is read to learn it.
    public func floor(heldBy heads: VersionVector) -> LSN { start(lacking: heads).lsn.previous }

    /// Where a reader has to begin that lacks what `held` does not hold, and the heads there, where they are known.
    ///
    /// The heads are nil unless the log no longer reaches back as far as the reader needs it.
    package func start(lacking held: VersionVector) -> (lsn: LSN, heads: VersionVector?) {
        state.withLock { state in
            let marks = state.watermarks
            if state.knowsHeads, marks.appended == marks.durable, held.covers(state.heads) {
                return (marks.durable.next, nil)
            }
            if let entry = state.entries.last(where: { held.covers($0.heads) }) { return (entry.lsn, nil) }
            return (marks.trimmed.next, state.entries.first { $0.lsn == marks.trimmed.next }?.heads)
        }
    }
}
