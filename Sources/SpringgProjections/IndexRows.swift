import SpringgLog
import Synchronization

/// All rows ever written under one index name, by the convergence rule: each id is a last-writer-wins register.
///
/// A register is in one of two places: a visible row lives in the `VectorStore`, where readers see it; everything else
/// (tombstones, rows of an index that does not exist yet, rows of other dimensions) is kept here. When the index's
/// lifetime changes, rows move between the two. The writer's thread only.
final class IndexRows {
    let name: String
    fileprivate(set) var lifetime = IndexLifetime()
    /// What readers hold; nil while the index does not exist.
    fileprivate(set) var index: VectorIndex?

    enum Hidden: Sendable {
        case tombstone(EventVersion)
        case row(EventVersion, vector: [UInt8], metadata: [UInt8])

        var version: EventVersion {
            switch self {
            case .tombstone(let version), .row(let version, _, _): version
            }
        }

        /// Vector and metadata; empty for a tombstone.
        func withBytes<R, E: Error>(
            _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(E) -> R
        ) throws(E) -> R {
            guard case .row(_, let vector, let metadata) = self else {
                return try body(
                    UnsafeRawBufferPointer(start: nil, count: 0),
                    UnsafeRawBufferPointer(start: nil, count: 0)
                )
            }
            return try vector.withBytes { vector throws(E) in
                try metadata.withBytes { metadata throws(E) in try body(vector, metadata) }
            }
        }
    }

    fileprivate var hidden: [VectorID: Hidden] = [:]
    /// What of `hidden` may go with time.
    private var aging = AgingIDs()
    fileprivate var newestVersion = EventVersion.none
    private let resources: ProjectionResources
    private var memory: MemoryAccount { resources.memory }
    fileprivate var counters = IndexCounters()

    init(name: String, resources: ProjectionResources) {
        self.name = name
        self.resources = resources
        memory.add(IndexRows.bytesPerName)
    }

    /// Bytes that a name takes before it has rows: this object and the store, entries in dictionaries.
    ///
    /// A name goes only with the last that is known of it: a stale write could come for it until then.
    static let bytesPerName = 2048

    deinit {
        memory.add(-IndexRows.bytesPerName)
        clearHidden()
    }

    /// The version that stands under an id, visible or not; `.none` when nothing does.
    func version(of id: UnsafeRawBufferPointer) -> EventVersion {
        if let store = index?.store, let slot = store.slot(of: id) { return store.version(of: slot) }
        return hidden.isEmpty ? .none : hidden[VectorID(trusted: id)]?.version ?? .none
    }

    /// Applies a put or a delete of a row.
    func apply(_ event: Event, version: EventVersion, seen: EventVersion, recordBytes: Int, lsn: LSN) {
        counters.logBytes += recordBytes
        counters.lastLSN = lsn
        guard version > lifetime.deletedAt else { return }
        switch event {
        case .vectorPut(_, let id, let vector, let metadata):
            guard let standing = admit(id, version, seen) else { return }
            if isVisible(version, vectorBytes: vector.count), let store = index?.store {
                if standing != .none, !hidden.isEmpty { hide(nil, VectorID(trusted: id)) }
                store.put(id: id, vector: vector, metadata: metadata, version: version, lsn: lsn)
            } else {
                index?.store.remove(id: id, lsn: lsn)
                hide(.row(version, vector: Array(vector), metadata: Array(metadata)), VectorID(trusted: id))
            }
        case .vectorDeleted(_, let id):
            guard admit(id, version, seen) != nil else { return }
            index?.store.remove(id: id, lsn: lsn)
            hide(.tombstone(version), VectorID(trusted: id))
        case .indexCreated, .indexDeleted, .mark:
            preconditionFailure("\(name): \(event) is no row event")
        }
    }

    /// Moves a mark to `version`, unless it is at a later one already.
    func mark(_ mark: String, version: EventVersion, recordBytes: Int, lsn: LSN) {
        counters.logBytes += recordBytes
        counters.lastLSN = lsn
        var mark = mark
        mark.withUTF8 { id in
            let id = UnsafeRawBufferPointer(id)
            guard version > self.version(of: id) else { return }
            newestVersion = max(newestVersion, version)
            hide(.tombstone(version), VectorID(trusted: id))
        }
    }

    /// Where a mark stands; `.none` when there is none of that name.
    func version(of mark: String) -> EventVersion {
        var mark = mark
        return mark.withUTF8 { version(of: UnsafeRawBufferPointer($0)) }
    }

    /// The marks, when this is the register of marks.
    var marks: [(name: String, version: EventVersion)] { hidden.map { ($0.key.description, $0.value.version) } }

