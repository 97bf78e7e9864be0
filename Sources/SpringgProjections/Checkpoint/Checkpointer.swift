public import SpringgLog
import Synchronization

/// What became of a checkpoint.
public struct CheckpointReport: Sendable {
    /// What it holds.
    public let lsn: LSN
    /// How long it took, in seconds.
    public let seconds: Double
    /// Why there is none; nil when it is complete.
    public let failure: String?
}

/// Writes a checkpoint now and then, and one at the end, and removes what they make needless, on a thread of its own.
///
/// Writers go on meanwhile.
///
/// A checkpoint that fails costs nothing but a longer start: the log has everything.
final class Checkpointer: @unchecked Sendable {
    // Why @unchecked: `isClosing`, `isPressed` and `deadline` are only touched while `doorbell` is locked; `thread` is
    // set once by `start`, before anyone else can call `close`; the rest is immutable.

    /// Complete checkpoints that are kept: the newest, and one before it in case that the newest is damaged.
    private static let kept = 2
    /// Between two looks at what may go: soon enough for a full disk, and nothing to be felt.
    private static let lookNanoseconds: UInt64 = 5_000_000_000
    /// Between two looks while the writer wants room and none was found: a look costs about a millisecond.
    private static let pressedNanoseconds: UInt64 = 200_000_000
    /// After a checkpoint that was written for want of room and failed: the disk is left alone for so long.
    private static let failurePauseNanoseconds: UInt64 = 60_000_000_000

    private let files: CheckpointFiles
    private let pipeline: WritePipeline
    private let log: Log
    private let retention: Retention
    private let forgetter: Forgetter
    private let markCheckpointed: @Sendable (LSN) -> Void
    private let report: @Sendable (CheckpointReport) -> Void
    private let trimmed: @Sendable (TrimReport) -> Void
    private let roomFound: @Sendable () -> Void
    private let doorbell = Doorbell()
    /// When the last checkpoint was complete, or this was made.
    private let completed = Atomic<UInt64>(monotonicNanoseconds())
    private var isClosing = false
    /// The writer has found no room for a segment.
    private var isPressed = false
    private var deadline = UInt64.max
    private var thread: WriterThread?

    init(
        files: CheckpointFiles,
        pipeline: WritePipeline,
        log: Log,
        retention: Retention,
        forgetter: Forgetter,
        markCheckpointed: @escaping @Sendable (LSN) -> Void,
        report: @escaping @Sendable (CheckpointReport) -> Void,
        trimmed: @escaping @Sendable (TrimReport) -> Void,
        roomFound: @escaping @Sendable () -> Void
    ) {
        self.files = files
        self.pipeline = pipeline
        self.log = log
        self.retention = retention
        self.forgetter = forgetter
        self.markCheckpointed = markCheckpointed
        self.report = report
        self.trimmed = trimmed
        self.roomFound = roomFound
    }

    /// Seconds since the last checkpoint was complete, or since this was made.
    var secondsSinceLast: Double {
        Double(monotonicNanoseconds() - completed.load(ordering: .relaxed)) / 1e9
    }

    /// Begins; `nanoseconds` between two checkpoints, nil for none but the last.
    func start(interval nanoseconds: UInt64?) {
        retention.account()
        log.onRoom(needed: { [weak self] in self?.press() }, found: roomFound)
        thread = WriterThread(name: "springg-ckpt") { [self] in run(interval: nanoseconds) }
    }

    /// Writes a last checkpoint, if that takes no longer than `nanoseconds`, and ends.
    ///
    /// Blocking.
    func close(within nanoseconds: UInt64) {
        doorbell.withLock {
            isClosing = true
            deadline = monotonicNanoseconds() + nanoseconds
        }
        doorbell.ring()
        thread?.join()
    }

    private func press() {
        let isNew = doorbell.withLock {
            defer { isPressed = true }
            return !isPressed
        }
        if isNew { doorbell.ring() }
    }

    private func run(interval: UInt64?) {
        var next = interval.map { monotonicNanoseconds() + $0 }
        /// Before the first nothing more is removed for want of room, before the second no checkpoint is written for it.
        var (pressure, forced): (UInt64, UInt64) = (0, 0)
        while true {
            let (closing, pressed) = wait(until: next, pressure)
            if closing, isOutOfTime { return }
            forgetter.look()
            let now = monotonicNanoseconds()
            if closing || next.map({ now >= $0 }) ?? false {
                if log.watermarks.applied > log.watermarks.checkpointed { _ = write() }
                next = interval.map { monotonicNanoseconds() + $0 }
            }
            let wantsRoom = pressed || log.full != nil
            var madeRoom = tidy(isPressed: wantsRoom)
            if !closing, now >= forced, retention.needsCheckpoint(isPressed: wantsRoom) {
                if write() {
                    madeRoom = tidy(isPressed: wantsRoom) || madeRoom
                } else {
                    forced = now + Checkpointer.failurePauseNanoseconds
                }
            }
            if closing { return }
            if wantsRoom {
                pressure = madeRoom ? 0 : monotonicNanoseconds() + Checkpointer.pressedNanoseconds
                // Nothing to write: only to have the writer look whether there is room now.
                pipeline.submit([]) { _ in }
            }
        }
    }

    /// Until a checkpoint is due, the writer wants room (but not before `pressure`), some time has passed, or the end has come.
    private func wait(until next: UInt64?, _ pressure: UInt64) -> (isClosing: Bool, isPressed: Bool) {
        doorbell.withLock {
            let begun = monotonicNanoseconds()
            let look = min(begun + Checkpointer.lookNanoseconds, next ?? .max)
            while !isClosing {
                let now = monotonicNanoseconds()
                if now >= look || isPressed && now >= pressure { break }
                doorbell.wait(nanoseconds: (isPressed ? min(look, pressure) : look) - now)
            }
            defer { isPressed = false }
            return (isClosing, isPressed)
        }
    }

    private var isOutOfTime: Bool { monotonicNanoseconds() >= doorbell.withLock { deadline } }

    /// True when segments were removed.
    private func tidy(isPressed: Bool) -> Bool {
        guard let report = retention.trim(isPressed: isPressed) else { return false }
        trimmed(report)
        return report.segments > 0
    }

    /// True when there is a new checkpoint.
    private func write() -> Bool {
        guard log.failure == nil, let capture = pipeline.capture() else { return false }
        let begun = monotonicNanoseconds()
        let lsn = capture.base.lsn
        let writer = CheckpointWriter(
            directory: files.directory,
            fileSystem: files.fileSystem,
            isCancelled: { [self] in isOutOfTime }
        )
        var failure: String?
        do throws(FileSystemError) {
            if try writer.write(capture) {
                markCheckpointed(lsn)
                log.markCheckpointed(lsn)
                completed.store(monotonicNanoseconds(), ordering: .relaxed)
                try files.removeAll(except: Array(try files.all().prefix(Checkpointer.kept)))
            } else {
                failure = "there was no time for it before the end"
            }
        } catch {
            failure = "\(error)"
        }
        // What it has written so far is room that the log may need: least of all may it stay on a full disk.
        if failure != nil { try? files.removeAll(except: files.all()) }
        let seconds = Double(monotonicNanoseconds() - begun) / 1e9
        report(CheckpointReport(lsn: lsn, seconds: seconds, failure: failure))
        return failure == nil
    }
}
