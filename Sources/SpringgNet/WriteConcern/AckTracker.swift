import NIOCore
package import SpringgCluster
package import SpringgLog
import Synchronization

/// The shell around `WriteConcern`: hands each waiting write to its level, and tells it when that is reached.
///
/// Callable from any thread; never blocks. Completions are called on the thread that brought the news.
package final class AckTracker: Sendable {
    package typealias Completion = @Sendable (AckLevel) -> Void

    private struct State {
        var core = WriteConcern()
        var completions: [UInt64: Completion] = [:]
        var last: UInt64 = 0
        /// Told when somebody begins to wait for peers, and for the archive.
        var peersNeeded: (@Sendable () -> Void)?
        var archiveNeeded: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    /// Knows no peer and no archive.
    package init() {}

    // MARK: What there is to wait for

    /// There can be peers; `needed` is called, on any thread, whenever a write begins to wait for them.
    package func expectPeers(needed: (@Sendable () -> Void)? = nil) {
        self.state.withLock { state in
            state.core.hasPeers = true
            state.peersNeeded = needed ?? state.peersNeeded
        }
    }

    /// There is an archive; `needed` is called, on any thread, whenever a write begins to wait for it.
    package func expectArchive(needed: @escaping @Sendable () -> Void) {
        self.state.withLock { state in
            state.core.hasArchive = true
            state.archiveNeeded = needed
        }
    }

    // MARK: Writes

    /// Calls `completion` once: as soon as the level is reached, or with what there is when that cannot be or the time is
    /// over.
    func wait(
        for receipt: WriteReceipt,
        _ level: AckLevel,
        within timeout: TimeAmount,
        _ completion: @escaping Completion
    ) {
        let deadline = Self.now + .nanoseconds(timeout.nanoseconds)
        let (reached, needed): (AckLevel?, (@Sendable () -> Void)?) = self.state.withLock { state in
            state.last += 1
            let reached = state.core.wait(state.last, for: receipt.origin, receipt.sequence, level, until: deadline)
            if reached == nil { state.completions[state.last] = completion }
            guard reached == nil else { return (reached, nil) }
            return (nil, level == .s3 ? state.archiveNeeded : state.peersNeeded)
        }
        if let reached { completion(reached) }
        needed?()
    }

    // MARK: News

    /// A peer holds these events on its disk.
    ///
    /// Whoever calls this has compared the chains: the events are those of our history.
    package func peer(_ name: String, holds vector: VersionVector) {
        answer { $0.peer(name, holds: vector) }
    }

    /// A peer is no member any more.
    package func forget(_ name: String) { state.withLock { $0.core.forget(name) } }

    /// The archive holds these events.
    package func archiveHolds(_ vector: VersionVector) {
        answer { $0.archiveHolds(vector) }
    }

    /// The cluster has so many members, those that are away included.
    package func setMembers(_ count: Int) {
        answer { $0.setMembers(count) }
    }

    /// Answers those whose time is over; to be called now and then.
    func expire() {
        let now = Self.now
        answer { $0.expire(now) }
    }

    /// Answers everybody: the node stops.
    package func end() {
        answer { $0.end() }
    }

    private static var now: Duration { .nanoseconds(Int64(NIODeadline.now().uptimeNanoseconds)) }

    private func answer(_ news: (inout WriteConcern) -> [WriteConcern.Verdict]) {
        let answers: [(Completion, AckLevel)] = self.state.withLock { state in
            news(&state.core).compactMap { verdict in
                state.completions.removeValue(forKey: verdict.waiter).map { ($0, verdict.reached) }
            }
        }
        for (completion, reached) in answers { completion(reached) }
    }
}
