/// How long the writer waits for more before it commits: a value that is told what happened and says what to do.
///
/// Clients that write again once they are answered fall into two groups: while the writes of one are synced, the others
/// arrive, and each sync covers half of what it could. Waiting for those that have just been answered makes it one group:
/// half the syncs, and half the partial pages written twice. A client that writes alone is never waited for: its own next
/// write is all that is wanted.
struct GatherWindow {
    /// Longer than this nobody is kept waiting for others, however slow the disk.
    private static let nanosecondsMax: UInt64 = 2_000_000

    /// Submissions that were answered last: so many more than there are now are worth waiting for.
    private(set) var lastBatch = 0
    private var commitNanoseconds: UInt64 = 0

    /// How long to wait for them: twice what a commit takes, by a moving average.
    var nanoseconds: UInt64 { min(2 * commitNanoseconds, GatherWindow.nanosecondsMax) }

    /// A batch was committed and answered.
    mutating func committed(_ submissions: Int, nanoseconds: UInt64) {
        lastBatch = submissions
        commitNanoseconds = commitNanoseconds == 0 ? nanoseconds : (commitNanoseconds * 7 + nanoseconds) / 8
    }
}
