package import SpringgLog

/// What an archive holds at one generation: every event up to `heads`, in segments, or in the state of a snapshot.
///
/// One generation follows the other; the store lets one writer have each. A manifest is never changed. The newest one is the
/// archive; older ones stay for a while, for those who are reading by them.
package struct ArchiveManifest: Equatable, Sendable {
    /// Consecutive events of one origin.
    package struct Segment: Equatable, Sendable {
        package var origin: OriginID
        package var first: Sequence
        package var last: Sequence
        /// The origin's chain before the first and with the last event.
        package var chainBefore: UInt64
        package var chain: UInt64
        /// Clock readings of the first and the last event.
        package var oldest: HLC
        package var newest: HLC
        /// Bytes of the object, and of what it decompresses to.
        package var bytes: Int
        package var contentBytes: Int
        /// Of the object.
        package var hash: ContentHash

        /// How far the origin is held with it.
        package var head: VersionVector.Head { .init(sequence: last, chain: chain) }
    }

    /// Segments that are listed in an object of their own, so that the manifest stays short.
    package struct Page: Equatable, Sendable {
        /// Pages are numbered through the whole life of the archive.
        package var number: UInt64
        /// Bytes of the object.
        package var bytes: Int
        package var hash: ContentHash
        package var segments: Int
        package var oldest: HLC
        package var newest: HLC
        /// How far its segments go, by origin.
        package var heads: VersionVector
    }

    /// A snapshot, all of whose blocks are there.
    package struct Snapshot: Equatable, Sendable {
        package var id: String
        package var highestHLC: HLC
        package var heads: VersionVector
        /// Bytes of its manifest.
        package var bytes: Int
        package var hash: ContentHash
    }

    /// Blocks that no snapshot needed when the sweep was begun, and that are being removed, or have been.
    ///
    /// Until the next sweep no snapshot uses a block by a name that stands here.
    package struct Sweep: Equatable, Sendable {
        /// When it was begun: Unix time in milliseconds, different from that of any other sweep.
        package var begun: UInt64 = 0
        package var blocks: [ContentHash] = []

        package init() {}
    }

    /// Identity of the archive, from `cluster.json`.
    package var cluster: String
    package var generation: UInt64
    /// SHA-256 of the manifest before; nil in the first.
    package var previous: ContentHash?
    /// Name and origin of the node that wrote it.
    package var node: String
    package var origin: OriginID
    /// Unix time in milliseconds, by the writer's clock.
    package var writtenAt: UInt64
    package var heads: VersionVector
    /// The highest clock reading among the events.
    package var highestHLC: HLC
    /// Pages before this number were made at some time.
    package var pagesMade: UInt64
    /// Ascending numbers.
    package var pages: [Page]
    /// Those that are in no page, in the order of archiving; of each origin ascending.
    package var segments: [Segment]
    /// Ascending.
    package var snapshots: [Snapshot]
    package var sweep: Sweep

    /// An archive that holds nothing yet: what the first generation follows.
    package init(cluster: String) {
        self.cluster = cluster
        generation = 0
        previous = nil
        node = ""
        origin = .none
        writtenAt = 0
        heads = VersionVector()
        highestHLC = HLC(0)
        pagesMade = 0
        pages = []
        segments = []
        snapshots = []
        sweep = Sweep()
    }
}

extension ArchiveManifest.Snapshot {
    package init(_ manifest: SnapshotManifest) throws(SnapshotError) {
        let bytes = try manifest.encoded()
        self.init(
            id: manifest.id,
            highestHLC: manifest.highestHLC,
            heads: manifest.heads,
            bytes: bytes.count,
            hash: ContentHash(of: bytes)
        )
    }
}

// MARK: - Names

extension ArchiveManifest {
    package static let keyPrefix = "manifests/"
    package static let segmentPrefix = "segments/"
    package static let pagePrefix = "pages/"

    /// `manifests/{generation, 20 digits}.json`.
    package static func key(_ generation: UInt64) throws(ObjectStoreError) -> ObjectKey {
        try ObjectKey(keyPrefix + decimal(generation, digits: 20) + ".json")
    }

    /// The generation that a key names.
    package static func generation(_ key: ObjectKey) -> UInt64? {
        guard let name = key.text.dropping(prefix: keyPrefix), name.utf8.count == 25, name.hasSuffix(".json") else {
            return nil
        }
        return number(name.dropLast(5))
    }

    /// A number of digits alone.
    static func number(_ digits: Substring) -> UInt64? {
        digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt64(digits) : nil
    }
}

extension ArchiveManifest.Segment {
    /// `segments/{origin}/{first, 20 digits}-{last, 20 digits}-{chain}.log.zst`.
    package var key: ObjectKey {
        get throws(ObjectStoreError) {
            let range = decimal(first.rawValue, digits: 20) + "-" + decimal(last.rawValue, digits: 20)
            return try ObjectKey("\(ArchiveManifest.segmentPrefix)\(origin)/\(range)-\(hexadecimal(chain)).log.zst")
        }
    }

    /// Origin and last sequence of a segment's key; nil for any other key.
    static func head(_ key: ObjectKey) -> (origin: OriginID, last: Sequence)? {
        let parts = key.text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] + "/" == ArchiveManifest.segmentPrefix,
            let origin = OriginID(String(parts[1])),
            let name = String(parts[2]).dropping(suffix: ".log.zst")
        else { return nil }
        let numbers = name.split(separator: "-", omittingEmptySubsequences: false)
        guard numbers.count == 3, numbers[1].utf8.count == 20, let last = ArchiveManifest.number(numbers[1]) else {
            return nil
        }
        return (origin, Sequence(last))
    }
}

extension ArchiveManifest.Page {
    /// `pages/{number, 10 digits}-{SHA-256}.json`.
    package var key: ObjectKey {
        get throws(ObjectStoreError) {
            try ObjectKey("\(ArchiveManifest.pagePrefix)\(decimal(number, digits: 10))-\(hash).json")
        }
    }

    /// The number of a page's key; nil for any other key.
    static func number(_ key: ObjectKey) -> UInt64? {
        key.text.dropping(prefix: ArchiveManifest.pagePrefix)?.split(separator: "-").first
            .flatMap { ArchiveManifest.number($0) }
    }
}

/// At least so many digits.
private func decimal(_ value: UInt64, digits: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}

extension String {
    /// What stands before `suffix`, or nil when the text does not end with it.
    func dropping(suffix: String) -> String? {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : nil
    }
}
