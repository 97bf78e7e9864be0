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
        var archive = try self.archive()
        while true {
            let written = try write(capture, origin: origin, newest: newest, beside: archive)
            // A sweep that began meanwhile may be removing what was found here; one that begins from now on sees this snapshot.
            let latest = try self.archive()
            if latest.sweep.begun == archive.sweep.begun { return written }
            archive = latest
        }
    }

    /// The archive that the store may be; an empty one where it is none.
    private func archive() throws(SnapshotError) -> ArchiveManifest {
        do throws(ArchiveError) {
            return try ArchiveReader(from: store).newest() ?? ArchiveManifest(cluster: "")
        } catch {
            switch error {
            case .store(let cause): throw .store(cause)
            default: throw .unfit("\(error)")
            }
        }
    }

    private func write(
        _ capture: StateCapture,
        origin: OriginID,
        newest: EventVersion,
        beside archive: ArchiveManifest
    ) throws(SnapshotError) -> (manifest: SnapshotManifest, report: SnapshotReport) {
        var report = SnapshotReport()
        let doomed = Doomed(blocks: Set(archive.sweep.blocks), salt: archive.sweep.begun)
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
            manifest.names.append(try write(names[position], entries, doomed, &known, &report, &done))
        }
        let bytes = try manifest.encoded()
        report.id = manifest.id
        report.manifestBytes = bytes.count
        let isListed = archive.snapshots.contains { $0.id == manifest.id }
        return (try publish(manifest, bytes, isListed: isListed), report)
    }

    /// Gives the snapshot its name; returns what stands there under it.
    ///
    /// A name is that of a moment. Events that come late to a node leave its newest moment as it was, so two of its states can
    /// claim one name: the first has it. The same state again replaces what is there, which may refer to blocks that are gone, but
    /// not once the archive lists it.
    private func publish(
        _ manifest: SnapshotManifest,
        _ bytes: [UInt8],
        isListed: Bool
    ) throws(SnapshotError) -> SnapshotManifest {
        do throws(ObjectStoreError) {
            let key = try SnapshotManifest.key(manifest.id)
            if try store.putIfAbsent(key, bytes: bytes) { return manifest }
            let found = try? SnapshotManifest(
                decoding: store.read(key, limit: SnapshotManifest.bytesMax),
                from: store.path(of: key)
            )
            if let found, isListed, found.heads == manifest.heads { return found }
            // One that is damaged is replaced too.
            if found.map({ !isListed && $0.heads == manifest.heads }) ?? true {
                try store.put(key, bytes: bytes)
                return manifest
            }
        } catch {
            throw .store(error)
        }
        throw .taken(id: manifest.id, store: store.location)
    }

    /// Names of the blocks that the store has.
    private func knownBlocks() throws(SnapshotError) -> Set<String> {
        var known: Set<String> = []
        do {
            try store.list(prefix: SnapshotManifest.blockPrefix, after: nil) { object in
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
        _ doomed: Doomed,
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
            let frame = doomed.rename(Zstandard.compress(content))
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

/// Names of blocks that are being removed, and how a block gets another one.
private struct Doomed {
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
