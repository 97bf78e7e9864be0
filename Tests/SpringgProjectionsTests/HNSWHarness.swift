import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

/// One index fed event by event, its graph brought up when a test says so: everything on one thread.
struct HNSWHarness {
    private let state: Materializer
    private(set) var lsn: UInt64 = 0
    let index: VectorIndex
    /// Why the graph of a checkpoint was not taken.
    private(set) var damagedGraphs: [String] = []

    /// The directory of the repository's embeddings.
    static var fixtures: String {
        #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/Fixtures"
    }

    init(dimensions: Int, options: String = "") throws {
        state = Materializer()
        var applied: UInt64 = 0
        let create = Array(options.utf8).withUnsafeBytes {
            EncodedEvent.indexCreated(name: "a", dimensions: dimensions, options: $0)
        }
        HNSWHarness.apply(create, to: state, &applied)
        state.publish()
        index = try #require(state.indexes.first)
        lsn = applied
    }

    /// What a checkpoint of `lsn` holds.
    init(restoring lsn: UInt64, from disk: SimulatedFileSystem, threads: Int = 1) throws {
        (state, _, damagedGraphs) = try Materializer.restore(
            LSN(lsn),
            from: CheckpointTests.directory,
            disk,
            threads: threads
        )
        index = try #require(state.indexes.first)
        self.lsn = lsn
    }

    /// Writes a checkpoint of what was published; the graph is as it happens to be.
    func checkpoint(to disk: SimulatedFileSystem) throws {
        try state.checkpoint(heads: VersionVector(), to: CheckpointTests.directory, disk)
    }

    var digest: StateDigest { state.digest }

    private static func apply(_ event: EncodedEvent, to state: Materializer, _ lsn: inout UInt64) {
        lsn += 1
        event.stamp(
            origin: OriginID(high: 1, low: 1),
            sequence: Sequence(lsn),
            hlc: HLC(milliseconds: lsn, counter: 0),
            seen: .none,
            previousChain: 0
        )
        if let decoded = event.envelope.event {
            state.apply(decoded, of: event.envelope, recordBytes: 0, lsn: LSN(lsn))
        }
    }

    mutating func put(_ id: String, _ vector: [Float]) {
        HNSWHarness.apply(EventSet.put("a", id, vector), to: state, &lsn)
    }

    mutating func delete(_ id: String) {
        let event = Array(id.utf8).withUnsafeBytes { EncodedEvent.vectorDeleted(index: "a", id: $0) }
        HNSWHarness.apply(event, to: state, &lsn)
    }

    /// Shows what was applied, and brings the graph up to it.
    func settle(threads: Int = 1) {
        publish()
        index.indexNow(threads: threads)
        state.reclaim()
    }

    func publish() { state.publish() }

    struct Answer: Equatable {
        var ids: [String]
        var scores: [Float]
    }

    static func search(
        _ index: VectorIndex,
        _ query: [Float],
        k: Int = 10,
        ef: Int? = nil,
        _ method: SearchPlan.Method? = .hnsw,
        accepting predicate: ((UInt32) -> Bool)? = nil
    ) -> (answer: Answer, plan: SearchPlan) {
        query.withUnsafeBufferPointer { query in
            index.withHits(query: query, k: k, ef: ef, method: method, accepting: predicate) { hits, plan in
                (Answer(ids: hits.map { String(decoding: $0.id, as: UTF8.self) }, scores: hits.map(\.score)), plan)
            }
        }
    }

    func search(
        _ query: [Float],
        k: Int = 10,
        ef: Int? = nil,
        _ method: SearchPlan.Method? = .hnsw,
        accepting predicate: ((UInt32) -> Bool)? = nil
    ) -> (answer: Answer, plan: SearchPlan) {
        HNSWHarness.search(index, query, k: k, ef: ef, method, accepting: predicate)
    }

    /// The share of the ten nearest rows that the graph finds.
    func recall(_ queries: [[Float]], ef: Int? = nil) -> Double {
        var found = 0
        for query in queries {
            let (answer, plan) = search(query, ef: ef)
            let (truth, _) = search(query, .exact)
            #expect(plan.method == .hnsw)
            #expect(answer.ids.count == truth.ids.count)
            found += Set(answer.ids).intersection(truth.ids).count
        }
        return Double(found) / Double(queries.count * 10)
    }
}
