package import SpringgLog

/// One row or tombstone, wherever it is kept; its views are valid inside the closure that got it.
package struct StateEntry {
    package enum Kind: UInt8, Sendable {
        case visible = 1
        case hidden = 2
        case tombstone = 3
    }

    package var kind: Kind
    package var version: EventVersion
    package var id: UnsafeRawBufferPointer
    package var vector: UnsafeRawBufferPointer
    package var metadata: UnsafeRawBufferPointer

    package init(
        kind: Kind,
        version: EventVersion,
        id: UnsafeRawBufferPointer,
        vector: UnsafeRawBufferPointer,
        metadata: UnsafeRawBufferPointer
    ) {
        self.kind = kind
        self.version = version
        self.id = id
        self.vector = vector
        self.metadata = metadata
    }
}

/// What is known under one name beside its rows: whether an index exists, by which create, and the counters.
package struct StateName: Equatable, Sendable {
    package var name: String
    package var deletedAt: EventVersion
    package var creations: [IndexLifetime.Creation]
    package var newestRow: EventVersion
    package var concurrentWrites: Int
    package var logBytes: Int

    package init(
        name: String,
        deletedAt: EventVersion,
        creations: [IndexLifetime.Creation],
        newestRow: EventVersion,
        concurrentWrites: Int,
        logBytes: Int
    ) {
        self.name = name
        self.deletedAt = deletedAt
        self.creations = creations
        self.newestRow = newestRow
        self.concurrentWrites = concurrentWrites
        self.logBytes = logBytes
    }
}

/// The whole state at one moment, readable while later events are applied: what a snapshot is made of.
package final class StateCapture: Sendable {
    let capture: CheckpointCapture

    init(_ capture: CheckpointCapture) { self.capture = capture }

    /// The moment.
    package var base: LogBase { capture.base }

    /// Nothing newer than this is missing in it for having been deleted long ago.
    package var dropped: EventVersion { capture.dropped }

    /// The names, in ascending order of their text.
    package var names: [StateName] {
        capture.names.map { name in
            StateName(
                name: name.name,
                deletedAt: name.lifetime.deletedAt,
                creations: name.lifetime.creations,
                newestRow: name.newestVersion,
                concurrentWrites: name.counters.concurrentWrites,
                logBytes: name.counters.logBytes
            )
        }
    }

    /// Rows and tombstones under the name at `position` in `names`.
    package func entries(_ position: Int) -> Entries {
        let name = capture.names[position]
        return Entries(
            store: name.index?.store,
            slots: name.index?.store.slots(at: capture.pin.moment) ?? [],
            hidden: name.hidden.map { ($0.key, $0.value) },
            capture: self
        )
    }

    /// Rows and tombstones of one name, by number, in no particular order.
    package struct Entries {
        fileprivate let store: VectorStore?
        fileprivate let slots: [UInt32]
        fileprivate let hidden: [(VectorID, IndexRows.Hidden)]
        /// Keeps the pin, and with it the rows.
        fileprivate let capture: StateCapture

        package var count: Int { slots.count + hidden.count }

        package func withEntry<R, E: Error>(_ number: Int, _ body: (StateEntry) throws(E) -> R) throws(E) -> R {
            guard number >= slots.count else {
                let slot = slots[number]
                guard let store else { preconditionFailure("slots without a store") }
                return try body(
                    StateEntry(
                        kind: .visible,
                        version: store.version(of: slot),
                        id: store.id(of: slot),
                        vector: UnsafeRawBufferPointer(store.vector(of: slot)),
                        metadata: store.metadata(of: slot)
                    )
                )
            }
            let (id, entry) = hidden[number - slots.count]
            return try id.bytes.withBytes { id throws(E) in
                try entry.withBytes { vector, metadata throws(E) in
                    try body(
                        StateEntry(
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
    }
}

extension Database {
    /// The state as of the newest batch, all of it durable; nil when the log has failed or the database is closed.
    ///
    /// Blocking. Rows that are replaced while it is held take memory twice.
    package func captureState() -> StateCapture? { captureCheckpoint().map { StateCapture($0) } }
}

extension Materializer {
    /// Where the checkpoints in a directory stand, by their manifests alone, newest first.
    ///
    /// One whose manifest is damaged is left out: whoever takes another in its place says so.
    package static func checkpoints(
        in directory: String,
        _ fileSystem: any FileSystem
    ) throws(FileSystemError) -> [LogBase] {
        var bases: [LogBase] = []
        for lsn in try CheckpointFiles(directory: directory, fileSystem: fileSystem).all() {
            let file = try fileSystem.open(directory + "/" + CheckpointFiles.manifest(lsn), .read)
            var bytes = [UInt8](repeating: 0, count: try file.size())
            _ = try bytes.withMutableBytes { buffer throws(FileSystemError) in try file.read(at: 0, into: buffer) }
            if let manifest = CheckpointManifest(decoding: bytes), manifest.base.lsn == lsn {
                bases.append(manifest.base)
            }
        }
        return bases
    }

    /// The state as of the last event; to be called after `publish`, before the next `apply`.
    package func captureState(heads: VersionVector) -> StateCapture { StateCapture(capture(heads: heads)) }

    /// Takes the place of a name that a snapshot holds; what is returned takes its rows.
    package func restoreName(_ saved: StateName, at lsn: LSN) -> RestoredName {
        var counters = IndexCounters()
        counters.concurrentWrites = saved.concurrentWrites
        counters.logBytes = saved.logBytes
        counters.lastLSN = lsn
        let rows = restore(
            CheckpointManifest.Name(
                name: saved.name,
                lifetime: IndexLifetime(deletedAt: saved.deletedAt, creations: saved.creations),
                newestVersion: saved.newestRow,
                counters: counters,
                fileBytes: 0,
                graphBytes: 0
            )
        )
        return RestoredName(rows: rows, lsn: lsn)
    }

    /// All names of a snapshot are back: the log goes on behind `base`.
    package func restoredNames(_ base: LogBase, dropped: EventVersion) { restored(base, dropped: dropped) }
}

/// A name whose rows are being brought back.
package struct RestoredName {
    fileprivate let rows: IndexRows
    fileprivate let lsn: LSN
    /// Nil where no index exists under the name.
    var index: VectorIndex? { rows.index }

    /// Brings back a row or a tombstone; false when it does not fit the index.
    package func add(_ entry: StateEntry) -> Bool {
        rows.restore(entry, lsn: lsn)
    }

    /// All rows are back; returns the digest of the visible ones.
    package func finish() -> StateDigest {
        rows.publish()
        return rows.index?.digest ?? StateDigest()
    }
}