    /// The last writer wins: returns what stood there if `version` is to replace it, nil if it is older or the same.
    ///
    /// A writer that had not seen what stood there wrote at the same time as another; such writes are counted.
    private func admit(
        _ id: UnsafeRawBufferPointer,
        _ version: EventVersion,
        _ seen: EventVersion
    ) -> EventVersion? {
        let standing = self.version(of: id)
        guard standing != version else { return nil }
        newestVersion = max(newestVersion, version)
        if standing > lifetime.deletedAt, seen != standing { counters.concurrentWrites += 1 }
        return version > standing ? standing : nil
    }

    fileprivate func isVisible(_ version: EventVersion, vectorBytes: Int) -> Bool {
        guard let creation = lifetime.creation else { return false }
        return version > creation.version && vectorBytes == creation.dimensions * 4
    }

    /// Follows a change of the index's existence.
    func lifetimeChanged(to lifetime: IndexLifetime, recordBytes: Int, lsn: LSN) {
        counters.logBytes += recordBytes
        counters.lastLSN = lsn
        let before = self.lifetime
        self.lifetime = lifetime
        if lifetime.deletedAt > before.deletedAt {
            drop(upTo: lifetime.deletedAt, createdAnew: lifetime.creation != before.creation)
        }
        if lifetime.creation != before.creation { settle(lsn) }
    }

    /// Shows readers what has been counted.
    func publish() { index?.update(counters) }

    /// Drops every row at or below the delete of the index.
    private func drop(upTo deletedAt: EventVersion, createdAnew: Bool) {
        if newestVersion <= deletedAt {
            // The usual case, in constant time: nothing survives. The store goes when its last reader does. If the
            // index exists by the same create as before, that is above the delete, and its store is empty already.
            if createdAnew { index = nil }
            clearHidden()
            return
        }
        for (id, entry) in hidden where entry.version <= deletedAt { hide(nil, id) }
    }

    /// Puts every row where it belongs by the lifetime in force: a new store, filled from the old one and from what was
    /// hidden.
    ///
    /// Rare: it happens once when an index is made, and then only when nodes made or deleted it concurrently.
    private func settle(_ lsn: LSN) {
        let old = index
        let oldHidden = hidden
        clearHidden()
        index = makeIndex()
        func place(
            _ id: UnsafeRawBufferPointer,
            _ version: EventVersion,
            _ vector: UnsafeRawBufferPointer,
            _ metadata: UnsafeRawBufferPointer
        ) {
            guard version > lifetime.deletedAt else { return }
            if isVisible(version, vectorBytes: vector.count), let store = index?.store {
                store.put(id: id, vector: vector, metadata: metadata, version: version, lsn: lsn)
            } else {
                hide(.row(version, vector: Array(vector), metadata: Array(metadata)), VectorID(trusted: id))
            }
        }
        old?.store.forEachRun(at: LSN(.max - 1)) { first, _, _, count in
            for slot in first..<first + UInt32(count) {
                guard let store = old?.store else { return }
                place(
                    store.id(of: slot),
                    store.version(of: slot),
                    UnsafeRawBufferPointer(store.vector(of: slot)),
                    store.metadata(of: slot)
                )
            }
        }
        for (id, entry) in oldHidden {
            switch entry {
            case .tombstone: if entry.version > lifetime.deletedAt { hide(entry, id) }
            case .row(let version, let vector, let metadata):
                id.withUTF8 { id in
                    vector.withUnsafeBytes { vector in
                        metadata.withUnsafeBytes { metadata in place(id, version, vector, metadata) }
                    }
                }
            }
        }
        aging.sort()
    }

    /// Nothing is hidden any more.
    private func clearHidden() {
        for (id, entry) in hidden { memory.add(-IndexRows.bytes(of: entry, id)) }
        memory.add(-aging.count * AgingIDs.entryBytes)
        if isAging { resources.tombstones.kept.wrappingSubtract(counters.tombstones, ordering: .relaxed) }
        (hidden, aging) = ([:], AgingIDs())
        (counters.conflicts, counters.tombstones) = (0, 0)
    }

    /// An empty index by the create in force, if there is one.
    fileprivate func makeIndex() -> VectorIndex? {
        lifetime.creation.flatMap { creation in
            VectorIndex(
                name: name,
                version: creation.version,
                store: VectorStore(dimensions: creation.dimensions, epochs: resources.epochs, memory: memory),
                options: IndexOptions(json: creation.options),
                resources: resources
            )
        }
    }

    /// Sets or clears the hidden register of an id, keeping the counts.
    fileprivate func hide(_ entry: Hidden?, _ id: VectorID) {
        let old = hidden.updateValue(entry ?? .tombstone(.none), forKey: id)
        if entry == nil { hidden[id] = nil }
        if let old { account(old, id, -1) }
        guard let entry else { return }
        account(entry, id, +1)
        guard isAging else { return }
        aging.append(entry.version.hlc, id)
        memory.add(AgingIDs.entryBytes)
    }

