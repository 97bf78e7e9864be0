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
    /// Its components.
    public let vector: UnsafeBufferPointer<Float>
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
    /// Bytes of its graph, codes included; part of `memoryBytes`.
    public let graphMemoryBytes: Int
    /// How vectors are written beside the graph.
    public let quantization: Quantization
    /// Bytes of the components of one vector.
    public let rowBytesPerVector: Int
    /// Bytes of the code of one vector in the graph.
    public let codeBytesPerVector: Int
    /// Bytes of the graph for each vector in it, without codes; 0 while it is empty.
    public let linkBytesPerVector: Int
    /// Bytes of its records in the log.
    public let diskBytes: Int
    /// True when events were applied that no checkpoint holds.
    public let dirty: Bool
    /// Digest of its visible rows.
    public let digest: StateDigest
    /// Rows that do not fit its dimensions, kept invisible.
    public let conflicts: Int
    /// Ids that were deleted, kept so that no older write brings them back.
    public let tombstones: Int
    /// Writes whose writer had not seen what they replaced or lost to.
    public let concurrentWrites: Int
    /// Rows that the graph holds.
    public let indexed: Int
    /// Rows that a search compares one by one beside the graph.
    public let unindexed: Int
    /// What the checks of the graph's reachability found.
    public let sweeps: SweepReport
    /// What the probe of live queries found; nil when it is off.
    public let recall: RecallReport?
}

/// What the indexes of one database share.
struct ProjectionResources: Sendable {
    let epochs = ReadEpochs()
    /// Walks through graphs in progress; see `HNSWGraph.walks`.
    let walks = ReadEpochs()
    let scratch = ScratchPool()
    let memory = MemoryAccount()
    let probe = RecallProbe()
    let tombstones = TombstoneCounts()
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
    let current: CurrentGraph
    /// The graph as it is now; another may take its place.
    var graph: HNSWGraph { current.graph }
    /// Whether the indexer has been told of this index, and is not done with it.
    let isBeingIndexed = Atomic<Bool>(false)
    /// Rows that waited to be linked when the database was opened; 0 once that has been told.
    let rowsAtStart = Atomic<Int>(0)
    /// When a search last compared rows that wait to be linked.
    private let metWaitingRows = Atomic<UInt64>(0)
    /// Queries that the probe had a look at.
    let queries = Atomic<UInt64>(0)
    let recallEstimate = Mutex(RecallEstimate())
    let resources: ProjectionResources
    private var epochs: ReadEpochs { resources.epochs }
    private let counters = Mutex(IndexCounters())

