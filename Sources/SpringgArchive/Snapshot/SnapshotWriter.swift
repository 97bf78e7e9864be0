package import SpringgLog
package import SpringgProjections

/// How far a long operation on a snapshot has come.
package struct SnapshotProgress: Sendable {
    /// Rows and tombstones done.
    package var entriesDone = 0
    /// Of how many.
    package var entriesTotal = 0
}

/// What writing a snapshot took.
package struct SnapshotReport: Sendable {
    /// Its name.
    package var id = ""
    /// Blocks that it consists of.
    package var blocks = 0
    /// Of those, the ones that the store did not have.
    package var blocksWritten = 0
    /// Bytes of all its blocks, as stored.
    package var bytes = 0
    /// Bytes of the blocks that were written.
    package var bytesWritten = 0
    /// Bytes of the manifest.
    package var manifestBytes = 0
    /// Bytes of rows before compression.
    package var contentBytes = 0
}

/// Writes the state of one moment to an object store: the blocks that it lacks, and then the manifest.
///
/// Needs 24 bytes a row of one name beside one block. What an interrupted call leaves are blocks that no manifest names;
/// the next one uses them.
package struct SnapshotWriter {
    private let store: any ObjectStore
    private let progress: (SnapshotProgress) -> Void

    package init(to store: any ObjectStore, progress: @escaping (SnapshotProgress) -> Void = { _ in }) {
        self.store = store
        self.progress = progress
    }

    /// Writes a snapshot; it exists, durably, when this returns.
    ///
    /// `origin` is whose log the state was taken from, `newest` the version of the newest event in it.
    package func write(
        _ capture: StateCapture,
        origin: OriginID,
        newest: EventVersion
    ) throws(SnapshotError) -> (manifest: SnapshotManifest, report: SnapshotReport) {
        var report = SnapshotReport()
        var known = try knownBlocks()
        var manifest = SnapshotManifest(
            origin: origin,
            heads: capture.base.heads,
            highestHLC: capture.base.highestHLC,
            newest: newest,
            names: []
        )
        var done = SnapshotProgress()
        let names = capture.names
        let order = names.indices.sorted { names[$0].name.utf8.lexicographicallyPrecedes(names[$1].name.utf8) }
        for position in order {
            let entries = capture.entries(position)
            done.entriesTotal += entries.count
            manifest.names.append(try write(names[position], entries, &known, &report, &done))
        }
        let bytes = try manifest.encoded()
        report.id = manifest.id
        report.manifestBytes = bytes.count
        do throws(ObjectStoreError) {
            try store.put(SnapshotManifest.key(manifest.id), bytes: bytes)
        } catch {
            throw .store(error)
        }
        return (manifest, report)
    }

    /// Names of the blocks that the store has.
    private func knownBlocks() throws(SnapshotError) -> Set<String> {
        var known: Set<String> = []
        do {
            try store.list(prefix: "blocks/", after: nil) { object in
                known.insert(object.key.text + " \(object.size)")
                return true
            }
        } catch let error as ObjectStoreError {
            throw .store(error)
        } catch {
            throw .store(.unexpected(at: store.location, "\(error)"))
        }
        return known
    }

    private func write(
        _ state: StateName,
        _ entries: StateCapture.Entries,
        _ known: inout Set<String>,
        _ report: inout SnapshotReport,
        _ done: inout SnapshotProgress
    ) throws(SnapshotError) -> SnapshotManifest.Name {
        var name = SnapshotManifest.Name(state: state, digest: StateDigest(), rows: 0, blocks: [])
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
        for leaf in leaves {
            let byID = order[leaf.range]
                .map { (id: entries.withEntry($0.number) { Array($0.id) }, number: $0.number) }
                .sorted { $0.id.lexicographicallyPrecedes($1.id) }
            for (_, number) in byID {
                entries.withEntry(number) { entry in
                    if entry.kind == .visible {
                        name.digest.insert(id: entry.id, version: entry.version)
                        name.rows += 1
                    }
                    builder.append(entry)
                }
            }
            let content = builder.finish()
            guard content.count <= SnapshotBlock.contentBytesMax else {
                throw .unfit("\(byID.count) ids of \(state.name) have the same hash")
            }
            let frame = Zstandard.compress(content)
            let block = SnapshotManifest.Block(
                bucket: leaf.bucket,
                hash: ContentHash(of: frame),
                storedBytes: frame.count,
                contentBytes: content.count,
                entries: byID.count
            )
            try put(block, frame, &known, &report)
            name.blocks.append(block)
            report.blocks += 1
            report.bytes += frame.count
            report.contentBytes += content.count
            done.entriesDone += byID.count
            progress(done)
        }
        return name
    }

    private func put(
        _ block: SnapshotManifest.Block,
        _ frame: [UInt8],
        _ known: inout Set<String>,
        _ report: inout SnapshotReport
    ) throws(SnapshotError) {
        do throws(ObjectStoreError) {
            let key = try SnapshotManifest.blockKey(block.hash)
            // One of another size is damaged, and replaced.
            guard known.insert("\(key) \(frame.count)").inserted else { return }
            try store.put(key, bytes: frame)
        } catch {
            throw .store(error)
        }
        report.blocksWritten += 1
        report.bytesWritten += frame.count
    }
}
