import Glibc
public import SpringgLog

/// The bytes of an object on their way to the store; can be read again and again, as retries need it.
public enum ObjectBody: Sendable {
    /// Bytes in memory.
    case bytes([UInt8])
    /// A part of a file, which must stay as it is until the call returns.
    case file(any File, Range<Int>)

    /// How many there are.
    public var count: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .file(_, let range): range.count
        }
    }

    /// Fills `buffer` with the bytes from `offset` on; there must be as many.
    /// - Throws: an error with `code == EIO` when the file has become shorter.
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(FileSystemError) {
        precondition(offset >= 0 && offset + buffer.count <= count, "read beyond the body: \(offset)+\(buffer.count)")
        switch self {
        case .bytes(let bytes):
            bytes.withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count]))
            }
        case .file(let file, let range):
            guard try file.read(at: range.lowerBound + offset, into: buffer) == buffer.count else {
                throw FileSystemError(operation: "read", path: "of a file that became shorter", code: EIO)
            }
        }
    }

    /// Calls `consume` with the bytes of `range`, piece by piece.
    func forEachPiece<Failure: Error>(
        of range: Range<Int>,
        _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void,
        orThrow wrap: (FileSystemError) -> Failure
    ) throws(Failure) {
        // Large enough to make calls rare, small enough to stay in the processor's cache.
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: min(range.count, 1 << 18), alignment: 64)
        defer { piece.deallocate() }
        var offset = range.lowerBound
        while offset < range.upperBound {
            let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(piece.count, range.upperBound - offset)])
            do throws(FileSystemError) { try read(at: offset, into: part) } catch { throw wrap(error) }
            try consume(UnsafeRawBufferPointer(part))
            offset += part.count
        }
    }
}
