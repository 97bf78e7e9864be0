import SpringgConfiguration
package import SpringgLog

// A manifest is a sealed document:
//
//   cluster      identity of the archive
//   format       "springg archive"
//   generation   1, 2, 3 …
//   heads        [[origin, sequence, chain as 16 hex digits], …]: every event up to there is in segments or snapshots
//   hlc          "milliseconds.counter", the highest
//   node, origin who wrote it
//   pages        [[number, sha256, bytes, segments, oldest hlc, newest hlc, heads], …]
//   pages_made   pages with lower numbers were made at some time
//   previous     SHA-256 of the manifest before, "" in the first
//   segments     [[origin, first, last, chain before, chain, oldest hlc, newest hlc, bytes, content bytes, sha256], …]
//   snapshots    [[id, hlc, bytes, sha256, heads], …], ascending
//   sweep        {begun, blocks: [sha256, …]}
//   version      1
//   written_at   Unix time in milliseconds
//
// A page is one too: format "springg archive page", number, segments.

extension ArchiveManifest {
    private static let format = "springg archive"
    private static let pageFormat = "springg archive page"
    private static let formatVersion: Int64 = 1
    /// Events and bytes beyond any that there will be.
    fileprivate static let eventsMax: UInt64 = 1 << 56
    /// Segments beyond which the older half goes to a page: some 250 bytes each.
    package static let segmentsMax = 1024
    /// Segments of a page.
    package static let pageSegments = 512
    /// Blocks that one sweep names.
    package static let sweepBlocksMax = 1000
    /// No reader makes room for more: ten times what the bounds above come to, pages of ten years included.
    package static let bytesMax = 16 << 20
    package static let pageBytesMax = 1 << 20

    /// The bytes to store.
    package func encoded() -> [UInt8] {
        SealedDocument.encode(
            [
                "cluster": .string(cluster), "generation": .count(generation),
                "previous": .string(previous?.description ?? ""), "node": .string(node),
                "origin": .string("\(origin)"), "written_at": .count(writtenAt), "heads": .heads(heads),
                "hlc": .string("\(highestHLC)"), "pages_made": .count(pagesMade),
                "pages": .array(pages.map(\.json)), "segments": .array(segments.map(\.json)),
                "snapshots": .array(snapshots.map(\.json)),
                "sweep": .object([
                    "begun": .count(sweep.begun),
                    "blocks": .array(sweep.blocks.map { .string("\($0)") }),
                ]),
            ],
            format: ArchiveManifest.format,
            version: ArchiveManifest.formatVersion
        )
    }

    /// Reads what `encoded` wrote; believes nothing that the seal does not cover.
    package init(decoding bytes: [UInt8], from object: String) throws(ArchiveError) {
        let members = try ArchiveManifest.members(bytes, ArchiveManifest.format, object)
        guard let manifest = ArchiveManifest(members) else {
            throw .damaged(object: object, reason: "the manifest contradicts itself")
        }
        self = manifest
    }

    private static func members(
        _ bytes: [UInt8],
        _ format: String,
        _ object: String
    ) throws(ArchiveError) -> [String: JSONValue] {
        do throws(SealedDocument.Flaw) {
            return try SealedDocument.decode(bytes, format: format, version: formatVersion)
        } catch {
            switch error {
            case .damaged(let reason): throw .damaged(object: object, reason: reason)
            case .newerFormat(let what): throw .newerFormat(object: object, what: what)
            }
        }
    }

    private init?(_ members: [String: JSONValue]) {
        guard let cluster = members["cluster"]?.string, let generation = members["generation"]?.count, generation > 0,
            let previous = members["previous"]?.string, let node = members["node"]?.string,
            let origin = members["origin"]?.string.flatMap(OriginID.init), let writtenAt = members["written_at"]?.count,
            let heads = members["heads"]?.heads(eventsMax: ArchiveManifest.eventsMax),
            let hlc = members["hlc"]?.string.flatMap(HLC.init), let pagesMade = members["pages_made"]?.count,
            let pages = members["pages"]?.array, let segments = members["segments"]?.array,
            let snapshots = members["snapshots"]?.array, let sweep = members["sweep"]?.object
        else { return nil }
        self.init(cluster: cluster)
        self.generation = generation
        self.node = node
        self.origin = origin
        self.writtenAt = writtenAt
        self.heads = heads
        self.highestHLC = hlc
        self.pagesMade = pagesMade
        if previous.isEmpty {
            guard generation == 1 else { return nil }
        } else {
            guard let hash = ContentHash(previous) else { return nil }
            self.previous = hash
        }
        for page in pages {
            guard let page = Page(page), page.number < pagesMade,
                self.pages.last.map({ $0.number < page.number }) ?? true,
                heads.covers(page.heads)
            else { return nil }
            self.pages.append(page)
        }
        guard let listed = ArchiveManifest.segments(segments), heads.covers(ArchiveManifest.heads(of: listed)) else {
            return nil
        }
        self.segments = listed
        for snapshot in snapshots {
            guard let snapshot = Snapshot(snapshot), self.snapshots.last.map({ $0.id < snapshot.id }) ?? true,
                heads.covers(snapshot.heads)
            else { return nil }
            self.snapshots.append(snapshot)
        }
        guard let begun = sweep["begun"]?.count, let blocks = sweep["blocks"]?.array else { return nil }
        self.sweep.begun = begun
        for block in blocks {
            guard let hash = block.string.flatMap({ ContentHash($0) }) else { return nil }
            self.sweep.blocks.append(hash)
        }
    }

