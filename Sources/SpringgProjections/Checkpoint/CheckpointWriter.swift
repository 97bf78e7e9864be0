import SpringgLog

/// Everything that a checkpoint has to hold, taken by the writer's thread between two batches: the maps are copies, the
/// rows are kept visible by the pin.
struct CheckpointCapture: Sendable {
    var base: LogBase
    var names: [IndexRows.Capture]
    var pin: ReadEpochs.Pin
}

/// Writes checkpoints while the database goes on.
struct CheckpointWriter {
    private let directory: String
    private let fileSystem: any FileSystem
    /// Asked now and then; true ends the work, and what was written is removed at the next start.
    private let isCancelled: () -> Bool

    init(directory: String, fileSystem: any FileSystem, isCancelled: @escaping () -> Bool) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.isCancelled = isCancelled
    }

    /// Writes a checkpoint; it exists, durably, once this returns true.
    func write(_ capture: CheckpointCapture) throws(FileSystemError) -> Bool {
        try fileSystem.createDirectory(directory)
        var names: [CheckpointManifest.Name] = []
        for (number, name) in capture.names.enumerated() {
            let path = directory + "/" + CheckpointFiles.indexFile(capture.base.lsn, number)
            guard let bytes = try writeIndex(name, capture, to: path) else { return false }
            names.append(
                .init(
                    name: name.name,
                    lifetime: name.lifetime,
                    newestVersion: name.newestVersion,
                    counters: name.counters,
                    fileBytes: bytes
                )
            )
        }
        let manifest = CheckpointManifest(base: capture.base, names: names).encoded()
        let path = directory + "/" + CheckpointFiles.manifest(capture.base.lsn)
        let file = try fileSystem.open(path + CheckpointFiles.unfinished, .create)
        try manifest.withBytes { bytes throws(FileSystemError) in try file.write(bytes, at: 0) }
        try file.sync()
        // The names of the index files must be there before the manifest's is.
        try fileSystem.syncDirectory(directory)
        try fileSystem.rename(path + CheckpointFiles.unfinished, to: path)
        try fileSystem.syncDirectory(directory)
        return true
    }

    /// Returns the size of the file; nil when cancelled.
    private func writeIndex(
        _ name: IndexRows.Capture,
        _ capture: CheckpointCapture,
        to path: String
    ) throws(FileSystemError) -> Int? {
        var blocks = try BlockWriter(file: fileSystem.open(path, .create))
        var digest = StateDigest()
        if let store = name.index?.store {
            for slot in store.slots(at: capture.pin.moment) {
                if isCancelled() { return nil }
                let version = store.version(of: slot)
                digest.insert(id: store.id(of: slot), version: version)
                try blocks.append(
                    CheckpointEntry(
                        kind: .visible,
                        version: version,
                        id: store.id(of: slot),
                        vector: UnsafeRawBufferPointer(store.vector(of: slot)),
                        metadata: store.metadata(of: slot)
                    )
                )
            }
        }
        // In a fixed order, so that the same state gives the same file.
        for (id, entry) in name.hidden.sorted(by: { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }) {
            if isCancelled() { return nil }
            try id.bytes.withBytes { id throws(FileSystemError) in
                try entry.withBytes { vector, metadata throws(FileSystemError) in
                    try blocks.append(
                        CheckpointEntry(
                            kind: vector.isEmpty ? .tombstone : .hidden,
                            version: entry.version,
                            id: id,
                            vector: vector,
                            metadata: metadata
                        )
                    )
                }
            }
        }
        return try blocks.finish(lsn: capture.base.lsn, digest: digest)
    }
}

/// Gathers entries into checksummed blocks behind the header of an index file.
private struct BlockWriter {
    /// A block is written once it has so many bytes.
    private static let blockBytes = 1 << 20

    /// So many bytes are handed to the disk at once: a sync of the log may have to wait for them.
    private static let unsyncedBytesMax = 8 << 20

    private let file: any File
    private var unsyncedBytes = 0
    private var offset = IndexFileHeader.bytes
    private var block: [UInt8] = []
    private var entries = 0

    init(file: any File) throws(FileSystemError) {
        self.file = file
        block.reserveCapacity(BlockWriter.blockBytes + (256 << 10))
        block.append(contentsOf: repeatElement(0, count: 8))
    }

    mutating func append(_ entry: CheckpointEntry) throws(FileSystemError) {
        let start = block.count
        block.append(contentsOf: repeatElement(0, count: entry.bytes))
        block.withUnsafeMutableBytes { entry.encode(into: UnsafeMutableRawBufferPointer(rebasing: $0[start...])) }
        entries += 1
        if block.count >= BlockWriter.blockBytes { try writeBlock() }
    }

    private mutating func writeBlock() throws(FileSystemError) {
        block.withUnsafeMutableBytes { block in
            block.store(UInt32(block.count - 8), at: 0)
            let payload = UnsafeRawBufferPointer(rebasing: block[8...])
            block.store(Checksum.crc32c(payload), at: 4)
        }
        try block.withBytes { bytes throws(FileSystemError) in try file.write(bytes, at: offset) }
        offset += block.count
        unsyncedBytes += block.count
        block.removeSubrange(8...)
        if unsyncedBytes >= BlockWriter.unsyncedBytesMax {
            try file.sync()
            unsyncedBytes = 0
        }
    }

    /// Writes the last block, the end and the header; durable on return.
    ///
    /// Returns the size of the file.
    mutating func finish(lsn: LSN, digest: StateDigest) throws(FileSystemError) -> Int {
        if block.count > 8 { try writeBlock() }
        try writeBlock()
        var header = [UInt8](repeating: 0, count: IndexFileHeader.bytes)
        header.withUnsafeMutableBytes { out in
            IndexFileHeader(lsn: lsn, entries: entries, digest: digest).encode(into: out)
        }
        try header.withBytes { bytes throws(FileSystemError) in try file.write(bytes, at: 0) }
        try file.sync()
        return offset
    }
}
