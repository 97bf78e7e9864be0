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
        let (database, mailbox) = (self.context.database, self.mailbox)
        let take: @Sendable () throws(RequestError) -> Answer? = { () throws(RequestError) in
            let events = try body.withBytes { bytes throws(RequestError) in
                do throws(ReplicationWireError) { return try EventsMessage(bytes).events } catch {
                    throw .badRequest(error.description)
                }
            }
            guard events.count > 0 else {
                return .message(VectorMessage(origin: database.origin, vector: database.versionVector).encoded)
            }
            database.receive(events) { outcome in
                mailbox.post(ticket, .answer(Answer(outcome, origin: database.origin)))
            }
            return nil
        }
        guard body.readableBytes > Self.inlineBytesMax else { return try take() }
        self.offload(ticket, take)
        return nil
    }

    /// Gives events that the asker lacks, as many as fit one message.
    func pullLog(_ body: ByteBuffer, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let database = self.context.database
        self.offload(ticket) { () throws(RequestError) in
            let question = try body.withBytes { bytes throws(RequestError) in
                do throws(ReplicationWireError) { return try VectorMessage(bytes) } catch {
                    throw .badRequest(error.description)
                }
            }
            do throws(LogError) {
                let shipment = try ShipmentReader(database.log).readAll(
                    lacking: question.vector,
                    bytesMax: ReplicationOptions().batchBytes
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
    func snapshot() throws(RequestError) -> Answer { .message(try self.shelf().manifest() ?? []) }

    func snapshotBlock(_ target: Target, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let (shelf, hash) = (try self.shelf(), String(decoding: target.item, as: UTF8.self))
        self.offload(ticket) { () throws(RequestError) in .message(try shelf.block(hash)) }
        return nil
    }

    private func shelf() throws(RequestError) -> SnapshotShelf {
        guard let shelf = self.context.shelf else { throw RequestError(.serviceUnavailable, "Clustering not enabled") }
        return shelf
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
    fileprivate init(_ outcome: ReceiveOutcome, origin: OriginID) {
        if let failure = outcome.failure {
            self = .failure(RequestError(failure))
            return
        }
        var message = VectorMessage(origin: origin, vector: outcome.vector)
        message.appended = outcome.appended
        message.refusals = outcome.refusals
        self = .message(message.encoded)
    }
}
