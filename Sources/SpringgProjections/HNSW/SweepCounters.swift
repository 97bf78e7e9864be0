import Synchronization

/// What the checks of a graph's reachability found so far.
public struct SweepReport: Sendable, Equatable {
    /// Checks since the program started.
    public internal(set) var sweeps = 0
    /// Nodes that no path led to and that were linked again, in all checks.
    public internal(set) var relinked = 0
    /// The same in the last one.
    public internal(set) var lastRelinked = 0
    /// When the last one ended, by the clock that never goes back; nil before the first.
    public internal(set) var lastNanoseconds: UInt64?

    /// Seconds since the last one ended; nil before the first.
    public var secondsSinceLast: Double? {
        lastNanoseconds.map { Double(max(monotonicNanoseconds(), $0) - $0) / 1e9 }
    }
}

/// Counts the checks of a graph; the indexer writes, everybody reads.
final class SweepCounters: Sendable {
    private let counted = Mutex(SweepReport())

    var report: SweepReport { counted.withLock { $0 } }

    func record(_ relinked: Int, at nanoseconds: UInt64) {
        counted.withLock {
            $0.sweeps += 1
            $0.relinked += relinked
            $0.lastRelinked = relinked
            $0.lastNanoseconds = nanoseconds
        }
    }
}
