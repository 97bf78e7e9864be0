import CSpringg
import NIOHTTP1
import SpringgProjections

/// Bytes of a vector's id.
let vectorIDBytesMax = 512
/// Vectors of one bulk request: bounds the answer, in which each of them may have an error of its own.
let bulkItemsMax = 100_000
/// Results of one search.
let searchResultsMax = 10_000

/// Where a decoder puts what it reads: one a thread, so that no request allocates for it.
final class DecodeScratch {
    let floats = UnsafeMutableBufferPointer<Float>.allocate(capacity: PreparedVector.dimensionsMax)
    let id = UnsafeMutableRawBufferPointer.allocate(byteCount: vectorIDBytesMax, alignment: 1)
    fileprivate(set) var metadata: [UInt8] = []

    deinit {
        floats.deallocate()
        id.deallocate()
    }
}

/// The members of one vector in a request, as far as they are there; texts point into the request's bytes, the id and
/// the numbers lie in the scratch.
struct VectorFields {
    /// Bytes of the decoded id, which may be more than fit the scratch; 0 = none.
    var idLength = 0
    /// Numbers of the vector, which may be more than fit the scratch; 0 = none.
    var vectorCount = 0
    /// True when the vector is well formed but holds a number beyond float32.
    var isOutOfRange = false
    var metadata = MetadataFields()

    /// Reads an object's members; of a name that comes twice the last one counts.
    ///
    /// - Parameters:
    ///   - reader: Stands before the object.
    ///   - scratch: Where the id and the numbers go.
    ///   - readsID: False where the path names the vector and a member `id` means nothing.
    /// - Throws: When the object is not JSON, or a member has another type than it must.
    init(_ reader: inout JSONReader, scratch: DecodeScratch, readsID: Bool = true) throws(JSONError) {
        try reader.beginObject()
        while let key = try reader.nextKey() {
            if key.isNamed("vector") {
                try readVector(&reader, scratch)
            } else if readsID, key.isNamed("id") {
                try readID(&reader, scratch)
            } else if key.isNamed("metadata") {
                metadata = try MetadataFields(&reader)
            } else {
                try reader.skip()
            }
        }
    }

    /// No member yet.
    init() {}

    mutating func readID(_ reader: inout JSONReader, _ scratch: DecodeScratch) throws(JSONError) {
        idLength = try reader.takeNull() ? 0 : reader.string(into: scratch.id)
    }

    /// A number beyond float32 is an error of this vector, not of the whole body: the reader goes back to the array's
    /// start and passes over it, so that the rest of a bulk request is still read.
    mutating func readVector(_ reader: inout JSONReader, _ scratch: DecodeScratch) throws(JSONError) {
        vectorCount = 0
        isOutOfRange = false
        if try reader.takeNull() {
            return
        }
        let start = reader
        do {
            vectorCount = try reader.floats(into: scratch.floats)
        } catch .range {
            reader = start
            try reader.skip()
            isOutOfRange = true
        } catch {
            throw error
        }
    }

    /// The id that the request's body names.
    func id(_ scratch: DecodeScratch) throws(RequestError) -> VectorID {
        guard idLength > 0 else {
            throw .idRequired
        }
        guard idLength <= vectorIDBytesMax,
            let id = VectorID(utf8: UnsafeRawBufferPointer(rebasing: scratch.id[..<idLength]))
        else {
            throw .badRequest("ID is \(idLength) bytes long, at most \(vectorIDBytesMax) are allowed")
        }
        return id
    }

    /// The numbers that the request's body names.
    func vector(_ scratch: DecodeScratch) throws(RequestError) -> UnsafeBufferPointer<Float> {
        guard !isOutOfRange else {
            throw .badRequest("vector holds a number that is not a finite float32")
        }
        guard vectorCount > 0 else {
            throw .vectorRequired
        }
        guard vectorCount <= PreparedVector.dimensionsMax else {
            let limit = PreparedVector.dimensionsMax
            throw .badRequest("vector has \(vectorCount) dimensions, at most \(limit) are allowed")
        }
        return UnsafeBufferPointer(rebasing: scratch.floats[..<vectorCount])
    }

