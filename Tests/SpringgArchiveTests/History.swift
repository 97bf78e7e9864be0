import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

/// Events of several origins in the order in which one node got them, in a log on a simulated disk, with a model of what
/// every moment looks like.
struct History {
    /// In the order of the log: item 0 has LSN 1.
    let items: [EventSet.Item]
    let disk: SimulatedFileSystem
    static let data = "/data"
    static let store = "/store"
    static let origin = OriginID(high: 99, low: 1)

    /// Each origin's events stay in order; between origins they arrive as they like.
    init(
        using random: inout SeededRandom,
        origins: Int,
        events: Int,
        disk: SimulatedFileSystem = SimulatedFileSystem()
    ) throws {
        let set = EventSet(using: &random, origins: origins, events: events, marksOneIn: 12)
        var streams = (0..<origins).map { origin in set.items.filter { $0.origin == origin }[...] }
        var items: [EventSet.Item] = []
        while items.count < set.items.count {
            let stream = Int.random(in: 0..<origins, using: &random)
            if let next = streams[stream].popFirst() { items.append(next) }
        }
        self.items = items
        self.disk = disk
        var options = LogOptions()
        options.segmentBytes = 4096
        let writer = try Log.begin(
            in: History.data + "/log",
            options: options,
            fileSystem: disk,
            origin: History.origin,
            behind: .beginning
        )
        for item in items {
            let envelope = item.event.envelope
            if !writer.hasRoom(forRecordBytes: item.event.recordBytes) || random.oneIn(5) { try writer.commit() }
            _ = try writer.stage(envelope)
        }
        try writer.commit()
        writer.close()
    }

    /// Everything that a user could see.
    struct Seen: Equatable {
        var digest: StateDigest
        var rows: [String: [Float]]
        var indexes: [String]
    }

    /// What the events within a bound lead to, by the rule itself and by fresh projections.
    func model(_ bound: VersionBound) throws -> Seen {
        let included = items.filter { bound.holds($0.event.envelope.version) }
        let state = try History.state(included)
        let rule = EventSet.visible(after: included)
        let seen = History.look(state)
        #expect(seen.rows == rule.rows)
        #expect(seen.indexes == rule.indexes.keys.sorted())
        return seen
    }

    static func state(_ items: [EventSet.Item]) throws -> Materializer {
        let state = Materializer()
        for (number, item) in items.enumerated() {
            let event = try #require(item.event.envelope.event)
            state.apply(
                event,
                of: item.event.envelope,
                recordBytes: item.event.recordBytes,
                lsn: LSN(UInt64(number + 1))
            )
        }
        state.publish()
        return state
    }

    static func look(_ state: Materializer) -> Seen { look(state.indexes, state.digest) }

    static func look(_ indexes: [VectorIndex], _ digest: StateDigest) -> Seen {
        var rows: [String: [Float]] = [:]
        for index in indexes {
            index.forEachRowInIDOrder { row in
                rows[index.name.description + "/" + String(decoding: row.id, as: UTF8.self)] = Array(row.vector)
                return true
            }
        }
        return Seen(digest: digest, rows: rows, indexes: indexes.map(\.name.description))
    }

    /// What is held after the first `count` events of the log.
    func heads(_ count: Int) -> VersionVector {
        var heads = VersionVector()
        for item in items.prefix(count) {
            let envelope = item.event.envelope
            heads[envelope.origin] = .init(sequence: envelope.sequence, chain: envelope.chain)
        }
        return heads
    }

    func newest(_ count: Int) -> EventVersion {
        items.prefix(count).reduce(EventVersion.none) { max($0, $1.event.envelope.version) }
    }

    /// Writes a checkpoint of the state after the first `count` events, as the node would have.
    func checkpoint(_ count: Int) throws {
        let state = try History.state(Array(items.prefix(count)))
        try state.checkpoint(heads: heads(count), to: History.data + "/checkpoints", disk)
    }

    func openStore(_ disk: SimulatedFileSystem? = nil) throws -> DirectoryStore {
        try DirectoryStore(path: History.store, createIfMissing: true, fileSystem: disk ?? self.disk, writer: "w")
    }

    /// Writes a snapshot of the state after the first `count` events.
    @discardableResult
    func snapshot(_ count: Int) throws -> SnapshotManifest {
        let state = try History.state(Array(items.prefix(count)))
        return try SnapshotWriter(to: openStore())
            .write(state.captureState(heads: heads(count)), origin: History.origin, newest: newest(count)).manifest
    }

    /// Removes the segments whose records all lie at or below `count`.
    func trim(upTo count: Int) throws {
        let segments = try LogScan(directory: History.data + "/log", fileSystem: disk).segments()
        for (segment, next) in zip(segments, segments.dropFirst()) where next.firstLSN <= LSN(UInt64(count + 1)) {
            try disk.remove(segment.path)
        }
    }

    /// All sources that a test wants, opened as the command does.
    func source(log: Bool = true, snapshots: String? = nil, disk: SimulatedFileSystem? = nil) throws -> RestoreSource {
        let disk = disk ?? self.disk
        var source = RestoreSource()
        if log { try source.add(History.data, fileSystem: disk) { throw RestoreError.noSource($0) } }
        if let snapshots { try source.add("file://" + snapshots, fileSystem: disk) { _ in try openStore(disk) } }
        return source
    }

    /// A target of any kind, and the bound that it must have.
    func target(using random: inout SeededRandom) throws -> (RestoreTarget, excluding: Bool, VersionBound) {
        let item = try #require(items.randomElement(using: &random))
        let envelope = item.event.envelope
        let excluding = random.oneIn(4)
        switch Int.random(in: 0..<5, using: &random) {
        case 0:
            let milliseconds = envelope.version.hlc.milliseconds
            return (
                .time(milliseconds: milliseconds), excluding,
                excluding
                    ? .below(HLC(milliseconds: milliseconds, counter: 0))
                    : .upTo(HLC(milliseconds: milliseconds, counter: .max))
            )
        case 1:
            return (
                .reading(envelope.version.hlc), excluding,
                excluding ? .below(envelope.version.hlc) : .upTo(envelope.version.hlc)
            )
        case 2:
            let marks = items.compactMap { item in
                if case .mark(let name)? = item.event.envelope.event {
                    (name, item.event.envelope.version)
                } else {
                    nil
                }
            }
            guard let (name, _) = marks.randomElement(using: &random) else { fallthrough }
            let version = marks.filter { $0.0 == name }.reduce(EventVersion.none) { max($0, $1.1) }
            return (.mark(name), excluding, VersionBound(version: version, includesVersion: !excluding))
        case 3:
            return (
                .event(envelope.origin, envelope.sequence), excluding,
                VersionBound(version: envelope.version, includesVersion: !excluding)
            )
        default:
            return (.latest, false, .everything)
        }
    }
}
