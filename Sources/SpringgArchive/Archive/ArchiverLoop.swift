package import SpringgLog
package import SpringgProjections

/// The work of an archiver, one turn after the other: what is to be done, doing it, and telling of it.
///
/// Without a thread and without a clock of its own: `Archiver` gives it both, simulations others. Not thread-safe.
package final class ArchiverLoop {
    /// Of the bytes that may wait, as many are reason for a warning.
    private static let warningPercent = 80

    private let options: ArchiveOptions
    private let log: Log
    private let isElected: () -> Bool
    private let wallClock: () -> UInt64
    private let worker: ArchiveWorker
    private var core: ArchiverCore
    private var report: Report
    private var lastSegment: LSN?

    /// Prepares to archive to `store`; the rest as of `Archiver`, `wallClock` gives Unix time in milliseconds.
    package init(
        to store: any ObjectStore,
        options: ArchiveOptions,
        log: Log,
        capture: @escaping () -> StateCapture?,
        isElected: @escaping () -> Bool,
        listeners: Archiver.Listeners,
        wallClock: @escaping () -> UInt64
    ) {
        self.options = options
        self.log = log
        self.isElected = isElected
        self.wallClock = wallClock
        worker = ArchiveWorker(store, options: options, log: log, capture: capture, wallClock: wallClock)
        worker.warn = { listeners.warning($0) }
        worker.remember = { try listeners.opened($0) }
        core = ArchiverCore(options, now: wallClock())
        report = Report(listeners: listeners, now: wallClock())
        lastSegment = log.segments.last?.firstLSN
    }

    /// Has a round begin with the next turn, whoever is elected; false when one is under way: to be asked again.
    package func request() -> Bool {
        guard core.request() else { return false }
        lastSegment = log.segments.last?.firstLSN
        return true
    }

    /// Does one thing, blocking; nil when there may be more, or else until when there is nothing to do unless somebody asks.
    package func turn() -> UInt64? {
        let elected = isElected()
        // A segment of the log has been filled: no reason to let it wait for its time.
        let segment = log.segments.last?.firstLSN
        if elected, segment != lastSegment, core.request() { lastSegment = segment }
        let step = core.next(now: wallClock(), isElected: elected)
        defer { report.look(core, worker, log, options, now: wallClock()) }
        if case .wait(let until) = step { return until }
        core.take(worker.perform(step), now: wallClock(), isElected: elected)
        return nil
    }

    /// Why the last round failed; nil when it did not.
    package var failure: ArchiveError? { core.failure }
    /// When a round last ended well, in Unix milliseconds; nil before the first.
    package var lastSuccess: UInt64? { core.lastSuccess }

    /// Brings a status up to date.
    package func show(in status: inout ArchiveStatus) { status = report.status(status) }

    /// What has been told, and what is to be shown.
    private struct Report {
        let listeners: Archiver.Listeners
        private var archived: VersionVector?
        private var generation: UInt64 = 0
        private var lagEvents: UInt64 = 0
        private var floor = LSN.zero
        private var waitingBytes = 0
        private var hasWarned = false
        private var failure: String?
        private var success: UInt64?
        /// When the archive last had everything, in Unix milliseconds; before it was seen so, the newest event that it has.
        private var complete: UInt64?
        private var newest: UInt64
        private var now: UInt64

        init(listeners: Archiver.Listeners, now: UInt64) {
            self.listeners = listeners
            self.now = now
            newest = now
        }

        mutating func look(
            _ core: ArchiverCore,
            _ worker: ArchiveWorker,
            _ log: Log,
            _ options: ArchiveOptions,
            now: UInt64
        ) {
            self.now = now
            let held = log.versionVector
            if let heads = core.archived {
                if heads != archived || core.generation != generation {
                    archived = heads
                    generation = core.generation
                    newest = core.highestHLC.milliseconds
                    listeners.archived(heads)
                }
                let floor = worker.floor(heads)
                if floor != self.floor { listeners.floor(floor) }
                self.floor = floor
            }
            lagEvents = held.events(beyond: archived)
            if lagEvents == 0 { complete = now }
            let segments = log.segments
            waitingBytes = zip(segments, segments.dropFirst())
                .reduce(0) { $0 + ($1.1.firstLSN.previous > floor ? $1.0.bytes : 0) }
            warnOfWaiting(options.waitingBytesMax)
            tell(core)
        }

        private mutating func warnOfWaiting(_ bound: Int) {
            let isMuch = bound > 0 && waitingBytes >= bound / 100 * ArchiverLoop.warningPercent
            if isMuch, !hasWarned {
                listeners.warning(
                    "\(waitingBytes >> 20) MiB of the log wait for the archive; at \(bound >> 20) MiB (log_retention_mb) the oldest go, and their "
                        + "moments cannot be restored from the archive. Check it, or raise log_retention_mb"
                )
            }
            hasWarned = isMuch
        }

        private mutating func tell(_ core: ArchiverCore) {
            success = core.lastSuccess
            let reason = core.failure.map { "\($0)" }
            if let reason, reason != failure { listeners.failed(reason) }
            if reason == nil, failure != nil { listeners.recovered() }
            failure = reason
        }

        func status(_ before: ArchiveStatus) -> ArchiveStatus {
            var status = before
            status.archived = archived
            status.generation = generation
            status.lagEvents = lagEvents
            status.lastSuccess = success
            status.lastError = failure
            status.waitingBytes = waitingBytes
            let since = lagEvents == 0 ? now : complete ?? newest
            status.rpoSeconds = Double(now - min(now, since)) / 1000
            return status
        }
    }
}

extension VersionVector {
    /// How many events are held here and not there; nil holds none.
    func events(beyond other: VersionVector?) -> UInt64 {
        origins.reduce(0) { sum, origin in
            let (held, archived) = (self[origin].sequence.rawValue, other?[origin].sequence.rawValue ?? 0)
            return sum + held - min(held, archived)
        }
    }
}
