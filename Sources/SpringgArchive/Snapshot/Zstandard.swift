import CZstd

/// Compression of whole buffers by libzstd.
package enum Zstandard {
    /// The fastest level: embeddings hardly compress, and higher ones gain nothing with them.
    private static let level: Int32 = 1

    /// One frame that names the size of its content.
    package static func compress(_ content: [UInt8]) -> [UInt8] {
        var count = 0
        let frame = [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(content.count)) { out, initialized in
            count = ZSTD_compress(out.baseAddress, out.count, content, content.count, level)
            initialized = ZSTD_isError(count) == 0 ? count : 0
        }
        // The only failure of this call is a room that is too small, and the bound rules it out.
        precondition(ZSTD_isError(count) == 0, "zstd: \(String(cString: ZSTD_getErrorName(count)))")
        return frame
    }

    /// The content of a frame, which must have exactly `bytes`; nil when it is none or has another size.
    package static func decompress(_ frame: [UInt8], bytes: Int) -> [UInt8]? {
        guard ZSTD_getFrameContentSize(frame, frame.count) == UInt64(bytes) else { return nil }
        var count = 0
        let content = [UInt8](unsafeUninitializedCapacity: max(bytes, 1)) { out, initialized in
            count = ZSTD_decompress(out.baseAddress, bytes, frame, frame.count)
            initialized = ZSTD_isError(count) == 0 ? count : 0
        }
        return count == bytes ? content : nil
    }
}
