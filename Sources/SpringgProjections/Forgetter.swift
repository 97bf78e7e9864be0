import SpringgLog
import Synchronization

/// Says to the writer how far deleted ids may be forgotten: below what nobody writes any more, and not before the grace.
///
/// A node that is alone is the only one that writes, and below what its disk holds it gives out no reading any more.
final class Forgetter: Sendable {
    private let log: Log
    private let pipeline: WritePipeline
    private let graceMilliseconds: UInt64
    private let isAlone: Bool
    private let wallClock: @Sendable () -> UInt64
    private let horizon = Atomic<UInt64>(0)
    private let told = Atomic<UInt64>(0)

    init(
        log: Log,
        pipeline: WritePipeline,
        graceSeconds: Double,
        isAlone: Bool,
        wallClock: @escaping @Sendable () -> UInt64
    ) {
        self.log = log
        self.pipeline = pipeline
        graceMilliseconds = UInt64(max(0, graceSeconds) * 1000)
        self.isAlone = isAlone
        self.wallClock = wallClock
    }

    /// Nothing below `horizon` will come any more.
    func allow(below horizon: HLC) {
        self.horizon.store(horizon.rawValue, ordering: .relaxed)
        look()
    }

    /// Has the writer forget what may be forgotten by now.
    func look() {
        let stable = isAlone ? HLC(log.settled.hlc.rawValue &+ 1) : HLC(horizon.load(ordering: .relaxed))
        let now = min(wallClock(), (1 << 48) - 1)
        let young = HLC(milliseconds: now - min(now, graceMilliseconds), counter: 0)
        let cut = min(stable, young)
        guard cut.rawValue > told.exchange(cut.rawValue, ordering: .relaxed) else { return }
        pipeline.forgetDeleted(below: cut)
    }
}
