import Synchronization

/// One reader's moving place in the log.
///
/// Reads up to the durable watermark, never beyond, and never blocks the writer.
///
/// Not thread-safe: each reader has its own; there may be any number.
public final class LogCursor {
    private let log: Log
    /// The record that `next` will return.
    public private(set) var position: LSN
    private var reader: SegmentReader?
    /// Where it stands in the newest records, while it keeps up with them.
    private var tail: TailPlace?
    private var expected = LSN.zero
    private var link: UInt32 = 0

    /// Places a cursor before the record `lsn`, which may not exist yet.
    public init(log: Log, from lsn: LSN) {
        self.log = log
        position = max(lsn, LSN(1))
    }

    /// The next durable record, or nil when there is none yet.
    ///
    /// Its views are valid until the next call.
    /// - Throws: `.trimmed` when retention has removed the record, `.corrupt` when it cannot be read, `.io`.
    public func next() throws(LogError) -> LogRecord? {
        guard log.watermarks.durable >= position else { return nil }
        if let record = nextOfTail() { return record }
        if reader == nil { try openSegment(holding: position) }
        while let reader {
            switch try reader.next(expecting: expected, link: link) {
            case .record(let record):
                expected = record.lsn.next
                link = Frame.link(after: record.bytes)
                if record.lsn == position {
                    position = expected
                    return record
                }
            case .marker:
                continue
            case .zeros, .endOfFile, .damaged:
                try moveOn()
            }
        }
        return nil
    }

    /// The record from memory, if it is there.
    private func nextOfTail() -> LogRecord? {
        var record = tail?.next(position)
        if record == nil, let chunk = log.tail.chunk(holding: position) {
            tail = TailPlace(chunk)
            record = tail?.next(position)
        }
        guard let record else {
            tail = nil
            return nil
        }
        // What is behind is read from the disk anew, from the segment that is nearest then.
        reader = nil
        position = record.lsn.next
        return record
    }

    /// Calls `wake` once, on any thread, when `next` has something to return, or when the log has failed or closed.
    public func notify(_ wake: @escaping @Sendable () -> Void) {
        log.notify(whenDurable: position, wake)
    }

    /// The record is durable, yet it is not at the reader's place: it was read ahead before it was written, or it is in
    /// the next segment.
    private func moveOn() throws(LogError) {
        guard let reader else { return }
        let next = log.state.withLock { state in state.segments.first { $0.firstLSN == expected } }
        if let next, next.path != reader.path { return try open(next.path) }
        try reader.refresh()
        switch try reader.next(expecting: expected, link: link) {
        case .record(let record):
            reader.seek(to: record.offset)
        case .marker:
            break
        case .damaged(let flaw):
            throw .corrupt(LogDamage(segment: reader.path, offset: flaw.offset, lsn: expected, reason: flaw.reason))
        case .zeros(let offset), .endOfFile(let offset):
            if try passHole() { return }
            throw .corrupt(
                LogDamage(segment: reader.path, offset: offset, lsn: expected, reason: "the record is missing")
            )
        }
    }

    /// Where a salvaged log says what is missing, reading goes on behind it.
    private func passHole() throws(LogError) -> Bool {
        let last = expected.previous
        let next = log.state.withLock { state in state.segments.first { $0.firstLSN > expected } }
        guard let next else { return false }
        try open(next.path)
        guard reader?.header.continuesFrom == last else { return false }
        position = max(position, expected)
        return true
    }

    private func openSegment(holding lsn: LSN) throws(LogError) {
        let (segment, oldest, first) = log.state.withLock { state in
            (state.segments.last { $0.firstLSN <= lsn }, state.segments.first, state.watermarks.trimmed.next)
        }
        if let segment { return try open(segment.path) }
        guard let oldest, lsn >= first else { throw .trimmed(requested: lsn, first: first) }
        // A salvaged log that has lost its first records.
        try open(oldest.path)
        position = max(position, expected)
    }

    private func open(_ path: String) throws(LogError) {
        let file: any File
        do throws(FileSystemError) {
            file = try log.fileSystem.open(path, .read)
        } catch {
            let first = log.watermarks.trimmed.next
            // Retention was quicker.
            throw first > position ? .trimmed(requested: position, first: first) : .io(error)
        }
        let reader = try SegmentReader(path: path, file: file)
        expected = reader.header.firstLSN
        link = reader.header.link
        self.reader = reader
    }
}
