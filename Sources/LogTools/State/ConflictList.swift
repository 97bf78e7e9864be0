package import SpringgLog
package import SpringgProjections

/// Writes that did not know of each other, and rows that do not fit their index.
package struct ConflictList {
    /// A write whose writer had not seen what it met.
    package struct Concurrent: Sendable {
        package var lsn: LSN
        package var index: String
        package var id: VectorID
        package var version: EventVersion
        package var seen: EventVersion
        package var standing: EventVersion
        package var won: Bool
    }

    /// A row with other dimensions than its index.
    package struct Misfit: Sendable {
        package var index: String
        package var id: VectorID
        package var row: RowLedger.Register
        package var indexDimensions: Int
    }

    package private(set) var ledger: RowLedger

    package init(only: Set<String>? = nil) { ledger = RowLedger(only: only) }

    /// Begins with what a checkpoint holds.
    package init(ledger: RowLedger) { self.ledger = ledger }

    /// Takes a record; returns the conflict that it is.
    package mutating func add(_ record: LogRecord) -> Concurrent? {
        guard let meeting = ledger.apply(record), meeting.isConcurrent, let event = record.envelope.event,
            let id = event.id, let index = event.index
        else { return nil }
        return Concurrent(
            lsn: record.lsn,
            index: index,
            id: VectorID(trusted: id),
            version: record.envelope.version,
            seen: record.envelope.seen,
            standing: meeting.standing,
            won: meeting.won
        )
    }

    /// The rows that do not fit, in order.
    package var misfits: [Misfit] {
        ledger.indexes.sorted { $0.key < $1.key }.flatMap { name, index in
            index.rows.filter { index.isConflict($0.value) }.map { id, row in
                Misfit(index: name, id: id, row: row, indexDimensions: index.lifetime.creation?.dimensions ?? 0)
            }.sorted { $0.row.version < $1.row.version }
        }
    }
}
