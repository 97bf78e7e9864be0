package import SpringgLog

/// A window that moves over a source from the front to the back.
///
/// Holds what the caller may still look at, one refill, and nothing else: its size does not depend on the source's.
package final class ByteWindow {
    private let source: any ByteSource
    private var buffer: UnsafeMutableRawBufferPointer
    /// Offset of the first byte in the buffer.
    private var start = 0
    private var count = 0

    /// Bytes read at once: enough to run at the speed of the page cache, few enough to stay in the processor's.
    private static let refillBytes = 512 << 10

    package init(_ source: any ByteSource) {
        self.source = source
        buffer = .allocate(byteCount: ByteWindow.refillBytes, alignment: 64)
    }

    deinit { buffer.deallocate() }

    /// True when `forget` makes sense: what was read may have changed, and can be read again.
    package var isSeekable: Bool { source.isSeekable }

    /// See `ByteSource.takeDamage`.
    package func takeDamage() -> String? { source.takeDamage() }

    /// Reads everything anew: the file may have grown.
    package func forget() {
        precondition(source.isSeekable, "a pipe cannot be read twice")
        count = 0
    }

    /// The bytes `[offset, offset + wanted)`, fewer at the end; valid until the next call.
    ///
    /// What lies before `offset` is forgotten.
    package func bytes(at offset: Int, _ wanted: Int) throws(LogError) -> UnsafeRawBufferPointer {
        if offset < start || offset + wanted > start + count { try fill(from: offset, wanted) }
        return UnsafeRawBufferPointer(buffer).part(offset - start, max(0, min(wanted, start + count - offset)))
    }

    private func fill(from offset: Int, _ wanted: Int) throws(LogError) {
        var kept = max(0, start + count - offset)
        if offset < start || kept > count {
            precondition(source.isSeekable, "a pipe cannot be read twice")
            kept = 0
        }
        // Between what is held and the offset a pipe's bytes have to be read all the same.
        if !source.isSeekable, offset > start + count { try skip(to: offset) }
        if wanted > buffer.count {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: wanted + ByteWindow.refillBytes,
                alignment: 64
            )
            larger.store(UnsafeRawBufferPointer(buffer).part(count - kept, kept), at: 0)
            buffer.deallocate()
            buffer = larger
        } else if kept > 0 {
            let rest = UnsafeRawBufferPointer(buffer).part(count - kept, kept)
            UnsafeMutableRawBufferPointer(rebasing: buffer[..<kept]).copyMemory(from: rest)
        }
        start = offset
        count = kept
        while count < wanted {
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
            let got = try source.read(at: start + count, into: room)
            if got == 0 { break }
            count += got
        }
    }

    private func skip(to offset: Int) throws(LogError) {
        while start + count < offset {
            start += count
            count = 0
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, offset - start)])
            let got = try source.read(at: start, into: part)
            if got == 0 { return }
            count = got
        }
    }
}
