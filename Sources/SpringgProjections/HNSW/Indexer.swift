import CSpringg
import SpringgLog
import Synchronization

/// A graph that is behind its rows when a database is opened, or is not any more.
public struct CatchUpReport: Sendable {
    /// The index it belongs to.
    public let index: IndexName
    /// Rows that waited to be linked at the beginning.
    public let rows: Int
    /// How long it took; nil at the beginning.
    public let seconds: Double?
}

/// The thread of a database that keeps the graphs of its indexes up with their stores.
///
/// It gives way to everything else: its priority is low, it rests while writes come thick (`isResting`), and the only
/// lock that it shares with the writer is held to hand over a reference, once when an index falls behind. Rows that it
/// has not come to are found by comparing them.
final class Indexer: Sendable {
    private let wakeup = Wakeup()
    private let isStopping = Atomic<Bool>(false)
    /// Indexes that have fallen behind, not yet taken by the thread.
    private let requested = Mutex<[VectorIndex]>([])
    /// Rung when something was linked or taken out; for whoever waits for that.
    private let progress = Doorbell()
    private let limits: Limits
    private let resources: ProjectionResources
    private let report: @Sendable (CatchUpReport) -> Void

    /// What the indexer may leave undone, and what it may take.
    struct Limits: Sendable {
        /// Rows of an index that may wait to be linked; 0 for no limit.
        var unindexedRows = 0
        /// Bytes that the projections may hold; 0 for no limit.
        var memoryBytes = 0
        /// Threads that link rows at once.
        var threads = 1
    }

    /// Work on one index, while there is some.
    private final class Job {
        let linker: Linker
        // Not strong: an index that was deleted goes when its last reader does, and this is none.
        private(set) weak var index: VectorIndex?
        /// Rows to be linked at the start, and when that was; nil when nobody wants to know any more.
        var catchingUp: (rows: Int, since: UInt64)?

        init(_ linker: Linker, _ index: VectorIndex) {
            self.linker = linker
            self.index = index
        }
    }

    /// Rows that are cheaper to take out together, and checks of the whole graph, are put off for so long.
    private static let gatherNanoseconds: UInt64 = 50_000_000
    /// Whoever waits for the indexer looks again after so long.
    private static let stepNanoseconds: UInt64 = 2_000_000
    /// Events a second from which on writes come thick: linking as many would take a whole core.
    private static let thickWrites: UInt64 = 1000
    /// How long a rest is, and over how long at least the rate of writes is measured.
    private static let restNanoseconds: UInt64 = 10_000_000
    /// Rows that may wait during a rest where there is no limit.
    private static let restRowsMax = 50_000
    /// See `share(of:)`.
    private static let searchedShare = 16
    /// An index is being searched when it was within so long.
    private static let searchedNanoseconds: UInt64 = 1_000_000_000
    /// The share of a graph that may be dead during a rest.
    private static let restDeadShare = 8

    /// `report` is called, on the indexer's thread, for graphs that are behind when it begins.
    init(
        limits: Limits,
        resources: ProjectionResources,
        report: @escaping @Sendable (CatchUpReport) -> Void = { _ in }
    ) {
        self.limits = limits
        self.resources = resources
        self.report = report
    }

    /// Why an index is so far behind that the writer waits for it.
    enum Lateness {
        /// Searches compare too many rows one by one.
        case searches
        /// There is hardly memory left, and the graph holds rows that nobody sees.
        case memory
    }

    /// Nil when the writer need not wait for an index.
    func lateness(of index: VectorIndex) -> Lateness? {
        let backlog = index.backlog
        guard backlog > 0 else { return nil }
        if isMemoryScarce, index.hasDead { return .memory }
        return limits.unindexedRows > 0 && backlog > max(1, limits.unindexedRows / share(of: index)) ? .searches : nil
    }

    /// Where searches come across waiting rows only so small a part of those allowed may wait: every search compares them
    /// one by one, and while nobody searches that costs nothing.
    private func share(of index: VectorIndex) -> Int {
        index.hasMetWaitingRows(within: Indexer.searchedNanoseconds) ? Indexer.searchedShare : 1
    }

    /// Seven eighths are held: rows that only a graph still holds are worth more than the writer's time.
    private var isMemoryScarce: Bool { limits.memoryBytes > 0 && resources.memory.total > limits.memoryBytes / 8 * 7 }

    /// Takes note of an index that has something to link or to take out.
    func request(_ index: VectorIndex) {
        guard !index.isBeingIndexed.exchange(true, ordering: .sequentiallyConsistent) else { return }
        requested.withLock { $0.append(index) }
        wakeup.ring()
    }

