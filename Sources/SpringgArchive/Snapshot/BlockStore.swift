import SpringgLog

/// Stores contents as blocks, those that are there already excepted; from any thread.
struct BlockStore: Sendable {
    /// How a block is spoken of.
    struct Stored: Sendable {
        var hash: ContentHash
        var bytes: Int
        var contentBytes: Int
        /// Whether it was not there.
        var isNew: Bool
    }

    let store: any ObjectStore
    let doomed: Doomed
    /// Key and size of each block that was there at the beginning.
    let known: Set<String>

    func put(_ content: [UInt8]) throws -> Stored {
        let frame = doomed.rename(Zstandard.compress(content))
        let hash = ContentHash(of: frame)
        let key = try SnapshotManifest.blockKey(hash)
        // One of another size is damaged, and replaced.
        let isNew = !known.contains("\(key) \(frame.count)")
        if isNew { try store.put(key, bytes: frame) }
        return Stored(hash: hash, bytes: frame.count, contentBytes: content.count, isNew: isNew)
    }

    /// Whether a block can be used by its name, without its content.
    func holds(_ hash: ContentHash, bytes: Int) -> Bool {
        guard !doomed.blocks.contains(hash), let key = try? SnapshotManifest.blockKey(hash) else { return false }
        return known.contains("\(key) \(bytes)")
    }
}

/// Names of blocks that are being removed, and how a block gets another one.
struct Doomed: Sendable {
    let blocks: Set<ContentHash>
    let salt: UInt64

    /// The same content under a name that nobody removes: with a frame behind it that decompressors skip (RFC 8878, 3.1.2).
    func rename(_ frame: [UInt8]) -> [UInt8] {
        guard !blocks.isEmpty, blocks.contains(ContentHash(of: frame)) else { return frame }
        var skipped = [UInt8](repeating: 0, count: 16)
        skipped.withUnsafeMutableBytes { bytes in
            bytes.store(UInt32(0x184D_2A50), at: 0)
            bytes.store(UInt32(8), at: 4)
            bytes.store(salt, at: 8)
        }
        return frame + skipped
    }
}
