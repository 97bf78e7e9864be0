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
    /// Bytes that the log and what lies beside it (`Log.setBytesBeside`) may take; 0 for no bound.
    ///
    /// No segment is begun that would exceed it.
    public var bytesMax = 0

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

/// One file of the log.
public struct LogSegment: Sendable, Equatable {
    /// The first record it holds or will hold.
    public let firstLSN: LSN
    /// Where it is.
    public let path: String
    /// Its size, reserved when it was begun.
    public let bytes: Int
    /// Unix time in seconds of the newest event in the segments before; 0 when there are none.
    public let previousSeconds: UInt32

    package init(firstLSN: LSN, path: String, bytes: Int, previousSeconds: UInt32) {
        self.firstLSN = firstLSN
        self.path = path
        self.bytes = bytes
        self.previousSeconds = previousSeconds
    }
}

/// A record, by its number, and the heads that hold every record before it.
struct LogEntry {
    var lsn: LSN
    var heads: VersionVector
}

/// The log of a node: a directory of segments with one writer and any number of readers.
///
/// This is the shared face. Appending is for the `LogWriter` that `open` returns beside it.
public final class Log: Sendable {
    /// The directory that holds the segments.
    public let directory: String
    /// How it is kept.
    public let options: LogOptions
    let fileSystem: any FileSystem
    /// What its writer does, in numbers.
    package let meter = CommitMeter()
    /// Its newest records in memory; none unless somebody asks for it.
    let tail = LogTail()

    struct State {
        var segments: [LogSegment]
        var watermarks: Watermarks
        var heads: VersionVector
        /// Of the events up to the durable watermark.
        var highestHLC: HLC
        /// Where readers may begin who hold these heads, in ascending order: nothing before is news to them.
        var entries: [LogEntry] = []
        /// True while `heads` says of every record whether a reader has it, which holes take away.
        var knowsHeads = true
        var origin = OriginID.none
        /// Set once the log takes no more writes; never cleared.
        var failure: LogError?
        var waiters: [(lsn: LSN, wake: @Sendable () -> Void)] = []
        /// Bytes of what shares the bound with the log.
        var bytesBeside = 0
        /// Why the last write found no room; nil once one has.
        var full: LogError?
        /// Called on the writer's thread when a segment cannot be reserved, and when one can again.
        var roomNeeded: (@Sendable () -> Void)?
        var roomFound: (@Sendable () -> Void)?
    }

    let state: Mutex<State>

    init(directory: String, options: LogOptions, origin: OriginID, fileSystem: any FileSystem, state: consuming State) {
        self.directory = directory
        self.options = options
        self.fileSystem = fileSystem
        var state = state
        state.origin = origin
        self.state = Mutex(state)
    }

    /// Whose events the writer appends.
    public var origin: OriginID { state.withLock { $0.origin } }

    /// How far the log is written, synced, applied.
    public var watermarks: Watermarks { state.withLock { $0.watermarks } }

    /// What is held of each origin, up to the durable watermark.
    public var versionVector: VersionVector { state.withLock { $0.heads } }

    /// The highest clock reading that a power cut cannot take, and what is held at that moment.
    ///
    /// This node gives out no reading at or below it any more, not even after a restart, since the clock begins behind what the
    /// log holds; and all events of its own up to it are within the heads.
    public var settled: (hlc: HLC, heads: VersionVector) { state.withLock { ($0.highestHLC, $0.heads) } }

    /// Why the log takes no writes; nil while it does.
    public var failure: LogError? { state.withLock { $0.failure } }

    /// The files, in the order of their LSNs.
    ///
    /// In memory of its own: the writer then appends to its list in place, and what is read here nobody writes.
    public var segments: [LogSegment] { state.withLock { $0.segments.map { $0 } } }

    /// Why writes find no room; nil while they do.
    ///
    /// Reads go on, and so do writes once there is room.
    public var full: LogError? { state.withLock { $0.full } }

    /// Bytes that share the log's bound with it.
    public var bytesBeside: Int { state.withLock { $0.bytesBeside } }

    /// Tells the log how many bytes share its bound with it.
    public func setBytesBeside(_ bytes: Int) { state.withLock { $0.bytesBeside = bytes } }

    /// Has `needed` called whenever a segment cannot be reserved, which is half a segment before writes fail, and `found`
    /// when writes that have failed find room again; on the writer's thread.
    public func onRoom(needed: @escaping @Sendable () -> Void, found: @escaping @Sendable () -> Void) {
        state.withLock { state in
            state.roomNeeded = needed
            state.roomFound = found
        }
    }

    /// Keeps the newest records in memory, so many bytes and a little more, for readers that keep up with the writer.
    package func keepTail(bytesMax: Int) { tail.keep(bytesMax: bytesMax) }

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
    func publish(appended: LSN, durable: LSN?, heads: VersionVector, highestHLC: HLC) {
        let woken: [@Sendable () -> Void] = state.withLock { state in
            state.watermarks.append(to: appended)
            state.heads = heads
            guard let durable else { return [] }
            state.watermarks.sync(to: durable)
            state.highestHLC = highestHLC
            guard !state.waiters.isEmpty else { return [] }
            let ready = state.waiters.filter { $0.lsn <= durable }
            state.waiters.removeAll { $0.lsn <= durable }
            return ready.map(\.wake)
        }
        for wake in woken { wake() }
        noteRoom(after: nil)
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
