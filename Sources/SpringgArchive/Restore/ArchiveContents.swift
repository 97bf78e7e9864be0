package import SpringgLog

/// What an archive holds, by its newest manifest, as a restore looks at it.
package struct ArchiveContents: Sendable {
    package let manifest: ArchiveManifest
    /// The segments, in the order of their first versions.
    package let segments: [SegmentFacts]
    private let items: [String: ObjectFetch.Item]

    /// Reads the newest manifest; nil where there is none.
    package init?(of store: any ObjectStore) throws(ArchiveError) {
        let reader = ArchiveReader(from: store)
        guard let manifest = try reader.newest() else { return nil }
        self.manifest = manifest
        var facts: [SegmentFacts] = []
        var items: [String: ObjectFetch.Item] = [:]
        for segment in try reader.segments(of: manifest) {
            let key = try ArchiveError.wrap(store.location) { try segment.key }
            items[key.text] = ObjectFetch.Item(key: key, bytes: segment.bytes, hash: segment.hash)
            facts.append(SegmentFacts(segment, name: key.text))
        }
        segments = facts.sorted { $0.lowest < $1.lowest }
        self.items = items
    }

    /// Whether each event behind `heads` that can belong to a bound is in a segment.
    ///
    /// Where events are missing between two segments of an origin, or behind the last, their versions lie between those of
    /// the events around them.
    package func covers(from heads: VersionVector, upTo bound: VersionBound) -> Bool {
        var reached = heads
        /// The newest event of each origin below what is looked at next, where it is known.
        var newest: [OriginID: EventVersion] = [:]
        func canMiss(_ origin: OriginID) -> Bool { newest[origin].map { bound.version > $0 } ?? true }
        for segment in segments {
            guard let (origin, sequences) = segment.sequences.first,
                sequences.upperBound > heads[origin].sequence.rawValue
            else { continue }
            if sequences.lowerBound > reached[origin].sequence.rawValue + 1, canMiss(origin) { return false }
            reached[origin].sequence = Sequence(sequences.upperBound)
            newest[origin] = segment.highest
        }
        return manifest.heads.origins.allSatisfy { origin in
            manifest.heads[origin].sequence <= reached[origin].sequence || !canMiss(origin)
        }
    }

    /// Whether the newest state can be restored: the events are all there, or lead on from a snapshot.
    var canReachNewest: Bool {
        covers(from: VersionVector(), upTo: .everything)
            || manifest.snapshots.contains { covers(from: $0.heads, upTo: .everything) }
    }

    /// The newest snapshot that holds nothing beyond a bound, and from which the segments lead up to it.
    ///
    /// One that has dropped deletions which events behind it are older than will not do: a node that was forgotten has archived those. An
    /// older one still knows the deletions, and so does nobody but the events; where they all are there, nil says to begin with them.
    func snapshot(upTo bound: VersionBound, in store: any ObjectStore) throws -> SnapshotManifest? {
        var newest: SnapshotManifest?
        for listed in manifest.snapshots.reversed() {
            guard listed.highestHLC <= bound.version.hlc, covers(from: listed.heads, upTo: bound) else { continue }
            let snapshot = try read(listed, in: store)
            guard bound.holds(snapshot.newest) else { continue }
            if try !hasForgotten(snapshot, upTo: bound, in: store) { return snapshot }
            newest = newest ?? snapshot
        }
        // Whoever begins with it is told by name what it cannot take.
        return covers(from: VersionVector(), upTo: bound) ? nil : newest
    }

    /// Whether an event behind a snapshot is older than deletions that it no longer knows.
    private func hasForgotten(
        _ snapshot: SnapshotManifest,
        upTo bound: VersionBound,
        in store: any ObjectStore
    ) throws -> Bool {
        var reached = snapshot.heads
        for segment in segments {
            guard let (origin, sequences) = segment.sequences.first,
                sequences.upperBound > reached[origin].sequence.rawValue
            else { continue }
            // Only the first event behind it counts: those after it are newer.
            let first = reached[origin].sequence.next
            let isFirst = reached[origin] == snapshot.heads[origin]
            reached[origin].sequence = Sequence(sequences.upperBound)
            guard isFirst, segment.lowest < snapshot.dropped else { continue }
            let records = try records(segment.name, in: store)
            while let envelope = try records.next()?.envelope {
                guard envelope.sequence >= first else { continue }
                if envelope.version < snapshot.dropped, bound.holds(envelope.version) { return true }
                break
            }
        }
        return false
    }

    /// The manifest of a snapshot, which must be the one that was listed.
    func read(_ listed: ArchiveManifest.Snapshot, in store: any ObjectStore) throws -> SnapshotManifest {
        let key = try SnapshotManifest.key(listed.id)
        let bytes = try store.read(key, limit: listed.bytes + 1)
        guard ContentHash(of: bytes) == listed.hash else {
            throw ObjectStoreError.damaged(at: store.path(of: key), "its SHA-256 is not \(listed.hash)")
        }
        return try SnapshotManifest(decoding: bytes, from: store.path(of: key))
    }

    /// A segment as an object.
    func item(_ name: String) -> ObjectFetch.Item {
        guard let item = items[name] else { preconditionFailure("\(name) is no segment of this archive") }
        return item
    }

    /// Reads one segment, in memory as it is stored.
    func records(_ name: String, in store: any ObjectStore) throws -> ArchivedRecords {
        let item = item(name)
        let bytes = try store.read(item.key, limit: item.bytes + 1)
        guard bytes.count == item.bytes, ContentHash(of: bytes) == item.hash else {
            throw ObjectStoreError.damaged(at: store.path(of: item.key), "its SHA-256 is not \(item.hash)")
        }
        return ArchivedRecords(store.path(of: item.key), bytes)
    }

    /// Where each mark stands.
    ///
    /// A mark goes from snapshot to snapshot, so the newest one knows all before it; the rest are in the segments.
    func marks(in store: any ObjectStore) throws -> [String: EventVersion] {
        var marks: [String: EventVersion] = [:]
        let newest = manifest.snapshots.last
        if let newest { marks = try SnapshotReader(from: store).marks(read(newest, in: store)) }
        let held = newest?.heads ?? VersionVector()
        for segment in segments {
            guard segment.sequences.contains(where: { $0.value.upperBound > held[$0.key].sequence.rawValue }) else {
                continue
            }
            let records = try records(segment.name, in: store)
            while let envelope = try records.next()?.envelope {
                if envelope.kind == .mark, case .mark(let name)? = envelope.event {
                    marks[name] = max(marks[name] ?? .none, envelope.version)
                }
            }
        }
        return marks
    }

    /// Events that were before the first that there is of each origin.
    var eventsBefore: UInt64 {
        var first: [OriginID: UInt64] = [:]
        for (origin, sequences) in segments.flatMap(\.sequences) {
            first[origin] = min(first[origin] ?? .max, sequences.lowerBound)
        }
        return first.values.reduce(0) { $0 + $1 - 1 }
    }
}

extension SegmentFacts {
    fileprivate init(_ segment: ArchiveManifest.Segment, name: String) {
        self.init(
            name: name,
            events: segment.last.rawValue - segment.first.rawValue + 1,
            bytes: UInt64(segment.bytes),
            sequences: [segment.origin: segment.first.rawValue...segment.last.rawValue],
            lowest: EventVersion(hlc: segment.oldest, origin: segment.origin),
            highest: EventVersion(hlc: segment.newest, origin: segment.origin)
        )
    }
}
