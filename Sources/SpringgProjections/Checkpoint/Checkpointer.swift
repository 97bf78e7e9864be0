public import SpringgLog

/// What became of a checkpoint.
public struct CheckpointReport: Sendable {
    /// What it holds.
    public let lsn: LSN
    /// How long it took, in seconds.
    public let seconds: Double
    /// Why there is none; nil when it is complete.
    public let failure: String?
}

/// Writes a checkpoint now and then, and one at the end, on a thread of its own.
///
/// Writers go on meanwhile.
///
/// A checkpoint that fails costs nothing but a longer start: the log has everything.
final class Checkpointer: @unchecked Sendable {
    // Why @unchecked: `isClosing` and `deadline` are only touched while `doorbell` is locked; `thread` is set once by
    // `start`, before anyone else can call `close`; the rest is immutable.

    /// Complete checkpoints that are kept: the newest, and one before it in case that the newest is damaged.
    private static let kept = 2

    private let files: CheckpointFiles
    private let pipeline: WritePipeline
    private let log: Log
    private let markCheckpointed: @Sendable (LSN) -> Void
    private let report: @Sendable (CheckpointReport) -> Void
    private let doorbell = Doorbell()
    private var isClosing = false
    private var deadline = UInt64.max
    private var thread: WriterThread?

    init(
        files: CheckpointFiles,
        pipeline: WritePipeline,
        log: Log,
        markCheckpointed: @escaping @Sendable (LSN) -> Void,
        report: @escaping @Sendable (CheckpointReport) -> Void
    ) {
        self.files = files
        self.pipeline = pipeline
        self.log = log
        self.markCheckpointed = markCheckpointed
        self.report = report
    }

    /// Begins; `nanoseconds` between two checkpoints, nil for none but the last.
    func start(interval nanoseconds: UInt64?) {
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

    private func run(interval: UInt64?) {
        var next = interval.map { monotonicNanoseconds() + $0 }
        while true {
            let closing = doorbell.withLock {
                while !isClosing {
                    let now = monotonicNanoseconds()
                    if let next, now >= next { break }
                    doorbell.wait(nanoseconds: next.map { $0 - now })
                }
                return isClosing
            }
            if closing, isOutOfTime { return }
            if log.failure == nil, log.watermarks.applied > log.watermarks.checkpointed { write() }
            if closing { return }
            next = interval.map { monotonicNanoseconds() + $0 }
        }
    }

    private var isOutOfTime: Bool { monotonicNanoseconds() >= doorbell.withLock { deadline } }

    private func write() {
        guard let capture = pipeline.capture() else { return }
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
    }
}
