import SpringgLog

/// What commands may fill; 0 is no limit.
///
/// Events from elsewhere are never refused for it.
package struct WriteLimits: Sendable {
    var vectorsPerIndex: Int
    var memoryBytes: Int

    package init(vectorsPerIndex: Int = 0, memoryBytes: Int = 0) {
        self.vectorsPerIndex = vectorsPerIndex
        self.memoryBytes = memoryBytes
    }
}

/// Decides, in log order, what becomes of each command: the event it will be, or why it is refused.
///
/// A pure core: it reads the projections and the batch in hand, and changes only its own note of that batch. A decision
/// holds against every command before it, logged or not yet: the effects of the batch lie over the projections until
/// `batchEnded` says that they are in them, or that the batch failed and never happened.
struct Sequencer {
    struct Admission {
        var event: EncodedEvent
        var version: EventVersion
        var seen: EventVersion
    }

    private let limits: WriteLimits
    private var clock = HybridClock()
    private var origin: OriginID

    // The batch in hand.
    private struct PendingIndex {
        /// Dimensions while it exists, nil when it was deleted.
        var dimensions: Int?
        var newest: EventVersion
        /// Rows in the projections are gone: the index was deleted in this batch.
        var hidesStore: Bool
        /// Rows that the batch adds to (or takes from) the count.
        var added = 0
        /// Slots that the batch takes in the store, or in the one that will be made.
        var slotsTaken = 0
    }
    private struct PendingRow {
        var exists: Bool
        var version: EventVersion
    }
    private struct RowKey: Hashable {
        var index: IndexName
        var id: VectorID
    }
    private var indexes: [IndexName: PendingIndex] = [:]
    private var rows: [RowKey: PendingRow] = [:]
    private var marks: [MarkName: EventVersion] = [:]
    private var pendingBytes = 0

    init(origin: OriginID, limits: WriteLimits, highestHLC: HLC) {
        self.origin = origin
        self.limits = limits
        clock.observe(highestHLC)
    }

    /// Writes under another origin from here on.
    mutating func begin(_ origin: OriginID) { self.origin = origin }

    /// Takes note of an event written elsewhere: what this node writes later is later.
    mutating func observe(_ reading: HLC) { clock.observe(reading) }

    /// Forgets the batch: its effects are in the projections now, or will never be.
    mutating func batchEnded() {
        indexes.removeAll(keepingCapacity: true)
        rows.removeAll(keepingCapacity: true)
        marks.removeAll(keepingCapacity: true)
        pendingBytes = 0
    }

