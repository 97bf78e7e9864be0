import NIOCore
import SpringgProjections

/// `/api/indexes/{name}/vectors/bulk`.
extension Worker {
    /// Bytes of a bulk body that are decoded on the event loop: about 0.4 ms.
    private static let inlineBulkBytesMax = 256 << 10

    func bulkAdd(
        _ target: Target,
        _ body: ByteBuffer,
        _ permit: Permit?,
        _ ticket: Ticket
    ) throws(RequestError) -> Answer? {
        let name = try self.indexName(target)
        let context = self.context
        let mailbox = self.mailbox
        if body.readableBytes <= Self.inlineBulkBytesMax {
            let request = try body.withBytes { bytes throws(RequestError) in
                try BulkRequest(bytes, index: name, scratch: self.scratch)
            }
            return try request.submit(to: context, index: name, permit, mailbox, ticket)
        }
        self.offload(ticket) { () throws(RequestError) in
            let request = try body.withBytes { bytes throws(RequestError) in
                try BulkRequest(bytes, index: name, scratch: DecodeScratch())
            }
            return try request.submit(to: context, index: name, permit, mailbox, ticket)
        }
        return nil
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

    init(_ bytes: UnsafeRawBufferPointer, index: IndexName, scratch: DecodeScratch) throws(RequestError) {
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
            throw .badRequest("at most \(bulkItemsMax) vectors are allowed in one request")
        }
        guard self.plan.total > 0 else {
            throw .badRequest("At least one vector is required")
        }
    }

    private init() {}

    private mutating func take(
        _ reader: inout JSONReader,
        index: IndexName,
        scratch: DecodeScratch
    ) throws(JSONError) {
        let position = self.plan.total
        self.plan.total += 1
        let fields = try reader.takeNull() ? VectorFields() : VectorFields(&reader, scratch: scratch)
        var id: VectorID?
        do throws(RequestError) {
            let known = try fields.id(scratch)
            id = known
            self.commands.append(
                .put(try fields.prepare(index: index, id: known, scratch: scratch), mustExist: false)
            )
            self.plan.submitted.append((position, known))
        } catch {
            self.plan.errors.append(BulkError(position: position, id: id, text: error.text))
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
        guard !self.commands.isEmpty else {
            return self.plan.answer([])
        }
        var plan = self.plan
        plan.permit = permit
        context.submit(self.commands, as: .bulk(plan), mailbox, ticket)
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
        for (command, result) in zip(self.submitted, results) {
            if case .failure(let error) = result {
                errors.append(BulkError(position: command.position, id: command.id, text: error.description))
            }
        }
        errors.sort { $0.position < $1.position }
        return .success { body in
            body.raw(#"{"total":"#)
            body.integer(self.total)
            body.raw(#","success":"#)
            body.integer(self.total - errors.count)
            body.raw(#","failed":"#)
            body.integer(errors.count)
            if !errors.isEmpty {
                body.raw(#","errors":["#)
                for (place, error) in errors.enumerated() {
                    body.bulkError(error, isFirst: place == 0)
                }
                body.raw("]")
            }
            body.raw("}")
        }
    }
}

extension ResponseWriter {
    fileprivate mutating func bulkError(_ error: BulkError, isFirst: Bool) {
        self.raw(isFirst ? #"{"index":"# : #",{"index":"#)
        self.integer(error.position)
        if let id = error.id {
            self.raw(#","id":"#)
            id.withUTF8 { self.string($0) }
        }
        self.raw(#","error":"#)
        self.string(error.text)
        self.raw("}")
    }
}
