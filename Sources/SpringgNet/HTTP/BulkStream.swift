import NIOCore
import NIOHTTP1
import SpringgProjections

/// A bulk request of JSON lines, worked off while it arrives: in constant memory, however many lines there are.
///
/// Whole lines become commands, commands go to the log in batches, and while `batchesMax` of them are under way nothing
/// more is read from the client: it sends as fast as the disk takes. Lives on the event loop of its connection.
struct BulkStream {
    /// Bytes of one line: as many as a request for one vector may have.
    static let lineBytesMax = Worker.vectorBodyBytesMax
    /// Batches that are with the log: one that is synced and one that gathers meanwhile.
    private static let batchesMax = 2
    /// A batch is sent off when it has so many commands or bytes: some syncs' worth, and no more than a stream may hold.
    private static let batchCommandsMax = 512
    private static let batchBytesMax = 1 << 20
    /// Errors that the answer lists; the others are counted.
    private static let errorsMax = 1000
    /// A client must send so much within `read_timeout`, or a batch of it must have been stored.
    private static let progressBytes = 64 << 10

    private let index: IndexName
    /// What holds room for the longest line in the server's budget; nil when there is no budget.
    private let room: Permit?
    /// Bytes that no whole line was made of yet.
    private var pending = ByteBuffer()
    private var commands: [Command] = []
    private var commandBytes = 0
    /// For each command its line and its id.
    private var submitted: [(line: Int, id: VectorID)] = []
    /// The commands of the batches under way.
    private var underWay: CircularBuffer<[(line: Int, id: VectorID)]> = []

    private var lines = 0
    private var stored = 0
    private var failed = 0
    private var errors: [BulkError] = []
    private var bytesSinceProgress = 0
    /// Of the last event that was stored.
    private var receipt: WriteReceipt?
    /// Why no further line is taken; what is under way may still be stored.
    private(set) var failure: RequestError?

    /// - Parameters:
    ///   - index: Where the vectors go.
    ///   - budget: What all bodies together may hold.
    /// - Throws: 503 when that is taken.
    init(index: IndexName, budget: PermitPool?) throws(RequestError) {
        self.index = index
        room = budget?.take(Self.lineBytesMax)
        guard budget == nil || room != nil else {
            throw RequestError(
                .serviceUnavailable,
                "Server busy, please retry",
                retryAfterSeconds: 1,
                limit: .bodyMemory
            )
        }
    }

    /// True while no more is to be read from the client.
    var isFull: Bool { underWay.count >= Self.batchesMax }

    /// True when everything that was taken is answered.
    var isSettled: Bool { underWay.isEmpty && commands.isEmpty }

    // MARK: Lines

    /// Takes what has arrived; true when the client has made some progress since this was last true.
    mutating func append(_ part: ByteBuffer, _ scratch: DecodeScratch) throws(RequestError) -> Bool {
        bytesSinceProgress += part.readableBytes
        if pending.readableBytes == 0 {
            pending = part
        } else {
            var part = part
            pending.discardReadBytes()
            pending.writeBuffer(&part)
        }
        while let length = pending.readableBytesView.firstIndex(of: UInt8(ascii: "\n")).map({
            $0 - pending.readerIndex
        }) {
            take(length, scratch)
            pending.moveReaderIndex(forwardBy: 1)
        }
        guard pending.readableBytes <= Self.lineBytesMax else {
            throw RequestError(
                .payloadTooLarge,
                "line \(lines) (from 0) is larger than \(Self.lineBytesMax) bytes",
                limit: .body
            )
        }
        guard bytesSinceProgress >= Self.progressBytes else {
            return false
        }
        bytesSinceProgress = 0
        return true
    }

    /// Takes the last line, which needs no end.
    mutating func finish(_ scratch: DecodeScratch) {
        take(pending.readableBytes, scratch)
        if lines == 0 {
            failure = .badRequest("At least one vector is required")
        }
    }

