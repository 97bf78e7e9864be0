package import SpringgProjections

/// What readers see differently in one state than in another.
package struct StateDifference {
    /// A row that differs.
    package struct Row: Sendable {
        package enum Change: String, Sendable {
            case added, removed, changed
            /// Written again with the same vector and metadata.
            case rewritten
        }

        package var index: String
        package var id: VectorID
        package var change: Change
        package var old: RowLedger.Register?
        package var new: RowLedger.Register?
    }

    /// Indexes that exist in one of the two alone, or in another life.
    package private(set) var indexes: [(name: String, change: Row.Change)] = []
    package private(set) var rows: [Row] = []
    /// Rows that are the same.
    package private(set) var equalRows = 0

    package init(from old: RowLedger, to new: RowLedger) {
        for name in Set(old.indexes.keys).union(new.indexes.keys).sorted() {
            compare(name, old.indexes[name] ?? .init(), new.indexes[name] ?? .init())
        }
    }

    /// Rows changed so.
    package func count(_ change: Row.Change) -> Int { rows.count { $0.change == change } }

    /// True when nothing differs.
    package var isEmpty: Bool { indexes.isEmpty && rows.isEmpty }

    private mutating func compare(_ name: String, _ old: RowLedger.Index, _ new: RowLedger.Index) {
        switch (old.lifetime.creation, new.lifetime.creation) {
        case (nil, nil): break
        case (nil, _?): indexes.append((name, .added))
        case (_?, nil): indexes.append((name, .removed))
        case (let before?, let after?) where before != after: indexes.append((name, .changed))
        default: break
        }
        var found: [Row] = []
        for (id, row) in old.rows where old.isVisible(row) {
            let other = new.rows[id].flatMap { new.isVisible($0) ? $0 : nil }
            guard let other else {
                found.append(Row(index: name, id: id, change: .removed, old: row, new: nil))
                continue
            }
            if other.version == row.version {
                equalRows += 1
            } else {
                let isSame = other.value == row.value && other.dimensions == row.dimensions
                found.append(Row(index: name, id: id, change: isSame ? .rewritten : .changed, old: row, new: other))
            }
        }
        for (id, row) in new.rows where new.isVisible(row) {
            if let other = old.rows[id], old.isVisible(other) { continue }
            found.append(Row(index: name, id: id, change: .added, old: nil, new: row))
        }
        rows += found.sorted { $0.id.description < $1.id.description }
    }
}
