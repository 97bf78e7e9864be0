import CSpringg
import NIOCore
import NIOHTTP1
import SpringgLog
import SpringgProjections

/// `/api/indexes/{name}/search`.
extension Worker {
    /// Bytes that a search may read on the event loop: at most 100 µs.
    ///
    /// Handing it to a thread and back costs 20 to 40, and everybody else on the loop waits no longer than for a few
    /// other requests.
    private static let inlineSearchBytesMax = 512 << 10

    func search(
        _ target: Target,
        _ body: ByteBuffer,
        from connection: HTTPConnection
    ) throws(RequestError) -> Answer? {
        let name = try indexName(target)
        let items = try connection.query()
        let isBinary = connection.mediaType == .float32
        let request: SearchRequest
        if isBinary {
            request = try body.withBytes { bytes throws(RequestError) in
                let index = try self.index(target)
                guard bytes.count == index.dimensions * 4 else {
                    throw .binaryLength(bytes.count, index, isBatch: false)
                }
                return try SearchRequest(binary: bytes, items, scratch: scratch)
            }
        } else {
            let fields = try RowFields(items, else: Search.usualFields)
            request = try body.withBytes { bytes throws(RequestError) in
                try SearchRequest(bytes, scratch: scratch, fields: fields)
            }
        }
        guard let index = context.database.index(name) else {
            throw .indexNotFound(name)
        }
        let (search, query) = try request.checked(against: index, scratch)
        if index.searchCostBytes(k: search.fetchCount, ef: search.ef) <= Self.inlineSearchBytesMax {
            return try search.run(index, query, nil)
        }
        try requireThread()
        let copy = Array(query)
        offload(connection.ticket) { cancellation throws(RequestError) in
            try copy.withUnsafeBufferPointer { query throws(RequestError) in
                try search.run(index, query, cancellation)
            }
        }
        return nil
    }
}

extension RequestError {
    /// A binary body that does not hold what the index has.
    static func binaryLength(_ count: Int, _ index: VectorIndex, isBatch: Bool) -> RequestError {
        let size = index.dimensions * 4
        let wanted = isBatch ? "a multiple of \(size)" : "\(size)"
        let text = "the body has \(count) bytes, but must have \(wanted): 4 for each of \(index.dimensions) dimensions"
        return RequestError(.badRequest, text, code: .dimensionMismatch)
    }
}

/// A search that has passed all checks; runs on any thread.
struct Search: Sendable {
    let k: Int
    let ef: Int?
    let explains: Bool
    let boost: RecencyBoost?
    let fields: RowFields

    /// Rows to look for.
    var fetchCount: Int { boost == nil ? k : RecencyBoost.fetchCount(k: k) }

    /// What a hit has when the request does not say.
    static let usualFields: RowFields = [.score, .metadata]
    /// Bytes of a hit as they are guessed: id, score and some metadata.
    private static let hitBytes = 192

    func run(
        _ index: VectorIndex,
        _ query: UnsafeBufferPointer<Float>,
        _ cancellation: Cancellation?
    ) throws(RequestError) -> Answer {
        var body = ResponseWriter(capacity: 64 + min(k, 100) * Self.hitBytes)
        body.raw(#"{"status":"success","data":["#)
        try write(index, query, cancellation, to: &body)
        body.raw("}\n")
        return Answer(.ok, contentType: .json, body: body)
    }

    /// Writes the hits and the end of their array, and behind it how they were found if that is wanted.
    func write(
        _ index: VectorIndex,
        _ query: UnsafeBufferPointer<Float>,
        _ cancellation: Cancellation?,
        to body: inout ResponseWriter
    ) throws(RequestError) {
        let isWhole = index.withPlannedHits(query: query, k: fetchCount, ef: ef, cancellation: cancellation) {
            hits,
            plan in
            Stage.json.measured {
                let isWhole =
                    boost.map { write(rank(hits, $0), of: hits, to: &body) }
                    ?? write(hits, to: &body)
                body.raw("]")
                if explains {
                    write(plan, to: &body)
                }
                return isWhole
            }
        }
        guard cancellation?.isCancelled != true else {
            // Nobody reads this: the connection has answered 504, or is gone.
            throw RequestError(.gatewayTimeout, "Request timeout")
        }
        guard isWhole else {
            throw .badRequest("the results are larger than \(responseBytesMax) bytes; ask for a smaller k")
        }
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
        return ranked.prefix(k)
    }

    private func write(
        _ ranked: ArraySlice<(score: Float, position: Int)>,
        of hits: UnsafeBufferPointer<SearchHit>,
        to body: inout ResponseWriter
    ) -> Bool {
        for (place, entry) in ranked.enumerated() {
            guard write(hits[entry.position], score: entry.score, isFirst: place == 0, to: &body) else {
                return false
            }
        }
        return true
    }

    private func write(_ hits: UnsafeBufferPointer<SearchHit>, to body: inout ResponseWriter) -> Bool {
        for (place, hit) in hits.enumerated() {
            guard write(hit, score: hit.score, isFirst: place == 0, to: &body) else {
                return false
            }
        }
        return true
    }

    /// - Returns: False when the answer would become too large.
    private func write(_ hit: SearchHit, score: Float, isFirst: Bool, to body: inout ResponseWriter) -> Bool {
        // Bytes of a number at most.
        let vectorBytes = fields.contains(.vector) ? hit.vector.count * Int(SPRINGG_NUMBER_MAX) : 0
        guard body.count + hit.metadata.count + vectorBytes <= responseBytesMax else {
            return false
        }
        body.raw(isFirst ? #"{"id":"# : #",{"id":"#)
        body.string(hit.id)
        if fields.contains(.score) {
            body.raw(#","score":"#)
            body.float(score)
        }
        if fields.contains(.vector) {
            body.raw(#","vector":"#)
            body.floats(hit.vector)
        }
        if fields.contains(.metadata) {
            body.metadata(hit.metadata)
        }
        body.raw("}")
        return true
    }
}
