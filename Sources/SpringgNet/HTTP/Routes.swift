import NIOCore
import NIOHTTP1
import NIOPosix
import SpringgProjections
import Synchronization

/// What remains to be said once the log has taken or refused the commands of a write.
enum PendingWrite: Sendable {
    case createIndex(IndexName, dimensions: Int)
    case deleteIndex(IndexName)
    case add(VectorID)
    case update(VectorID)
    case delete(VectorID)
    case mark(MarkName)
    case bulk(BulkPlan)
    /// One batch of a bulk request that is still arriving.
    case stream
    case replicate(ReplicationPlan)
    case replicateBatch(ReplicationPlan)

    /// The answer for results that stand in the order of the commands.
    func answer(_ results: [Result<Receipt, CommandError>]) -> Answer {
        switch self {
        case .bulk(let plan):
            return plan.answer(results)
        case .replicate(let plan):
            return plan.answer(results)
        case .replicateBatch(let plan):
            return plan.batchAnswer(results)
        case .createIndex, .deleteIndex, .add, .update, .delete, .mark, .stream:
            switch (self, results[0]) {
            case (_, .failure(let error)): return .failure(RequestError(error))
            case (.mark(let name), .success(let receipt)): return receipt.answer(forMark: name)
            default: return successAnswer
            }
        }
    }

