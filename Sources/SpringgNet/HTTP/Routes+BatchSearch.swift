import NIOCore
import NIOHTTP1
import SpringgProjections

/// `/api/indexes/{name}/search/batch`: many searches in one request.
extension Worker {
    /// Searches of one request: they share one thread and one answer.
    static let batchSearchesMax = 1000

    func searchBatch(
        _ target: Target,
        _ body: ByteBuffer,
        from connection: HTTPConnection
    ) throws(RequestError) -> Answer? {
        let index = try self.index(target)
        // Before its body is read: turning away must stay cheap.
        try requireThread()
        let query = try connection.query()
        let isBinary = connection.mediaType == .float32
        let batch = try body.withBytes { bytes throws(RequestError) in
            isBinary
                ? try BatchSearch(binary: bytes, query, of: index, scratch: scratch)
                : try BatchSearch(bytes, query, of: index, scratch: scratch)
        }
        offload(connection.ticket) { cancellation throws(RequestError) in try batch.run(index, cancellation) }
        return nil
    }
}

/// Searches that have passed all checks.
private struct BatchSearch: Sendable {
    private var searches: [Search] = []
    /// The queries' components, one after the other.
    private var components: [Float] = []

    init(
        _ bytes: UnsafeRawBufferPointer,
        _ query: QueryItems,
        of index: VectorIndex,
        scratch: DecodeScratch
    ) throws(RequestError) {
        let usual = try RowFields(query, else: Search.usualFields)
        var batch = BatchSearch()
        var refusal: RequestError?
        _ = try decodeBody(bytes) { reader throws(JSONError) in
            try reader.beginObject()
            while let key = try reader.nextKey() {
                guard key.isNamed("searches"), try !reader.takeNull() else {
                    if !key.isNamed("searches") {
                        try reader.skip()
                    }
                    continue
                }
                batch = BatchSearch()
                try reader.beginArray()
                while try reader.nextElement() {
                    // What follows a refusal is still read, so that a body that is no JSON is told so first.
                    guard refusal == nil else {
                        try reader.skip()
                        continue
                    }
                    let request = try SearchRequest(&reader, scratch: scratch, fields: usual)
                    do throws(RequestError) {
                        try batch.append(request, index, scratch)
                    } catch {
                        refusal = error
                    }
                }
            }
            return true
        }
        if let refusal {
            throw refusal
        }
        self = batch
        try requireSome()
    }

    init(
        binary bytes: UnsafeRawBufferPointer,
        _ query: QueryItems,
        of index: VectorIndex,
        scratch: DecodeScratch
    ) throws(RequestError) {
        let size = index.dimensions * 4
        guard bytes.count % size == 0 else {
            throw .binaryLength(bytes.count, index, isBatch: true)
        }
        for start in stride(from: 0, to: bytes.count, by: size) {
            let one = UnsafeRawBufferPointer(rebasing: bytes[start..<start + size])
            try append(try SearchRequest(binary: one, query, scratch: scratch), index, scratch)
        }
        try requireSome()
    }

    private init() {}

    private func requireSome() throws(RequestError) {
        guard !searches.isEmpty else {
            throw .badRequest("At least one search is required")
        }
    }

    private mutating func append(
        _ request: SearchRequest,
        _ index: VectorIndex,
        _ scratch: DecodeScratch
    ) throws(RequestError) {
        guard searches.count < Worker.batchSearchesMax else {
            throw .badRequest("at most \(Worker.batchSearchesMax) searches are allowed in one request")
        }
        do throws(RequestError) {
            let (search, query) = try request.checked(against: index, scratch)
            searches.append(search)
            components.append(contentsOf: query)
        } catch {
            throw RequestError(error.status, "search \(searches.count): \(error.text)", code: error.code)
        }
    }

    func run(_ index: VectorIndex, _ cancellation: Cancellation) throws(RequestError) -> Answer {
        var body = ResponseWriter(capacity: 64 + searches.count * 2048)
        body.raw(#"{"status":"success","data":["#)
        for (place, search) in searches.enumerated() {
            let start = place * index.dimensions
            let result = self.components.withUnsafeBufferPointer { components in
                Result { () throws(RequestError) in
                    let query = UnsafeBufferPointer(rebasing: components[start..<start + index.dimensions])
                    body.raw(place == 0 ? #"{"hits":["# : #",{"hits":["#)
                    try search.write(index, query, cancellation, to: &body)
                    body.raw("}")
                }
            }
            try result.get()
        }
        body.raw("]}\n")
        return Answer(.ok, contentType: .json, body: body)
    }
}
