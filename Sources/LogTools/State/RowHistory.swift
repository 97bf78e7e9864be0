package import SpringgLog
package import SpringgProjections

/// Everything that a log says about one row: every version, and which of them stands in the end.
package struct RowHistory {
    /// One event about the row, or about the existence of its index.
    package struct Entry: Sendable {
        package var lsn: LSN
        package var version: EventVersion
        package var sequence: SpringgLog.Sequence
        package var kind: EventKind
        /// Components of the vector or of the index; 0 for deletes.
        package var dimensions: Int
        package var recordBytes: Int
        package var meeting: RowLedger.Meeting?
    }

    package let index: String
    package let id: VectorID
    package private(set) var entries: [Entry] = []
    private var ledger: RowLedger

    package init(index: String, id: VectorID) {
        self.index = index
        self.id = id
        ledger = RowLedger(only: [index])
    }

    /// Takes a record if it is about the row or its index.
    package mutating func add(_ record: LogRecord) {
        guard let event = record.envelope.event, event.index == index else { return }
        if let other = event.id, VectorID(trusted: other) != id { return }
        let dimensions =
            switch event {
            case .vectorPut(_, _, let vector, _): vector.count / 4
            case .indexCreated(_, let dimensions, _): dimensions
            default: 0
            }
        guard let kind = record.envelope.kind else { return }
        let meeting = ledger.apply(record)
        entries.append(
            Entry(
                lsn: record.lsn,
                version: record.envelope.version,
                sequence: record.envelope.sequence,
                kind: kind,
                dimensions: dimensions,
                recordBytes: record.recordBytes,
                meeting: meeting
            )
        )
    }

    /// Takes what a checkpoint holds of the row.
    package mutating func restore(_ lifetime: IndexLifetime, _ row: RowLedger.Register?) {
        ledger.restore(index, lifetime, row.map { [id: $0] } ?? [:])
    }

    /// What stands in the end.
    package enum Outcome: Equatable, Sendable {
        case visible(EventVersion)
        case deleted(EventVersion)
        /// The row is kept, and out of sight.
        case hidden(EventVersion, reason: String)
        case none(reason: String)
    }

    /// What stands in the end.
    package var outcome: Outcome {
        guard let state = ledger.indexes[index] else {
            return .none(reason: "the log says nothing of the index \(index)")
        }
        guard let row = state.rows[id] else {
            return .none(
                reason: state.lifetime.creation == nil
                    ? "the index does not exist" : "the index exists and never held the id since it was created"
            )
        }
        if row.isTombstone { return .deleted(row.version) }
        if state.isVisible(row) { return .visible(row.version) }
        guard let creation = state.lifetime.creation else {
            return .hidden(row.version, reason: "the index does not exist")
        }
        return .hidden(
            row.version,
            reason: state.isConflict(row)
                ? "the vector has \(row.dimensions) dimensions, the index \(creation.dimensions)"
                : "it is older than the index"
        )
    }

    /// What became of an entry, in a word.
    package func fate(of entry: Entry) -> String {
        switch entry.kind {
        case .indexCreated: return ledger.indexes[index]?.lifetime.creation?.version == entry.version ? "in force" : ""
        case .indexDeleted: return ledger.indexes[index]?.lifetime.deletedAt == entry.version ? "in force" : ""
        default: break
        }
        guard let state = ledger.indexes[index] else { return "" }
        if state.rows[id]?.version == entry.version { return "won" }
        if entry.version <= state.lifetime.deletedAt { return "gone with the index" }
        return "replaced"
    }
}
