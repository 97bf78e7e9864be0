import CSpringg
import Glibc
import SpringgLog
import Synchronization

/// Answers a small share of the live queries again, by the graph and exactly, to know what recall users get.
///
/// A thread of its own at the lowest priority, within a budget of processor time. A live search never waits for it: it
/// looks at one atomic word, and the one search that finds it open copies its query there. Both of the probe's answers belong to one
/// moment, so that writes in between are no misses.
final class RecallProbe: Sendable {
    private let isOpen = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)
    private let isOn = Atomic<Bool>(false)
    private let wakeup = Wakeup()
    private let handedIn = Mutex<Sample?>(nil)

    private struct Sample {
        // Not strong: an index that is deleted goes when its last reader does, and a query in waiting is none.
        weak var index: VectorIndex?
        let query: [Float]
        let k: Int
        let ef: Int?
    }

    /// Nobody waits for the probe.
    private static let niceness: Int32 = 19
    /// A probe that takes longer is given up: rows that are replaced meanwhile keep their memory until it ends.
    private static let secondsMax: UInt64 = 5

    /// Whether there is a thread that probes, or will be.
    var isEnabled: Bool { isOn.load(ordering: .relaxed) }

    /// Says that there will be a thread.
    func enable() { isOn.store(true, ordering: .relaxed) }

    /// Takes a live query that was answered through the graph, if it is this one's turn.
    func offer(_ query: UnsafeBufferPointer<Float>, k: Int, ef: Int?, of index: VectorIndex) {
        guard isOpen.load(ordering: .relaxed), k <= ProbeSampling.kMax,
            ProbeSampling.isChosen(index.queries.wrappingAdd(1, ordering: .relaxed).oldValue),
            isOpen.exchange(false, ordering: .acquiring)
        else { return }
        let sample = Sample(index: index, query: Array(query), k: k, ef: ef)
        handedIn.withLock { $0 = sample }
        wakeup.ring()
    }

    /// Ends the thread's work, the probe in hand included.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        wakeup.ring()
    }

    /// The thread's work, until `stop`.
    func run(corePercent: Double, isMemoryScarce: () -> Bool) {
        springg_lower_priority(RecallProbe.niceness)
        var budget = ProbeBudget(corePercent: corePercent, at: monotonicNanoseconds())
        while !isStopping.load(ordering: .acquiring) {
            guard let pause = budget.wait(at: monotonicNanoseconds()) else { break }
            if pause > 0 {
                wakeup.wait(nanoseconds: pause)
                continue
            }
            isOpen.store(true, ordering: .releasing)
            wakeup.wait(nanoseconds: nil)
            // The lock holds the sample alone: whoever handed it in has let go of it.
            guard let sample = handedIn.withLock({ $0.take() }), let index = sample.index else { continue }
            let begun = threadNanoseconds()
            if !isMemoryScarce() {
                let deadline = monotonicNanoseconds() + RecallProbe.secondsMax * 1_000_000_000
                index.probe(sample.query, k: sample.k, ef: sample.ef) {
                    !isStopping.load(ordering: .relaxed) && !isMemoryScarce() && monotonicNanoseconds() < deadline
                }
            }
            budget.spend(nanoseconds: threadNanoseconds() - begun)
        }
        isOpen.store(false, ordering: .relaxed)
    }
}

/// Processor time that the calling thread has used.
private func threadNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
