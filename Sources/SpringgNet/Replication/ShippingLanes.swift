import SpringgCluster
import SpringgLog
import SpringgProjections

/// Ships full batches to a peer that is far behind: the next one is read while one is sent, and sent while the peer brings the one
/// before to its disk.
///
/// Each lane is a thread that posts and waits for the answer. A batch begins its way when the one before it has left this node, so they
/// arrive in their order unless the network has it otherwise; then the peer refuses what it has not the beginning of, and the next
/// exchange goes on from what it says that it holds.
///
/// Belongs to one thread.
final class ShippingLanes {
    /// One batch that the peer works at, one on its way.
    static let count = 2
    /// A run ends after so many bytes or so long, so that the state machine hears of the peer.
    private static let runBytesMax = 64 << 20
    private static let runNanosecondsMax: UInt64 = 1_000_000_000

    private let lanes: [Lane]

    init(_ client: PeerClient) { lanes = (0..<Self.count).map { _ in Lane(client) } }

    /// Ends the threads.
    ///
    /// Blocking until what is under way has ended.
    func close() { for lane in lanes { lane.close() } }

    /// Ships `first`, which is full, and what `next` gives, until that is no full batch any more, the peer does not take it all, or it
    /// is enough.
    ///
    /// Blocking. The outcome is that of all batches together.
    func run(
        _ first: Shipment,
        to address: APIAddress,
        bytesMax: Int,
        next: () -> Shipment?
    ) -> ExchangeOutcome {
        let end = monotonicNanoseconds() + Self.runNanosecondsMax
        var run = Run()
        var underWay: [Parcel] = []
        var (shipment, shipped, bytes): (Shipment?, Int, Int) = (first, 0, 0)
        while let batch = shipment {
            if underWay.count == Self.count { run.take(underWay.removeFirst()) }
            guard run.goesOn else { break }
            let parcel = Parcel(batch, address)
            lanes[shipped % Self.count].send(parcel)
            underWay.append(parcel)
            shipped += 1
            bytes += batch.bytes
            // One that is not full waits for company, as always.
            let goesOn = batch.bytes >= bytesMax && bytes < Self.runBytesMax && monotonicNanoseconds() < end
            shipment = goesOn ? next() : nil
            parcel.left.wait()
        }
        for parcel in underWay { run.take(parcel) }
        return run.outcome
    }

    /// What has come of a run so far.
    private struct Run {
        private var message: VectorMessage?
        private var (appended, events, bytes) = (0, 0, 0)
        private var gaps: Set<OriginID> = []
        private var failure: String?

        /// Everything was taken.
        var goesOn: Bool { failure == nil && message?.refusals.isEmpty ?? true }

        mutating func take(_ parcel: Parcel) {
            switch parcel.answer.wait() {
            case .success(let message):
                appended += message.appended
                events += parcel.shipment.events
                bytes += parcel.shipment.bytes
                gaps.formUnion(parcel.shipment.gaps)
                // What follows a refusal is refused for its sake; the first one says why.
                let refusals = goesOn ? message.refusals : self.message?.refusals ?? []
                self.message = message
                self.message?.refusals = refusals
            case .failure(let failure):
                self.failure = self.failure ?? failure.text
            }
        }

        /// A peer that has taken something answers; should it not any more, the next exchange finds out.
        var outcome: ExchangeOutcome {
            guard var message = self.message else { return .failed(failure ?? "nothing was shipped") }
            message.appended = appended
            return .answered(message, events: events, bytes: bytes, gaps: gaps)
        }
    }
}

/// A batch on its way.
private final class Parcel: Sendable {
    let shipment: Shipment
    let address: APIAddress
    /// Given when all of it has left this node, or never will.
    let left = Answered<Void>()
    let answer = Answered<Result<VectorMessage, PeerFailure>>()

    init(_ shipment: Shipment, _ address: APIAddress) {
        self.shipment = shipment
        self.address = address
    }

    func ship(_ client: PeerClient) {
        answer.give(post(client))
        left.give(())
    }

    private func post(_ client: PeerClient) -> Result<VectorMessage, PeerFailure> {
        do throws(PeerFailure) {
            return .success(
                try client.ship(shipment, to: address) { [left] in left.give(()) }
            )
        } catch {
            return .failure(error)
        }
    }
}

/// A thread that ships one parcel after the other.
private final class Lane: @unchecked Sendable {
    // Why @unchecked: `parcel` and `isClosed` are only touched while `doorbell` is locked, `thread` only by the owner.
    private let doorbell = Doorbell()
    private var parcel: Parcel?
    private var isClosed = false
    private let client: PeerClient
    private var thread: WriterThread?

    init(_ client: PeerClient) {
        self.client = client
        thread = WriterThread(name: "springg-lane") { [self] in
            while let parcel = next() { parcel.ship(self.client) }
        }
    }

    /// Takes a parcel; the one before it has been answered.
    func send(_ parcel: Parcel) {
        doorbell.withLock { self.parcel = parcel }
        doorbell.ring()
    }

    func close() {
        doorbell.withLock { isClosed = true }
        doorbell.ring()
        thread?.join()
        thread = nil
    }

    private func next() -> Parcel? {
        doorbell.withLock {
            while parcel == nil, !isClosed { doorbell.wait(nanoseconds: nil) }
            defer { parcel = nil }
            return parcel
        }
    }
}
