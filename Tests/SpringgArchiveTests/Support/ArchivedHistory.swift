import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization

/// A history in an archive, as archivers of several nodes could have left it.
struct ArchivedHistory {
    let history: History
    let store: any ObjectStore
    private(set) var manifest: ArchiveManifest

    /// Begins an archive of a history, with nothing in it.
    init(_ history: History) throws {
        self.history = history
        store = try history.openStore()
        manifest = ArchiveManifest(cluster: "00000000000000000000000000000001")
    }

    /// Archives all events in segments of random size, and takes snapshots of random moments of the log.
    mutating func fill(using random: inout SeededRandom, snapshots: Int) throws {
        var origins: [OriginID: [EventSet.Item]] = [:]
        for item in history.items { origins[item.event.envelope.origin, default: []].append(item) }
        for origin in origins.keys.sorted() {
            var left = origins[origin, default: []][...]
            var head = VersionVector.Head.start
            while !left.isEmpty {
                var segment = ArchiveSegment(origin: origin, after: head)
                for item in left.prefix(Int.random(in: 1...20, using: &random)) {
                    segment.append(item.event.envelope)
                    left.removeFirst()
                }
                let (listed, object, _) = segment.finish()
                try store.put(listed.key, bytes: object)
                head = listed.head
                manifest.segments.append(listed)
            }
        }
        manifest.heads = history.heads(history.items.count)
        manifest.highestHLC = history.newest(history.items.count).hlc
        for _ in 0..<snapshots { try snapshot(Int.random(in: 1...history.items.count, using: &random)) }
    }

    /// Takes a snapshot of the state after the first `count` events of the log.
    mutating func snapshot(_ count: Int) throws {
        // Its name is that of its newest event.
        let newest = history.newest(count).hlc
        guard !manifest.snapshots.contains(where: { $0.highestHLC == newest }) else { return }
        let snapshot = try history.snapshot(count)
        manifest.snapshots.append(try .init(snapshot))
        manifest.snapshots.sort { $0.id < $1.id }
    }

    /// Removes segments from the list, as expiry does.
    mutating func expire(_ isOld: (ArchiveManifest.Segment) -> Bool) { manifest.segments.removeAll(where: isOld) }

    /// Writes the next generation.
    mutating func commit() throws {
        manifest.generation += 1
        if manifest.generation > 1 { manifest.previous = ContentHash(of: []) }
        try store.put(ArchiveManifest.key(manifest.generation), bytes: manifest.encoded())
    }

    /// The archive, opened as the command does.
    func source(_ store: (any ObjectStore)? = nil) throws -> RestoreSource {
        try RestoreSource(archive: store ?? self.store)
    }
}

/// A store that fails after so many reads, and counts them.
final class FailingStore: ObjectStore {
    let inner: any ObjectStore
    private let state: Mutex<(reads: Int, left: Int, bytes: Int)>

    init(_ inner: any ObjectStore, readsLeft: Int = .max) {
        self.inner = inner
        state = Mutex((0, readsLeft, 0))
    }

    var reads: Int { state.withLock { $0.reads } }

    var location: String { inner.location }

    func get(
        _ key: ObjectKey,
        _ range: ObjectRange,
        consume: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> ObjectInfo {
        let fails = state.withLock { state in
            state.reads += 1
            state.left -= 1
            return state.left < 0
        }
        guard fails else { return try inner.get(key, range, consume: consume) }
        // Half of it comes.
        let bytes = try inner.read(key, range, limit: 1 << 20)
        try bytes.prefix(bytes.count / 2).withUnsafeBytes { try consume($0) }
        throw ObjectStoreError.unavailable(at: path(of: key), "the server is gone")
    }

    func put(_ key: ObjectKey, _ body: ObjectBody, condition: PutCondition) throws(ObjectStoreError) -> ObjectInfo {
        try inner.put(key, body, condition: condition)
    }
    func head(_ key: ObjectKey) throws(ObjectStoreError) -> ObjectInfo { try inner.head(key) }
    func list(prefix: String, after start: ObjectKey?, _ body: (ObjectInfo) throws -> Bool) throws -> ListSummary {
        try inner.list(prefix: prefix, after: start, body)
    }
    func delete(_ keys: [ObjectKey]) throws(ObjectStoreError) { try inner.delete(keys) }
    func removeLeftovers(olderThanSeconds seconds: Int) throws(ObjectStoreError) -> Int {
        try inner.removeLeftovers(olderThanSeconds: seconds)
    }
    func close() { inner.close() }
}
