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
    /// Blocks of rows that it consists of.
    package var blocks = 0
    /// Of those, the ones that the store did not have.
    package var blocksWritten = 0
    /// Bytes of all its blocks of rows, as stored.
    package var bytes = 0
    /// Bytes of the blocks of rows that were written.
    package var bytesWritten = 0
    /// Bytes of the manifest.
    package var manifestBytes = 0
    /// Bytes of rows before compression.
    package var contentBytes = 0
    /// Bytes of its graphs, as stored.
    package var graphBytes = 0
    /// Bytes of the blocks of graphs that were written.
    package var graphBytesWritten = 0
}

/// Writes the state of one moment to an object store: the blocks that it lacks, and then the manifest.
///
/// Needs 24 bytes a row of one name beside a block for each upload at once, and while a graph is written 4 bytes a row for that. What an
/// interrupted call leaves are blocks that no manifest names; the next one uses them.
package struct SnapshotWriter {
    private let store: any ObjectStore
    private let uploads: Int
    private let progress: (SnapshotProgress) -> Void

    /// `uploads` is how many blocks are compressed and sent at once.
    package init(
        to store: any ObjectStore,
        uploads: Int = 1,
        progress: @escaping (SnapshotProgress) -> Void = { _ in }
    ) {
        self.store = store
        self.uploads = uploads
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
        var manifest = SnapshotManifest(
            origin: origin,
            heads: capture.base.heads,
            highestHLC: capture.base.highestHLC,
            newest: newest,
            names: []
        )
        manifest.dropped = capture.dropped
        let known = try knownBlocks()
        let doomed = Doomed(blocks: Set(archive.sweep.blocks), salt: archive.sweep.begun)
        let writing = Writing(
            capture,
            beside: try previous(),
            BlockStore(store: store, doomed: doomed, known: known),
            uploads: uploads,
            progress
        )
        defer { writing.close() }
        let names = capture.names
        let order = names.indices.sorted { names[$0].name.utf8.lexicographicallyPrecedes(names[$1].name.utf8) }
        var report: SnapshotReport
        do {
            for position in order { try writing.add(names[position], at: position) }
            (manifest.names, report) = try writing.finish()
        } catch let error as SnapshotError {
            throw error
        } catch {
            throw .store(ObjectStoreError(wrapping: error, at: store.location))
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

    /// The newest snapshot that the store has, for its graphs; nil when there is none that can be read.
    private func previous() throws(SnapshotError) -> SnapshotManifest? {
        let reader = SnapshotReader(from: store)
        guard let newest = try reader.ids().last else { return nil }
        do throws(SnapshotError) {
            return try reader.manifest(newest)
        } catch {
            if case .store(let cause) = error, !cause.isOfTheObject { throw error }
            return nil
        }
    }
}
