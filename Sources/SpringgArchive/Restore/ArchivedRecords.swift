import CZstd
package import SpringgLog

/// The records of one archived segment, one by one, decompressed as they are asked for.
///
/// Believes nothing that a checksum does not cover, and no length before it fits. Memory: a window of compressed bytes and the
/// largest record. The views of a record are valid until the next one is asked for.
package final class ArchivedRecords {
    /// Fills the buffer with compressed bytes from an offset on; returns how many, 0 at the end.
    package typealias Input = (Int, UnsafeMutableRawBufferPointer) throws -> Int

    /// Bytes of history that a frame may ask for; a few megabytes are what any level of zstd takes.
    private static let windowLog: Int32 = 23
    private static let inputBytes = 128 << 10
    /// Room for the largest record, and for what one call of the decompressor gives.
    private static let outputBytes = Frame.headerBytes + Frame.envelopeBytesMax + (256 << 10)

    private let path: String
    private let input: Input
    private let context: OpaquePointer?
    private let compressed: UnsafeMutableRawBufferPointer
    private var inputOffset = 0
    private var pending = 0..<0
    private let content: UnsafeMutableRawBufferPointer
    private var unread = 0..<0
    private var contentOffset = 0
    private var inFrame = false

    /// Prepares to read what `input` gives; `path` is for messages.
    package init(_ path: String, input: @escaping Input) {
        self.path = path
        self.input = input
        context = ZSTD_createDCtx()
        _ = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ArchivedRecords.windowLog)
        compressed = .allocate(byteCount: ArchivedRecords.inputBytes, alignment: 64)
        content = .allocate(byteCount: ArchivedRecords.outputBytes, alignment: 64)
    }

    /// Reads bytes in memory.
    package convenience init(_ path: String, _ bytes: [UInt8]) {
        self.init(path) { offset, buffer in
            let count = min(buffer.count, bytes.count - offset)
            buffer.copyBytes(from: bytes[offset..<offset + count])
            return count
        }
    }

    deinit {
        ZSTD_freeDCtx(context)
        compressed.deallocate()
        content.deallocate()
    }

    /// The next record; nil at the end.
    package func next() throws -> LogRecord? {
        guard try fill(Frame.headerBytes) else {
            guard unread.isEmpty, !inFrame else { throw damaged("it ends inside a record") }
            return nil
        }
        guard let frame = Frame(decoding: bytes(0, Frame.headerBytes)), !frame.isMarker else {
            throw damaged("the frame header is damaged")
        }
        guard try fill(frame.recordBytes) else { throw damaged("it ends inside a record") }
        let record = bytes(0, frame.recordBytes)
        let envelope = record.part(Frame.headerBytes, frame.envelopeBytes)
        switch Envelope.flaw(in: envelope) {
        case nil: break
        case .formatVersion(let version)?:
            throw LogError.newerFormat(
                segment: path,
                offset: contentOffset,
                what: "envelope format version \(version)"
            )
        case .length?, .checksum?: throw damaged("the checksum of a record does not match")
        }
        defer {
            unread = unread.lowerBound + record.count..<unread.upperBound
            contentOffset += record.count
        }
        return LogRecord(
            lsn: frame.lsn,
            offset: contentOffset,
            envelope: Envelope(checked: envelope),
            frame: frame,
            bytes: record
        )
    }

    private func bytes(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(content).part(unread.lowerBound + offset, count)
    }

    private func damaged(_ reason: String) -> ObjectStoreError {
        .damaged(at: path, "\(reason), at byte \(contentOffset) of its content")
    }

    /// Makes `count` bytes of the content available; false when there are no more.
    private func fill(_ count: Int) throws -> Bool {
        guard unread.count < count else { return true }
        let rest = UnsafeRawBufferPointer(rebasing: content[unread])
        content.copyMemory(from: rest)
        unread = 0..<rest.count
        while unread.count < count {
            if pending.isEmpty {
                let got = try input(inputOffset, compressed)
                inputOffset += got
                pending = 0..<got
            }
            let isEnd = pending.isEmpty
            var from = ZSTD_inBuffer(src: compressed.baseAddress, size: pending.upperBound, pos: pending.lowerBound)
            var to = ZSTD_outBuffer(dst: content.baseAddress, size: content.count, pos: unread.upperBound)
            let result = ZSTD_decompressStream(context, &to, &from)
            guard ZSTD_isError(result) == 0 else { throw damaged(String(cString: ZSTD_getErrorName(result))) }
            // At the end of the input the decompressor may still hold some of the content back.
            if isEnd, to.pos == unread.upperBound { return false }
            inFrame = result != 0
            pending = from.pos..<pending.upperBound
            unread = 0..<to.pos
        }
        return true
    }
}
