import SpringgLog

/// Everything that a checkpoint has to hold, taken by the writer's thread between two batches: the maps are copies, the
/// rows are kept visible by the pin.
struct CheckpointCapture: Sendable {
    var base: LogBase
    /// The newest thing that was ever dropped from it.
    var dropped: EventVersion
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
            guard let graph = try writeGraph(name, number, capture),
                let bytes = try writeIndex(name, number, capture, order: graph.slots)
            else { return false }
            names.append(
                .init(
                    name: name.name,
                    lifetime: name.lifetime,
                    newestVersion: name.newestVersion,
                    counters: name.counters,
                    fileBytes: bytes,
                    graphBytes: graph.bytes
                )
            )
        }
        let manifest = CheckpointManifest(base: capture.base, dropped: capture.dropped, names: names).encoded()
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

    /// Writes the graph of an index, if it has one.
    ///
    /// Returns the slots of its nodes in the order in which the rows have to be written, and the size of the file; nil
    /// when cancelled.
    private func writeGraph(
        _ name: IndexRows.Capture,
        _ number: Int,
        _ capture: CheckpointCapture
    ) throws(FileSystemError) -> (slots: [UInt32], bytes: Int)? {
        guard let index = name.index, index.graph.count > 0 else { return ([], 0) }
        // No node is used for another row while this looks at the links; before the graph is taken, as walks do it.
        let walk = index.graph.walks.pin()
        defer { withExtendedLifetime(walk) {} }
        let picture = GraphPicture(of: index.graph, at: capture.pin.moment)
        guard !picture.nodes.isEmpty else { return ([], 0) }
        let path = directory + "/" + CheckpointFiles.graphFile(capture.base.lsn, number)
        var blocks = try BlockWriter(file: fileSystem.open(path, .create))
        var lists = GraphFileNode()
        for node in picture.nodes {
            if isCancelled() { return nil }
            picture.read(node, into: &lists)
            try blocks.append(lists.bytes) { lists.encode(into: $0) }
        }
        var header = CheckpointFileHeader(.graph, lsn: capture.base.lsn, entries: picture.nodes.count)
        header.M = index.graph.parameters.M
        return (picture.nodes.map(picture.graph.slot(of:)), try blocks.finish { [header] in header.encode(into: $0) })
    }

    /// Writes the rows: visible ones first, and of those the ones in `order`.
    ///
    /// Returns the size of the file; nil when cancelled.
    private func writeIndex(
        _ name: IndexRows.Capture,
        _ number: Int,
        _ capture: CheckpointCapture,
        order: [UInt32]
    ) throws(FileSystemError) -> Int? {
        let path = directory + "/" + CheckpointFiles.indexFile(capture.base.lsn, number)
        var blocks = try BlockWriter(file: fileSystem.open(path, .create))
        var digest = StateDigest()
        if let store = name.index?.store {
            for slot in slots(of: store, at: capture.pin.moment, first: order) {
                if isCancelled() { return nil }
                let version = store.version(of: slot)
                digest.insert(id: store.id(of: slot), version: version)
                let entry = StateEntry(
                    kind: .visible,
                    version: version,
                    id: store.id(of: slot),
                    vector: UnsafeRawBufferPointer(store.vector(of: slot)),
                    metadata: store.metadata(of: slot)
                )
                try blocks.append(entry.bytes) { entry.encode(into: $0) }
            }
        }
        // In a fixed order, so that the same state gives the same file.
        for (id, entry) in name.hidden.sorted(by: { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }) {
            if isCancelled() { return nil }
            try id.bytes.withBytes { id throws(FileSystemError) in
                try entry.withBytes { vector, metadata throws(FileSystemError) in
                    let entry = StateEntry(
                        kind: vector.isEmpty ? .tombstone : .hidden,
                        version: entry.version,
                        id: id,
                        vector: vector,
                        metadata: metadata
                    )
                    try blocks.append(entry.bytes) { entry.encode(into: $0) }
                }
            }
        }
        var header = CheckpointFileHeader(.rows, lsn: capture.base.lsn, entries: blocks.entries)
        header.digest = digest
        return try blocks.finish { [header] in header.encode(into: $0) }
    }

    /// The slots visible at a moment: those in `first`, in their order, and then the others.
    private func slots(of store: VectorStore, at moment: LSN, first: [UInt32]) -> [UInt32] {
        var taken = BitSet()
        for slot in first { taken.insert(Int(slot)) }
        return first + store.slots(at: moment).filter { !taken.contains(Int($0)) }
    }
}
