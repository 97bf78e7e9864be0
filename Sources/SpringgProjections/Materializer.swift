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

    /// Digest of everything visible: of each living index its name, its create and its rows.
    package var digest: StateDigest { directory.digest }

    /// The living indexes, in the order of their names.
    package var indexes: [VectorIndex] { directory.all }

    /// Bytes that the projections hold.
    package var memoryBytes: Int { memory.total }
}
