import Glibc
package import SpringgLog
package import SpringgProjections
import Synchronization

/// How far the archive is behind, for those who look.
package struct ArchiveStatus: Sendable {
    /// Where the archive is.
    package var place: String
    /// What the archive holds; nil as long as that is not known.
    package var archived: VersionVector?
    /// The newest manifest.
    package var generation: UInt64 = 0
    /// Events of the log that it lacks.
    package var lagEvents: UInt64 = 0
    /// Age of the newest moment that would be lost with this node, in seconds: 0 when the archive has everything.
    package var rpoSeconds = 0.0
    /// When a round last ended well, in Unix milliseconds.
    package var lastSuccess: UInt64?
    /// Why the last round failed; nil when it did not.
    package var lastError: String?
    /// Bytes of log segments that are kept for the archive.
    package var waitingBytes = 0
    /// Beyond how many they go all the same; 0 for no bound.
    package var waitingBytesMax = 0

    package init(place: String) { self.place = place }
}

/// Archives the log of a node, on a thread of its own, for as long as it lives.
package final class Archiver: @unchecked Sendable {
    // Why @unchecked: `isClosing`, `isRequested` and `status` are only touched while `doorbell` is locked; `thread` is set
    // once by `start`, before anyone else can call `close`; core and worker belong to the thread.

    /// What others are told; called on the archiver's thread.
    package struct Listeners: Sendable {
        /// The archive holds these events, durably.
        package var archived: @Sendable (VersionVector) -> Void = { _ in }
        /// The log may be removed up to here.
        package var floor: @Sendable (LSN) -> Void = { _ in }
        /// A round has failed; once for each reason, until one ends well.
        package var failed: @Sendable (String) -> Void = { _ in }
        /// Rounds end well again.
        package var recovered: @Sendable () -> Void = {}
        /// The archive has been opened; nothing is written to it before this returns.
        package var opened: @Sendable (ArchiveIdentity) throws -> Void = { _ in }
        /// Something the operator should know.
        package var warning: @Sendable (String) -> Void = { _ in }

        package init() {}
    }

    /// Between two looks at how far the archive is behind.
    private static let lookNanoseconds: UInt64 = 1_000_000_000

    private let store: any ObjectStore
    private let options: ArchiveOptions
    private let log: Log
    private let capture: @Sendable () -> StateCapture?
    private let isElected: @Sendable () -> Bool
    private let listeners: Listeners
    private let doorbell = Doorbell()
    private var isClosing = false
    private var isRequested = false
    private var current: ArchiveStatus
    private var thread: WriterThread?

    /// Prepares to archive to `store`.
    ///
    /// `capture` gives the state of a moment that is durable; `isElected` says whether rounds are for this node to do.
    package init(
        to store: any ObjectStore,
        options: ArchiveOptions,
        log: Log,
        capture: @escaping @Sendable () -> StateCapture?,
        isElected: @escaping @Sendable () -> Bool = { true },
        listeners: Listeners = Listeners()
    ) {
        self.store = store
        self.options = options
        self.log = log
        self.capture = capture
        self.isElected = isElected
        self.listeners = listeners
        current = ArchiveStatus(place: store.location)
        current.waitingBytesMax = options.waitingBytesMax
    }

    /// Begins.
    package func start() { thread = WriterThread(name: "springg-archive") { [self] in run() } }

    /// How far it is.
    package var status: ArchiveStatus {
        var status = doorbell.withLock { current }
        // What was written since the last look counts too.
        status.lagEvents = log.versionVector.events(beyond: status.archived)
        return status
    }

    /// Has a round begin at once, for somebody who waits for it; whoever is elected.
    package func requestRound() {
        doorbell.withLock { isRequested = true }
        doorbell.ring()
    }

    /// Ends, if need be in the middle of a round, and closes the store; blocking.
    ///
    /// What was uploaded and not committed is of use to the next round.
    package func close() {
        doorbell.withLock { isClosing = true }
        doorbell.ring()
        // A transfer that is under way ends now.
        store.close()
        thread?.join()
    }

    private func run() {
        let loop = ArchiverLoop(
            to: store,
            options: options,
            log: log,
            capture: capture,
            isElected: isElected,
            listeners: listeners,
            wallClock: unixMilliseconds
        )
        while true {
            let (isEnding, wanted) = doorbell.withLock { (isClosing, isRequested) }
            if isEnding { return }
            if wanted, loop.request() { doorbell.withLock { isRequested = false } }
            let until = loop.turn()
            doorbell.withLock { loop.show(in: &current) }
            guard let until else { continue }
            let left = until - min(until, unixMilliseconds())
            wait(nanoseconds: min(Archiver.lookNanoseconds, left < 1_000_000 ? left * 1_000_000 : .max))
        }
    }

    private func wait(nanoseconds: UInt64) {
        doorbell.withLock { if !isClosing, !isRequested { doorbell.wait(nanoseconds: max(nanoseconds, 1_000_000)) } }
    }
}

/// Unix time in milliseconds.
private func unixMilliseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UInt64(max(0, now.tv_sec)) * 1000 + UInt64(now.tv_nsec) / 1_000_000
}
