package import SpringgLog
package import SpringgProjections

/// What a log says of every row, without the vectors: which version stands under each id, and what it replaced.
///
/// The convergence rule once more, in the form that an audit needs: it remembers versions, sizes and hashes, about a
/// hundred bytes a row, and tells of each event what it met. Tests hold it against the projections.
package struct RowLedger {
    /// What stands under an id.
    package struct Register: Equatable, Sendable {
        package var version: EventVersion
        /// Components of the vector; 0 for a tombstone.
        package var dimensions: Int
        /// Hash of vector and metadata.
        package var value: UInt64
        /// Where it stands in the log; zero when it came from a checkpoint.
        package var lsn: LSN

        package var isTombstone: Bool { dimensions == 0 }
    }

    /// Everything under one name.
    package struct Index: Sendable {
        package fileprivate(set) var lifetime = IndexLifetime()
        package fileprivate(set) var rows: [VectorID: Register] = [:]

        /// Whether readers see the row.
        package func isVisible(_ row: Register) -> Bool {
            guard let creation = lifetime.creation else { return false }
            return row.version > creation.version && row.dimensions == creation.dimensions
        }

        /// Whether the row is kept out of sight because its dimensions are not the index's.
        package func isConflict(_ row: Register) -> Bool {
            guard let creation = lifetime.creation, !row.isTombstone else { return false }
            return row.version > creation.version && row.dimensions != creation.dimensions
        }
    }

    /// What an event met.
    package struct Meeting: Equatable, Sendable {
        /// What stood there before.
        package var standing: EventVersion
        /// True when the event took its place.
        package var won: Bool
        /// True when its writer had not seen what stood there.
        package var isConcurrent: Bool
    }

    package private(set) var indexes: [String: Index] = [:]
    /// The names that are followed; nil for all.
    private let only: Set<String>?

    package init(only: Set<String>? = nil) { self.only = only }

    /// Takes an event; nil when it is not about a row that could matter.
    @discardableResult
    package mutating func apply(_ record: LogRecord) -> Meeting? {
        guard let event = record.envelope.event, let name = event.index, only?.contains(name) ?? true else {
            return nil
        }
        return apply(event, record, to: &indexes[name, default: Index()])
    }

    private func apply(_ event: Event, _ record: LogRecord, to index: inout Index) -> Meeting? {
        let version = record.envelope.version
        switch event {
        case .indexCreated(_, let dimensions, let options):
            index.lifetime.create(.init(version: version, dimensions: dimensions, options: Array(options)))
        case .indexDeleted:
            index.lifetime.delete(version)
            let deletedAt = index.lifetime.deletedAt
            index.rows = index.rows.filter { $0.value.version > deletedAt }
        case .vectorPut(_, let id, let vector, let metadata):
            return put(
                Register(
                    version: version,
                    dimensions: vector.count / 4,
                    value: Checksum.hash64(metadata, seed: Checksum.hash64(vector)),
                    lsn: record.lsn
                ),
                VectorID(trusted: id),
                record.envelope.seen,
                &index
            )
        case .vectorDeleted(_, let id):
            let tombstone = Register(version: version, dimensions: 0, value: 0, lsn: record.lsn)
            return put(tombstone, VectorID(trusted: id), record.envelope.seen, &index)
        case .mark:
            break
        }
        return nil
    }

    private func put(_ row: Register, _ id: VectorID, _ seen: EventVersion, _ index: inout Index) -> Meeting? {
        guard row.version > index.lifetime.deletedAt else { return nil }
        let standing = index.rows[id]?.version ?? .none
        guard standing != row.version else { return nil }
        let wins = row.version > standing
        if wins { index.rows[id] = row }
        return Meeting(standing: standing, won: wins, isConcurrent: standing != .none && seen != standing)
    }

    /// Takes what a checkpoint holds, before any event behind it.
    package mutating func restore(_ name: String, _ lifetime: IndexLifetime, _ rows: [VectorID: Register]) {
        guard only?.contains(name) ?? true else { return }
        indexes[name] = Index(lifetime: lifetime, rows: rows)
    }
}

extension RowLedger {
    /// What a state holds: rows without their places in a log.
    package init(_ state: StateCapture) {
        self.init()
        for (position, name) in state.names.enumerated() where !name.name.isEmpty {
            let lifetime = IndexLifetime(deletedAt: name.deletedAt, creations: name.creations)
            let entries = state.entries(position)
            var rows: [VectorID: Register] = [:]
            rows.reserveCapacity(entries.count)
            for number in 0..<entries.count {
                entries.withEntry(number) { entry in
                    rows[VectorID(trusted: entry.id)] = Register(
                        version: entry.version,
                        dimensions: entry.vector.count / 4,
                        value: Checksum.hash64(entry.metadata, seed: Checksum.hash64(entry.vector)),
                        lsn: .zero
                    )
                }
            }
            restore(name.name, lifetime, rows)
        }
    }
}
