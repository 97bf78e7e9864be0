import NIOCore
import NIOHTTP1
import SpringgCluster
import SpringgLog
import SpringgProjections

/// `/internal/log`: events between nodes, in the form in which they stand in the log.
extension Worker {
    /// Bytes of a message that are checked on the event loop; larger ones go to a thread of the pool.
    private static let inlineBytesMax = 64 << 10

    /// Takes events; the answer says what this node holds then.
    func receiveLog(_ body: ByteBuffer, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let receiver = LogReceiver(context.database, context.options.cluster, mailbox, ticket)
        guard body.readableBytes <= Self.inlineBytesMax else {
            offload(ticket) { () throws(RequestError) in try receiver.take(try LogReceiver.read(body)) }
            return nil
        }
        let message = try LogReceiver.read(body)
        // A roster is written to disk before the answer.
        guard message.sender.roster != nil else { return try receiver.take(message) }
        offload(ticket) { () throws(RequestError) in try receiver.take(message) }
        return nil
    }

    /// Gives events that the asker lacks, as many as fit one message.
    func pullLog(_ body: ByteBuffer, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let database = context.database
        let name = context.options.cluster?.sender(withRoster: false).name ?? ""
        let bytesMax = context.options.bandwidth.batchBytes
        paced(ticket, bytes: bytesMax) { () throws(RequestError) in
            let question = try body.withBytes { bytes throws(RequestError) in
                do throws(ReplicationWireError) { return try VectorMessage(bytes) } catch {
                    throw .badRequest(error.description)
                }
            }
            do throws(LogError) {
                let shipment = try ShipmentReader(database.log, from: name).readAll(
                    lacking: question.vector,
                    bytesMax: bytesMax
                )
                return .message(shipment.message)
            } catch {
                throw RequestError(.internalServerError, "the log cannot be read; see this node's log")
            }
        }
        return nil
    }

    // MARK: Seeding

    /// The manifest of a snapshot for a new node; no bytes while it is being made.
    func snapshot() throws(RequestError) -> Answer {
        let manifest = try shelf().manifest() ?? []
        context.options.bandwidth.sent(manifest.count)
        return .message(manifest)
    }

    func snapshotBlock(_ target: Target, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let (shelf, hash) = (try self.shelf(), String(decoding: target.item, as: UTF8.self))
        paced(ticket, bytes: Self.blockBytesExpected) { () throws(RequestError) in .message(try shelf.block(hash))
        }
        return nil
    }

    /// What most blocks of rows do not exceed as they are stored; how many it were is known when they have been read.
    private static let blockBytesExpected = 1 << 20
    /// What is fetched waits so long for its turn; the asker takes a connection on which nothing comes for longer for a dead one.
    private static let paceWaitMax = TimeAmount.seconds(5)

    /// Answers another node with about so many bytes once the bound on replication allows them.
    ///
    /// Whoever waits does so in no thread.
    private func paced(
        _ ticket: Ticket,
        bytes: Int,
        until end: NIODeadline = .now() + Worker.paceWaitMax,
        _ work: @escaping @Sendable () throws(RequestError) -> Answer
    ) {
        let bandwidth = context.options.bandwidth
        guard let wait = bandwidth.reserve(bytes) else {
            return offload(ticket) { () throws(RequestError) in
                var sent = 0
                defer { bandwidth.sent(sent, reserved: bytes) }
                let answer = try work()
                sent = answer.body.count
                return answer
            }
        }
        let pause = TimeAmount.nanoseconds(Int64(wait / .nanoseconds(1)))
        guard NIODeadline.now() + pause <= end else {
            let error = RequestError(
                .tooManyRequests,
                "replication_bandwidth_mbps allows no more at the moment",
                retryAfterSeconds: Int((wait / .seconds(1)).rounded(.up))
            )
            return mailbox.post(ticket, .answer(.failure(error)))
        }
        mailbox.later(pause) { $0.paced(ticket, bytes: bytes, until: end, work) }
    }

    private func shelf() throws(RequestError) -> SnapshotShelf {
        guard let shelf = context.shelf else { throw RequestError(.serviceUnavailable, "Clustering not enabled") }
        return shelf
    }
}

/// Takes one message of another node, and answers it.
private struct LogReceiver: Sendable {
    private let database: Database
    private let cluster: ClusterService?
    private let mailbox: Mailbox
    private let ticket: Ticket

    init(_ database: Database, _ cluster: ClusterService?, _ mailbox: Mailbox, _ ticket: Ticket) {
        self.database = database
        self.cluster = cluster
        self.mailbox = mailbox
        self.ticket = ticket
    }

    static func read(_ body: ByteBuffer) throws(RequestError) -> EventsMessage {
        try body.withBytes { bytes throws(RequestError) in
            do throws(ReplicationWireError) { return try EventsMessage(bytes) } catch {
                throw .badRequest(error.description)
            }
        }
    }

    /// Nil when the answer follows once the events are on disk.
    func take(_ message: EventsMessage) throws(RequestError) -> Answer? {
        if let roster = message.sender.roster { self.cluster?.merge(roster) }
        guard message.events.count > 0 else {
            return Answer(ReceiveOutcome(), self.database, self.cluster, withRoster: message.sender.roster != nil)
        }
        let receive = {
            self.database.receive(message.events) { [database, cluster, mailbox, ticket] outcome in
                cluster?.note(outcome.refusals, from: message.sender.name)
                mailbox.post(ticket, .answer(Answer(outcome, database, cluster, withRoster: false)))
            }
        }
        guard let cluster else {
            receive()
            return nil
        }
        // Who was forgotten is told so, by the roster.
        return cluster.admit(from: message.sender.name, receive)
            ? nil : Answer(ReceiveOutcome(), self.database, cluster, withRoster: true)
    }
}

extension Answer {
    /// A message between nodes.
    static func message(_ bytes: [UInt8]) -> Answer {
        var body = ResponseWriter(capacity: bytes.count)
        bytes.withUnsafeBytes { body.raw($0) }
        return Answer(.ok, contentType: .binary, body: body)
    }

    /// What became of events; when the log took them not, the sender is to come again later.
    fileprivate init(
        _ outcome: ReceiveOutcome,
        _ database: Database,
        _ cluster: ClusterService?,
        withRoster: Bool
    ) {
        if let failure = outcome.failure {
            self = .failure(RequestError(failure))
            return
        }
        var message = VectorMessage(origin: database.origin, vector: database.versionVector)
        cluster?.announce(in: &message, withRoster: withRoster, database)
        message.appended = outcome.appended
        message.refusals = outcome.refusals
        self = .message(message.encoded)
    }
}
