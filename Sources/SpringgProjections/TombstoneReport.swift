public import SpringgLog
import Synchronization

/// How it stands with what is kept of deleted rows and indexes.
public struct TombstoneReport: Sendable, Equatable {
    /// Deleted ids that are kept, over all names of indexes.
    public let kept: Int
    /// Dropped since the start.
    public let dropped: Int
    /// Events from elsewhere that were refused since the start, because something newer than they are had been dropped.
    public let refused: Int
    /// The newest clock reading of anything that was ever dropped; zero when nothing was.
    public let droppedBelow: HLC
}

/// The same, counted by the writer and read by anybody.
final class TombstoneCounts: Sendable {
    let kept = Atomic<Int>(0)
    let dropped = Atomic<Int>(0)
    let refused = Atomic<Int>(0)
    let droppedBelow = Atomic<UInt64>(0)

    var report: TombstoneReport {
        TombstoneReport(
            kept: kept.load(ordering: .relaxed),
            dropped: dropped.load(ordering: .relaxed),
            refused: refused.load(ordering: .relaxed),
            droppedBelow: HLC(droppedBelow.load(ordering: .relaxed))
        )
    }
}
