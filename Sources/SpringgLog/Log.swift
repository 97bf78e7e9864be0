import Synchronization

/// How a log is kept.
public struct LogOptions: Sendable {
    /// Size of a segment file in bytes; a larger record gets a segment of its own size.
    public var segmentBytes = 64 << 20
    /// Bytes that one commit writes at most: bounds the memory of a batch and the time of its sync.
    public var batchBytesMax = 8 << 20
    /// What an acknowledgement means.
    public var durability = Durability.fsync
    /// Write zeros into a new segment instead of reserving extents: faster syncs for twice the bytes.
    public var writeZerosAhead = false

    /// The defaults.
    public init() {}
}

/// What an acknowledgement of a write means.
public enum Durability: Sendable, Equatable {
    /// It is on disk.
    case fsync
    /// It is with the operating system, and on disk after at most this long. Power loss may take it.
    case interval(milliseconds: Int)
}

/// The log of a node: a directory of segments with one writer and any number of readers.
///
/// This is the shared face. Appending is for the `LogWriter` that `open` returns beside it.
public final class Log: Sendable {
    /// The directory that holds the segments.
    public let directory: String
    /// How it is kept.
    public let options: LogOptions
    /// Whose events the writer appends.
    public let origin: OriginID
    let fileSystem: any FileSystem

    struct State {
        var segments: [(firstLSN: LSN, path: String)]
        var watermarks: Watermarks
        var heads: VersionVector
        /// Set once the log takes no more writes; never cleared.
        var failure: LogError?
        var waiters: [(lsn: LSN, wake: @Sendable () -> Void)] = []
    }

    let state: Mutex<State>

    init(directory: String, options: LogOptions, origin: OriginID, fileSystem: any FileSystem, state: consuming State) {
        self.directory = directory
        self.options = options
        self.origin = origin
        self.fileSystem = fileSystem
        self.state = Mutex(state)
    }

    /// How far the log is written, synced, applied.
    public var watermarks: Watermarks { state.withLock { $0.watermarks } }

    /// What is held of each origin, up to the durable watermark.
    public var versionVector: VersionVector { state.withLock { $0.heads } }

    /// Why the log takes no writes; nil while it does.
    public var failure: LogError? { state.withLock { $0.failure } }

    /// Bytes that the segments occupy.
    public var segmentCount: Int { state.withLock { $0.segments.count } }

    /// Tells the log that the projections hold everything up to `lsn`.
    public func markApplied(_ lsn: LSN) { state.withLock { $0.watermarks.apply(to: lsn) } }

    /// Tells the log that a complete checkpoint holds everything up to `lsn`.
    public func markCheckpointed(_ lsn: LSN) { state.withLock { $0.watermarks.checkpoint(to: lsn) } }

    /// Calls `wake` once, on any thread, as soon as `lsn` is durable or the log has failed or closed.
    public func notify(whenDurable lsn: LSN, _ wake: @escaping @Sendable () -> Void) {
        let isReady = state.withLock { state in
            if state.watermarks.durable >= lsn || state.failure != nil { return true }
            state.waiters.append((lsn, wake))
            return false
        }
        if isReady { wake() }
    }

    /// Publishes a commit to the readers.
    func publish(appended: LSN, durable: LSN?, heads: VersionVector) {
        let woken: [@Sendable () -> Void] = state.withLock { state in
            state.watermarks.append(to: appended)
            state.heads = heads
            guard let durable else { return [] }
            state.watermarks.sync(to: durable)
            guard !state.waiters.isEmpty else { return [] }
            let ready = state.waiters.filter { $0.lsn <= durable }
            state.waiters.removeAll { $0.lsn <= durable }
            return ready.map(\.wake)
        }
        for wake in woken { wake() }
    }

    /// Ends writing for good; the first reason stays.
    func fail(_ error: LogError) {
        let woken = state.withLock { state in
            if state.failure == nil { state.failure = error }
            defer { state.waiters = [] }
            return state.waiters.map(\.wake)
        }
        for wake in woken { wake() }
    }
}
