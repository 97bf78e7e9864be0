/// Whether and how long the writer waits for more before it commits: a value that is told what happened and says what to do.
///
/// Clients that write again once they are answered (a closed loop) fall into two groups: while the writes of one are synced, the others
/// arrive, and each sync covers half of what it could. Waiting for those that have just been answered makes it one group:
/// half the syncs, and half the partial pages written twice. A client that writes alone is never waited for: its own next
/// write is all that is wanted.
///
/// Writes that come when they come (an open loop) are only kept waiting by that. The two differ in when writes come: those of a
/// closed loop after answers, and hardly any while the writer commits and answers nobody; those of an open loop always alike. So the
/// writer waits as long as more come where it waits than where it commits. Two groups that take turns look like an open loop,
/// and become one where they are waited for: so it tries now and then.
package struct GatherWindow {
    /// Longer than this nobody is kept waiting for others, however slow the disk.
    private static let nanosecondsMax: UInt64 = 2_000_000
    /// Waiting pays where so many times as many come in the same time as while the writer commits.
    private static let paying = 1.5
    /// So many commits are given to show that it pays: groups do not become one at once.
    private static let patience = 6
    /// Commits until waiting is tried again; twice as many after each time in vain.
    private static let pauseMin = 8
    private static let pauseMax = 256

    /// Submissions that were answered last: so many more than there are now are worth waiting for.
    package private(set) var lastBatch = 0
    /// What committing and answering take, by a moving average.
    private var commitNanoseconds: UInt64 = 0

    /// Submissions that came in some time, of the newest rounds above all.
    private struct Flow {
        var submissions = 0.0
        var nanoseconds = 0.0

        mutating func add(_ count: Int, _ time: UInt64) {
            submissions = submissions * 0.75 + Double(count)
            nanoseconds = nanoseconds * 0.75 + Double(time)
        }
    }

    private var isWaiting = true
    /// Commits, one after the other, for which waiting did not pay.
    private var vain = 0
    private var pause = GatherWindow.pauseMin
    private var commitsInPause = 0
    private var whileWaiting = Flow()
    private var whileCommitting = Flow()
    /// The last step, and how many submissions there had been in all by then.
    private var last: (submissions: Int, at: UInt64)?

    package init() {}

    /// How long to wait for others: twice what a commit takes; 0 where waiting does not pay.
    package var nanoseconds: UInt64 { isWaiting ? min(2 * commitNanoseconds, GatherWindow.nanosecondsMax) : 0 }

    /// A batch was taken to be committed; there have been so many `submissions` in all.
    package mutating func took(submissions: Int, now: UInt64) {
        if let last, isWaiting { whileWaiting.add(submissions - last.submissions, now - last.at) }
        last = (submissions, now)
    }

    /// The batch is committed, and nobody of it answered yet.
    package mutating func committed(submissions: Int, now: UInt64) {
        guard let last else { return }
        if isWaiting {
            whileCommitting.add(submissions - last.submissions, now - last.at)
            judge()
        } else {
            commitsInPause += 1
            if commitsInPause >= pause { (isWaiting, vain, whileWaiting, whileCommitting) = (true, 0, Flow(), Flow()) }
        }
        self.last = (submissions, now)
    }

    /// So many submissions of the batch were answered; taking it was so long ago.
    package mutating func answered(_ count: Int, nanoseconds: UInt64) {
        lastBatch = count
        commitNanoseconds = commitNanoseconds == 0 ? nanoseconds : (commitNanoseconds * 7 + nanoseconds) / 8
    }

    private mutating func judge() {
        guard whileWaiting.nanoseconds > 0 else { return }
        // One more than came: of few nothing can be said, and few need no waiting.
        let usual = (whileCommitting.submissions + 1) / max(whileCommitting.nanoseconds, 1)
        if whileWaiting.submissions / whileWaiting.nanoseconds > GatherWindow.paying * usual {
            (vain, pause) = (0, GatherWindow.pauseMin)
            return
        }
        vain += 1
        if vain >= GatherWindow.patience {
            (isWaiting, commitsInPause) = (false, 0)
            pause = min(2 * pause, GatherWindow.pauseMax)
        }
    }
}
