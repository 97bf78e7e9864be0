import Glibc

/// Memory for the chunks of rows and graphs, taken from the system in large pieces, so that it can lie in huge pages: a walk jumps
/// about, and with pages of 4 KiB the processor looks up where a page lies as often as what is in it.
///
/// Not for several threads at once.
struct PageArena: ~Copyable {
    /// Whether to ask for huge pages: where memory is scattered the kernel takes milliseconds to make room for one, and whoever
    /// touches it first waits.
    private var isHuge: Bool
    private var pieces: [UnsafeMutableRawPointer] = []
    private var used = PageArena.pieceBytes

    /// What is taken at once: address space, of which only what is written to becomes memory.
    private static let pieceBytes = 64 << 20
    /// Huge pages of x86-64 and most of ARM.
    private static let hugePageBytes = 2 << 20

    init(isHuge: Bool) { self.isHuge = isHuge }

    deinit {
        for piece in pieces { munmap(piece, PageArena.pieceBytes) }
    }

    /// Decides about what is touched for the first time from here on; what lies in a huge page stays there.
    mutating func setHuge(_ isHuge: Bool) {
        guard isHuge != self.isHuge else { return }
        self.isHuge = isHuge
        // Also of what was given out and has not been touched.
        if let piece = pieces.last { madvise(piece, PageArena.pieceBytes, isHuge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) }
    }

    /// Bytes on a page boundary, all zero, until the arena goes; nil when the system has none.
    mutating func take(_ bytes: Int) -> UnsafeMutableRawPointer? {
        precondition(bytes <= PageArena.pieceBytes, "a chunk of \(bytes) bytes")
        if used + bytes > PageArena.pieceBytes {
            guard let piece = PageArena.map(isHuge: isHuge) else { return nil }
            pieces.append(piece)
            used = 0
        }
        guard let piece = pieces.last else { return nil }
        defer { used += (bytes + 4095) & ~4095 }
        return piece + used
    }

    private static func map(isHuge: Bool) -> UnsafeMutableRawPointer? {
        let all = pieceBytes + hugePageBytes
        guard
            let start = mmap(nil, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
            start != MAP_FAILED
        else { return nil }
        let before = -Int(bitPattern: start) & (hugePageBytes - 1)
        if before > 0 { munmap(start, before) }
        let piece = start + before
        if before < hugePageBytes { munmap(piece + pieceBytes, hugePageBytes - before) }
        // Refused where the system has none: walks are slower then.
        if isHuge { madvise(piece, pieceBytes, MADV_HUGEPAGE) }
        return piece
    }
}