    /// Builds what the log will hold; checks everything that can be checked without the index.
    func prepare(
        index: IndexName,
        id: VectorID,
        scratch: DecodeScratch
    ) throws(RequestError) -> PreparedVector {
        let vector = try self.vector(scratch)
        guard self.metadata.fits else {
            throw .badRequest("metadata is too large, at most \(PreparedVector.metadataBytesMax) bytes are allowed")
        }
        self.metadata.compose(into: &scratch.metadata)
        return scratch.metadata.withUnsafeBytes { metadata in
            PreparedVector(index: index, id: id, vector: vector, metadata: metadata)
        }
    }
}

/// Reads a whole body as one JSON document.
func decodeBody<Value: ~Copyable>(
    _ bytes: UnsafeRawBufferPointer,
    orElse invalid: RequestError = .invalidBody,
    _ read: (inout JSONReader) throws(JSONError) -> Value
) throws(RequestError) -> Value {
    try Stage.json.measured { () throws(RequestError) in
        var reader = JSONReader(bytes)
        do {
            let value = try read(&reader)
            try reader.finish()
            return value
        } catch {
            throw invalid
        }
    }
}

/// The body of `POST /api/indexes/{name}`.
struct CreateRequest {
    var dimensions = 0
    var options = IndexOptions()
    private var quantization: String?

    /// Bytes of a quantization's name that are looked at: more than any has.
    private static let quantizationBytes = 32

    init(_ bytes: UnsafeRawBufferPointer) throws(RequestError) {
        self = try decodeBody(bytes) { reader throws(JSONError) in try CreateRequest(&reader) }
        guard dimensions > 0 else {
            throw .badRequest("Dimensions must be positive")
        }
        guard dimensions <= PreparedVector.dimensionsMax else {
            throw .badRequest("Dimensions must be at most \(PreparedVector.dimensionsMax)")
        }
        if let refusal = options.refusal {
            throw .badRequest(refusal)
        }
        if let name = self.quantization, name != IndexOptions.automatic {
            guard let quantization = Quantization(rawValue: name) else {
                let names = [IndexOptions.automatic] + Quantization.allCases.map(\.rawValue)
                throw .badRequest("quantization must be one of \(names.joined(separator: ", ")), got \(name)")
            }
            options.quantization = quantization
        }
    }

    private init(_ reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        while let key = try reader.nextKey() {
            if key.isNamed("dimensions") {
                dimensions = try reader.takeNull() ? 0 : reader.integer()
            } else if key.isNamed("m") {
                options.m = try reader.takeNull() ? nil : reader.integer()
            } else if key.isNamed("ef_construction") {
                options.efConstruction = try reader.takeNull() ? nil : reader.integer()
            } else if key.isNamed("ef") {
                options.ef = try reader.takeNull() ? nil : reader.integer()
            } else if key.isNamed("quantization") {
                quantization = try reader.takeNull() ? nil : reader.text(bytesMax: Self.quantizationBytes)
            } else {
                try reader.skip()
            }
        }
    }
}

/// The body of `POST …/search`; the query's numbers lie in the scratch.
struct SearchRequest {
    /// Results when the request does not say how many.
    static let defaultK = 10

    var query = VectorFields()
    var k = 0
    /// Candidates that a walk through the graph keeps; nil: as the index was made.
    var ef: Int?
    /// Whether the answer says how it was found.
    var explains = false
    var boost: RecencyBoost?
    var fields: RowFields

    init(_ bytes: UnsafeRawBufferPointer, scratch: DecodeScratch, fields: RowFields) throws(RequestError) {
        self = try decodeBody(bytes) { reader throws(JSONError) in
            try SearchRequest(&reader, scratch: scratch, fields: fields)
        }
        try checkNumbers()
    }