    /// Marks are kept for ever: they are no tombstones, though they look like some.
    private var isAging: Bool { name != MarkName.register }

    private func account(_ entry: Hidden, _ id: VectorID, _ sign: Int) {
        memory.add(sign * IndexRows.bytes(of: entry, id))
        if case .tombstone = entry {
            counters.tombstones += sign
            if isAging { resources.tombstones.kept.wrappingAdd(sign, ordering: .relaxed) }
        }
        if case .row(let version, let vector, _) = entry, let creation = lifetime.creation,
            version > creation.version, vector.count != creation.dimensions * 4
        {
            counters.conflicts += sign
        }
    }

    /// Dictionary entry, and the arrays in it with their headers.
    private static func bytes(of entry: Hidden, _ id: VectorID) -> Int {
        let arrays =
            switch entry {
            case .tombstone: 0
            case .row(_, let vector, let metadata): vector.count + metadata.count + 64
            }
        return MemoryLayout<Hidden>.stride + 48 + id.bytes.count + arrays
    }
}

extension IndexRows {
    /// Lets go of what no event at or above `cut` needs: tombstones, and rows that only an older create could reveal.
    ///
    /// Looks at `limit` ids at most, and takes what it has looked at from it. Returns the newest version that went.
    func forget(below cut: HLC, limit: inout Int) -> EventVersion {
        var newest = EventVersion.none
        var gone = 0
        while limit > 0, let (hlc, id) = aging.popFirst(below: cut) {
            limit -= 1
            memory.add(-AgingIDs.entryBytes)
            guard let entry = hidden[id], entry.version.hlc == hlc, isForgettable(entry) else { continue }
            newest = max(newest, entry.version)
            hide(nil, id)
            gone += 1
        }
        guard gone > 0 else { return .none }
        resources.tombstones.dropped.wrappingAdd(gone, ordering: .relaxed)
        // A dictionary never gives room back by itself.
        if hidden.capacity > 4 * hidden.count + 64 {
            hidden = Dictionary(uniqueKeysWithValues: hidden.map { ($0, $1) })
        }
        publish()
        return newest
    }

    /// A conflict stays: it is nothing that was deleted.
    private func isForgettable(_ entry: Hidden) -> Bool {
        guard case .row(let version, _, _) = entry else { return true }
        return lifetime.creation.map { version < $0.version } ?? true
    }

    /// True when nothing is known under the name but that there was something, and no event at or above `cut` needs that.
    func isEmpty(below cut: HLC) -> Bool {
        isAging && index == nil && hidden.isEmpty && lifetime.creations.isEmpty && lifetime.deletedAt.hlc < cut
    }

    /// All that a checkpoint held is back.
    func restoredAll() { aging.sort() }

    /// Everything under the name at one moment; the rows themselves are in the index, at the moment of a pin.
    struct Capture: Sendable {
        var name: String
        var lifetime: IndexLifetime
        var newestVersion: EventVersion
        var counters: IndexCounters
        var hidden: [VectorID: Hidden]
        var index: VectorIndex?
    }

    /// Costs no more than the copy of a dictionary's reference.
    func capture() -> Capture {
        Capture(
            name: name,
            lifetime: lifetime,
            newestVersion: newestVersion,
            counters: counters,
            hidden: hidden,
            index: index
        )
    }

    /// Takes the place of a name that a checkpoint holds; `restore` brings its rows.
    func restore(_ saved: CheckpointManifest.Name) {
        lifetime = saved.lifetime
        newestVersion = saved.newestVersion
        counters = saved.counters
        index = makeIndex()
    }

    /// Brings back a row or a tombstone; false when it does not fit the index.
    func restore(_ entry: StateEntry, lsn: LSN) -> Bool {
        switch entry.kind {
        case .visible:
            guard isVisible(entry.version, vectorBytes: entry.vector.count), let store = index?.store else {
                return false
            }
            store.put(
                id: entry.id,
                vector: entry.vector,
                metadata: entry.metadata,
                version: entry.version,
                lsn: lsn
            )
        case .hidden:
            hide(
                .row(entry.version, vector: Array(entry.vector), metadata: Array(entry.metadata)),
                VectorID(trusted: entry.id)
            )
        case .tombstone:
            hide(.tombstone(entry.version), VectorID(trusted: entry.id))
        }
        return true
    }
}

/// What is counted of an index beside its rows.
struct IndexCounters: Sendable, Equatable {
    /// Rows that do not fit the index's dimensions: kept, invisible.
    var conflicts = 0
    /// Ids that were deleted, kept so that no older write brings them back.
    var tombstones = 0
    /// Writes whose writer had not seen what they met.
    var concurrentWrites = 0
    /// Bytes of this index's records in the log.
    var logBytes = 0
    /// The last event about the index.
    var lastLSN = LSN.zero
}
