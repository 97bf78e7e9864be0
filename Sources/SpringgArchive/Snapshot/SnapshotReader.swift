package import SpringgLog
package import SpringgProjections

/// Reads snapshots from an object store, and believes nothing before its checksum.
///
/// One block is in memory at a time.
package struct SnapshotReader {
    /// Snapshots in a store: more than this is somebody else's folder.
    private static let snapshotsMax = 1_000_000

    private let store: any ObjectStore
    private let fetch: ObjectFetch?
    private let progress: (SnapshotProgress) -> Void

    /// Reads blocks one by one, or takes them from a `fetch` that has all of them in its list.
    package init(
        from store: any ObjectStore,
        through fetch: ObjectFetch? = nil,
        progress: @escaping (SnapshotProgress) -> Void = { _ in }
    ) {
        self.store = store
        self.fetch = fetch
        self.progress = progress
    }

    /// The snapshots there are, oldest first.
    package func ids() throws(SnapshotError) -> [String] {
        do throws(ObjectStoreError) {
            return try store.list(prefix: SnapshotManifest.keyPrefix, limit: SnapshotReader.snapshotsMax)
                .compactMap { SnapshotManifest.id($0.key) }
        } catch {
            throw .store(error)
        }
    }

    /// A snapshot by its name, or by the unambiguous beginning of it; the newest for nil.
    package func manifest(_ id: String?) throws(SnapshotError) -> SnapshotManifest {
        let ids = try ids()
        let matching = id.map { id in ids.contains(id) ? [id] : ids.filter { $0.hasPrefix(id) } } ?? ids.suffix(1)
        guard let found = matching.first, matching.count == 1 else {
            throw .notFound(id: id, store: store.location)
        }
        return try read(found)
    }

    private func read(_ id: String) throws(SnapshotError) -> SnapshotManifest {
        let key: ObjectKey
        let bytes: [UInt8]
        do throws(ObjectStoreError) {
            key = try SnapshotManifest.key(id)
            bytes = try store.read(key, limit: SnapshotManifest.bytesMax)
        } catch {
            throw .store(error)
        }
        let manifest = try SnapshotManifest(decoding: bytes, from: store.path(of: key))
        guard manifest.id == id else {
            throw .damaged(object: store.path(of: key), reason: "it is the manifest of snapshot \(manifest.id)")
        }
        return manifest
    }

    /// Brings the state of a snapshot into fresh projections, and compares its digests.
    ///
    /// Its graphs too, with so many threads, unless that is 0. Returns where the events go on: behind `lsn`, the place of the
    /// last of its events in the log to come; and why graphs could not be used, each with its object.
    package func restore(
        _ manifest: SnapshotManifest,
        into materializer: Materializer,
        at lsn: LSN,
        graphThreads: Int = 0
    ) throws(SnapshotError) -> (base: LogBase, damagedGraphs: [String]) {
        var done = SnapshotProgress(entriesTotal: manifest.blocks.reduce(0) { $0 + $1.entries })
        var damagedGraphs: [String] = []
        for name in manifest.names {
            let restored = materializer.restoreName(name.state, at: lsn)
            for block in name.blocks {
                try forEachEntry(of: block) { restored.add($0) }
                done.entriesDone += block.entries
                progress(done)
            }
            guard restored.finish() == name.digest else {
                throw .damaged(
                    object: "snapshot \(manifest.id)",
                    reason: "its rows of \(name.state.name) are not those of its digest"
                )
            }
            guard graphThreads > 0, let graph = name.graph else { continue }
            if let damage = try take(graph, over: restored, threads: graphThreads) { damagedGraphs.append("\(damage)") }
        }
        let base = LogBase(lsn: lsn, heads: manifest.heads, highestHLC: manifest.highestHLC)
        materializer.restoredNames(base, dropped: manifest.dropped)
        return (base, damagedGraphs)
    }

    /// Reads a graph over its rows, or without rows only looks at it; returns what is wrong with it.
    private func take(
        _ graph: SnapshotManifest.Graph,
        over rows: RestoredName?,
        threads: Int = 1
    ) throws(SnapshotError) -> SnapshotError? {
        var object = "a graph"
        do {
            let assembly = try GraphAssembly(M: graph.M, nodes: graph.nodes, over: rows)
            for block in graph.blocks {
                object = store.path(of: try SnapshotManifest.blockKey(block.hash))
                try assembly.take(content(block.hash, block.storedBytes, block.contentBytes))
            }
            try assembly.finish(threads: threads)
            return nil
        } catch let flaw as GraphAssembly.Flaw {
            return .damaged(object: object, reason: flaw.reason)
        } catch let error as SnapshotError {
            // A store that cannot be read says nothing about the graph.
            if case .store(let cause) = error, !cause.isOfTheObject { throw error }
            return error
        } catch {
            throw .store(ObjectStoreError(wrapping: error, at: store.location))
        }
    }

    /// Where each mark stands in a snapshot.
    package func marks(_ manifest: SnapshotManifest) throws(SnapshotError) -> [String: EventVersion] {
        var marks: [String: EventVersion] = [:]
        for block in manifest.names.first(where: { $0.state.name.isEmpty })?.blocks ?? [] {
            try forEachEntry(of: block) { entry in
                marks[String(decoding: entry.id, as: UTF8.self)] = entry.version
                return true
            }
        }
        return marks
    }

    /// Reads every block and compares everything that can be compared; returns what is wrong, all of it.
    package func verify(_ manifest: SnapshotManifest) throws(SnapshotError) -> [SnapshotError] {
        var findings: [SnapshotError] = []
        var done = SnapshotProgress(entriesTotal: manifest.blocks.reduce(0) { $0 + $1.entries })
        for name in manifest.names {
            var digest = StateDigest()
            var rows = 0
            let before = findings.count
            for block in name.blocks {
                do throws(SnapshotError) {
                    try forEachEntry(of: block) { entry in
                        guard entry.kind == .visible else { return true }
                        digest.insert(id: entry.id, version: entry.version)
                        rows += 1
                        guard let creation = name.state.creations.first else { return false }
                        return entry.version > creation.version && entry.vector.count == creation.dimensions * 4
                    }
                } catch {
                    // A store that cannot be read says nothing about the snapshot.
                    if case .store(let cause) = error, !cause.isOfTheObject { throw error }
                    findings.append(error)
                }
                done.entriesDone += block.entries
                progress(done)
            }
            if let graph = name.graph, let damage = try take(graph, over: nil) { findings.append(damage) }
            guard findings.count == before, digest != name.digest || rows != name.rows else { continue }
            findings.append(
                .damaged(
                    object: "snapshot \(manifest.id)",
                    reason: "its rows of \(name.state.name) are not those of its digest"
                )
            )
        }
        return findings
    }

    /// Fetches a block and checks it from the outside in.
    private func content(
        _ hash: ContentHash,
        _ storedBytes: Int,
        _ contentBytes: Int
    ) throws(SnapshotError) -> [UInt8] {
        let frame: [UInt8]
        let object: String
        do {
            let key = try SnapshotManifest.blockKey(hash)
            object = store.path(of: key)
            frame = try fetch?.read(key) ?? store.read(key, limit: storedBytes + 1)
        } catch {
            throw .store(ObjectStoreError(wrapping: error, at: store.location))
        }
        func damaged(_ reason: String) -> SnapshotError { .damaged(object: object, reason: reason) }
        guard frame.count == storedBytes else {
            throw damaged("it has \(frame.count) bytes instead of \(storedBytes)")
        }
        guard ContentHash(of: frame) == hash else { throw damaged("its SHA-256 is not its name") }
        guard let content = Zstandard.decompress(frame, bytes: contentBytes) else {
            throw damaged("it does not decompress to \(contentBytes) bytes")
        }
        return content
    }

    /// Fetches a block of rows, and hands out its entries; `body` says whether one fits.
    private func forEachEntry(
        of block: SnapshotManifest.Block,
        _ body: (StateEntry) -> Bool
    ) throws(SnapshotError) {
        let content = try content(block.hash, block.storedBytes, block.contentBytes)
        func damaged(_ reason: String) -> SnapshotError {
            .damaged(object: "\(store.location)/\(SnapshotManifest.blockPrefix)\(block.hash).zst", reason: reason)
        }
        var last: [UInt8] = []
        var misplaced = false
        let entries: Int
        do {
            entries = try content.withUnsafeBytes { content in
                try SnapshotBlock.forEachEntry(content) { entry in
                    // Ascending, and each id in its own bucket: so no id can come twice.
                    let isInOrder = last.lexicographicallyPrecedes(entry.id)
                    last.replaceSubrange(0..., with: entry.id)
                    if !isInOrder || !block.bucket.holds(Checksum.hash64(entry.id)) || !body(entry) { misplaced = true }
                }
            }
        } catch let flaw as SnapshotBlock.Flaw {
            throw damaged(flaw.reason)
        } catch {
            throw damaged("\(error)")
        }
        guard !misplaced, entries == block.entries else { throw damaged("its entries are not those of the manifest") }
    }
}
