import Synchronization

/// How long work that is handed to the pool of threads would have to wait there, by an estimate: how much is waiting, times what
/// a piece has taken lately, shared by the threads.
///
/// A queue that grows without bound makes everybody wait, those too whose clients have given up long ago. What would wait too
/// long is turned away while that costs next to nothing, so the threads work on what somebody still wants. The estimate
/// is 0 whenever nothing waits: one expensive piece alone never shuts the door.
package final class WorkQueue: Sendable {
    /// A piece counts for so much of the mean: the last dozens decide, and none of them alone.
    private static let share = 16

    private let threads: Int
    private let pieces = Atomic<Int>(0)
    private let meanNanoseconds = Atomic<Int>(0)

    /// - Parameter threads: How many work on what waits.
    package init(threads: Int) {
        self.threads = max(1, threads)
    }

    /// Pieces that wait for a thread.
    package var waiting: Int { pieces.load(ordering: .relaxed) }

    /// What one more piece would have to wait, as far as anybody knows.
    package var expectedWaitNanoseconds: Int {
        let mean = meanNanoseconds.load(ordering: .relaxed)
        let (sum, overflow) = waiting.multipliedReportingOverflow(by: mean)
        return (overflow ? Int.max : sum) / threads
    }

    /// A piece begins to wait.
    package func add() {
        pieces.add(1, ordering: .relaxed)
    }

    /// A piece waits no more: it begins, or is not wanted any more.
    package func take() {
        pieces.subtract(1, ordering: .relaxed)
    }

    /// A piece has taken so long.
    package func ended(nanoseconds: Int) {
        // Two that end at once may lose one of their shares: an estimate does not need it.
        let mean = meanNanoseconds.load(ordering: .relaxed)
        let next = mean == 0 ? nanoseconds : mean + (nanoseconds - mean) / Self.share
        meanNanoseconds.store(max(1, next), ordering: .relaxed)
    }
}
