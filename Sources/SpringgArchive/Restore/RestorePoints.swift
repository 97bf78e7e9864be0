package import SpringgLog

/// What an archive can bring back.
package struct RestorePoints {
    package let manifest: ArchiveManifest
    /// Every moment from here on can be restored; nil when none can.
    package let earliest: HLC?
    /// Of all segments: how many there are, their events and their bytes as stored.
    package let segments: Int
    package let events: UInt64
    package let bytes: UInt64
    /// Oldest first.
    package let snapshots: [SnapshotManifest]
    /// In the order of their times.
    package let marks: [(name: String, version: EventVersion)]

    /// Reads manifests, and for the marks the segments behind the newest snapshot.
    package init(of store: any ObjectStore) throws {
        guard let contents = try ArchiveContents(of: store) else { throw RestoreError.noSource(store.location) }
        manifest = contents.manifest
        snapshots = try manifest.snapshots.map { try contents.read($0, in: store) }
        let isWhole = contents.covers(from: VersionVector(), upTo: .everything)
        let base = manifest.snapshots.first { contents.covers(from: $0.heads, upTo: .everything) }
        earliest = isWhole ? contents.segments.first?.lowest.hlc : base?.highestHLC
        segments = contents.segments.count
        events = contents.segments.reduce(0) { $0 + $1.events }
        bytes = contents.segments.reduce(0) { $0 + $1.bytes }
        marks = try contents.marks(in: store).map { (name: $0.key, version: $0.value) }
            .sorted { $0.version < $1.version }
    }
}