    init?(
        name: String,
        version: EventVersion,
        store: VectorStore,
        options: IndexOptions,
        resources: ProjectionResources
    ) {
        guard let name = IndexName(name) else { return nil }
        self.name = name
        self.version = version
        self.store = store
        self.resources = resources
        current = CurrentGraph(
            HNSWGraph(
                parameters: HNSWParameters(options, dimensions: store.layout.dimensions),
                store: store,
                walks: resources.walks,
                memory: resources.memory
            )
        )
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
    /// Similarity is the cosine: with a vector of zeros it is 0. `query` must have `dimensions` finite components. Rows
    /// are found through the graph where that is cheaper than comparing all of them; then `ef` says how many candidates
    /// are kept on the way (nil: as the index was made), and the answer is what they are rather than what could be. Their
    /// scores are exact, there are `k` of them whenever there are so many rows, and rows that the graph does not hold yet
    /// are compared one by one.
    public func withHits<R>(
        query: UnsafeBufferPointer<Float>,
        k: Int,
        ef: Int? = nil,
        _ body: (UnsafeBufferPointer<SearchHit>) throws -> R
    ) rethrows -> R {
        try withPlannedHits(query: query, k: k, ef: ef) { hits, _ in try body(hits) }
    }

    /// The same, and how it was done.
    ///
    /// A search that is cancelled ends soon, with hits that mean nothing.
    public func withPlannedHits<R>(
        query: UnsafeBufferPointer<Float>,
        k: Int,
        ef: Int? = nil,
        cancellation: Cancellation? = nil,
        _ body: (UnsafeBufferPointer<SearchHit>, SearchPlan) throws -> R
    ) rethrows -> R {
        try withHits(query: query, k: k, ef: ef, method: nil, cancellation: cancellation) { hits, plan in
            if plan.method == .hnsw, cancellation?.isCancelled != true {
                resources.probe.offer(query, k: k, ef: ef, of: self)
            }
            return try body(hits, plan)
        }
    }

    /// The same by one method, or by the cheaper one (nil), among the slots that satisfy a predicate.
    package func withHits<R>(
        query: UnsafeBufferPointer<Float>,
        k: Int,
        ef: Int?,
        method: SearchPlan.Method?,
        cancellation: Cancellation? = nil,
        accepting predicate: ((UInt32) -> Bool)? = nil,
        _ body: (UnsafeBufferPointer<SearchHit>, SearchPlan) throws -> R
    ) rethrows -> R {
        precondition(query.count == dimensions, "query of \(query.count) components in \(dimensions) dimensions")
        return try epochs.withSnapshot { moment in
            var plan = SearchPlan()
            let nearest = nearest(query, k, ef, method, moment, &plan, cancellation, predicate)
            for found in nearest { store.prefetchDetails(found.slot) }
            let hits = nearest.map { found in
                SearchHit(
                    score: found.score,
                    id: store.id(of: found.slot),
                    vector: store.vector(of: found.slot),
                    metadata: store.metadata(of: found.slot)
                )
            }
            return try hits.withUnsafeBufferPointer { try body($0, plan) }
        }
    }

    func nearest(
        _ query: UnsafeBufferPointer<Float>,
        _ k: Int,
        _ ef: Int?,
        _ method: SearchPlan.Method?,
        _ moment: LSN,
        _ plan: inout SearchPlan,
        _ cancellation: Cancellation?,
        _ predicate: ((UInt32) -> Bool)?
    ) -> [ExactSearch.Candidate] {
        let graph = graph
        let ef = max(1, ef ?? graph.parameters.ef)
        let walks = method.map { $0 == .hnsw } ?? GraphSearch.pays(k: k, ef: ef, rowsLinked: graph.count)
        if walks, k > 0 {
            let found = resources.walks.withSnapshot { _ in
                resources.scratch.with { scratch in
                    GraphSearch.nearest(
                        query,
                        k: k,
                        ef: ef,
                        in: current,
                        of: store,
                        at: moment,
                        scratch,
                        plan: &plan,
                        cancellation: cancellation,
                        accepting: predicate
                    )
                }
            }
            if plan.unindexedScanned > 0 { metWaitingRows.store(monotonicNanoseconds(), ordering: .relaxed) }
            if let found { return found }
            plan.fellBack = plan.method == .hnsw
            plan.method = .exact
        }
        let rows = store.count
        plan.exactComparisons += rows
        return ExactSearch.nearest(
            query,
            k: k,
            in: store,
            at: moment,
            cancellation: cancellation,
            accepting: predicate
        )
    }

    /// Brings the graph up to the store, on this thread and its helpers.
    ///
    /// For those who keep projections without a database's threads.
    package func indexNow(threads: Int = 1) {
        let team = IndexingTeam(threads: threads)
        defer { team.stop() }
        Linker(current, memoryLimit: 0, team: team).finish()
    }

    /// What is wrong with the graph, while nothing changes it.
    package var graphViolations: [String] { graph.violations() }

    /// Rows that wait to be linked or taken out.
    var backlog: Int {
        guard Linker.hasWork(graph) else { return 0 }
        return store.ledger.count(.queued) + store.ledger.count(.dead)
    }

    /// Whether a search has lately compared rows that wait to be linked.
    func hasMetWaitingRows(within nanoseconds: UInt64) -> Bool {
        let last = metWaitingRows.load(ordering: .relaxed)
        return last > 0 && monotonicNanoseconds() < last + nanoseconds
    }

    /// Rows that wait to be linked; none where no graph is wanted, or there is no memory for it.
    var rowsToLink: Int { Linker.hasWork(graph) ? store.ledger.count(.queued) : 0 }

    /// Whether rows that nobody sees wait to be taken out of the graph.
    var hasDead: Bool { store.ledger.count(.dead) > 0 }

    /// Bytes that a search reads, about: all rows, or what a walk comes by.
    ///
    /// Rows that wait to be linked count for less, since their codes are read in a row.
    public func searchCostBytes(k: Int, ef: Int?) -> Int {
        let graph = graph
        let ef = max(1, ef ?? graph.parameters.ef)
        guard GraphSearch.pays(k: k, ef: ef, rowsLinked: graph.count) else {
            return store.count * store.layout.rowBytes
        }
        let met = max(ef, k) * VectorIndex.codesForEachCandidate + store.ledger.count(.unlinked) / 4
        return met * graph.coding.bytes
    }

    /// Codes that a walk reads for each candidate it keeps: of 32 links most lead to where it has been.
    private static let codesForEachCandidate = 16

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
        let graph = graph
        let graphBytes = graph.bytes
        let indexed = graph.count
        let codeBytes = graph.coding.bytes
        let (count, digest) = store.shared.withLock { ($0.table.count, $0.digest) }
        return IndexStats(
            name: name,
            dimensions: dimensions,
            vectorCount: count,
            memoryBytes: store.bytes + graphBytes,
            graphMemoryBytes: graphBytes,
            quantization: graph.coding.kind,
            rowBytesPerVector: store.layout.rowBytes,
            codeBytesPerVector: codeBytes,
            linkBytesPerVector: indexed > 0 ? graphBytes / indexed - codeBytes : 0,
            diskBytes: counters.logBytes,
            dirty: counters.lastLSN > epochs.checkpointedLSN,
            digest: digest,
            conflicts: counters.conflicts,
            tombstones: counters.tombstones,
            concurrentWrites: counters.concurrentWrites,
            indexed: indexed,
            unindexed: store.ledger.count(.unlinked),
            sweeps: store.ledger.sweeps.report,
            recall: resources.probe.isEnabled ? recallFound : nil
        )
    }
}
