/// One record as it stands in a segment; the views are valid until the reader moves on.
public struct LogRecord {
    /// Its position in this log.
    public let lsn: LSN
    /// Byte offset of its frame in the segment.
    public let offset: Int
    /// The event.
    public let envelope: Envelope
    package let frame: Frame
    /// Frame and envelope.
    package let bytes: UnsafeRawBufferPointer

    package init(lsn: LSN, offset: Int, envelope: Envelope, frame: Frame, bytes: UnsafeRawBufferPointer) {
        self.lsn = lsn
        self.offset = offset
        self.envelope = envelope
        self.frame = frame
        self.bytes = bytes
    }

    /// Bytes in the segment, frame included.
    public var recordBytes: Int { bytes.count }
}

/// Reads the records of one segment in order and says exactly why it cannot go on.
///
/// Each record is checked alone (its checksums) and in its place (LSN, link), so that a reader can also be set behind a
/// bad record. What the findings mean (torn or corrupt) is for `TailVerdict` to say.
package final class SegmentReader {
    package enum Step {
        case record(LogRecord)
        case marker(Frame, offset: Int)
        /// Zeros stand where the next frame would: the end of what was written, unless something follows.
        case zeros(offset: Int)
        /// No frame fits before the end of the file.
        case endOfFile(offset: Int)
        case damaged(Flaw)
    }

    /// Why the bytes at `offset` are no record.
    package struct Flaw: Equatable {
        package var offset: Int
        package var reason: String
        /// Bytes the record should have: from its header when that is intact, else the header alone.
        package var extent: Int
        /// Set when the bytes are intact but written by a newer version.
        package var newerFormat = false
    }

    package let path: String
    package let header: SegmentHeader
    /// Size of the file as it is, which may differ from `header.fileBytes` when someone cut it.
    package private(set) var fileBytes: Int
    /// Where the next frame is expected.
    package private(set) var position: Int
    private let file: any File

    // A window of the file. Grown when a record does not fit, never beyond the largest record plus one refill.
    private var window: UnsafeMutableRawBufferPointer
    private var windowStart = 0
    private var windowCount = 0

    /// Bytes read at once: enough that a scan runs at the speed of the page cache.
    private static let windowBytes = 1 << 20

    package init(path: String, file: any File) throws(LogError) {
        self.path = path
        self.file = file
        var size = 0
        header = try withUnsafeTemporaryBytes(SegmentHeader.bytes) { buffer throws(LogError) in
            let count = try Log.io { () throws(FileSystemError) in
                size = try file.size()
                return try file.read(at: 0, into: buffer)
            }
            do throws(SegmentHeader.Flaw) {
                return try SegmentHeader(decoding: UnsafeRawBufferPointer(buffer).part(0, count))
            } catch .formatVersion(let version) {
                throw .newerFormat(segment: path, offset: 8, what: "segment format version \(version)")
            } catch {
                let lsn = SegmentHeader.firstLSN(fileName: String(path.suffix(24))) ?? .zero
                throw .corrupt(LogDamage(segment: path, offset: 0, lsn: lsn, reason: "the segment header is damaged"))
            }
        }
        fileBytes = size
        position = SegmentHeader.bytes
        window = .allocate(byteCount: SegmentReader.windowBytes, alignment: 4096)
    }

    deinit { window.deallocate() }

    /// Continues at another offset.
    package func seek(to offset: Int) { position = offset }

    /// Forgets what was read ahead: the file may have grown records since.
    package func refresh() throws(LogError) {
        windowCount = 0
        fileBytes = try Log.io { () throws(FileSystemError) in try file.size() }
    }

    /// The bytes `[offset, offset + count)`, fewer at the end of the file; valid until the next call.
    package func bytes(at offset: Int, _ count: Int) throws(LogError) -> UnsafeRawBufferPointer {
        if offset < windowStart || offset + count > windowStart + windowCount {
            if count > window.count {
                window.deallocate()
                window = .allocate(byteCount: count + SegmentReader.windowBytes, alignment: 4096)
            }
            windowStart = offset
            windowCount = 0
            windowCount = try Log.io { () throws(FileSystemError) in try file.read(at: offset, into: window) }
        }
        return UnsafeRawBufferPointer(window).part(
            offset - windowStart,
            max(0, min(count, windowStart + windowCount - offset))
        )
    }

    /// Reads what stands at `position`, which must be record `lsn` linked to its predecessor by `link`.
    package func next(expecting lsn: LSN, link: UInt32) throws(LogError) -> Step {
        let headerBytes = try bytes(at: position, Frame.headerBytes)
        guard headerBytes.count == Frame.headerBytes else {
            // A rest too short for a header is the end; zeros may fill it.
            return headerBytes.isAllZero
                ? .endOfFile(offset: position) : damaged("the file ends inside a frame header", Frame.headerBytes)
        }
        guard let frame = Frame(decoding: headerBytes) else {
            return headerBytes.isAllZero
                ? .zeros(offset: position) : damaged("the frame header is damaged", Frame.headerBytes)
        }
        if frame.isMarker {
            guard frame.lsn == lsn.previous, frame.link == link else {
                return damaged("a marker of LSN \(frame.lsn) stands where LSN \(lsn) should", Frame.headerBytes)
            }
            let offset = position
            position += Frame.headerBytes
            return .marker(frame, offset: offset)
        }
        guard frame.lsn == lsn else {
            return damaged("record \(frame.lsn) stands where \(lsn) should", frame.recordBytes)
        }
        guard frame.link == link else {
            return damaged("the record does not continue the one before it", frame.recordBytes)
        }
        let record = try bytes(at: position, frame.recordBytes)
        guard record.count == frame.recordBytes else {
            return damaged("the file ends inside the record", frame.recordBytes)
        }
        let envelope = UnsafeRawBufferPointer(rebasing: record[Frame.headerBytes...])
        switch Envelope.flaw(in: envelope) {
        case .length?: return damaged("the lengths in the record contradict each other", frame.recordBytes)
        case .checksum?: return damaged("the checksum of the record does not match", frame.recordBytes)
        case .formatVersion(let version)?:
            var step = Flaw(offset: position, reason: "envelope format version \(version)", extent: frame.recordBytes)
            step.newerFormat = true
            return .damaged(step)
        case nil: break
        }
        let found = LogRecord(
            lsn: lsn,
            offset: position,
            envelope: Envelope(checked: envelope),
            frame: frame,
            bytes: record
        )
        position += frame.recordBytes
        return .record(found)
    }

    private func damaged(_ reason: String, _ extent: Int) -> Step {
        .damaged(Flaw(offset: position, reason: reason, extent: extent))
    }

    /// The next frame at or behind `offset` whose header is intact, wherever it stands: how a reader gets past a bad record.
    package func intactFrame(from offset: Int) throws(LogError) -> (offset: Int, frame: Frame)? {
        var offset = padded(offset)
        while offset + Frame.headerBytes <= fileBytes {
            let chunk = try bytes(at: offset, min(SegmentReader.windowBytes, fileBytes - offset))
            guard chunk.count >= Frame.headerBytes else { return nil }
            var place = 0
            while place + Frame.headerBytes <= chunk.count {
                if chunk.integer(UInt32.self, at: place) == Frame.magic,
                    let frame = Frame(decoding: chunk.part(place, Frame.headerBytes))
                {
                    return (offset + place, frame)
                }
                place += 8
            }
            offset += place
        }
        return nil
    }
}
