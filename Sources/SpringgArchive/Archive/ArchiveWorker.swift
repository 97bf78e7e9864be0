package import SpringgLog
package import SpringgProjections

/// Does what `ArchiverCore` decides, step by step; blocks meanwhile.
///
/// Memory: the segments, or blocks of a snapshot, that are sent at once (`ArchiveOptions.uploads`), each once as it is and once
/// compressed; the names of what is kept while something is removed. Nothing is written to the disk. Not thread-safe.
package final class ArchiveWorker {
    /// Segments after which a manifest is committed although there is more: what has been uploaded counts soon.
    private static let segmentsPerCommit = 32

    private let store: any ObjectStore
    private let reader: ArchiveReader
    private let options: ArchiveOptions
    private let log: Log
    /// The state as of now; nil when there is none to be had any more.
    private let capture: () -> StateCapture?
    private let wallClock: () -> UInt64
    /// The last reader of the log, for as long as nobody else archives.
    private var shipper: LogShipper?

    /// What a warning says, for the operator's eyes.
    package var warn: (String) -> Void = { _ in }
    /// Called with the archive's identity before anything is written to it.
    package var remember: (ArchiveIdentity) throws -> Void = { _ in }
    /// Identity of the archive since it was opened.
    private var cluster: String?

    package init(
        _ store: any ObjectStore,
        options: ArchiveOptions,
        log: Log,
        capture: @escaping () -> StateCapture?,
        wallClock: @escaping () -> UInt64
    ) {
        self.store = store
        reader = ArchiveReader(from: store)
        self.options = options
        self.log = log
        self.capture = capture
        self.wallClock = wallClock
    }

    /// Does it.
    package func perform(_ step: ArchiverCore.Step) -> ArchiverCore.Outcome {
        do throws(ArchiveError) {
            switch step {
            case .wait: preconditionFailure("waiting is the shell's")
            case .open: return .opened(try open())
            case .read(let known):
                let newest = try newest(beyond: known)
                if let newest { try checkHistory(newest.heads) }
                return .read(
                    newest.map { ($0, ContentHash(of: $0.encoded())) },
                    held: log.versionVector,
                    origin: log.origin
                )
            case .snapshot: return .snapshot(try snapshot())
            case .upload(let heads): return .uploaded(try upload(after: heads))
            case .mark: return .marked(try ArchiveSweeper(store, options, now: wallClock).look())
            case .commit(let manifest, let pages): return try commit(manifest, pages)
            case .remove(let manifest, let deadline):
                try ArchiveSweeper(store, options, now: wallClock).remove(manifest, before: deadline)
                return .removed
            }
        } catch {
            shipper = nil
            return .failed(error)
        }
    }

    /// How far the log may be removed for the archive's sake, given what it holds.
    package func floor(_ heads: VersionVector) -> LSN {
        let floor = log.floor(heldBy: heads)
        // Where the log has been salvaged it cannot tell from its heads; whoever has read it knows.
        guard let shipper, shipper.held == heads, shipper.gaps.isEmpty else { return floor }
        return max(floor, shipper.position.previous)
    }

    private func open() throws(ArchiveError) -> ArchiveIdentity {
        try ArchiveError.wrap(store.location) {
            // Before anything is written: the probe would make a directory that is not mounted look like a store.
            if let expected = options.cluster { try check(expected) }
            if try !store.honoursIfAbsent() {
                guard !options.isClustered else { throw ArchiveError.conditionIgnored(archive: store.location) }
                warn(
                    "the store overwrites objects that it was told to keep (If-None-Match): never let a second node archive there"
                )
            }
            if try reader.identity() == nil {
                var random = SystemRandomNumberGenerator()
                let new = ArchiveIdentity(
                    cluster: "\(OriginID(using: &random))",
                    label: options.label,
                    createdAt: wallClock()
                )
                // Another node may be quicker: then its word counts.
                _ = try store.putIfAbsent(ArchiveIdentity.key, bytes: new.encoded())
            }
            guard let identity = try reader.identity() else {
                throw ObjectStoreError.notFound(at: store.path(of: try ArchiveIdentity.key))
            }
            guard identity.label == options.label else {
                throw ArchiveError.otherCluster(
                    archive: store.location,
                    reason: "its cluster_label is \"\(identity.label)\", this node's \"\(options.label)\""
                )
            }
            try remember(identity)
            cluster = identity.cluster
            return identity
        }
    }

    /// Whether the store shows the archive that it should.
    private func check(_ expected: String) throws(ArchiveError) {
        let found = try reader.identity()?.cluster
        guard found == expected else {
            throw .notTheArchive(archive: store.location, expected: expected, found: found)
        }
    }

    /// The newest manifest beyond one that was there.
    private func newest(beyond known: UInt64) throws(ArchiveError) -> ArchiveManifest? {
        let generations = try reader.generations(after: known > 0 ? known - 1 : 0)
        guard let last = generations.last, last > known else {
            guard known == 0 || generations.last == known else {
                throw .damaged(
                    object: store.location,
                    reason: "generation \(known) is gone, and none has come after it: objects were removed"
                )
            }
            return nil
        }
        return try reader.manifest(last)
    }

    /// The log must go on where the archive ends: numbers that stand for other events here and there are not archived.
    ///
    /// Reads no more than the first event of each origin that the archive lacks.
    private func checkHistory(_ heads: VersionVector) throws(ArchiveError) {
        let held = log.versionVector
        var unseen = Set(heads.origins.filter { held[$0].sequence > heads[$0].sequence })
        guard !unseen.isEmpty else { return }
        do throws(LogError) {
            let cursor = LogCursor(log: log, from: log.start(lacking: heads).lsn)
            while !unseen.isEmpty, let record = try cursor.next() {
                let (envelope, head) = (record.envelope, heads[record.envelope.origin])
                guard envelope.sequence > head.sequence, unseen.remove(envelope.origin) != nil else { continue }
                // Where the log no longer has the next one there is nothing to compare.
                guard envelope.sequence > head.sequence.next || envelope.continues(head) else {
                    throw .otherHistory(origin: envelope.origin, sequence: head.sequence)
                }
            }
        } catch {
            throw .log(error)
        }
    }

    // MARK: - Events

    private func upload(after heads: VersionVector) throws(ArchiveError) -> ArchiverCore.Upload {
        try ArchiveError.wrap(store.location) {
            let reading = shipper.flatMap { $0.held == heads ? $0 : nil } ?? LogShipper(log: log, lacking: heads)
            // A reader that has failed, or whose events nobody commits, is not to be trusted with the next round.
            shipper = nil
            var upload = ArchiverCore.Upload(after: heads)
            let uploads = Uploads<ArchiveManifest.Segment>(width: options.uploads)
            defer { uploads.close() }
            while !upload.isComplete, uploads.count < ArchiveWorker.segmentsPerCommit {
                var lanes: [OriginID: ArchiveSegment] = [:]
                let batch = try reading.next(bytesMax: ArchiveSegment.bytesMax) { record in
                    let origin = record.envelope.origin
                    lanes[origin, default: ArchiveSegment(origin: origin, after: upload.heads[origin])]
                        .append(record.envelope)
                }
                for (_, lane) in lanes.sorted(by: { $0.key < $1.key }) {
                    upload.heads[lane.origin] = lane.head
                    upload.highestHLC = max(upload.highestHLC, lane.newest)
                    try uploads.add { [store] in try ArchiveWorker.put(lane, to: store) }
                }
                upload.isComplete = batch.isCaughtUp
            }
            upload.segments = try uploads.finish()
            upload.gaps = reading.gaps
            shipper = reading
            return upload
        }
    }

    /// Stores a segment, and looks whether it is there; on any thread.
    private static func put(_ lane: ArchiveSegment, to store: any ObjectStore) throws -> ArchiveManifest.Segment {
        var (segment, object, content) = lane.finish()
        let key = try segment.key
        let crc = object.withBytes { Checksum.crc32c($0) }
        if try store.putIfAbsent(key, bytes: object) {
            let info = try store.head(key)
            guard info.size == object.count, info.crc32c.map({ $0 == crc }) ?? true else {
                throw ObjectStoreError.damaged(at: store.path(of: key), "it is not what was stored")
            }
            return segment
        }
        // From a round that did not end, or of another node: the same events, if perhaps compressed by another libzstd.
        let found = try store.read(key, limit: 2 * ArchiveSegment.contentBytesMax)
        guard found == object || Zstandard.decompress(found, bytes: content.count) == content else {
            throw ArchiveError.damaged(
                object: store.path(of: key),
                reason: "it holds other events than its name says, and no manifest names it: remove it"
            )
        }
        // From now on it counts as new: what is removed goes by its age.
        try store.put(key, bytes: found)
        segment.bytes = found.count
        segment.hash = ContentHash(of: found)
        return segment
    }

    // MARK: - The rest

    private func snapshot() throws(ArchiveError) -> ArchiveManifest.Snapshot? {
        try ArchiveError.wrap(store.location) {
            guard let capture = capture() else { return nil }
            do throws(SnapshotError) {
                let (manifest, _) = try SnapshotWriter(to: store, uploads: options.uploads).write(
                    capture,
                    origin: log.origin,
                    newest: capture.base.newestBound
                )
                return try ArchiveManifest.Snapshot(manifest)
            } catch .taken {
                // The next event makes room for another.
                return nil
            } catch {
                throw error
            }
        }
    }

    private func commit(
        _ manifest: ArchiveManifest,
        _ pages: [ArchiveManifest.NewPage]
    ) throws(ArchiveError) -> ArchiverCore.Outcome {
        try ArchiveError.wrap(store.location) {
            for page in pages { try store.put(page.page.key, bytes: page.bytes) }
            let bytes = manifest.encoded()
            guard try store.putIfAbsent(ArchiveManifest.key(manifest.generation), bytes: bytes) else { return .lost }
            // Who slept until his generation was forgotten had it to himself, and yet others have gone on.
            guard try reader.generations(after: manifest.generation).isEmpty else { return .lost }
            // A directory may have been unmounted since it was opened: what is told as archived must be where it belongs.
            if let cluster { try check(cluster) }
            return .committed(ContentHash(of: bytes))
        }
    }
}
