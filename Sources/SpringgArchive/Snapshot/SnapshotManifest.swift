package import SpringgLog
package import SpringgProjections

/// What a snapshot is made of: the blocks of every name, and all that is known beside the rows.
///
/// Equal states give equal manifests but for who wrote them, the counters of concurrent writes, and how far tombstones have been
/// dropped.
package struct SnapshotManifest: Equatable, Sendable {
    /// One block and what must be in it.
    package struct Block: Equatable, Sendable {
        /// Which ids.
        package var bucket: Bucket
        /// SHA-256 of the stored bytes, which is also the object's name.
        package var hash: ContentHash
        /// Bytes of the object.
        package var storedBytes: Int
        /// Bytes of the content.
        package var contentBytes: Int
        /// Rows and tombstones.
        package var entries: Int
    }

    /// A graph over rows of this name, as it was at this snapshot or at an earlier one.
    ///
    /// It saves linking the rows anew, and is no part of the state: rows that it does not name, and nodes whose rows have changed
    /// since, are as good as none.
    package struct Graph: Equatable, Sendable {
        /// One block of it.
        package struct Block: Equatable, Sendable {
            package var hash: ContentHash
            package var storedBytes: Int
            package var contentBytes: Int
        }

        /// Links of a node on each level but the lowest.
        package var M: Int
        package var nodes: Int
        /// The highest clock reading when it was taken: rows with a higher one are not in it.
        package var until: HLC
        package var blocks: [Block]
    }

    /// A name with its rows.
    package struct Name: Equatable, Sendable {
        package var state: StateName
        /// Of the visible rows.
        package var digest: StateDigest
        /// Visible rows.
        package var rows: Int
        package var blocks: [Block]
        /// Nil where there is none.
        package var graph: Graph?
    }

    /// Whose log it was taken from.
    package var origin: OriginID
    /// What is held of each origin: exactly these events are in the state.
    package var heads: VersionVector
    /// The highest clock reading among them.
    package var highestHLC: HLC
    /// A bound of their versions; the newest one's, where it is known.
    package var newest: EventVersion
    /// The newest tombstone that was ever dropped: older events that are not in the state cannot be added to it.
    package var dropped = EventVersion.none
    package var names: [Name]

    /// How many events led to the state.
    package var events: UInt64 { heads.events }

    /// `{milliseconds, 15 digits}.{counter, 5 digits}-{origin}`: sorts by time.
    package var id: String {
        func digits(_ value: UInt64, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
        }
        return "\(digits(highestHLC.milliseconds, 15)).\(digits(UInt64(highestHLC.counter), 5))-\(origin)"
    }

    /// Digest of everything visible, as a node shows it.
    package var digest: StateDigest {
        var digest = StateDigest()
        for name in names {
            guard let creation = name.state.creations.first else { continue }
            digest.insert(name.digest, named: name.state.name, version: creation.version)
        }
        return digest
    }

    /// Visible rows under all names.
    package var rows: Int { names.reduce(0) { $0 + $1.rows } }
    /// All blocks of rows.
    package var blocks: [Block] { names.flatMap(\.blocks) }

    /// An object that the snapshot consists of, beside this.
    package struct Object: Equatable, Sendable {
        package var hash: ContentHash
        package var bytes: Int
    }

    /// Blocks of rows and of graphs, in the order in which they are read; without graphs where nobody needs them.
    package func objects(withGraphs: Bool = true) -> [Object] {
        names.flatMap { name in
            name.blocks.map { Object(hash: $0.hash, bytes: $0.storedBytes) }
                + (withGraphs ? name.graph?.blocks ?? [] : []).map { Object(hash: $0.hash, bytes: $0.storedBytes) }
        }
    }

    /// Bytes of all of them, as stored.
    package var objectBytes: Int { objects().reduce(0) { $0 + $1.bytes } }

    /// Where manifests and blocks are in a store.
    package static let keyPrefix = "snapshots/"
    package static let blockPrefix = "blocks/"

    package static func key(_ id: String) throws(ObjectStoreError) -> ObjectKey {
        try ObjectKey(keyPrefix + id + ".json")
    }

    /// The name of the snapshot whose manifest has this key; nil for any other key.
    static func id(_ key: ObjectKey) -> String? {
        key.text.dropping(prefix: keyPrefix)?.dropping(suffix: ".json")
    }

    package static func blockKey(_ hash: ContentHash) throws(ObjectStoreError) -> ObjectKey {
        try ObjectKey("\(blockPrefix)\(hash).zst")
    }

    /// The block that has this key; nil for any other key.
    static func block(_ key: ObjectKey) -> ContentHash? {
        key.text.dropping(prefix: blockPrefix)?.dropping(suffix: ".zst").flatMap { ContentHash($0) }
    }
}

extension VersionVector {
    /// How many events that is: the LSN of the last, in a log that has each of them once and nothing else.
    package var events: UInt64 { origins.reduce(0) { $0 + self[$1].sequence.rawValue } }
}