    /// Reads a list of segments; nil when one contradicts itself, or those of an origin are not in their order.
    ///
    /// Between two of an origin events may be missing: those are in snapshots only.
    private static func segments(_ values: [JSONValue]) -> [Segment]? {
        var segments: [Segment] = []
        var heads = VersionVector()
        for value in values {
            guard let segment = Segment(value) else { return nil }
            let head = heads[segment.origin]
            guard segment.first > head.sequence else { return nil }
            if segment.first == head.sequence.next, head != .start, segment.chainBefore != head.chain { return nil }
            heads[segment.origin] = segment.head
            segments.append(segment)
        }
        return segments
    }

    /// How far segments go, by origin.
    package static func heads(of segments: [Segment]) -> VersionVector {
        segments.reduce(into: VersionVector()) { $0[$1.origin] = $1.head }
    }

    /// The object that lists these segments, and how the manifest speaks of it.
    package static func page(_ number: UInt64, of segments: [Segment]) -> (page: Page, bytes: [UInt8]) {
        let bytes = SealedDocument.encode(
            ["number": .count(number), "segments": .array(segments.map(\.json))],
            format: pageFormat,
            version: formatVersion
        )
        let page = Page(
            number: number,
            bytes: bytes.count,
            hash: ContentHash(of: bytes),
            segments: segments.count,
            oldest: segments.map(\.oldest).min() ?? HLC(0),
            newest: segments.map(\.newest).max() ?? HLC(0),
            heads: heads(of: segments)
        )
        return (page, bytes)
    }

    /// The segments that a page lists.
    package static func segments(
        of page: Page,
        decoding bytes: [UInt8],
        from object: String
    ) throws(ArchiveError) -> [Segment] {
        guard bytes.count == page.bytes, ContentHash(of: bytes) == page.hash else {
            throw .damaged(object: object, reason: "it is not the page that the manifest names")
        }
        let members = try members(bytes, pageFormat, object)
        guard members["number"] == .count(page.number), let values = members["segments"]?.array,
            let segments = segments(values), segments.count == page.segments, heads(of: segments) == page.heads
        else { throw .damaged(object: object, reason: "the page contradicts itself") }
        return segments
    }
}

extension ArchiveManifest.Segment {
    fileprivate var json: JSONValue {
        .array([
            .string("\(origin)"), .count(first.rawValue), .count(last.rawValue), .string(hexadecimal(chainBefore)),
            .string(hexadecimal(chain)), .string("\(oldest)"), .string("\(newest)"), .count(bytes),
            .count(contentBytes), .string("\(hash)"),
        ])
    }

    fileprivate init?(_ value: JSONValue) {
        guard let parts = value.array, parts.count == 10, let origin = parts[0].string.flatMap(OriginID.init),
            let first = parts[1].count, let last = parts[2].count, first > 0, first <= last,
            last < ArchiveManifest.eventsMax, let chainBefore = parts[3].chain, let chain = parts[4].chain,
            let oldest = parts[5].string.flatMap(HLC.init), let newest = parts[6].string.flatMap(HLC.init),
            oldest <= newest, let bytes = parts[7].int, let contentBytes = parts[8].int,
            contentBytes <= ArchiveSegment.contentBytesMax, bytes <= 2 * ArchiveSegment.contentBytesMax,
            let hash = parts[9].string.flatMap({ ContentHash($0) })
        else { return nil }
        self.init(
            origin: origin,
            first: Sequence(first),
            last: Sequence(last),
            chainBefore: chainBefore,
            chain: chain,
            oldest: oldest,
            newest: newest,
            bytes: bytes,
            contentBytes: contentBytes,
            hash: hash
        )
    }
}

extension ArchiveManifest.Page {
    fileprivate var json: JSONValue {
        .array([
            .count(number), .string("\(hash)"), .count(bytes), .count(segments), .string("\(oldest)"),
            .string("\(newest)"), .heads(heads),
        ])
    }

    fileprivate init?(_ value: JSONValue) {
        guard let parts = value.array, parts.count == 7, let number = parts[0].count,
            let hash = parts[1].string.flatMap({ ContentHash($0) }), let bytes = parts[2].int,
            bytes <= ArchiveManifest.pageBytesMax, let segments = parts[3].int, segments <= bytes,
            let oldest = parts[4].string.flatMap(HLC.init), let newest = parts[5].string.flatMap(HLC.init),
            let heads = parts[6].heads(eventsMax: ArchiveManifest.eventsMax)
        else { return nil }
        self.init(
            number: number,
            bytes: bytes,
            hash: hash,
            segments: segments,
            oldest: oldest,
            newest: newest,
            heads: heads
        )
    }
}

extension ArchiveManifest.Snapshot {
    fileprivate var json: JSONValue {
        .array([
            .string(id), .string("\(highestHLC)"), .count(bytes), .string("\(hash)"), .heads(heads),
        ])
    }

    fileprivate init?(_ value: JSONValue) {
        guard let parts = value.array, parts.count == 5, let id = parts[0].string,
            let hlc = parts[1].string.flatMap(HLC.init), let bytes = parts[2].int, bytes <= SnapshotManifest.bytesMax,
            let hash = parts[3].string.flatMap({ ContentHash($0) }),
            let heads = parts[4].heads(eventsMax: ArchiveManifest.eventsMax)
        else { return nil }
        self.init(id: id, highestHLC: hlc, heads: heads, bytes: bytes, hash: hash)
    }
}
