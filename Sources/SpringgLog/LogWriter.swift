import Synchronization

/// The one writer of a log.
///
/// Not thread-safe: it belongs to the thread that sequences writes.
///
/// Group commit in two steps: `stage` takes as many events as there are, `commit` writes them with one call and makes
/// them durable with one fdatasync. While one batch syncs, the next gathers with the caller.
public final class LogWriter {
    static let preparedSuffix = ".tmp"

    /// The shared face of the same log.
    public let log: Log

    // The segment that is being written.
    private var file: any File
    private var fileBytes: Int
    private var header: SegmentHeader
    private var firstLSN: LSN { header.firstLSN }
    /// Whose events are appended: the log's origin, without its lock.
    private var origin: OriginID
    /// Offset behind the last committed record.
    private var position: Int
    /// Bytes behind `position` that a failed write may have left; they must be zeros before the next write.
    private var spoiledEnd: Int
    /// Where a sync is still owed (durability `interval`).
    private var isDirty = false
    /// True when a marker is the last thing in the log.
    private var isSealed: Bool
    private var preparedSegment: (path: String, bytes: Int)?

    // The committed end, and beside it the end with what is staged: a batch that fails leaves no trace.
    private var end: End
    private var staged: End
    private var durable: LSN
    private var batch: UnsafeMutableRawBufferPointer
    private var batchBytes = 0

    private struct End {
        var lsn: LSN
        var link: UInt32
        var heads: VersionVector
        var highestHLC: HLC
    }

    /// Bytes of the batch buffer at first; it grows to what batches need, up to `batchBytesMax` and one record.
    private static let batchBytesAtFirst = 256 << 10

    init(log: Log, file: any File, header: SegmentHeader, recovered: LogScan.Outcome) {
        self.log = log
        self.file = file
        self.header = header
        origin = log.origin
        fileBytes = header.fileBytes
        position = recovered.endOffset
        spoiledEnd = recovered.endOffset
        isSealed = recovered.isSealed || recovered.lastLSN == recovered.trimmed
        end = End(
            lsn: recovered.lastLSN,
            link: recovered.link,
            heads: recovered.heads,
            highestHLC: recovered.highestHLC
        )
        staged = end
        durable = recovered.lastLSN
        batch = .allocate(byteCount: LogWriter.batchBytesAtFirst, alignment: 64)
    }

    deinit { batch.deallocate() }

    /// True when nothing is staged.
    public var isEmpty: Bool { batchBytes == 0 }

    /// True when a record of so many bytes fits the batch in hand.
    ///
    /// If not, commit first; an empty batch takes every record.
    public func hasRoom(forRecordBytes bytes: Int) -> Bool {
        batchBytes == 0
            || (batchBytes + bytes <= log.options.batchBytesMax && position + batchBytes + bytes <= fileBytes)
    }

    /// Stamps an event as the next of this node's origin and adds it to the batch.
    /// - Throws: `.diskFull` or `.io` when a new segment is needed and cannot be made; the batch stays as it was.
    public func stage(
        _ event: EncodedEvent,
        hlc: HLC,
        seen: EventVersion
    ) throws(LogError) -> (lsn: LSN, sequence: Sequence) {
        if let failure = log.failure { throw failure }
        try makeRoom(forRecordBytes: event.recordBytes)
        let head = staged.heads[origin]
        let sequence = head.sequence.next
        let chain = event.stamp(
            origin: origin,
            sequence: sequence,
            hlc: hlc,
            seen: seen,
            previousChain: head.chain
        )
        let lsn = staged.lsn.next
        event.frame(
            Frame(
                envelopeBytes: event.recordBytes - Frame.headerBytes,
                lsn: lsn,
                durableUpTo: durable,
                link: staged.link
            )
        )
        batch.store(event.record, at: batchBytes)
        batchBytes += event.recordBytes
        staged.lsn = lsn
        staged.link = Frame.link(after: event.record)
        staged.heads[origin] = VersionVector.Head(sequence: sequence, chain: chain)
        staged.highestHLC = max(staged.highestHLC, hlc)
        return (lsn, sequence)
    }

    /// Adds an event that another log holds to the batch, as it is.
    ///
    /// The caller has checked that it continues its origin's history.
    /// - Throws: as the other `stage`.
    package func stage(_ envelope: Envelope) throws(LogError) -> LSN {
        if let failure = log.failure { throw failure }
        let recordBytes = Frame.headerBytes + envelope.bytes.count
        try makeRoom(forRecordBytes: recordBytes)
        let lsn = staged.lsn.next
        let frame = Frame(
            envelopeBytes: envelope.bytes.count,
            lsn: lsn,
            durableUpTo: durable,
            link: staged.link
        )
        frame.encode(into: UnsafeMutableRawBufferPointer(rebasing: batch[batchBytes..<batchBytes + Frame.headerBytes]))
        batch.store(envelope.bytes, at: batchBytes + Frame.headerBytes)
        staged.lsn = lsn
        staged.link = Frame.link(after: UnsafeRawBufferPointer(batch).part(batchBytes, recordBytes))
        staged.heads[envelope.origin] = VersionVector.Head(sequence: envelope.sequence, chain: envelope.chain)
        staged.highestHLC = max(staged.highestHLC, envelope.version.hlc)
        batchBytes += recordBytes
        return lsn
    }