    /// Takes the first bytes that are pending as a line; one of white space is none.
    private mutating func take(_ length: Int, _ scratch: DecodeScratch) {
        guard let line = pending.readSlice(length: length) else {
            return
        }
        let isBlank = line.readableBytesView.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
        guard !isBlank else {
            return
        }
        let number = lines
        lines += 1
        var id: VectorID?
        do throws(RequestError) {
            let command = try line.withBytes { bytes throws(RequestError) in
                let fields = try decodeBody(bytes) { reader throws(JSONError) in
                    try VectorFields(&reader, scratch: scratch)
                }
                let known = try fields.id(scratch)
                id = known
                return Command.put(try fields.prepare(index: index, id: known, scratch: scratch), mustExist: false)
            }
            guard let id else {
                return
            }
            commands.append(command)
            commandBytes += command.recordBytesMax
            submitted.append((number, id))
        } catch {
            note(BulkError(position: number, id: id, text: error.text))
        }
    }

    private mutating func note(_ error: BulkError) {
        failed += 1
        if errors.count < Self.errorsMax {
            errors.append(error)
        }
    }

    // MARK: Batches

    /// The next batch for the log; nil when there is none, or it may still grow.
    mutating func nextBatch(isLast: Bool) -> [Command]? {
        let isLarge = commands.count >= Self.batchCommandsMax || commandBytes >= Self.batchBytesMax
        guard failure == nil, !commands.isEmpty, !isFull, isLast || isLarge else {
            return nil
        }
        underWay.append(submitted)
        submitted.removeAll(keepingCapacity: true)
        commandBytes = 0
        defer { commands.removeAll(keepingCapacity: true) }
        return commands
    }

    /// Takes the log's word on the oldest batch under way.
    mutating func completed(_ results: [Result<Receipt, CommandError>], _ receipt: WriteReceipt?) {
        if let receipt {
            // The last event, and the level that all batches have reached.
            let level = self.receipt.map { min($0.ack, receipt.ack) } ?? receipt.ack
            self.receipt = receipt
            self.receipt?.ack = level
        }
        guard let batch = underWay.popFirst() else {
            return
        }
        bytesSinceProgress = 0
        for (command, result) in zip(batch, results) {
            switch result {
            case .success:
                stored += 1
            case .failure(let error):
                note(BulkError(position: command.line, id: command.id, text: error.description))
                if error.endsStream, failure == nil {
                    failure = RequestError(error)
                }
            }
        }
        if failure != nil {
            commands.removeAll()
            submitted.removeAll()
        }
    }

    // MARK: Answer

    /// How far it got; with a reason when it ended before its time.
    func answer(_ failure: RequestError? = nil) -> Answer {
        var body = ResponseWriter(capacity: 256 + errors.count * 128)
        if let failure {
            body.raw(#"{"status":"error","error":"#)
            body.string(failure.text)
            body.raw(#","code":""#)
            body.raw(failure.code.rawValue)
            body.raw(#"","data":{"total":"#)
        } else {
            body.raw(#"{"status":"success","data":{"total":"#)
        }
        body.integer(lines)
        body.raw(#","success":"#)
        body.integer(stored)
        body.raw(#","failed":"#)
        body.integer(failed)
        // Read, but neither stored nor refused for all that is known here.
        let unknown = lines - stored - failed
        if unknown > 0 {
            body.raw(#","unknown":"#)
            body.integer(unknown)
        }
        body.bulkErrors(errors.sorted { $0.position < $1.position })
        if failed > errors.count {
            body.raw(#","errors_omitted":"#)
            body.integer(failed - errors.count)
        }
        body.raw("}}\n")
        var answer = Answer(failure?.status ?? .ok, contentType: .json, body: body)
        answer.retryAfterSeconds = failure?.retryAfterSeconds ?? 0
        answer.limit = failure?.limit
        return failure == nil ? answer.with(receipt) : answer
    }
}

extension CommandError {
    /// True when what follows would fail alike: the node takes no writes now.
    fileprivate var endsStream: Bool {
        switch self {
        case .diskFull, .readOnly, .writeFailed, .writesRefused, .shuttingDown, .indexNotFound, .memoryLimitExceeded,
            .indexFull:
            true
        case .indexExists, .vectorNotFound, .markExists, .dimensionMismatch, .invalidDimensions, .invalidOptions:
            false
        }
    }
}