    /// The same before the thread runs: it tells of this index.
    func requestAtStart(_ index: VectorIndex) {
        index.rowsAtStart.store(index.rowsToLink, ordering: .relaxed)
        request(index)
    }

    /// Ends the thread's work after the step in hand.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        wakeup.ring()
    }

    /// Waits until `isEnough` says so, but not for ever: `stepsMax` times until the thread has done a step.
    ///
    /// Returns whether it did.
    func wait(stepsMax: Int, until isEnough: () -> Bool) -> Bool {
        for _ in 0..<stepsMax {
            if isEnough() { return true }
            if isStopping.load(ordering: .acquiring) { return false }
            progress.withLock { progress.wait(nanoseconds: Indexer.stepNanoseconds) }
        }
        return isEnough()
    }

    /// The thread's work, until `stop`.
    func run() {
        springg_lower_priority(IndexingTeam.niceness)
        let team = IndexingTeam(threads: limits.threads)
        defer { team.stop() }
        var jobs: [Job] = []
        var isPatient = true
        var pulse = Pulse(events: resources.epochs.appliedLSN.rawValue, nanoseconds: monotonicNanoseconds())
        while !isStopping.load(ordering: .acquiring) {
            for index in requested.withLock({ requested in requested.take() }) {
                let job = Job(Linker(index.current, memoryLimit: limits.memoryBytes, team: team), index)
                jobs.append(job)
                beginCatchingUp(job, index)
            }
            pulse.measure(events: resources.epochs.appliedLSN.rawValue, over: Indexer.restNanoseconds)
            if !jobs.isEmpty, pulse.rate >= Indexer.thickWrites, jobs.allSatisfy(mayRest) {
                wakeup.wait(nanoseconds: Indexer.restNanoseconds)
                continue
            }
            var isWorking = false
            jobs.removeAll { job in
                guard let index = job.index else { return true }
                let progress = job.linker.step(isPatient: isPatient)
                endCatchingUp(job, index)
                if progress == .working { isWorking = true }
                return progress == .done && isDone(index)
            }
            progress.ring()
            if isWorking {
                isPatient = true
            } else {
                wakeup.wait(nanoseconds: jobs.isEmpty ? nil : Indexer.gatherNanoseconds)
                isPatient = false
            }
        }
    }

    /// Says that a graph has been behind since the start.
    private func beginCatchingUp(_ job: Job, _ index: VectorIndex) {
        let rows = index.rowsAtStart.exchange(0, ordering: .relaxed)
        guard rows > 0 else { return }
        job.catchingUp = (rows, monotonicNanoseconds())
        report(CatchUpReport(index: index.name, rows: rows, seconds: nil))
    }

    /// Says that it is not any more.
    private func endCatchingUp(_ job: Job, _ index: VectorIndex) {
        guard let (rows, since) = job.catchingUp, index.store.ledger.count(.queued) == 0 else { return }
        job.catchingUp = nil
        let seconds = Double(monotonicNanoseconds() - since) / 1e9
        report(CatchUpReport(index: index.name, rows: rows, seconds: seconds))
    }

    /// Whether an index can do without the indexer while writes come thick.
    private func mayRest(_ job: Job) -> Bool {
        guard let index = job.index else { return false }
        let rows = limits.unindexedRows > 0 ? limits.unindexedRows : Indexer.restRowsMax
        return index.backlog <= rows / share(of: index) && lateness(of: index) == nil
            && index.store.ledger.count(.dead) * Indexer.restDeadShare <= index.graph.count
    }

    /// How fast events come.
    private struct Pulse {
        private var events: UInt64
        private var nanoseconds: UInt64
        /// Events a second.
        private(set) var rate: UInt64 = 0

        init(events: UInt64, nanoseconds: UInt64) {
            self.events = events
            self.nanoseconds = nanoseconds
        }

        /// Measures anew once so much time has passed.
        mutating func measure(events: UInt64, over interval: UInt64) {
            let now = monotonicNanoseconds()
            guard now - nanoseconds >= interval else { return }
            rate = (events - self.events) * 1_000_000_000 / (now - nanoseconds)
            (self.events, nanoseconds) = (events, now)
        }
    }

    /// Lets go of an index that is up to date; false when it has just fallen behind again.
    private func isDone(_ index: VectorIndex) -> Bool {
        index.isBeingIndexed.store(false, ordering: .sequentiallyConsistent)
        guard Linker.hasWork(index.graph) else { return true }
        // Either the writer saw the mark gone and asks anew, or it is for this thread to go on.
        return index.isBeingIndexed.exchange(true, ordering: .sequentiallyConsistent)
    }
}

extension [VectorIndex] {
    fileprivate mutating func take() -> [VectorIndex] {
        var taken: [VectorIndex] = []
        swap(&taken, &self)
        return taken
    }
}
