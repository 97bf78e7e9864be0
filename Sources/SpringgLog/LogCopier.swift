/// Writes events that exist already into a new log: each envelope as it is and at its own LSN, in frames of their own.
///
/// Where an LSN is missing a new segment begins, whose header says so. The log belongs to a new origin, so that whoever
/// goes on writing it numbers no event twice. Not thread-safe.
///
/// The directory must be of no use until `finish` has returned: before that it looks like a shorter log.
package final class LogCopier {
    /// Whose events a node will append to the copy.
    package let origin: OriginID
    /// The last record written, or the last one that the copy need not hold.
    package private(set) var last: LSN
    /// Records written.
    package private(set) var records: UInt64 = 0
    /// Bytes of the files written.
    package private(set) var fileBytes = 0

    private let directory: String
    private let segmentBytes: Int
    private let fileSystem: any FileSystem
    private var link: UInt32 = 0
    private var previousFirst = LSN.zero
    private var durable: LSN
    private var holeIsDue = false
    private var highestHLC = HLC(0)
    private var segment: Segment?
    private let buffer: UnsafeMutableRawBufferPointer
    private var buffered = 0

    private struct Segment {
        var file: any File
        var header: SegmentHeader
        /// Offset behind what was written, without what is in the buffer.
        var position = SegmentHeader.bytes
    }

    /// Bytes written at once.
    private static let bufferBytes = 4 << 20

    /// Prepares to write into `directory`, which exists and is empty, the records behind `start`: what a checkpoint beside
    /// the log holds, or zero for a log that stands alone.
    package init(
        directory: String,
        origin: OriginID,
        after start: LSN = .zero,
        segmentBytes: Int = LogOptions().segmentBytes,
        fileSystem: any FileSystem
    ) {
        self.directory = directory
        self.origin = origin
        self.segmentBytes = segmentBytes
        self.fileSystem = fileSystem
        last = start
        durable = start
        buffer = .allocate(byteCount: LogCopier.bufferBytes, alignment: 64)
    }

    deinit { buffer.deallocate() }

    /// Says that events are missing before the next record, also if no LSN is.
    package func noteHole() { holeIsDue = true }

    /// Appends an event at `lsn`, which must lie beyond the last one.
    package func append(_ envelope: Envelope, at lsn: LSN) throws(LogError) {
        precondition(lsn > last, "LSN \(lsn) copied after \(last)")
        let bytes = Frame.headerBytes + envelope.bytes.count
        if segment == nil || holeIsDue || lsn != last.next || !hasRoom(for: bytes) {
            try begin(at: lsn, bytes: bytes)
        }
        if buffered + bytes > buffer.count { try flush() }
        let frame = Frame(envelopeBytes: envelope.bytes.count, lsn: lsn, durableUpTo: durable, link: link)
        frame.encode(into: UnsafeMutableRawBufferPointer(rebasing: buffer[buffered..<buffered + Frame.headerBytes]))
        buffer.store(envelope.bytes, at: buffered + Frame.headerBytes)
        link = Frame.link(after: UnsafeRawBufferPointer(buffer).part(buffered, bytes))
        buffered += bytes
        highestHLC = max(highestHLC, envelope.version.hlc)
        last = lsn
        records += 1
    }

    /// Completes the copy, which reaches at least to `end`, the LSN of a checkpoint beside it; durable on return.
    package func finish(reaching end: LSN = .zero) throws(LogError) {
        if segment == nil || holeIsDue || last < end {
            try begin(at: max(last, end).next, bytes: 0)
            last = max(last, end)
        }
        // The marker makes later damage to the last records plain to see.
        if buffered + Frame.headerBytes > buffer.count { try flush() }
        Frame(envelopeBytes: 0, lsn: last, durableUpTo: last, link: link)
            .encode(into: UnsafeMutableRawBufferPointer(rebasing: buffer[buffered..<buffered + Frame.headerBytes]))
        buffered += Frame.headerBytes
        try endSegment()
    }

    private func hasRoom(for bytes: Int) -> Bool {
        guard let segment else { return false }
        return segment.position + buffered + bytes + Frame.headerBytes <= segmentBytes
    }

    /// Begins the segment whose first record will be `lsn`.
    private func begin(at lsn: LSN, bytes: Int) throws(LogError) {
        try endSegment()
        durable = last
        let hole = lsn.rawValue - last.next.rawValue
        // The header counts what is missing, and how far back the segment before begins.
        guard let missing = UInt32(exactly: hole),
            lsn.rawValue - previousFirst.rawValue < UInt32.max || previousFirst == .zero
        else {
            throw .corrupt(LogDamage(segment: directory, offset: 0, lsn: lsn, reason: "\(hole) records are missing"))
        }
        let header = SegmentHeader(
            origin: origin,
            firstLSN: lsn,
            fileBytes: 0,
            link: link,
            previousFirstLSN: previousFirst,
            previousSeconds: highestHLC.secondsRoundedUp,
            missing: hole > 0 || holeIsDue ? missing : nil
        )
        holeIsDue = false
        previousFirst = lsn
        segment = Segment(
            file: try Log.io { () throws(FileSystemError) in
                try fileSystem.open(directory + "/" + SegmentHeader.fileName(firstLSN: lsn), .create)
            },
            header: header
        )
    }

    private func flush() throws(LogError) {
        guard buffered > 0, let current = segment else { return }
        try Log.io { () throws(FileSystemError) in
            try current.file.write(UnsafeRawBufferPointer(buffer).part(0, buffered), at: current.position)
        }
        segment?.position += buffered
        buffered = 0
    }

    /// Gives the segment the header that fits its size, and syncs it.
    private func endSegment() throws(LogError) {
        try flush()
        guard var done = segment else { return }
        segment = nil
        done.header.fileBytes = done.position
        fileBytes += done.position
        try Log.io { () throws(FileSystemError) in
            try withUnsafeTemporaryBytes(SegmentHeader.bytes) { bytes throws(FileSystemError) in
                done.header.encode(into: bytes)
                try done.file.write(UnsafeRawBufferPointer(bytes), at: 0)
            }
            try done.file.sync()
            try fileSystem.syncDirectory(directory)
        }
    }
}
