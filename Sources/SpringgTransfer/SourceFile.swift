import CSpringg
import Glibc
import SpringgLog

/// A file read from front to back through one buffer, and here and there beside it.
///
/// The buffer is as large as the largest piece that a caller may ask for, whatever the file's size; nothing is believed of
/// the file but what `size` said when it was opened.
final class SourceFile {
    let path: String
    let size: Int
    private let file: any File
    private let buffer: UnsafeMutableRawBufferPointer
    /// Bytes of the buffer that hold what stands at `offset` in the file.
    private var unread = 0..<0
    /// Where the next byte comes from.
    private(set) var offset = 0
    /// Lines that were begun, for files of lines.
    private(set) var line = 0

    /// Opens a file; `pieceBytesMax` is the largest piece that will be asked for.
    init(_ path: String, pieceBytesMax: Int, fileSystem: any FileSystem) throws(FileSystemError) {
        self.path = path
        file = try fileSystem.open(path, .read)
        size = try file.size()
        // A read reaches for more than a piece, so that small pieces cost few calls.
        buffer = .allocate(byteCount: max(pieceBytesMax, SourceFile.readBytes), alignment: 64)
    }

    deinit { buffer.deallocate() }

    private static let readBytes = 1 << 20

    var bytesLeft: Int { size - offset }

    var place: SourcePlace { SourcePlace(path: path, offset: offset, line: nil) }

    /// Takes exactly `count` bytes, which are valid until the next call; nil when the file ends before.
    func take(_ count: Int) throws(FileSystemError) -> UnsafeRawBufferPointer? {
        precondition((0...buffer.count).contains(count), "a piece of \(count) bytes, \(buffer.count) at most")
        if unread.count < count { try fill() }
        guard unread.count >= count else { return nil }
        let piece = UnsafeRawBufferPointer(rebasing: buffer[unread.lowerBound..<unread.lowerBound + count])
        skipBuffered(count)
        return piece
    }

    /// The next byte, which stays; nil at the end.
    func peekByte() throws(FileSystemError) -> UInt8? {
        if unread.isEmpty { try fill() }
        return unread.isEmpty ? nil : buffer[unread.lowerBound]
    }

    /// Moves on by `count` bytes without looking at them.
    func skip(_ count: Int) {
        guard count > unread.count else { return skipBuffered(count) }
        offset += count
        unread = 0..<0
    }

    private func skipBuffered(_ count: Int) {
        offset += count
        unread = unread.lowerBound + count..<unread.upperBound
    }

    /// Moves what is unread to the front and reads more behind it.
    private func fill() throws(FileSystemError) {
        guard let base = buffer.baseAddress else { return }
        memmove(base, base + unread.lowerBound, unread.count)
        unread = 0..<unread.count
        // Nothing beyond the size that was seen: a file that grows meanwhile is read as it was.
        let room = min(buffer.count - unread.count, size - offset - unread.count)
        guard room > 0 else { return }
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[unread.upperBound..<unread.upperBound + room])
        unread = 0..<unread.count + (try file.read(at: offset + unread.count, into: part))
    }

    /// Reads `bytes.count` bytes at `offset`, beside the way from front to back; false when the file ends before.
    func read(at offset: Int, into bytes: UnsafeMutableRawBufferPointer) throws(FileSystemError) -> Bool {
        try file.read(at: offset, into: bytes) == bytes.count
    }

    /// A line of a file of lines.
    enum Line {
        /// Its bytes without the line feed, valid until the next call.
        case line(UnsafeRawBufferPointer, SourcePlace)
        /// It is longer than the largest piece, and was passed over.
        case tooLong(SourcePlace)
        case end
    }

    /// Takes a line; the last one may lack its line feed.
    func takeLine() throws(FileSystemError) -> Line {
        guard offset < size else { return .end }
        line += 1
        let place = SourcePlace(path: path, offset: offset, line: line)
        if let bytes = try lineInBuffer() { return .line(bytes, place) }
        try fill()
        if let bytes = try lineInBuffer() { return .line(bytes, place) }
        if offset + unread.count >= size || unread.count < buffer.count {
            // The last one, or the file has become shorter: what is here is all there is.
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[unread])
            offset = size
            unread = 0..<0
            return .line(bytes, place)
        }
        while unread.count > 0 {
            if try lineInBuffer() != nil { return .tooLong(place) }
            skipBuffered(unread.count)
            try fill()
        }
        offset = size
        return .tooLong(place)
    }

    private func lineInBuffer() throws(FileSystemError) -> UnsafeRawBufferPointer? {
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[unread])
        guard let base = bytes.baseAddress, let feed = memchr(base, 0x0A, bytes.count) else { return nil }
        let length = UnsafeRawPointer(feed) - base
        skipBuffered(length + 1)
        return UnsafeRawBufferPointer(rebasing: bytes[..<length])
    }
}
