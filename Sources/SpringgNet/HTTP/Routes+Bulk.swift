import NIOCore
import NIOHTTP1
import SpringgProjections

/// `/api/indexes/{name}/vectors/bulk`.
extension Worker {
    /// Bytes of a bulk body that are decoded on the event loop: about 0.4 ms.
    private static let inlineBulkBytesMax = 256 << 10

    func bulkAdd(
        _ target: Target,
        _ body: ByteBuffer,
        _ permit: Permit?,
        from connection: HTTPConnection
    ) throws(RequestError) -> Answer? {
        let name = try indexName(target)
        let context = self.context
        let (mailbox, ticket) = (self.mailbox, connection.ticket)
        // The records of a binary body are as long as the index's vectors.
        let dimensions = connection.mediaType == .float32 ? try index(target).dimensions : nil
        if body.readableBytes <= Self.inlineBulkBytesMax {
            let request = try body.withBytes { bytes throws(RequestError) in
                try BulkRequest(bytes, index: name, binaryDimensions: dimensions, scratch: scratch)
            }
            return try request.submit(to: context, index: name, permit, mailbox, ticket)
        }
        try requireThread()
        offload(ticket) { () throws(RequestError) in
            let request = try body.withBytes { bytes throws(RequestError) in
                try BulkRequest(bytes, index: name, binaryDimensions: dimensions, scratch: DecodeScratch())
            }
            return try request.submit(to: context, index: name, permit, mailbox, ticket)
        }
        return nil
    }
}

extension Worker {
    /// What works a body off while it arrives; nil for a body that is read whole.
    func stream(_ target: Target, _ head: HTTPRequestHead) throws(RequestError) -> BulkStream? {
        guard target.endpoint == .bulkAdd, MediaType(head.headers) == .jsonLines else {
            return nil
        }
        // Before anything is sent in vain.
        let index = try self.index(target)
        return try BulkStream(index: index.name, budget: context.bodyBudget)
    }
}

/// Why one vector of a bulk request was not stored.
struct BulkError: Sendable {
    /// Its place in the request.
    let position: Int
    let id: VectorID?
    let text: String
}

/// A decoded bulk request: commands for the vectors that are in order, errors for the others.
struct BulkRequest {
    var commands: [Command] = []
    var plan = BulkPlan()

    /// - Parameters:
    ///   - bytes: The whole body.
    ///   - index: Where the vectors go.
    ///   - binaryDimensions: Components of a vector in a binary body; nil for JSON.
    ///   - scratch: To decode in.
    /// - Throws: 400 when the body cannot be read.
    init(
        _ bytes: UnsafeRawBufferPointer,
        index: IndexName,
        binaryDimensions: Int?,
        scratch: DecodeScratch
    ) throws(RequestError) {
        if let binaryDimensions {
            self = try Stage.json.measured { () throws(RequestError) in
                try BulkRequest(BinaryRecords(bytes, dimensions: binaryDimensions), index: index, scratch: scratch)
            }
        } else {
            try self.init(json: bytes, index: index, scratch: scratch)
        }
        guard plan.total > 0 else {
            throw .badRequest("At least one vector is required")
        }
    }

    private init(_ records: BinaryRecords, index: IndexName, scratch: DecodeScratch) throws(RequestError) {
        var records = records
        while let record = try records.next() {
            guard plan.total < bulkItemsMax else {
                throw .tooManyVectors
            }
            take(index: index, scratch: scratch) { () throws(RequestError) in
                try VectorFields(record, scratch: scratch)
            }
        }
    }

    private init(json bytes: UnsafeRawBufferPointer, index: IndexName, scratch: DecodeScratch) throws(RequestError) {
        var isTooLong = false
        self = try decodeBody(bytes) { reader throws(JSONError) in
            var request = BulkRequest()
            try reader.beginObject()
            while let key = try reader.nextKey() {
                guard key.isNamed("vectors") else {
                    try reader.skip()
                    continue
                }
                request = BulkRequest()
                guard try !reader.takeNull() else {
                    continue
                }
                try reader.beginArray()
                while try reader.nextElement() {
                    guard request.plan.total < bulkItemsMax else {
                        isTooLong = true
                        try reader.skip()
                        continue
                    }
                    try request.take(&reader, index: index, scratch: scratch)
                }
            }
            return request
        }
        guard !isTooLong else {
            throw .tooManyVectors
        }
    }

    private init() {}

    private mutating func take(
        _ reader: inout JSONReader,
        index: IndexName,
        scratch: DecodeScratch
    ) throws(JSONError) {
        let fields = try reader.takeNull() ? VectorFields() : VectorFields(&reader, scratch: scratch)
        take(index: index, scratch: scratch) { fields }
    }

    /// Takes one vector, or notes what is wrong with it.
    private mutating func take(
        index: IndexName,
        scratch: DecodeScratch,
        _ read: () throws(RequestError) -> VectorFields
    ) {
        let position = plan.total
        plan.total += 1
        var id: VectorID?
        do throws(RequestError) {
            let fields = try read()
            let known = try fields.id(scratch)
            id = known
            commands.append(
                .put(try fields.prepare(index: index, id: known, scratch: scratch), mustExist: false)
            )
            plan.submitted.append((position, known))
        } catch {
            plan.errors.append(BulkError(position: position, id: id, text: error.text))
        }
    }

    /// Hands the commands to the log; answers at once only when there are none.
    func submit(
        to context: ServerContext,
        index: IndexName,
        _ permit: Permit?,
        _ mailbox: Mailbox,
        _ ticket: Ticket
    ) throws(RequestError) -> Answer? {
        guard context.database.index(index) != nil else {
            throw .indexNotFound(index)
        }
        guard !commands.isEmpty else {
            return self.plan.answer([])
        }
        var plan = self.plan
        plan.permit = permit
        context.submit(commands, as: .bulk(plan), mailbox, ticket)
        return nil
    }
}

/// What the answer to a bulk request needs besides the results of its commands.
struct BulkPlan: Sendable {
    var total = 0
    /// For each command its place in the request and its id.
    var submitted: [(position: Int, id: VectorID)] = []
    /// What was wrong before anything reached the log.
    var errors: [BulkError] = []
    /// Held until the answer is made.
    var permit: Permit?

    func answer(_ results: [Result<Receipt, CommandError>]) -> Answer {
        var errors = self.errors
        for (command, result) in zip(submitted, results) {
            if case .failure(let error) = result {
                errors.append(BulkError(position: command.position, id: command.id, text: error.description))
            }
        }
        errors.sort { $0.position < $1.position }
        return .success { body in
            body.raw(#"{"total":"#)
            body.integer(total)
            body.raw(#","success":"#)
            body.integer(total - errors.count)
            body.raw(#","failed":"#)
            body.integer(errors.count)
            body.bulkErrors(errors)
            body.raw("}")
        }
    }
}

extension ResponseWriter {
    /// The errors of a bulk request as a further member, if there are any.
    mutating func bulkErrors(_ errors: [BulkError]) {
        guard !errors.isEmpty else {
            return
        }
        raw(#","errors":["#)
        for (place, error) in errors.enumerated() {
            bulkError(error, isFirst: place == 0)
        }
        raw("]")
    }

    private mutating func bulkError(_ error: BulkError, isFirst: Bool) {
        raw(isFirst ? #"{"index":"# : #",{"index":"#)
        integer(error.position)
        if let id = error.id {
            raw(#","id":"#)
            id.withUTF8 { string($0) }
        }
        raw(#","error":"#)
        string(error.text)
        raw("}")
    }
}
