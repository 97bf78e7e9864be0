package import SpringgLog
import Synchronization

/// Owns the projections and is the only caller of `apply`: events go in by LSN, readers see a batch at a time.
///
/// The writer's thread only, except for `directory`, through which everybody finds the living indexes.
package final class Materializer: Projection {
    private var catalog = Catalog()
    private var rows: [String: IndexRows] = [:]
    private let epochs = ReadEpochs()
    private let memory = MemoryAccount()
    /// Shared with readers.
    let directory: IndexDirectory
    /// The last event applied, shown to readers by `publish`.
    package private(set) var appliedLSN = LSN.zero
    private var highestHLC = HLC(0)
    /// Indexes that have rows to reclaim.
    private var touched: Set<String> = []

    package init() { directory = IndexDirectory(memory: memory) }

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
        let name = event.index
        let rows = rows[name] ?? makeRows(name)
        switch event {
        case .indexCreated, .indexDeleted:
            let change = catalog.apply(event, envelope.version)
            let before = rows.index
            rows.lifetimeChanged(to: change.after, recordBytes: recordBytes, lsn: lsn)
            if rows.index !== before { directory.set(rows.index, name) }
        case .vectorPut, .vectorDeleted:
            touched.insert(name)
            rows.apply(event, version: envelope.version, seen: envelope.seen, recordBytes: recordBytes, lsn: lsn)
        }
    }

    /// Applies a record that was read back from the log, before there are readers.
    ///
    /// - Throws: `.newerFormat` when this version does not know the event: without it the state would be wrong.
    package func replay(_ record: LogRecord) throws(LogError) {
        let envelope = record.envelope
        guard let event = envelope.event else {
            throw .newerFormat(
                segment: "the log",
                offset: record.offset,
                what: "at LSN \(record.lsn) an event of kind \(envelope.kindTag)"
            )
        }
        apply(event, of: envelope, recordBytes: record.recordBytes, lsn: record.lsn)
        // What was replaced or removed can go as soon as it is out of sight.
        if record.lsn.rawValue % Materializer.recordsBetweenPublications == 0 { publish() }
    }

    private static let recordsBetweenPublications: UInt64 = 4096

    /// Shows readers everything applied, and takes back the memory of rows that nobody can see any more.
    package func publish() {
        epochs.publish(appliedLSN)
        for name in touched { rows[name]?.index?.store.reclaim() }
        touched.removeAll(keepingCapacity: true)
    }

    private func makeRows(_ name: String) -> IndexRows {
        let made = IndexRows(name: name, epochs: epochs, memory: memory)
        rows[name] = made
        return made
    }

    /// What a checkpoint at this moment has to hold.
    ///
    /// To be called between `publish` and the next `apply`, so that the pin's moment is the last event applied.
    func capture(heads: VersionVector) -> CheckpointCapture {
        let pin = epochs.pin()
        precondition(pin.moment == appliedLSN, "a checkpoint of LSN \(appliedLSN) taken at \(pin.moment)")
        return CheckpointCapture(
            base: LogBase(lsn: appliedLSN, heads: heads, highestHLC: highestHLC),
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
    func restored(_ base: LogBase) {
        appliedLSN = base.lsn
        highestHLC = base.highestHLC
        epochs.markCheckpointed(base.lsn)
        publish()
    }

    /// To be told, on any thread, of each complete checkpoint.
    var markCheckpointed: @Sendable (LSN) -> Void { { [epochs] lsn in epochs.markCheckpointed(lsn) } }

    /// Digest of everything visible: of each living index its name, its create and its rows.
    package var digest: StateDigest { directory.digest }

    /// The living indexes, in the order of their names.
    package var indexes: [VectorIndex] { directory.all }

    /// Bytes that the projections hold.
    package var memoryBytes: Int { memory.total }
}
