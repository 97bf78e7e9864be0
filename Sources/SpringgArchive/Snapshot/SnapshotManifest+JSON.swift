import SpringgConfiguration
import SpringgLog
import SpringgProjections

// A manifest is one JSON object on one line, names sorted, and a line feed:
//
//   digest       32 hex digits: of everything visible, as in `logdump digest`
//   dropped      version of the newest tombstone that was ever dropped; missing when none was
//   events       how many led to this state
//   format       "springg snapshot"
//   heads        [[origin, sequence, chain as 16 hex digits], …]
//   hlc          "milliseconds.counter", the highest
//   indexes      [{blocks, concurrent_writes, creates, deleted_at, digest, graph, log_bytes, name, newest_row, rows}, …]
//                blocks: [[bucket, sha256, stored bytes, content bytes, entries], …], in ascending order of the buckets
//                creates: [[version, dimensions, options], …]
//                graph: where there is one, {blocks: [[sha256, stored bytes, content bytes], …], m, nodes, until: hlc}
//   newest       version of the newest event
//   origin       whose log it was taken from
//   version      2 where an index has a graph, else 1
//   sha256       last, whatever the order: SHA-256 of everything before `,"sha256"`
//
// A version is `milliseconds.counter@origin`. The index named "" holds the marks.

extension SnapshotManifest {
    private static let format = "springg snapshot"
    private static let formatVersion: Int64 = 1
    /// With graphs: whoever does not know them would take their blocks for needless.
    private static let graphFormatVersion: Int64 = 2
    /// Events and bytes beyond any that there will be; sums of what a manifest says stay far from overflow below it.
    static let eventsMax: UInt64 = 1 << 56
    /// A manifest of a hundred million rows has some 30 MB; no reader makes room for more than this.
    package static let bytesMax = 256 << 20

    /// The bytes to store.
    /// - Throws: `.unfit` when the options of an index are no text.
    package func encoded() throws(SnapshotError) -> [UInt8] {
        var members: [String: JSONValue] = [
            "origin": .string("\(origin)"),
            "hlc": .string("\(highestHLC)"),
            "newest": .string("\(newest)"),
            "events": .count(events),
            "digest": .string("\(digest)"),
            "heads": .heads(heads),
            "indexes": .array(try names.map { name throws(SnapshotError) in try name.json() }),
        ]
        if dropped != .none { members["dropped"] = .string("\(dropped)") }
        return SealedDocument.encode(
            members,
            format: SnapshotManifest.format,
            version: names.contains { $0.graph != nil }
                ? SnapshotManifest.graphFormatVersion : SnapshotManifest.formatVersion
        )
    }

    /// Reads what `encoded` wrote; believes nothing that the seal does not cover.
    package init(decoding bytes: [UInt8], from object: String) throws(SnapshotError) {
        let members: [String: JSONValue]
        do throws(SealedDocument.Flaw) {
            members = try SealedDocument.decode(
                bytes,
                format: SnapshotManifest.format,
                versions: SnapshotManifest.formatVersion...SnapshotManifest.graphFormatVersion
            )
        } catch {
            switch error {
            case .damaged(let reason): throw .damaged(object: object, reason: reason)
            case .newerFormat(let what): throw .newerFormat(object: object, what: what)
            }
        }
        guard let manifest = SnapshotManifest(members), members["digest"] == .string("\(manifest.digest)"),
            members["events"] == .count(manifest.events)
        else { throw .damaged(object: object, reason: "the manifest contradicts itself") }
        self = manifest
    }

    private init?(_ members: [String: JSONValue]) {
        guard let origin = members["origin"]?.string.flatMap(OriginID.init),
            let hlc = members["hlc"]?.string.flatMap(HLC.init),
            let newest = members["newest"]?.string.flatMap(EventVersion.init),
            let heads = members["heads"]?.heads(eventsMax: SnapshotManifest.eventsMax),
            let names = members["indexes"]?.array
        else { return nil }
        self.init(origin: origin, heads: heads, highestHLC: hlc, newest: newest, names: [])
        if let text = members["dropped"] {
            guard let dropped = text.string.flatMap(EventVersion.init) else { return nil }
            self.dropped = dropped
        }
        for name in names {
            guard let name = Name(name) else { return nil }
            self.names.append(name)
        }
        // Ascending, hence each once: so a name cannot be restored over another.
        let texts = self.names.map(\.state.name)
        guard zip(texts, texts.dropFirst()).allSatisfy({ $0.utf8.lexicographicallyPrecedes($1.utf8) }) else {
            return nil
        }
    }
}