    /// Decides a command.
    ///
    /// An admitted one counts as done for those that follow.
    mutating func admit(
        _ command: Command,
        over state: Materializer,
        wall: UInt64
    ) -> Result<Admission, CommandError> {
        switch command {
        case .createIndex(let name, let dimensions, let options):
            guard (1...PreparedVector.dimensionsMax).contains(dimensions) else {
                return .failure(.invalidDimensions(dimensions))
            }
            if let refusal = options.refusal { return .failure(.invalidOptions(refusal)) }
            let index = pending(name, state)
            guard index.dimensions == nil else { return .failure(.indexExists(name)) }
            if let refusal = reserve(IndexRows.bytesPerName + IDTable.bytesAtFirst, state) { return .failure(refusal) }
            let version = tick(wall)
            indexes[name] = PendingIndex(dimensions: dimensions, newest: version, hidesStore: index.hidesStore)
            let event = options.json.withUnsafeBytes {
                EncodedEvent.indexCreated(name: name.description, dimensions: dimensions, options: $0)
            }
            return .success(Admission(event: event, version: version, seen: index.newest))

        case .deleteIndex(let name):
            let index = pending(name, state)
            guard index.dimensions != nil else { return .failure(.indexNotFound(name)) }
            let version = tick(wall)
            indexes[name] = PendingIndex(dimensions: nil, newest: version, hidesStore: true)
            for key in rows.keys where key.index == name { rows[key] = nil }
            return .success(
                Admission(event: .indexDeleted(name: name.description), version: version, seen: index.newest)
            )

        case .put(let row, let mustExist):
            let key = RowKey(index: row.index, id: row.id)
            var index = pending(row.index, state)
            guard let dimensions = index.dimensions else { return .failure(.indexNotFound(row.index)) }
            guard dimensions == row.dimensions else {
                return .failure(.dimensionMismatch(expected: dimensions, got: row.dimensions))
            }
            let standing = pending(key, index, state)
            if !standing.exists {
                guard !mustExist else { return .failure(.vectorNotFound(row.id)) }
                let count = (index.hidesStore ? 0 : state.rows(row.index.description)?.index?.count ?? 0) + index.added
                guard limits.vectorsPerIndex == 0 || count < limits.vectorsPerIndex else {
                    return .failure(.indexFull(row.index, limit: limits.vectorsPerIndex))
                }
                index.added += 1
            }
            if let refusal = checkMemory(row, index, state) { return .failure(refusal) }
            index.slotsTaken += 1
            let version = tick(wall)
            indexes[row.index] = index
            rows[key] = PendingRow(exists: true, version: version)
            return .success(Admission(event: row.event, version: version, seen: standing.version))

        case .delete(let name, let id):
            let key = RowKey(index: name, id: id)
            var index = pending(name, state)
            guard index.dimensions != nil else { return .failure(.indexNotFound(name)) }
            let standing = pending(key, index, state)
            guard standing.exists else { return .failure(.vectorNotFound(id)) }
            let version = tick(wall)
            index.added -= 1
            indexes[name] = index
            rows[key] = PendingRow(exists: false, version: version)
            let event = id.withUTF8 { EncodedEvent.vectorDeleted(index: name.description, id: $0) }
            return .success(Admission(event: event, version: version, seen: standing.version))

        case .mark(let name, let moving):
            let standing = marks[name] ?? state.marks[name] ?? .none
            guard moving || standing == .none else { return .failure(.markExists(name, at: standing.hlc)) }
            if let refusal = reserve(IndexRows.bytesPerName, state) { return .failure(refusal) }
            let version = tick(wall)
            marks[name] = version
            return .success(Admission(event: .mark(name: name.description), version: version, seen: standing))

        case .traced(let command, let trace):
            return admit(command, over: state, wall: wall).map { admission in
                Admission(event: admission.event.traced(by: trace), version: admission.version, seen: admission.seen)
            }
        }
    }

    private mutating func tick(_ wall: UInt64) -> EventVersion {
        EventVersion(hlc: clock.tick(wall: wall), origin: origin)
    }

    private func pending(_ name: IndexName, _ state: Materializer) -> PendingIndex {
        if let index = indexes[name] { return index }
        let lifetime = state.lifetime(name.description)
        return PendingIndex(
            dimensions: lifetime.creation?.dimensions,
            newest: lifetime.newest,
            hidesStore: false
        )
    }

    private func pending(_ key: RowKey, _ index: PendingIndex, _ state: Materializer) -> PendingRow {
        if let row = rows[key] { return row }
        guard !index.hidesStore, let stored = state.rows(key.index.description) else {
            return PendingRow(exists: false, version: .none)
        }
        return key.id.withUTF8 { id in
            PendingRow(exists: stored.index?.store.slot(of: id) != nil, version: stored.version(of: id))
        }
    }

    /// `max_memory_mb`, before anything is allocated for the row: by what the store would allocate.
    ///
    /// A replacement needs a slot too: the old row stays until its readers are gone.
    private mutating func checkMemory(
        _ row: PreparedVector,
        _ index: PendingIndex,
        _ state: Materializer
    ) -> CommandError? {
        guard limits.memoryBytes > 0 else { return nil }
        let textBytes = row.event.payloadBytes - row.dimensions * 4
        let store = index.hidesStore ? nil : state.rows(row.index.description)?.index?.store
        let needed =
            store?.bytesForRow(textBytes: textBytes, pending: index.slotsTaken)
            ?? VectorStore.bytesForRow(textBytes: textBytes, dimensions: row.dimensions, pending: index.slotsTaken)
        return reserve(needed, state)
    }

    /// Takes bytes for the batch in hand, unless that would exceed the limit.
    private mutating func reserve(_ needed: Int, _ state: Materializer) -> CommandError? {
        guard limits.memoryBytes > 0 else { return nil }
        let used = state.memoryBytes + pendingBytes
        guard used + needed <= limits.memoryBytes else {
            let megabyte = 1 << 20
            return .memoryLimitExceeded(
                usedMB: used / megabyte,
                newMB: max(1, needed / megabyte),
                limitMB: limits.memoryBytes / megabyte
            )
        }
        pendingBytes += needed
        return nil
    }
}
