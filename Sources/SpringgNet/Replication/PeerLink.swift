import SpringgCluster
import SpringgLog
import SpringgProjections

/// Carries out the exchanges with one peer, one after the other, on a thread of its own that may block.
final class PeerLink: @unchecked Sendable {
    // Why @unchecked: `queue` and `isClosed` are only touched while `doorbell` is locked, `reader` only by the link's
    // thread; everything else is immutable.

    private let doorbell = Doorbell()
    private var queue: [Exchange] = []
    private var isClosed = false
    private let database: Database
    private let client: PeerClient
    private let reader: ShipmentReader
    private let report: @Sendable (Exchange, ExchangeOutcome) -> Void

    init(
        _ database: Database,
        token: InternalToken?,
        report: @escaping @Sendable (Exchange, ExchangeOutcome) -> Void
    ) {
        self.database = database
        self.report = report
        self.client = PeerClient(token: token)
        self.reader = ShipmentReader(database.log)
    }

    /// Takes an exchange; its outcome is reported from the link's thread.
    func submit(_ exchange: Exchange) {
        self.doorbell.withLock { self.queue.append(exchange) }
        self.doorbell.ring()
    }

    /// Ends the thread soon, and what is under way.
    func close() {
        self.doorbell.withLock { self.isClosed = true }
        self.doorbell.ring()
        self.client.close()
    }

    /// The link's thread.
    func run() {
        while let exchange = self.next() { self.report(exchange, self.perform(exchange)) }
    }

    private func next() -> Exchange? {
        self.doorbell.withLock {
            while self.queue.isEmpty, !self.isClosed { self.doorbell.wait(nanoseconds: nil) }
            return self.isClosed ? nil : self.queue.removeFirst()
        }
    }

    private func perform(_ exchange: Exchange) -> ExchangeOutcome {
        do {
            switch exchange.kind {
            case .ask:
                return try self.ship(.empty(from: self.database.origin), to: exchange.address)
            case .ship(let origins, let held, let bytesMax):
                return try self.ship(
                    try self.reader.read(origins, lacking: held, bytesMax: bytesMax),
                    to: exchange.address
                )
            case .pull:
                return try self.pull(from: exchange.address)
            }
        } catch let error as PeerFailure {
            return .failed(error.text)
        } catch LogError.otherHistory(let origin, _) {
            return .contradicted(origin)
        } catch {
            return .failed("\(error)")
        }
    }

    private func ship(_ shipment: Shipment, to address: NodeAddress) throws -> ExchangeOutcome {
        let answer = try self.client.post(
            "/internal/log",
            to: address,
            shipment.message,
            answerBytesMax: VectorMessage.bytesMax
        )
        let message = try answer.withBytes { bytes throws(ReplicationWireError) in try VectorMessage(bytes) }
        return .answered(message, events: shipment.events, bytes: shipment.bytes, gaps: shipment.gaps)
    }

    private func pull(from address: NodeAddress) throws -> ExchangeOutcome {
        let question = VectorMessage(origin: self.database.origin, vector: self.database.versionVector)
        let answer = try self.client.post(
            "/internal/log/pull",
            to: address,
            question.encoded,
            answerBytesMax: EventsMessage.bytesMax
        )
        let message = try answer.withBytes { bytes throws(ReplicationWireError) in try EventsMessage(bytes) }
        let outcome = self.database.receiveAndWait(message.events)
        if let failure = outcome.failure { return .failed(failure.description) }
        return .pulled(appended: outcome.appended, refused: outcome.refusals, isOutOfReach: message.isOutOfReach)
    }
}