    /// How far an origin's stream is held, with what is staged.
    package func head(of origin: OriginID) -> VersionVector.Head { staged.heads[origin] }

    /// Makes `origin`, which is freshly minted, the one whose events are appended from here on.
    ///
    /// Nothing may be staged. Durable on return: a segment begins whose header names it.
    /// - Throws: as `stage`; then the origin is the one before.
    package func begin(_ origin: OriginID) throws(LogError) {
        if let failure = log.failure { throw failure }
        try rotate(for: 0, as: origin)
        self.origin = origin
        log.state.withLock { $0.origin = origin }
    }

    private func makeRoom(forRecordBytes bytes: Int) throws(LogError) {
        precondition(hasRoom(forRecordBytes: bytes), "stage called on a full batch")
        if position + batchBytes + bytes > fileBytes { try rotate(for: bytes, as: origin) }
        if batchBytes + bytes > batch.count { growBatch(to: batchBytes + bytes) }
    }

    /// Writes the staged events, and with `Durability.fsync` makes them survive power loss.
    ///
    /// After an error none of them is in the log; whether the disk holds a part of them does not matter, for it is
    /// zeroed before anything else is written.
    /// - Throws: `.diskFull`, `.io`: try again later. `.readOnly`: a sync failed, the log is done until reopened.
    public func commit() throws(LogError) {
        guard batchBytes > 0 else { return }
        if let failure = log.failure {
            discardBatch()
            throw failure
        }
        do {
            try clean()
            spoiledEnd = position + batchBytes
            try Log.io { () throws(FileSystemError) in
                try file.write(UnsafeRawBufferPointer(batch).part(0, batchBytes), at: position)
            }
            isDirty = true
            if log.options.durability == .fsync { try syncFile() }
        } catch {
            discardBatch()
            log.noteRoom(after: error)
            throw error
        }
        log.meter.committed(events: Int(staged.lsn.rawValue - end.lsn.rawValue), bytes: batchBytes)
        // Before it is published: whoever hears of a record finds it.
        log.tail.append(UnsafeRawBufferPointer(batch).part(0, batchBytes), first: end.lsn.next)
        position += batchBytes
        end = staged
        batchBytes = 0
        isSealed = false
        if !isDirty { durable = end.lsn }
        log.publish(appended: end.lsn, durable: isDirty ? nil : durable, heads: end.heads, highestHLC: end.highestHLC)
    }

    /// Makes everything committed survive power loss (for `Durability.interval`; otherwise there is nothing to do).
    /// - Throws: `.readOnly`.
    public func sync() throws(LogError) {
        guard isDirty else { return }
        if let failure = log.failure { throw failure }
        try syncFile()
        durable = end.lsn
        log.publish(appended: end.lsn, durable: durable, heads: end.heads, highestHLC: end.highestHLC)
    }

    /// True when `sync` has something to do.
    public var needsSync: Bool { isDirty }

    /// Reserves the next segment once half of this one is used, so that a full disk is met before it hurts and a
    /// rotation costs a header and a rename.
    ///
    /// A failure is met again, and reported, by the rotation itself; until then somebody may have made room.
    public func prepareAhead() {
        guard preparedSegment == nil, position > fileBytes / 2, log.failure == nil else { return }
        preparedSegment = try? prepareSegment(bytes: log.options.segmentBytes)
    }

    /// Reserves a segment within the log's bound.
    ///
    /// That there is no room, or room again, is known from here on to everyone who asks the log.
    private func prepareSegment(bytes: Int) throws(LogError) -> (path: String, bytes: Int) {
        do throws(LogError) {
            try log.checkBound(adding: bytes)
            let prepared = try LogWriter.prepareSegment(
                in: log.directory,
                bytes: bytes,
                writingZeros: log.options.writeZerosAhead,
                log.fileSystem
            )
            log.noteRoom(after: nil)
            return prepared
        } catch {
            // What a full disk has taken of the attempt is room that a checkpoint may need.
            try? log.fileSystem.remove(log.directory + "/next" + LogWriter.preparedSuffix)
            log.state.withLock { $0.roomNeeded }?()
            throw error
        }
    }

    /// Syncs, marks the end, and takes no more writes.
    public func close() {
        guard log.failure == nil else { return }
        defer { log.fail(.closed) }
        discardBatch()
        do throws(LogError) {
            try clean()
            try sync()
            guard !isSealed, position + Frame.headerBytes <= fileBytes else { return }
            // Everything is durable by now; the marker only makes later damage to the last batch plain to see.
            try withUnsafeTemporaryBytes(Frame.headerBytes) { bytes throws(LogError) in
                Frame(envelopeBytes: 0, lsn: end.lsn, durableUpTo: end.lsn, link: end.link).encode(into: bytes)
                try Log.io { () throws(FileSystemError) in
                    try file.write(UnsafeRawBufferPointer(bytes), at: position)
                    try file.sync()
                }
            }
        } catch {
            log.fail(error)
        }
    }

