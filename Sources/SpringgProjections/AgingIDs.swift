import SpringgLog

/// Ids whose hidden registers may go once they are old enough, in the order in which they came.
///
/// That is nearly the order of their clock readings, so the oldest are found without looking at all. An id whose register has
/// changed since stands here in vain, and again.
struct AgingIDs {
    private var entries: [(hlc: HLC, id: VectorID)] = []
    /// Those before are gone.
    private var first = 0

    /// Bytes that one entry takes; the id's own bytes are shared with the register's.
    static let entryBytes = MemoryLayout<(hlc: HLC, id: VectorID)>.stride

    var count: Int { entries.count - first }

    mutating func append(_ hlc: HLC, _ id: VectorID) { entries.append((hlc, id)) }

    /// Takes the first, if its reading is below `cut`.
    mutating func popFirst(below cut: HLC) -> (hlc: HLC, id: VectorID)? {
        guard first < entries.count, entries[first].hlc < cut else { return nil }
        defer { first += 1 }
        if first >= 1024, first * 2 >= entries.count {
            // In memory of its own size: what a burst took goes back.
            entries = Array(entries[first...])
            first = 0
        }
        return entries[first]
    }

    /// After ids have come in another order than that of time.
    mutating func sort() {
        entries = entries[first...].sorted { $0.hlc < $1.hlc }
        first = 0
    }
}
