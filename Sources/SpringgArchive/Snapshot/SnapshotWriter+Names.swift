import SpringgLog
import SpringgProjections

extension SnapshotWriter {
    /// The blocks of all names of one snapshot on their way to the store.
    final class Writing {
        /// A name whose blocks have been added and are not known yet.
        private struct Draft {
            var name: SnapshotManifest.Name
            var leaves: [(bucket: Bucket, entries: Int)] = []
            /// Blocks of a graph that is written anew.
            var graphBlocks = 0
        }

        private let capture: StateCapture
        private let previous: SnapshotManifest?
        private let blocks: BlockStore
        private let uploads: Uploads<BlockStore.Stored>
        private let progress: (SnapshotProgress) -> Void
        private var drafts: [Draft] = []
        private var done = SnapshotProgress()

        init(
            _ capture: StateCapture,
            beside previous: SnapshotManifest?,
            _ blocks: BlockStore,
            uploads: Int,
            _ progress: @escaping (SnapshotProgress) -> Void
        ) {
            self.capture = capture
            self.previous = previous
            self.blocks = blocks
            self.uploads = Uploads(width: uploads)
            self.progress = progress
        }

        func close() { uploads.close() }

        /// Adds the rows and the graph of the name at `position` of the capture.
        func add(_ state: StateName, at position: Int) throws {
            var draft = Draft(name: .init(state: state, digest: StateDigest(), rows: 0, blocks: []))
            var old: SnapshotManifest.Graph?
            if let before = previous?.names.first(where: { $0.state.name == state.name }),
                before.state.creations.first == state.creations.first
            {
                old = before.graph
            }
            let older = try addRows(capture.entries(position), &draft, notAfter: old?.until)
            try addGraph(position, &draft, old, older: older)
            drafts.append(draft)
        }

        /// Returns how many of the visible rows have no higher clock reading than `until`.
        private func addRows(_ entries: StateCapture.Entries, _ draft: inout Draft, notAfter until: HLC?) throws -> Int
        {
            done.entriesTotal += entries.count
            let order = (0..<entries.count)
                .map { number in (hash: entries.withEntry(number) { Checksum.hash64($0.id) }, number: number) }
                .sorted { $0.hash < $1.hash }
            var bytes = [0]
            bytes.reserveCapacity(order.count + 1)
            for (_, number) in order {
                bytes.append(bytes[bytes.count - 1] + entries.withEntry(number) { SnapshotBlock.bytes(of: $0) })
            }
            let leaves = BucketTrie.leaves(
                hashes: order.map(\.hash),
                bytes: bytes,
                bytesMax: SnapshotBlock.bytesMax - SnapshotBlock.headerBytes
            )
            var builder = SnapshotBlock.Builder()
            var older = 0
            for leaf in leaves {
                let byID = order[leaf.range]
                    .map { (id: entries.withEntry($0.number) { Array($0.id) }, number: $0.number) }
                    .sorted { $0.id.lexicographicallyPrecedes($1.id) }
                for (_, number) in byID {
                    entries.withEntry(number) { entry in
                        if entry.kind == .visible {
                            draft.name.digest.insert(id: entry.id, version: entry.version)
                            draft.name.rows += 1
                            if let until, entry.version.hlc <= until { older += 1 }
                        }
                        builder.append(entry)
                    }
                }
                let content = builder.finish()
                guard content.count <= SnapshotBlock.contentBytesMax else {
                    throw SnapshotError.unfit("\(byID.count) ids of \(draft.name.state.name) have the same hash")
                }
                try uploads.add { [blocks] in try blocks.put(content) }
                draft.leaves.append((leaf.bucket, byID.count))
                done.entriesDone += byID.count
                progress(done)
            }
            return older
        }

        /// Takes over the graph of the snapshot before as long as it will do, or else adds the one that the index has now.
        private func addGraph(
            _ position: Int,
            _ draft: inout Draft,
            _ old: SnapshotManifest.Graph?,
            older: Int
        ) throws {
            let linked = capture.rowsLinked(position)
            if let old, old.blocks.allSatisfy({ blocks.holds($0.hash, bytes: $0.storedBytes) }),
                !old.isOutdated(linked: linked, rows: draft.name.rows, older: older)
            {
                draft.name.graph = old
                return
            }
            guard let graph = capture.graph(position) else { return }
            try graph.forEachBlock(bytes: SnapshotBlock.bytesMax) { content in
                try uploads.add { [blocks] in try blocks.put(content) }
                draft.graphBlocks += 1
            }
            draft.name.graph = .init(M: graph.M, nodes: graph.nodes, until: capture.base.highestHLC, blocks: [])
        }

        /// Waits until everything is stored.
        func finish() throws -> ([SnapshotManifest.Name], SnapshotReport) {
            var stored = try uploads.finish()[...]
            var report = SnapshotReport()
            let names = drafts.map { draft in
                var name = draft.name
                for leaf in draft.leaves {
                    let block = stored.removeFirst()
                    name.blocks.append(
                        .init(
                            bucket: leaf.bucket,
                            hash: block.hash,
                            storedBytes: block.bytes,
                            contentBytes: block.contentBytes,
                            entries: leaf.entries
                        )
                    )
                    report.blocks += 1
                    report.bytes += block.bytes
                    report.contentBytes += block.contentBytes
                    report.blocksWritten += block.isNew ? 1 : 0
                    report.bytesWritten += block.isNew ? block.bytes : 0
                }
                for block in stored.prefix(draft.graphBlocks) {
                    name.graph?.blocks.append(
                        .init(hash: block.hash, storedBytes: block.bytes, contentBytes: block.contentBytes)
                    )
                    report.graphBytesWritten += block.isNew ? block.bytes : 0
                }
                stored.removeFirst(draft.graphBlocks)
                report.graphBytes += name.graph?.blocks.reduce(0) { $0 + $1.storedBytes } ?? 0
                return name
            }
            return (names, report)
        }
    }
}

extension SnapshotManifest.Graph {
    /// Of the rows, the share that a new graph has to know, or to be rid of, to be worth its upload: until then a restore links so many.
    private static let worthwhileShare = 8

    /// Whether a graph of `linked` rows is worth its upload, given that `older` of the `rows` visible ones may be in this one.
    package func isOutdated(linked: Int, rows: Int, older: Int) -> Bool {
        let usable = min(nodes, older)
        guard GraphAssembly.isWorthwhile(nodes: nodes, rows: usable) else { return true }
        // One that a node has only begun to build would be a poor exchange.
        guard linked >= usable else { return false }
        return (linked - usable + nodes - usable) * Self.worthwhileShare > rows
    }
}