    private var successAnswer: Answer {
        switch self {
        case .createIndex(let name, let dimensions):
            .success { body in
                body.raw(#"{"name":"#)
                body.string(name.description)
                body.raw(#","dimensions":"#)
                body.integer(dimensions)
                body.raw(#","created":true}"#)
            }
        case .deleteIndex(let name):
            .success { body in
                body.raw(#"{"name":"#)
                body.string(name.description)
                body.raw(#","deleted":true}"#)
            }
        case .add(let id): Self.vectorAnswer(id, #","added":true}"#)
        case .update(let id): Self.vectorAnswer(id, #","updated":true}"#)
        case .delete(let id): Self.vectorAnswer(id, #","deleted":true}"#)
        case .mark, .bulk, .stream, .replicate, .replicateBatch: .success { $0.raw("null") }
        }
    }

    private static func vectorAnswer(_ id: VectorID, _ rest: StaticString) -> Answer {
        .success { body in
            body.raw(#"{"id":"#)
            id.withUTF8 { body.string($0) }
            body.raw(rest)
        }
    }
}

extension Worker {
    /// Answers a request, or starts what will; then the answer comes by the mailbox and nil is returned.
    func handle(
        _ target: Target,
        body: ByteBuffer,
        permit: Permit?,
        from connection: HTTPConnection
    ) throws(RequestError) -> Answer? {
        var ticket = connection.ticket
        if target.endpoint.scope == .write || target.endpoint == .setMark {
            ticket.ack = try wantedAck(connection.uri)
        }
        switch target.endpoint {
        case .health: return health()
        case .live: return live()
        case .ready: return ready()
        case .metrics: return metricsText()
        case .page: return page()
        case .apiDescription: return apiDescription()
        case .nodeStats: return nodeStats()
        case .events: return try events(from: connection)
        case .listIndexes, .internalIndexes: return listIndexes()
        case .createIndex: return try createIndex(target, body, ticket)
        case .deleteIndex: return try deleteIndex(target, ticket)
        case .indexStats: return try indexStats(target)
        case .addVector: return try addVector(target, body, ticket)
        case .bulkAdd: return try bulkAdd(target, body, permit, from: connection)
        case .getVector: return try getVector(target, connection.query())
        case .updateVector: return try updateVector(target, body, ticket)
        case .deleteVector: return try deleteVector(target, ticket)
        case .search: return try search(target, body, from: connection)
        case .searchBatch: return try searchBatch(target, body, from: connection)
        case .listMarks: return listMarks()
        case .setMark: return try setMark(body, ticket)
        case .clusterStatus: return try clusterStatus(localAddress: connection.localAddress)
        case .joinCluster: return try joinCluster(body, ticket)
        case .leaveCluster: return try leaveCluster()
        case .forgetMember: return try forgetMember(body, ticket)
        case .readmit: return try readmit(ticket)
        case .replicate: return try replicate(body, isBatch: connection.isReplicationBatch, ticket)
        case .shipLog: return try receiveLog(body, ticket)
        case .pullLog: return try pullLog(body, ticket)
        case .snapshot: return try snapshot()
        case .snapshotBlock: return try snapshotBlock(target, ticket)
        case .syncManifest: return try syncManifest(target, ticket)
        case .syncBlock: return try syncBlock(target, ticket)
        case .digestBuckets: return try digestBuckets(target, ticket)
        case .digestRows: return try digestRows(target, ticket)
        }
    }

    // MARK: What routes share

    func indexName(_ target: Target) throws(RequestError) -> IndexName {
        let text = String(decoding: target.index, as: UTF8.self)
        guard let name = IndexName(text) else {
            throw .invalidIndexName(text)
        }
        return name
    }

    func index(_ target: Target) throws(RequestError) -> VectorIndex {
        let name = try indexName(target)
        guard let index = context.database.index(name) else {
            throw .indexNotFound(name)
        }
        return index
    }

    /// The id in a path.
    func vectorID(_ target: Target) throws(RequestError) -> VectorID {
        let id = target.item.withUnsafeBytes { VectorID(utf8: $0) }
        guard let id else {
            throw .badRequest("invalid ID: it must be UTF-8 of 1 to \(vectorIDBytesMax) bytes")
        }
        return id
    }

    /// Hands commands to the log; the answer is made when their results are back on this event loop.
    func submit(_ commands: [Command], as pending: PendingWrite, _ ticket: Ticket) {
        context.submit(commands, as: pending, mailbox, ticket)
    }

    /// Refuses work that would have to wait for a thread for too long.
    func requireThread() throws(RequestError) {
        let limit = context.limits.searchWaitSeconds
        let expected = Double(context.queue.expectedWaitNanoseconds) / 1e9
        guard limit > 0, expected > limit else {
            return
        }
        throw RequestError(
            .serviceUnavailable,
            "Server overloaded, please retry",
            code: .overloaded,
            retryAfterSeconds: max(1, Int(expected.rounded(.up))),
            limit: .searchWait
        )
    }

    /// Runs work that is too long for an event loop on a thread of the pool.
    func offload(_ ticket: Ticket, _ work: @escaping @Sendable () throws(RequestError) -> Answer?) {
        offload(ticket) { _ throws(RequestError) in try work() }
    }

    /// The same for work that ends soon when it is cancelled: by its time-out, or since its client is gone.
    func offload(_ ticket: Ticket, _ work: @escaping @Sendable (Cancellation) throws(RequestError) -> Answer?) {
        let cancellation = Cancellation()
        hold(cancellation, for: ticket)
        let deadline = NIODeadline.now().after(timeouts.request)
        self.context.queue.add()
        self.context.threads.submit { [mailbox, context] state in
            context.queue.take()
            // Work that has waited until nobody wants its answer any more is not begun.
            let begun = NIODeadline.now()
            guard case .active = state, begun < deadline, !cancellation.isCancelled else {
                return
            }
            defer {
                context.queue.ended(nanoseconds: Int((NIODeadline.now() - begun).nanoseconds))
                if cancellation.isCancelled {
                    context.metrics.cancelledSearches.wrappingAdd(1, ordering: .relaxed)
                }
            }
            do throws(RequestError) {
                if let answer = try Stage.work.measured({ () throws(RequestError) in try work(cancellation) }) {
                    mailbox.post(ticket, .answer(answer))
                }
            } catch {
                mailbox.post(ticket, .answer(.failure(error)))
            }
        }
    }
}

extension ByteBuffer {
    /// Lends the readable bytes without copying them.
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws(RequestError) -> R) throws(RequestError) -> R {
        let result = withUnsafeReadableBytes { bytes in
            Result { () throws(RequestError) in try body(bytes) }
        }
        return try result.get()
    }
}
