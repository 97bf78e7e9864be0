import NIOCore
import NIOHTTP1
import SpringgCluster
import SpringgLog
import SpringgProjections

/// `?ack=`: how far a write has to have got before it is answered.
extension Worker {
    /// The level that a request asks for, or the default.
    func wantedAck(_ uri: String) throws(RequestError) -> AckLevel {
        guard let query = uri.firstIndex(of: "?") else { return context.options.defaultAck }
        var level: AckLevel?
        for pair in uri[query...].dropFirst().split(separator: "&") where pair.hasPrefix("ack=") {
            level = AckLevel(rawValue: String(pair.dropFirst(4)))
            guard level != nil else {
                throw .badRequest("ack must be local, peer, quorum or s3, got \(pair.dropFirst(4).prefix(32))")
            }
        }
        return level ?? context.options.defaultAck
    }
}

extension ServerContext {
    /// How long a write waits for its level, and a request for the events that it wants to see.
    ///
    /// At most half of what a request may take: its end would hide a write that is stored.
    var ackTimeout: TimeAmount {
        let (seconds, whole) = (options.ackTimeoutSeconds, options.requestTimeoutSeconds)
        return .nanoseconds(Int64((whole > 0 ? min(seconds, whole / 2) : seconds) * 1e9))
    }

    /// Hands commands to the log; once they are stored and have got as far as the ticket wants, the outcome goes to the
    /// mailbox.
    func submit(_ commands: [Command], as pending: PendingWrite, _ mailbox: Mailbox, _ ticket: Ticket) {
        if let refusal = options.writeRefusal?() {
            return mailbox.post(ticket, .written(pending, commands.map { _ in .failure(.readOnly(refusal)) }, nil))
        }
        let (acks, timeout) = (self.acks, ackTimeout)
        let traced = ticket.trace.map { trace in commands.map { Command.traced($0, by: trace) } }
        database.submit(traced ?? commands) { results in
            guard var receipt = WriteReceipt(results) else {
                return mailbox.post(ticket, .written(pending, results, nil))
            }
            receipt.wanted = ticket.ack
            guard ticket.ack > .local else { return mailbox.post(ticket, .written(pending, results, receipt)) }
            acks.wait(for: receipt, ticket.ack, within: timeout) { [receipt] reached in
                var receipt = receipt
                receipt.ack = reached
                mailbox.post(ticket, .written(pending, results, receipt))
            }
        }
    }
}

/// `X-Springg-After`: a request is answered only where the event that it names can be seen.
extension Worker {
    /// A request that waits for events, and how far that has come.
    struct HeldRequest {
        let ticket: Ticket
        var events: [EventReference]
        /// Everything that the log held when the last event had come: once that is applied, the events are.
        var appliedWhen: LSN?
        let deadline: NIODeadline
    }

    /// How often requests that wait are looked at: far below what replication takes, and nothing to be felt.
    private static let holdInterval = TimeAmount.milliseconds(2)
    /// Requests that wait, of all connections of one event loop.
    private static let heldMax = 1024

    /// The events that a request wants to see and this node does not show yet; nil when it can be answered.
    func mustHold(_ head: HTTPRequestHead, _ ticket: Ticket) throws(RequestError) -> HeldRequest? {
        guard let text = head.headers.first(name: "x-springg-after") else { return nil }
        guard let events = EventReference.list(text) else {
            throw .badRequest(
                "X-Springg-After must be ORIGIN:SEQUENCE as a receipt has them, at most \(EventReference.countMax) "
                    + "separated by commas"
            )
        }
        var held = HeldRequest(ticket: ticket, events: events, deadline: .now() + context.ackTimeout)
        return isVisible(&held) ? nil : held
    }

    /// Lets a request wait without keeping the event loop from anything.
    func hold(_ held: HeldRequest, on eventLoop: any EventLoop) throws(RequestError) {
        guard heldRequests.count < Self.heldMax else { throw Self.notYet(held) }
        heldRequests.append(held)
        lookLater(on: eventLoop)
    }

    private func lookLater(on eventLoop: any EventLoop) {
        guard !looksAtHeld, !heldRequests.isEmpty else { return }
        looksAtHeld = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: Self.holdInterval) { bound.value.lookAtHeld(on: eventLoop) }
    }

    private func lookAtHeld(on eventLoop: any EventLoop) {
        looksAtHeld = false
        let now = NIODeadline.now()
        var waiting: [HeldRequest] = []
        var ready: [(Ticket, RequestError?)] = []
        for var held in heldRequests {
            if isVisible(&held) {
                ready.append((held.ticket, nil))
            } else if now >= held.deadline {
                ready.append((held.ticket, Self.notYet(held)))
            } else {
                waiting.append(held)
            }
        }
        heldRequests = waiting
        // What is answered now may bring the next request of its connection, and that may have to wait as well.
        for (ticket, error) in ready { resume(ticket, error) }
        lookLater(on: eventLoop)
    }

    /// The log says what is held; what is held is applied a moment later, by the order of the LSNs.
    private func isVisible(_ held: inout HeldRequest) -> Bool {
        let log = context.database.log
        if held.appliedWhen == nil {
            let vector = log.versionVector
            held.events.removeAll { vector[$0.origin].sequence >= $0.sequence }
            guard held.events.isEmpty else { return false }
            held.appliedWhen = log.watermarks.appended
        }
        return held.appliedWhen.map { log.watermarks.applied >= $0 } ?? false
    }

    private static func notYet(_ held: HeldRequest) -> RequestError {
        let missing = held.events.map { "\($0.origin):\($0.sequence)" }.joined(separator: ", ")
        return RequestError(
            .serviceUnavailable,
            "this node does not hold event \(missing) yet; ask again, or ask the node that gave the receipt",
            retryAfterSeconds: 1
        )
    }
}
