import CZstd
package import SpringgLog

/// The content of zstd frames, one after the other (RFC 8878).
///
/// Where a frame is damaged the content goes on, 8-byte aligned, with the next frame that can be found.
package final class ZstdSource: ByteSource {
    private let source: any ByteSource
    private let context: OpaquePointer?
    private let input: UnsafeMutableRawBufferPointer
    private var inputStart = 0
    private var inputCount = 0
    /// Offset in the compressed bytes behind what is in `input`.
    private var inputOffset = 0
    private var outputOffset = 0
    private var inFrame = false
    private var damage: String?

    /// First bytes of a zstd frame, as an integer.
    package static let magic: UInt32 = 0xFD2F_B528
    /// Bytes of history that a frame may ask for: 128 MiB would pass for a log, 8 MiB is what `zstd -19` takes, and what
    /// RFC 8878 recommends to support.
    private static let windowLog: Int32 = 23

    package init(_ source: any ByteSource) {
        self.source = source
        context = ZSTD_createDCtx()
        _ = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZstdSource.windowLog)
        input = .allocate(byteCount: 128 << 10, alignment: 64)
    }

    deinit {
        ZSTD_freeDCtx(context)
        input.deallocate()
    }

    package var isSeekable: Bool { false }

    package func takeDamage() -> String? {
        defer { damage = nil }
        return damage
    }

    package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(LogError) -> Int {
        while true {
            if inputStart == inputCount { try refill() }
            if inputStart == inputCount {
                if inFrame, damage == nil { note("the compressed bytes end inside a frame") }
                inFrame = false
                return 0
            }
            var from = ZSTD_inBuffer(src: input.baseAddress, size: inputCount, pos: inputStart)
            var to = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
            let result = ZSTD_decompressStream(context, &to, &from)
            inputStart = from.pos
            guard ZSTD_isError(result) == 0 else {
                note(String(cString: ZSTD_getErrorName(result)))
                return try passDamage(to.pos, buffer)
            }
            inFrame = result != 0
            outputOffset += to.pos
            if to.pos > 0 { return to.pos }
        }
    }

    private func note(_ reason: String) {
        damage = "\(reason), near offset \(inputOffset - inputCount + inputStart) of the compressed bytes"
    }

    /// Ends what the damaged frame gave with zeros up to the next multiple of eight, and looks for the next frame.
    private func passDamage(_ produced: Int, _ buffer: UnsafeMutableRawBufferPointer) throws(LogError) -> Int {
        ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
        inFrame = false
        outputOffset += produced
        let padding = min(padded(outputOffset) - outputOffset, buffer.count - produced)
        for place in produced..<produced + padding { buffer[place] = 0 }
        outputOffset += padding
        // The frame that failed begins with the magic too: one byte on.
        inputStart = min(inputCount, inputStart + 1)
        while try !skipToMagic() {}
        return produced + padding > 0 ? produced + padding : try read(at: outputOffset, into: buffer)
    }

    /// Drops input up to the next magic; true when it stands there or the input has ended.
    private func skipToMagic() throws(LogError) -> Bool {
        while inputCount - inputStart >= 4 {
            if UnsafeRawBufferPointer(input).integer(UInt32.self, at: inputStart) == ZstdSource.magic { return true }
            inputStart += 1
        }
        // A magic may lie across the refill.
        let kept = inputCount - inputStart
        let rest = UnsafeRawBufferPointer(input).part(inputStart, kept)
        UnsafeMutableRawBufferPointer(rebasing: input[..<kept]).copyMemory(from: rest)
        inputStart = 0
        inputCount = kept
        let room = UnsafeMutableRawBufferPointer(rebasing: input[kept...])
        let got = try source.read(at: inputOffset, into: room)
        inputOffset += got
        inputCount += got
        if got == 0 { inputStart = inputCount }
        return got == 0
    }

    private func refill() throws(LogError) {
        inputStart = 0
        inputCount = try source.read(at: inputOffset, into: input)
        inputOffset += inputCount
    }
}
