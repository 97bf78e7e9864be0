import SpringgLog

/// Finds and removes what no restore can need any more.
///
/// Nothing is removed that is younger than the grace period, or that a manifest younger than that refers to. Names come back in
/// one case alone, for blocks: why removing them is safe stands in docs/design/0015-archive.md.
struct ArchiveSweeper {
    private let store: any ObjectStore
    private let reader: ArchiveReader
    private let options: ArchiveOptions
    private let now: () -> UInt64

    /// Keys that one request removes.
    private static let batch = 1000

    init(_ store: any ObjectStore, _ options: ArchiveOptions, now: @escaping () -> UInt64) {
        self.store = store
        reader = ArchiveReader(from: store)
        self.options = options
        self.now = now
    }

    /// Every old snapshot that is there, and old blocks that none uses, as many as one sweep removes.
    func look() throws(ArchiveError) -> ArchiverCore.Findings {
        try ArchiveError.wrap(store.location) {
            let snapshots = try oldSnapshots()
            let used = try usedBlocks()
            var needless: [ContentHash] = []
            try store.list(prefix: SnapshotManifest.blockPrefix, after: nil) { object in
                if let hash = SnapshotManifest.block(object.key), !used.contains(hash), isOld(object) {
                    needless.append(hash)
                }
                return needless.count < ArchiveManifest.sweepBlocksMax
            }
            return ArchiverCore.Findings(snapshots: snapshots, blocks: needless)
        }
    }

    private func oldSnapshots() throws -> [ArchiveManifest.Snapshot] {
        var ids: [String] = []
        try store.list(prefix: SnapshotManifest.keyPrefix, after: nil) { object in
            if isOld(object), let id = SnapshotManifest.id(object.key) { ids.append(id) }
            return true
        }
        let snapshots = SnapshotReader(from: store)
        return try ids.sorted().map { try ArchiveManifest.Snapshot(snapshots.manifest($0)) }
    }

    /// Removes what `manifest`, which has just been committed or read, makes needless; the sweep's blocks only before
    /// `deadline`.
    func remove(_ manifest: ArchiveManifest, before deadline: UInt64) throws(ArchiveError) {
        try ArchiveError.wrap(store.location) {
            let (kept, keptSince) = try keptManifests(manifest)
            var segments: Set<ObjectKey> = []
            var pages: Set<ObjectKey> = []
            for manifest in kept {
                for segment in try reader.segments(of: manifest) { segments.insert(try segment.key) }
                for page in manifest.pages { pages.insert(try page.key) }
            }
            // A segment whose events the archive holds is never listed again: heads only grow.
            try removeAll(ArchiveManifest.segmentPrefix) { object in
                guard object.modifiedSeconds < keptSince, !segments.contains(object.key),
                    let head = ArchiveManifest.Segment.head(object.key)
                else {
                    return false
                }
                return head.last <= manifest.heads[head.origin].sequence
            }
            // Pages are numbered, and a number that is used up is not given again.
            try removeAll(ArchiveManifest.pagePrefix) { object in
                guard object.modifiedSeconds < keptSince, let number = ArchiveManifest.Page.number(object.key) else {
                    return false
                }
                return number < manifest.pagesMade && !pages.contains(object.key)
            }
            // None is listed that is older than the oldest.
            let snapshots = Set(kept.flatMap(\.snapshots).map(\.id))
            if options.retention > 0, let oldest = snapshots.min() {
                try removeAll(SnapshotManifest.keyPrefix) { object in
                    SnapshotManifest.id(object.key).map { $0 < oldest } ?? false
                }
            }
            try removeBlocks(manifest.sweep.blocks, before: deadline)
            // Last of all: as long as they are there, what they refer to is.
            try removeAll(ArchiveManifest.keyPrefix) { object in
                ArchiveManifest.generation(object.key).map { $0 < kept[0].generation } ?? false
            }
            try store.removeLeftovers(olderThanSeconds: Int(options.grace / 1000))
        }
    }

    /// The manifest itself, and the oldest one by which somebody may still be reading: the last one that is old, for it was the newest
    /// when the grace period began.
    ///
    /// One between them may list what neither does, but nothing that was stored before the oldest: that stays where it is younger
    /// than `since`.
    private func keptManifests(_ manifest: ArchiveManifest) throws -> (manifests: [ArchiveManifest], since: Int) {
        var lastOld: (generation: UInt64, modified: Int)?
        var firstYoung: (generation: UInt64, modified: Int)?
        try store.list(prefix: ArchiveManifest.keyPrefix, after: nil) { object in
            guard let generation = ArchiveManifest.generation(object.key), generation <= manifest.generation else {
                return true
            }
            if isOld(object) {
                if generation >= lastOld?.generation ?? 0 { lastOld = (generation, object.modifiedSeconds) }
            } else if generation < firstYoung?.generation ?? .max {
                firstYoung = (generation, object.modifiedSeconds)
            }
            return true
        }
        guard let oldest = lastOld ?? firstYoung, oldest.generation < manifest.generation else {
            return ([manifest], .max)
        }
        return ([try reader.manifest(oldest.generation), manifest], oldest.modified)
    }

    /// Blocks of the sweep, unless a snapshot has come that uses them.
    private func removeBlocks(_ blocks: [ContentHash], before deadline: UInt64) throws {
        guard !blocks.isEmpty, now() < deadline else { return }
        let used = try usedBlocks()
        var rest = try blocks.filter { !used.contains($0) }.map { try SnapshotManifest.blockKey($0) }[...]
        while !rest.isEmpty, now() < deadline {
            try store.delete(Array(rest.prefix(ArchiveSweeper.batch)))
            rest = rest.dropFirst(ArchiveSweeper.batch)
        }
    }

    /// The blocks of every snapshot in the store, whether the archive lists it or not.
    private func usedBlocks() throws -> Set<ContentHash> {
        let snapshots = SnapshotReader(from: store)
        var used: Set<ContentHash> = []
        for id in try snapshots.ids() { for block in try snapshots.manifest(id).objects() { used.insert(block.hash) } }
        return used
    }

    /// Removes old objects under a prefix.
    private func removeAll(_ prefix: String, where isNeedless: (ObjectInfo) throws -> Bool) throws {
        var keys: [ObjectKey] = []
        try store.list(prefix: prefix, after: nil) { object in
            if isOld(object), try isNeedless(object) { keys.append(object.key) }
            return true
        }
        var rest = keys[...]
        while !rest.isEmpty {
            try store.delete(Array(rest.prefix(ArchiveSweeper.batch)))
            rest = rest.dropFirst(ArchiveSweeper.batch)
        }
    }

    private func isOld(_ object: ObjectInfo) -> Bool {
        UInt64(max(0, object.modifiedSeconds)) * 1000 + options.grace < now()
    }
}
