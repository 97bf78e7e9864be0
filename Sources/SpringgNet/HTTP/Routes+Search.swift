import NIOCore
import NIOHTTP1
import SpringgProjections

/// `/api/indexes/{name}/search`.
extension Worker {
    /// Bytes that a search may read on the event loop: at most 100 µs.
    ///
    /// Handing it to a thread and back costs 20 to 40, and everybody else on the loop waits no longer than for a few
    /// other requests.
    private static let inlineSearchBytesMax = 512 << 10

    func search(_ target: Target, _ body: ByteBuffer, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let name = try self.indexName(target)
        let request = try body.withBytes { bytes throws(RequestError) in
            try SearchRequest(bytes, scratch: self.scratch)
        }
        guard let index = self.context.database.index(name) else {
            throw .indexNotFound(name)
        }
        guard request.query.vectorCount == index.dimensions || request.query.vectorCount == 0 else {
            throw RequestError(
                .badRequest,
                "query dimension mismatch: expected \(index.dimensions), got \(request.query.vectorCount)",
                code: .dimensionMismatch
            )
        }
        let query = try request.query.vector(self.scratch)
        let search = Search(k: request.k, ef: request.ef, explains: request.explains, boost: request.boost)
        if index.searchCostBytes(k: search.fetchCount, ef: request.ef) <= Self.inlineSearchBytesMax {
            return try search.run(index, query)
        }
        let copy = Array(query)
        self.offload(ticket) { () throws(RequestError) in
            try copy.withUnsafeBufferPointer { query throws(RequestError) in try search.run(index, query) }
        }
        return nil
    }
}

/// A search that has passed all checks; runs on any thread.
struct Search: Sendable {
    let k: Int
    let ef: Int?
    let explains: Bool
    let boost: RecencyBoost?

    /// Rows to look for.
    var fetchCount: Int { self.boost == nil ? self.k : RecencyBoost.fetchCount(k: self.k) }

    func run(_ index: VectorIndex, _ query: UnsafeBufferPointer<Float>) throws(RequestError) -> Answer {
        let answer: Answer? = index.withPlannedHits(query: query, k: self.fetchCount, ef: self.ef) { hits, plan in
            var body = ResponseWriter(capacity: 64 + min(hits.count, self.k) * 192)
            body.raw(#"{"status":"success","data":["#)
            let isWhole =
                self.boost.map { self.write(self.rank(hits, $0), of: hits, to: &body) }
                ?? self.write(hits, to: &body)
            body.raw("]")
            if self.explains {
                self.write(plan, to: &body)
            }
            body.raw("}\n")
            return isWhole ? Answer(.ok, contentType: .json, body: body) : nil
        }
        guard let answer else {
            throw .badRequest("the results are larger than \(responseBytesMax) bytes; ask for a smaller k")
        }
        return answer
    }

    private func write(_ plan: SearchPlan, to body: inout ResponseWriter) {
        body.raw(#","explain":{"method":"#)
        body.string(plan.method.rawValue)
        body.raw(#","ef":"#)
        body.integer(plan.ef)
        body.raw(#","distances":"#)
        body.integer(plan.distances)
        body.raw(#","nodes_visited":"#)
        body.integer(plan.nodesVisited)
        body.raw(#","unindexed_scanned":"#)
        body.integer(plan.unindexedScanned)
        body.raw(#","unindexed_compared":"#)
        body.integer(plan.unindexedCompared)
        body.raw(#","exact_comparisons":"#)
        body.integer(plan.exactComparisons)
        body.raw(#","fell_back":"#)
        body.bool(plan.fellBack)
        body.raw("}")
    }

    /// Scores after boosting, best first, cut to `k`; equal ones stay in the order of the search.
    private func rank(
        _ hits: UnsafeBufferPointer<SearchHit>,
        _ boost: RecencyBoost
    ) -> ArraySlice<(score: Float, position: Int)> {
        let now = CivilTime.now()
        var ranked = hits.enumerated().map { position, hit in
            let multiplier = boost.multiplier(metadata: hit.metadata, now: now)
            return (score: RecencyBoost.boosted(score: hit.score, multiplier: multiplier), position: position)
        }
        ranked.sort { $0.score != $1.score ? $0.score > $1.score : $0.position < $1.position }
        return ranked.prefix(self.k)
    }

    private func write(
        _ ranked: ArraySlice<(score: Float, position: Int)>,
        of hits: UnsafeBufferPointer<SearchHit>,
        to body: inout ResponseWriter
    ) -> Bool {
        for (place, entry) in ranked.enumerated() {
            guard self.write(hits[entry.position], score: entry.score, isFirst: place == 0, to: &body) else {
                return false
            }
        }
        return true
    }

    private func write(_ hits: UnsafeBufferPointer<SearchHit>, to body: inout ResponseWriter) -> Bool {
        for (place, hit) in hits.enumerated() {
            guard self.write(hit, score: hit.score, isFirst: place == 0, to: &body) else {
                return false
            }
        }
        return true
    }

    /// - Returns: False when the answer would become too large.
    private func write(_ hit: SearchHit, score: Float, isFirst: Bool, to body: inout ResponseWriter) -> Bool {
        guard body.count + hit.metadata.count <= responseBytesMax else {
            return false
        }
        body.raw(isFirst ? #"{"id":"# : #",{"id":"#)
        body.string(hit.id)
        body.raw(#","score":"#)
        body.float(score)
        body.metadata(hit.metadata)
        body.raw("}")
        return true
    }
}
