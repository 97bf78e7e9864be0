import CSpringg
import Glibc
import Synchronization

/// The threads that link rows: the indexer's own and its helpers, which share the rounds of a loop.
///
/// Helpers run at the indexer's low priority, so nobody may ever wait for them but the indexer; and it waits for those
/// alone that have begun, not for one that is not let run.
final class IndexingTeam: @unchecked Sendable {
    // Why @unchecked: the fields that change are only touched while `doorbell` is locked.

    /// Helpers beyond that gain nothing: a batch has no more rounds than some of these for each.
    static let threadsMax = 64
    /// A tenth of the weight of a thread of the server while both want to run: hardly felt by those, and never nothing.
    static let niceness: Int32 = 10

    /// Threads that work, the caller's included.
    let threads: Int
    /// The caller's scratch.
    let scratch = WalkScratch()
    private let doorbell = Doorbell()
    private var helpers: [WriterThread] = []
    private var loop: Loop?
    /// Helpers that may still begin with the loop.
    private var openPlaces = 0
    /// Helpers that have begun and not ended.
    private var working = 0
    private var isStopping = false

    /// Rounds that are taken one after the other by whoever is free.
    private final class Loop: @unchecked Sendable {
        // Why @unchecked: the body is made for being called on many threads at once (see `forEach`); `next` is atomic.
        let rounds: Int
        let body: (Int, WalkScratch) -> Void
        let next = Atomic<Int>(0)

        init(_ rounds: Int, _ body: @escaping (Int, WalkScratch) -> Void) {
            self.rounds = rounds
            self.body = body
        }

        func run(_ scratch: WalkScratch) {
            while true {
                let round = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard round < rounds else { return }
                body(round, scratch)
            }
        }
    }

    /// Lets those go first that were woken meanwhile: however low its priority, a thread that runs is left to run for some
    /// milliseconds.
    private struct Courtesy {
        private var last = monotonicNanoseconds()
        /// About a row; a yield takes a hundredth of it.
        private static let nanosecondsBetween: UInt64 = 50_000

        mutating func giveWay() {
            let now = monotonicNanoseconds()
            guard now - last >= Courtesy.nanosecondsBetween else { return }
            sched_yield()
            last = now
        }
    }

    /// Starts the helpers; with one thread there are none.
    init(threads: Int = 1) {
        self.threads = min(max(1, threads), IndexingTeam.threadsMax)
        for number in 1..<max(1, self.threads) {
            helpers.append(WriterThread(name: "springg-index\(number)") { [self] in help() })
        }
    }

    /// Ends the helpers.
    ///
    /// Blocking; not during a loop. Without it a team that has helpers is never freed.
    func stop() {
        doorbell.withLock { isStopping = true }
        doorbell.ringAll()
        for helper in helpers { helper.join() }
    }

    /// Calls `body` once for each of `0..<rounds`, on all threads at once and in no order; returns when all have ended.
    ///
    /// `body` may only write what no other round reads or writes.
    func forEach(_ rounds: Int, _ body: @escaping (Int, WalkScratch) -> Void) {
        let wanted = min(threads, rounds) - 1
        guard wanted > 0 else {
            Loop(rounds, body).run(scratch)
            return
        }
        let loop = Loop(rounds, body)
        doorbell.withLock {
            self.loop = loop
            openPlaces = wanted
        }
        doorbell.ringAll()
        loop.run(scratch)
        doorbell.withLock {
            self.loop = nil
            while working > 0 { doorbell.wait(nanoseconds: nil) }
        }
    }

    /// A helper's life.
    private func help() {
        springg_lower_priority(IndexingTeam.niceness)
        let scratch = WalkScratch()
        while let loop = nextLoop() {
            loop.run(scratch)
            let isLast = doorbell.withLock {
                working -= 1
                return working == 0
            }
            if isLast { doorbell.ringAll() }
        }
    }

    private func nextLoop() -> Loop? {
        doorbell.withLock {
            while !isStopping {
                if let loop, openPlaces > 0 {
                    openPlaces -= 1
                    working += 1
                    return loop
                }
                doorbell.wait(nanoseconds: nil)
            }
            return nil
        }
    }
}
