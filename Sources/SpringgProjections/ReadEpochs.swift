import Glibc
import SpringgLog
import Synchronization

/// Lets readers see one consistent moment while the writer goes on, without either waiting for the other.
///
/// A row carries the LSN that made it and the LSN that ended it. A reader pins the newest applied LSN and sees the rows
/// made at or before it and not ended by then. The writer reuses a row's memory only when no pinned reader could still
/// see it.
///
/// The order that makes this safe (all of it sequentially consistent): a reader first announces its LSN, then looks at
/// `reclaimed`; the writer first raises `reclaimed`, then looks at the announcements. So either the writer sees the
/// reader and spares its rows, or the reader sees that it came too late and pins a newer moment.
final class ReadEpochs: Sendable {
    /// Readers at once; one more waits for a place by trying again.
    ///
    /// Far above the number of threads.
    private static let places = 256
    private static let idle = UInt64.max

    private let applied = Atomic<UInt64>(0)
    private let reclaimed = Atomic<UInt64>(0)
    private let checkpointed = Atomic<UInt64>(0)
    private let announced: Announcements

    init() { announced = Announcements(count: ReadEpochs.places, idle: ReadEpochs.idle) }

    /// The newest LSN that readers see.
    var appliedLSN: LSN { LSN(applied.load(ordering: .acquiring)) }

    /// Shows everything up to `lsn` to readers that come from now on.
    ///
    /// The writer only.
    func publish(_ lsn: LSN) { applied.store(lsn.rawValue, ordering: .sequentiallyConsistent) }

    /// The newest LSN that a complete checkpoint holds.
    var checkpointedLSN: LSN { LSN(checkpointed.load(ordering: .relaxed)) }

    /// A checkpoint of `lsn` is complete.
    func markCheckpointed(_ lsn: LSN) { checkpointed.store(lsn.rawValue, ordering: .relaxed) }

    /// Runs `body` with the moment that it may look at.
    func withSnapshot<R>(_ body: (LSN) throws -> R) rethrows -> R {
        let (place, moment) = announce()
        defer { announced.entry(place).pointee.store(ReadEpochs.idle, ordering: .releasing) }
        return try body(moment)
    }

    /// Keeps the newest moment visible until the returned value is released, on whatever thread.
    func pin() -> Pin {
        let (place, moment) = announce()
        return Pin(epochs: self, place: place, moment: moment)
    }

    /// A reader that may outlive the call that began it.
    final class Pin: Sendable {
        let moment: LSN
        private let epochs: ReadEpochs
        private let place: Int

        fileprivate init(epochs: ReadEpochs, place: Int, moment: LSN) {
            self.epochs = epochs
            self.place = place
            self.moment = moment
        }

        deinit { epochs.announced.entry(place).pointee.store(ReadEpochs.idle, ordering: .releasing) }
    }

    private func announce() -> (place: Int, moment: LSN) {
        var place = Int(truncatingIfNeeded: pthread_self() >> 12) & (ReadEpochs.places - 1)
        while true {
            let moment = applied.load(ordering: .sequentiallyConsistent)
            let entry = announced.entry(place)
            if entry.pointee.compareExchange(
                expected: ReadEpochs.idle,
                desired: moment,
                ordering: .sequentiallyConsistent
            ).exchanged {
                if moment >= reclaimed.load(ordering: .sequentiallyConsistent) { return (place, LSN(moment)) }
                entry.pointee.store(ReadEpochs.idle, ordering: .releasing)
            } else {
                place = (place + 1) & (ReadEpochs.places - 1)
            }
        }
    }

    /// The highest LSN such that rows ended at or before it are seen by no reader, now or later.
    ///
    /// The writer only.
    func reclaimable() -> LSN {
        let horizon = applied.load(ordering: .relaxed)
        reclaimed.store(horizon, ordering: .sequentiallyConsistent)
        var lowest = horizon
        for place in 0..<ReadEpochs.places {
            lowest = min(lowest, announced.entry(place).pointee.load(ordering: .sequentiallyConsistent))
        }
        return LSN(lowest)
    }
}

/// A fixed array of atomics, each on a cache line of its own so that readers on different cores do not disturb each other.
private final class Announcements: @unchecked Sendable {
    // Why @unchecked: the pointer is set once by the initialiser, and what it points to are atomics.
    private let entries: UnsafeMutablePointer<Atomic<UInt64>>
    private let count: Int
    private static let stride = 8

    init(count: Int, idle: UInt64) {
        self.count = count * Announcements.stride
        entries = .allocate(capacity: self.count)
        for index in 0..<self.count { (entries + index).initialize(to: Atomic(idle)) }
    }

    deinit {
        entries.deinitialize(count: count)
        entries.deallocate()
    }

    @inline(__always)
    func entry(_ place: Int) -> UnsafeMutablePointer<Atomic<UInt64>> { entries + place * Announcements.stride }
}