    // MARK: - Inside

    private func syncFile() throws(LogError) {
        do throws(FileSystemError) {
            try log.meter.timed { () throws(FileSystemError) in try file.sync() }
            isDirty = false
        } catch {
            // The pages that failed may be marked clean by now: a second sync would succeed and prove nothing.
            let failure = LogError.readOnly(reason: "\(error)")
            log.fail(failure)
            throw failure
        }
    }

    /// Zeroes what a failed write may have left behind the end.
    ///
    /// Synced at once: the bytes must not come back.
    private func clean() throws(LogError) {
        guard spoiledEnd > position else { return }
        try Log.io { () throws(FileSystemError) in
            try file.writeZeros(from: position, to: min(spoiledEnd, fileBytes))
        }
        try syncFile()
        spoiledEnd = position
    }

    private func discardBatch() {
        batchBytes = 0
        staged = end
    }

    private func growBatch(to bytes: Int) {
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes, batch.count * 2), alignment: 64)
        larger.store(UnsafeRawBufferPointer(batch).part(0, batchBytes), at: 0)
        batch.deallocate()
        batch = larger
    }

    /// Begins the next segment.
    ///
    /// The one in hand is synced first: only the last segment may ever have a torn end.
    ///
    /// One without a record is replaced by its successor, under the same name.
    private func rotate(for recordBytes: Int, as origin: OriginID) throws(LogError) {
        precondition(batchBytes == 0, "rotation in the middle of a batch")
        try clean()
        try sync()
        let bytes = max(log.options.segmentBytes, SegmentHeader.bytes + recordBytes)
        var prepared = preparedSegment
        if prepared.map({ $0.bytes < bytes }) ?? true {
            do throws(LogError) {
                prepared = try prepareSegment(bytes: bytes)
            } catch {
                log.noteRoom(after: error)
                throw error
            }
        }
        guard let prepared else { return }
        preparedSegment = nil
        let isReplaced = firstLSN > end.lsn
        var next = header
        next.origin = origin
        next.fileBytes = prepared.bytes
        if !isReplaced {
            next.firstLSN = end.lsn.next
            next.link = end.link
            next.previousFirstLSN = firstLSN
            next.previousSeconds = end.highestHLC.secondsRoundedUp
            next.missing = nil
        }
        let path = log.directory + "/" + SegmentHeader.fileName(firstLSN: next.firstLSN)
        let published = try LogWriter.publishSegment(prepared, next, path: path, log.fileSystem)
        do throws(FileSystemError) {
            try log.fileSystem.syncDirectory(log.directory)
        } catch {
            // The segment may have its name or not: neither it nor the one before may be written to.
            let failure = LogError.readOnly(reason: "\(error)")
            log.fail(failure)
            throw failure
        }
        file = published
        header = next
        fileBytes = next.fileBytes
        position = SegmentHeader.bytes
        spoiledEnd = position
        log.state.withLock { state in
            if isReplaced {
                state.segments.removeLast()
            } else if state.knowsHeads {
                state.entries.append(LogEntry(lsn: next.firstLSN, heads: end.heads))
            }
            state.segments.append(LogSegment(path, next))
        }
    }

    /// Makes a file of zeros under a temporary name, its size durable.
    static func prepareSegment(
        in directory: String,
        bytes: Int,
        writingZeros: Bool,
        _ fileSystem: any FileSystem
    ) throws(LogError) -> (path: String, bytes: Int) {
        let path = directory + "/next" + preparedSuffix
        return try Log.io { () throws(FileSystemError) in
            let file = try fileSystem.open(path, .create)
            try file.reserve(size: bytes, writingZeros: writingZeros)
            try file.sync()
            return (path, bytes)
        }
    }

    /// Gives a prepared file its header and its name, which is durable when the directory has been synced.
    static func publishSegment(
        _ prepared: (path: String, bytes: Int),
        _ header: SegmentHeader,
        path: String,
        _ fileSystem: any FileSystem
    ) throws(LogError) -> any File {
        try Log.io { () throws(FileSystemError) in
            let file = try fileSystem.open(prepared.path, .readWrite)
            try withUnsafeTemporaryBytes(SegmentHeader.bytes) { bytes throws(FileSystemError) in
                header.encode(into: bytes)
                try file.write(UnsafeRawBufferPointer(bytes), at: 0)
            }
            try file.sync()
            try fileSystem.rename(prepared.path, to: path)
            return file
        }
    }
}

/// A scratch buffer for the length of a call, in a form that keeps typed errors.
func withUnsafeTemporaryBytes<R, E: Error>(
    _ count: Int,
    _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
) throws(E) -> R {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 8)
    defer { bytes.deallocate() }
    return try body(bytes)
}