extension SnapshotManifest.Name {
    fileprivate func json() throws(SnapshotError) -> JSONValue {
        var creates: [JSONValue] = []
        for creation in state.creations {
            guard let options = String(validating: creation.options, as: UTF8.self) else {
                throw .unfit("the options of index \(state.name) are not UTF-8")
            }
            creates.append(
                .array([.string("\(creation.version)"), .count(UInt64(creation.dimensions)), .string(options)])
            )
        }
        var members: [String: JSONValue] = [
            "name": .string(state.name), "deleted_at": .string("\(state.deletedAt)"), "creates": .array(creates),
            "newest_row": .string("\(state.newestRow)"), "concurrent_writes": .count(UInt64(state.concurrentWrites)),
            "log_bytes": .count(UInt64(state.logBytes)), "digest": .string("\(digest)"), "rows": .count(UInt64(rows)),
            "blocks": .array(
                blocks.map { block in
                    .array([
                        .string("\(block.bucket)"), .string("\(block.hash)"), .count(UInt64(block.storedBytes)),
                        .count(UInt64(block.contentBytes)), .count(UInt64(block.entries)),
                    ])
                }
            ),
        ]
        if let graph { members["graph"] = graph.json }
        return .object(members)
    }

    fileprivate init?(_ value: JSONValue) {
        guard case .object(let members) = value, let name = members["name"]?.string,
            name.utf8.count <= EventLimits.indexNameBytesMax,
            let deletedAt = members["deleted_at"]?.string.flatMap(EventVersion.init),
            let newestRow = members["newest_row"]?.string.flatMap(EventVersion.init),
            let concurrentWrites = members["concurrent_writes"]?.int, let logBytes = members["log_bytes"]?.int,
            UInt64(max(concurrentWrites, logBytes)) < SnapshotManifest.eventsMax,
            let digest = members["digest"]?.string.flatMap({ StateDigest($0) }), let rows = members["rows"]?.int,
            let creates = members["creates"]?.array, let blocks = members["blocks"]?.array
        else { return nil }
        self.init(
            state: StateName(
                name: name,
                deletedAt: deletedAt,
                creations: [],
                newestRow: newestRow,
                concurrentWrites: concurrentWrites,
                logBytes: logBytes
            ),
            digest: digest,
            rows: rows,
            blocks: []
        )
        var last = deletedAt
        for create in creates {
            guard let parts = create.array, parts.count == 3, let version = parts[0].string.flatMap(EventVersion.init),
                let dimensions = parts[1].int, (1...EventLimits.dimensionsMax).contains(dimensions),
                let options = parts[2].string, options.utf8.count <= EventLimits.optionsBytesMax, version > last
            else { return nil }
            last = version
            state.creations.append(.init(version: version, dimensions: dimensions, options: Array(options.utf8)))
        }
        for block in blocks {
            guard let block = SnapshotManifest.Block(block) else { return nil }
            // Ascending and apart, so that no id can be in two of them.
            if let last = self.blocks.last {
                guard block.bucket.bits > last.bucket.bits, !last.bucket.holds(block.bucket.bits) else { return nil }
            }
            self.blocks.append(block)
        }
        guard rows <= self.blocks.reduce(0, { $0 + $1.entries }) else { return nil }
        if let value = members["graph"] {
            guard let graph = SnapshotManifest.Graph(value) else { return nil }
            self.graph = graph
        }
    }
}

extension SnapshotManifest.Graph {
    fileprivate var json: JSONValue {
        .object([
            "m": .count(M), "nodes": .count(nodes), "until": .string("\(until)"),
            "blocks": .array(
                blocks.map { .array([.string("\($0.hash)"), .count($0.storedBytes), .count($0.contentBytes)]) }
            ),
        ])
    }

    fileprivate init?(_ value: JSONValue) {
        guard let members = value.object, let M = members["m"]?.int, (1...EventLimits.dimensionsMax).contains(M),
            let nodes = members["nodes"]?.int, let until = members["until"]?.string.flatMap(HLC.init),
            let blocks = members["blocks"]?.array
        else { return nil }
        self.init(M: M, nodes: nodes, until: until, blocks: [])
        for block in blocks {
            guard let parts = block.array, parts.count == 3, let hash = parts[0].string.flatMap({ ContentHash($0) }),
                let stored = parts[1].int, let content = parts[2].int, content <= SnapshotBlock.contentBytesMax,
                stored <= 2 * SnapshotBlock.contentBytesMax
            else { return nil }
            self.blocks.append(.init(hash: hash, storedBytes: stored, contentBytes: content))
        }
        // A node has more bytes than one.
        guard nodes <= self.blocks.reduce(0, { $0 + $1.contentBytes }) else { return nil }
    }
}

extension SnapshotManifest.Block {
    fileprivate init?(_ value: JSONValue) {
        guard let parts = value.array, parts.count == 5, let bucket = parts[0].string.flatMap(Bucket.init),
            let hash = parts[1].string.flatMap({ ContentHash($0) }), let stored = parts[2].int,
            let content = parts[3].int, let entries = parts[4].int, content <= SnapshotBlock.contentBytesMax,
            entries <= content,
            stored <= 2 * SnapshotBlock.contentBytesMax
        else { return nil }
        self.init(bucket: bucket, hash: hash, storedBytes: stored, contentBytes: content, entries: entries)
    }
}

extension EventVersion {
    /// Reads `milliseconds.counter@origin`, as `description` prints it.
    package init?(_ text: String) {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, let hlc = HLC(String(parts[0])), let origin = OriginID(String(parts[1])) else {
            return nil
        }
        self.init(hlc: hlc, origin: origin)
    }
}
