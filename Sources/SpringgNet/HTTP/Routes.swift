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
            default: return self.successAnswer
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
            ticket.ack = try self.wantedAck(connection.uri)
        }
        switch target.endpoint {
        case .health: return self.health()
        case .live: return self.live()
        case .ready: return self.ready()
        case .metrics: return self.metricsText()
        case .page: return self.page()
        case .apiDescription: return self.apiDescription()
        case .nodeStats: return self.nodeStats()
        case .events: return try self.events(from: connection)
        case .listIndexes, .internalIndexes: return self.listIndexes()
        case .createIndex: return try self.createIndex(target, body, ticket)
        case .deleteIndex: return try self.deleteIndex(target, ticket)
        case .indexStats: return try self.indexStats(target)
        case .addVector: return try self.addVector(target, body, ticket)
        case .bulkAdd: return try self.bulkAdd(target, body, permit, from: connection)
        case .getVector: return try self.getVector(target, connection.query())
        case .updateVector: return try self.updateVector(target, body, ticket)
        case .deleteVector: return try self.deleteVector(target, ticket)
        case .search: return try self.search(target, body, from: connection)
        case .searchBatch: return try self.searchBatch(target, body, from: connection)
        case .listMarks: return self.listMarks()
        case .setMark: return try self.setMark(body, ticket)
        case .clusterStatus: return try self.clusterStatus(localAddress: connection.localAddress)
        case .joinCluster: return try self.joinCluster(body, ticket)
        case .leaveCluster: return try self.leaveCluster()
        case .forgetMember: return try self.forgetMember(body, ticket)
        case .readmit: return try self.readmit(ticket)
        case .replicate: return try self.replicate(body, isBatch: connection.isReplicationBatch, ticket)
        case .shipLog: return try self.receiveLog(body, ticket)
        case .pullLog: return try self.pullLog(body, ticket)
        case .snapshot: return try self.snapshot()
        case .snapshotBlock: return try self.snapshotBlock(target, ticket)
        case .syncManifest: return try self.syncManifest(target, ticket)
        case .syncBlock: return try self.syncBlock(target, ticket)
        case .digestBuckets: return try self.digestBuckets(target, ticket)
        case .digestRows: return try self.digestRows(target, ticket)
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
        let name = try self.indexName(target)
        guard let index = self.context.database.index(name) else {
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
        self.context.submit(commands, as: pending, self.mailbox, ticket)
    }

    /// Refuses work that would have to wait for a thread for too long.
    func requireThread() throws(RequestError) {
        let limit = self.context.limits.searchWaitSeconds
        let expected = Double(self.context.queue.expectedWaitNanoseconds) / 1e9
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
        self.offload(ticket) { _ throws(RequestError) in try work() }
    }

    /// The same for work that ends soon when it is cancelled: by its time-out, or since its client is gone.
    func offload(_ ticket: Ticket, _ work: @escaping @Sendable (Cancellation) throws(RequestError) -> Answer?) {
        let cancellation = Cancellation()
        self.hold(cancellation, for: ticket)
        let deadline = NIODeadline.now().after(self.timeouts.request)
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
        let result = self.withUnsafeReadableBytes { bytes in
            Result { () throws(RequestError) in try body(bytes) }
        }
        return try result.get()
    }
}