    /// The components in the body, everything else in the query.
    init(
        binary bytes: UnsafeRawBufferPointer,
        _ items: QueryItems,
        scratch: DecodeScratch
    ) throws(RequestError) {
        fields = try RowFields(items, else: Search.usualFields)
        query.readBinary(bytes, scratch)
        k = try items.integer("k") ?? 0
        ef = try items.integer("ef")
        explains = try items.bool("explain") ?? false
        try checkNumbers()
    }

    /// Puts defaults in; refuses what no index can do.
    private mutating func checkNumbers() throws(RequestError) {
        if k <= 0 {
            k = Self.defaultK
        }
        guard k <= searchResultsMax else {
            throw .badRequest("k must be at most \(searchResultsMax)")
        }
        if let refusal = IndexOptions(ef: ef).refusal {
            throw .badRequest(refusal)
        }
    }

    /// The search, and the query in the scratch.
    func checked(
        against index: VectorIndex,
        _ scratch: DecodeScratch
    ) throws(RequestError) -> (search: Search, query: UnsafeBufferPointer<Float>) {
        var request = self
        try request.checkNumbers()
        guard self.query.vectorCount == index.dimensions || self.query.vectorCount == 0 else {
            throw RequestError(
                .badRequest,
                "query dimension mismatch: expected \(index.dimensions), got \(self.query.vectorCount)",
                code: .dimensionMismatch
            )
        }
        let query = try self.query.vector(scratch)
        let search = Search(k: request.k, ef: ef, explains: explains, boost: boost, fields: fields)
        return (search, query)
    }

    init(_ reader: inout JSONReader, scratch: DecodeScratch, fields: RowFields) throws(JSONError) {
        self.fields = fields
        try reader.beginObject()
        while let key = try reader.nextKey() {
            if key.isNamed("vector") {
                try query.readVector(&reader, scratch)
            } else if key.isNamed("k") {
                k = try reader.takeNull() ? 0 : reader.integer()
            } else if key.isNamed("ef") {
                ef = try reader.takeNull() ? nil : reader.integer()
            } else if key.isNamed("explain") {
                explains = try reader.takeNull() ? false : reader.bool()
            } else if key.isNamed("include_vector") {
                self.fields.set(.vector, try reader.takeNull() ? nil : reader.bool())
            } else if key.isNamed("include_metadata") {
                self.fields.set(.metadata, try reader.takeNull() ? nil : reader.bool())
            } else if key.isNamed("recency_boost") {
                boost = try reader.takeNull() ? nil : RecencyBoost(&reader)
            } else {
                try reader.skip()
            }
        }
    }
}

extension RecencyBoost {
    init(_ reader: inout JSONReader) throws(JSONError) {
        self.init()
        try reader.beginObject()
        while let key = try reader.nextKey() {
            if key.isNamed("field") {
                field = try reader.takeNull() ? .other : Field(&reader)
            } else if key.isNamed("recent_days") {
                recentDays = try Self.number(&reader)
            } else if key.isNamed("recent_multiplier") {
                recentMultiplier = try Self.number(&reader)
            } else if key.isNamed("medium_days") {
                mediumDays = try Self.number(&reader)
            } else if key.isNamed("medium_multiplier") {
                mediumMultiplier = try Self.number(&reader)
            } else {
                try reader.skip()
            }
        }
    }

    private static func number(_ reader: inout JSONReader) throws(JSONError) -> Double {
        try reader.takeNull() ? 0 : reader.double()
    }
}

extension RecencyBoost.Field {
    init(_ reader: inout JSONReader) throws(JSONError) {
        switch try reader.shortString() {
        case "published_date": self = .publishedDate
        case "modified_date": self = .modifiedDate
        default: self = .other
        }
    }
}

extension JSONReader {
    /// A string of at most 256 bytes; the empty one for null and for anything longer, which no known name is.
    mutating func shortString() throws(JSONError) -> String {
        if try takeNull() {
            return ""
        }
        var text = ""
        var failure: JSONError?
        withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
            do throws(JSONError) {
                let length = try string(into: buffer)
                if length <= buffer.count {
                    text = String(decoding: buffer[..<length], as: UTF8.self)
                }
            } catch {
                failure = error
            }
        }
        if let failure {
            throw failure
        }
        return text
    }
}
