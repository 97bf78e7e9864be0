package import SpringgLog
import Synchronization

/// Owns the projections and is the only caller of `apply`: events go in by LSN, readers see a batch at a time.
///
/// The writer's thread only, except for `directory`, through which everybody finds the living indexes.
package final class Materializer: Projection {
    private var catalog = Catalog()
    private var rows: [String: IndexRows] = [:]
    let resources = ProjectionResources()
    /// Shared with readers.
    let directory: IndexDirectory
    /// Shared with readers: where the named moments are.
    let marks = MarkBook()
    /// The last event applied, shown to readers by `publish`.
    package private(set) var appliedLSN = LSN.zero
    private var highestHLC = HLC(0)
    /// Nothing newer than this was ever dropped: an event that is not newer, and not held, could be one that a tombstone here
    /// would have kept out.
    package private(set) var dropped = EventVersion.none
    /// Indexes whose rows the batch in hand changes.
    private var touched: Set<String> = []
    /// The one that the last event belonged to; in `touched`.
    private var latest: IndexRows?
    /// Indexes with rows that a reader may see, or a graph holds, and that go later.
    private var reclaiming: Set<String> = []
    /// Told of each index whose graph has fallen behind; nil when nobody keeps the graphs.
    var onBacklog: ((VectorIndex) -> Void)?
    /// Of the indexes that the last batch changed, the one whose graph has most to do.
    private(set) var mostBehind: VectorIndex?

    package init() { directory = IndexDirectory(memory: resources.memory) }

    /// The rows under a name, for the sequencer's checks.
    func rows(_ name: String) -> IndexRows? { rows[name] }

    /// The existence of a name, for the sequencer's checks.
    func lifetime(_ name: String) -> IndexLifetime { catalog[name] }

    /// Applies one event.
    ///
    /// `publish` shows it.
    package func apply(_ event: Event, of envelope: Envelope, recordBytes: Int, lsn: LSN) {
        precondition(lsn > appliedLSN, "LSN \(lsn) applied after \(appliedLSN)")
        appliedLSN = lsn
        highestHLC = max(highestHLC, envelope.version.hlc)
        let name = event.index ?? MarkName.register
        let rows = rows(under: name)
        switch event {
        case .indexCreated, .indexDeleted:
            let change = catalog.apply(event, envelope.version)
            let before = rows.index
            rows.lifetimeChanged(to: change.after, recordBytes: recordBytes, lsn: lsn)
            if rows.index !== before { directory.set(rows.index, name) }
        case .vectorPut, .vectorDeleted:
            rows.apply(event, version: envelope.version, seen: envelope.seen, recordBytes: recordBytes, lsn: lsn)
        case .mark(let mark):
            rows.mark(mark, version: envelope.version, recordBytes: recordBytes, lsn: lsn)
            marks.set(mark, rows.version(of: mark))
        }
    }

    /// Applies a record that was read back from the log, before there are readers.
    ///
    /// - Throws: `.newerFormat` when this version does not know the event: without it the state would be wrong.
    package func replay(_ record: LogRecord) throws(LogError) {
        try replay(record, at: record.lsn)
    }

    /// The same for a record that gets another place in the log that is being made of it.
    package func replay(_ record: LogRecord, at lsn: LSN) throws(LogError) {
        let envelope = record.envelope
        guard let event = envelope.event else {
            throw .newerFormat(
                segment: "the log",
                offset: record.offset,
                what: "at LSN \(record.lsn) an event of kind \(envelope.kindTag)"
            )
        }
        apply(event, of: envelope, recordBytes: record.recordBytes, lsn: lsn)
        // What was replaced or removed can go as soon as it is out of sight.
        if lsn.rawValue % Materializer.recordsBetweenPublications == 0 { publish() }
    }

    private static let recordsBetweenPublications: UInt64 = 4096

    /// From now on clients wait for the thread that applies.
    func goLive() {
        resources.memory.hasClients.store(true, ordering: .relaxed)
        for rows in rows.values { rows.index?.store.goLive() }
    }

    /// Shows readers everything applied, and takes back the memory of rows that nobody can see any more.
    package func publish() {
        resources.epochs.publish(appliedLSN)
        reclaiming.formUnion(touched)
        reclaim()
        mostBehind = nil
        var most = 0
        for name in touched {
            guard let rows = rows[name] else { continue }
            rows.publish()
            guard let index = rows.index, index.backlog > 0 else { continue }
            onBacklog?(index)
            if index.backlog > most { (mostBehind, most) = (index, index.backlog) }
        }
        touched.removeAll(keepingCapacity: true)
        latest = nil
    }

    /// Takes back the memory of rows that nobody can see any more, and no graph holds.
    package func reclaim() {
        for name in reclaiming {
            guard let store = rows[name]?.index?.store else {
                reclaiming.remove(name)
                continue
            }
            store.reclaim()
            if !store.hasRowsToReclaim {
                reclaiming.remove(name)
            } else if let index = rows[name]?.index, index.backlog > 0 {
                onBacklog?(index)
            }
        }
    }

    /// Lets go of the tombstones of rows and indexes below `cut`, and of what only older events could reveal.
    ///
    /// Whoever calls this knows that every event below `cut` that will ever be applied has been. Nothing that is shown
    /// changes, no digest, no answer. To be called between two batches; `limit` bounds the work.
    /// - Returns: True when there is more to do.
    @discardableResult
    package func forgetDeleted(below cut: HLC, limit: Int = .max) -> Bool {
        var left = limit
        var newest = EventVersion.none
        for (name, rows) in rows {
            newest = max(newest, rows.forget(below: cut, limit: &left))
            guard left > 0 else { break }
            guard rows.isEmpty(below: cut) else { continue }
            newest = max(newest, rows.lifetime.deletedAt)
            self.rows[name] = nil
            catalog.forget(name)
            reclaiming.remove(name)
        }
        if newest > dropped { setDropped(newest) }
        return left == 0
    }

    /// Takes over what a checkpoint or a snapshot says of what is missing in it.
    package func setDropped(_ version: EventVersion) {
        dropped = version
        resources.tombstones.droppedBelow.store(version.hlc.rawValue, ordering: .relaxed)
    }

    /// An event was refused for what had been dropped.
    func countRefused() { resources.tombstones.refused.wrappingAdd(1, ordering: .relaxed) }

    /// How it stands with what is kept of deleted rows and indexes.
    package var tombstones: TombstoneReport { resources.tombstones.report }

    /// The rows under a name, which the batch in hand touches; events of one name come in rows.
    private func rows(under name: String) -> IndexRows {
        if let latest, latest.name == name { return latest }
        touched.insert(name)
        let rows = rows[name] ?? makeRows(name)
        latest = rows
        return rows
    }

    private func makeRows(_ name: String) -> IndexRows {
        let made = IndexRows(name: name, resources: resources)
        rows[name] = made
        return made
    }

    /// What a checkpoint at this moment has to hold.
    ///
    /// To be called between `publish` and the next `apply`, so that the pin's moment is the last event applied.
    func capture(heads: VersionVector) -> CheckpointCapture {
        let pin = resources.epochs.pin()
        precondition(pin.moment == appliedLSN, "a checkpoint of LSN \(appliedLSN) taken at \(pin.moment)")
        return CheckpointCapture(
            base: LogBase(lsn: appliedLSN, heads: heads, highestHLC: highestHLC),
            dropped: dropped,
            names: rows.keys.sorted().compactMap { rows[$0]?.capture() },
            pin: pin
        )
    }

    /// Begins a name that a checkpoint holds; its rows are brought to what is returned.
    func restore(_ saved: CheckpointManifest.Name) -> IndexRows {
        let rows = rows[saved.name] ?? makeRows(saved.name)
        catalog[saved.name] = saved.lifetime
        rows.restore(saved)
        directory.set(rows.index, saved.name)
        return rows
    }

    /// The checkpoint is whole: the log goes on behind `lsn`.
    func restored(_ base: LogBase, dropped: EventVersion) {
        appliedLSN = base.lsn
        highestHLC = base.highestHLC
        setDropped(dropped)
        for rows in rows.values { rows.restoredAll() }
        for mark in rows[MarkName.register]?.marks ?? [] { marks.set(mark.name, mark.version) }
        resources.epochs.markCheckpointed(base.lsn)
        publish()
    }

    /// To be told, on any thread, of each complete checkpoint.
    var markCheckpointed: @Sendable (LSN) -> Void {
        { [epochs = resources.epochs] lsn in epochs.markCheckpointed(lsn) }
    }

    /// Digest of everything visible: of each living index its name, its create and its rows.
    package var digest: StateDigest { directory.digest }

    /// The living indexes, in the order of their names.
    package var indexes: [VectorIndex] { directory.all }

    /// Bytes that the projections hold.
    package var memoryBytes: Int { resources.memory.total }
}
