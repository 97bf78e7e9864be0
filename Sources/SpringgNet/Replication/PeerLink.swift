import SpringgCluster
import SpringgLog
import SpringgProjections

/// Carries out the exchanges with one peer, one after the other, on a thread of its own that may block.
final class PeerLink: @unchecked Sendable {
    // Why @unchecked: `queue` and `isClosed` are only touched while `doorbell` is locked, `reader` and `lanes` only by the
    // link's thread; everything else is immutable.

    private let doorbell = Doorbell()
    private var queue: [Exchange] = []
    private var isClosed = false
    private let database: Database
    private let client: PeerClient
    private let cluster: ClusterService
    private let peer: String
    private let reader: ShipmentReader
    /// Made for the first peer that is far behind.
    private lazy var lanes = ShippingLanes(self.client)
    private var hasLanes = false
    private let mayRun: Bool
    private let report: @Sendable (Exchange, ExchangeOutcome) -> Void

    /// - Parameters:
    ///   - database: Whose log is shipped.
    ///   - access: With what this node comes to the peer.
    ///   - mayRun: Whether full batches may follow each other without a pause; not where their bytes are bounded.
    ///   - cluster: Who the members are, and where this node stands with them.
    ///   - peer: The peer's name.
    ///   - report: Told what came of each exchange.
    init(
        _ database: Database,
        access: PeerAccess,
        mayRun: Bool,
        _ cluster: ClusterService,
        peer: String,
        report: @escaping @Sendable (Exchange, ExchangeOutcome) -> Void
    ) {
        self.database = database
        self.mayRun = mayRun
        self.cluster = cluster
        self.peer = peer
        self.report = report
        client = PeerClient(access, connectionsMax: ShippingLanes.count)
        reader = ShipmentReader(database.log, from: cluster.sender(withRoster: false).name)
    }

    /// Takes an exchange; its outcome is reported from the link's thread.
    func submit(_ exchange: Exchange) {
        doorbell.withLock { queue.append(exchange) }
        doorbell.ring()
    }

    /// Ends the thread soon, and what is under way.
    func close() {
        doorbell.withLock { isClosed = true }
        doorbell.ring()
        client.close()
    }

    /// The link's thread.
    func run() {
        while let exchange = next() { report(exchange, perform(exchange)) }
        if hasLanes { lanes.close() }
    }

    private func next() -> Exchange? {
        doorbell.withLock {
            while queue.isEmpty, !isClosed { doorbell.wait(nanoseconds: nil) }
            return isClosed ? nil : queue.removeFirst()
        }
    }

    private func perform(_ exchange: Exchange) -> ExchangeOutcome {
        do {
            switch exchange.kind {
            case .ask:
                let sender = cluster.sender(withRoster: true)
                return try ship(.empty(from: database.origin, sender), to: exchange.address)
            case .ship(let origins, let held, let bytesMax):
                let shipment = try reader.read(origins, lacking: held, bytesMax: bytesMax)
                guard mayRun, shipment.bytes >= bytesMax else {
                    return try ship(shipment, to: exchange.address)
                }
                hasLanes = true
                return lanes.run(shipment, to: exchange.address, bytesMax: bytesMax) {
                    // What cannot be read is met again, and told, by the next exchange.
                    try? reader.readOn(bytesMax: bytesMax)
                }
            case .pull:
                return try pull(from: exchange.address)
            }
        } catch let error as PeerFailure {
            return .failed(error.text)
        } catch LogError.otherHistory(let origin, _) {
            return .contradicted(origin)
        } catch {
            return .failed("\(error)")
        }
    }

    private func ship(_ shipment: Shipment, to address: APIAddress) throws -> ExchangeOutcome {
        let message = try client.ship(shipment, to: address)
        return .answered(message, events: shipment.events, bytes: shipment.bytes, gaps: shipment.gaps)
    }

    private func pull(from address: APIAddress) throws -> ExchangeOutcome {
        var question = VectorMessage(origin: database.origin, vector: database.versionVector)
        question.sender = cluster.sender(withRoster: false)
        let answer = try client.post(
            "/internal/log/pull",
            to: address,
            question.encoded,
            answerBytesMax: EventsMessage.bytesMax
        )
        let message = try answer.withBytes { bytes throws(ReplicationWireError) in try EventsMessage(bytes) }
        let answered = Answered<ReceiveOutcome>()
        let isAdmitted = cluster.admit(from: peer) {
            database.receive(message.events) { answered.give($0) }
        }
        guard isAdmitted else { return .failed("nothing is taken from it at the moment") }
        let outcome = answered.wait()
        if let failure = outcome.failure { return .failed(failure.description) }
        return .pulled(appended: outcome.appended, refused: outcome.refusals, isOutOfReach: message.isOutOfReach)
    }
}
