import SpringgLog
import Synchronization

/// A row as it was sent; the pointers are valid inside the closure that got it.
public struct Row {
    /// UTF-8.
    public let id: UnsafeRawBufferPointer
    /// `dimensions` components.
    public let vector: UnsafeBufferPointer<Float>
    /// The text of one JSON object; empty for none.
    public let metadata: UnsafeRawBufferPointer
}

/// A row that a search found; the pointers are valid inside the closure that got it.
public struct SearchHit {
    /// Cosine similarity, -1 to 1.
    public let score: Float
    /// UTF-8.
    public let id: UnsafeRawBufferPointer
    /// The text of one JSON object; empty for none.
    public let metadata: UnsafeRawBufferPointer
}

/// What can be said of an index in numbers.
public struct IndexStats: Sendable {
    /// Its name.
    public let name: IndexName
    /// Components of each vector.
    public let dimensions: Int
    /// Visible rows.
    public let vectorCount: Int
    /// Bytes of memory it holds.
    public let memoryBytes: Int
    /// Bytes of its records in the log.
    public let diskBytes: Int
    /// True when events were applied that no checkpoint holds.
    public let dirty: Bool
    /// Digest of its visible rows.
    public let digest: StateDigest
    /// Rows that do not fit its dimensions, kept invisible.
    public let conflicts: Int
    /// Writes whose writer had not seen what they replaced or lost to.
    public let concurrentWrites: Int
}

/// A handle on one living index.
///
/// Keeps its rows alive while held, also when the index is deleted meanwhile.
public final class VectorIndex: Sendable {
    /// Its name.
    public let name: IndexName
    let store: VectorStore
    /// The create by which it exists.
    let version: EventVersion
    private let epochs: ReadEpochs
    private let counters = Mutex(IndexCounters())

    init?(name: String, version: EventVersion, store: VectorStore, epochs: ReadEpochs) {
        guard let name = IndexName(name) else { return nil }
        self.name = name
        self.version = version
        self.store = store
        self.epochs = epochs
    }

    func update(_ new: IndexCounters) { counters.withLock { $0 = new } }

    /// Components of each vector.
    public var dimensions: Int { store.layout.dimensions }

    /// Visible rows.
    public var count: Int { store.count }

    /// True when the row exists.
    public func contains(_ id: VectorID) -> Bool { id.withUTF8 { store.slot(of: $0) != nil } }

    /// Calls `body` with the row, or returns nil when there is none.
    public func withRow<R>(_ id: VectorID, _ body: (Row) throws -> R) rethrows -> R? {
        try epochs.withSnapshot { _ in
            guard let slot = id.withUTF8({ store.slot(of: $0) }) else { return nil }
            return try body(row(slot))
        }
    }

    /// The `k` most similar rows, best first, ties by the bytes of the id.
    ///
    /// One consistent moment.
    ///
    /// Similarity is the cosine: with a vector of zeros it is 0. `query` must have `dimensions` finite components.
    /// - Complexity: reads `searchCostBytes`.
    public func withHits<R>(
        query: UnsafeBufferPointer<Float>,
        k: Int,
        _ body: (UnsafeBufferPointer<SearchHit>) throws -> R
    ) rethrows -> R {
        precondition(query.count == dimensions, "query of \(query.count) components in \(dimensions) dimensions")
        return try epochs.withSnapshot { moment in
            let hits = ExactSearch.nearest(query, k: k, in: store, at: moment).map { found in
                SearchHit(score: found.score, id: store.id(of: found.slot), metadata: store.metadata(of: found.slot))
            }
            return try hits.withUnsafeBufferPointer(body)
        }
    }

    /// Bytes that a search reads.
    public var searchCostBytes: Int { store.count * store.layout.rowBytes }

    /// Calls `body` for each row in ascending byte order of the ids, at one moment, until it returns false.
    public func forEachRowInIDOrder(_ body: (Row) throws -> Bool) rethrows {
        try epochs.withSnapshot { moment in
            var slots = store.slots(at: moment)
            slots.sort { precedes(store.id(of: $0), store.id(of: $1)) }
            for slot in slots {
                guard try body(row(slot)) else { return }
            }
        }
    }

    private func row(_ slot: UInt32) -> Row {
        Row(id: store.id(of: slot), vector: store.vector(of: slot), metadata: store.metadata(of: slot))
    }

    /// Digest of the visible rows.
    public var digest: StateDigest { store.shared.withLock { $0.digest } }

    /// The numbers of this index.
    public var stats: IndexStats {
        let counters = counters.withLock { $0 }
        let (count, digest) = store.shared.withLock { ($0.table.count, $0.digest) }
        return IndexStats(
            name: name,
            dimensions: dimensions,
            vectorCount: count,
            memoryBytes: store.bytes,
            diskBytes: counters.logBytes,
            dirty: counters.lastLSN > epochs.checkpointedLSN,
            digest: digest,
            conflicts: counters.conflicts,
            concurrentWrites: counters.concurrentWrites
        )
    }
}
