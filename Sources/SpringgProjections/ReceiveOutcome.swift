public import SpringgLog

/// Why an event from elsewhere was not taken.
public struct EventRefusal: Sendable, Equatable, CustomStringConvertible {
    /// What is wrong with it.
    public enum Reason: Sendable, Equatable {
        /// Events of its origin before it are missing here.
        case gap
        /// Its origin's history here is another one: two writers have used one origin.
        case otherHistory
        /// It carries this node's own origin, and this node has not written it.
        case ownOrigin
        /// It names an index, a row or a mark as none can be named.
        case malformed
    }

    /// Whose event.
    public let origin: OriginID
    /// Its number.
    public let sequence: Sequence
    /// The last that is held of its origin.
    public let held: Sequence
    /// What is wrong.
    public let reason: Reason

    /// Why `envelope` cannot be appended to what is held of its origin; nil when it can, or is held already.
    static func reason(_ envelope: Envelope, behind head: VersionVector.Head, isOwn: Bool) -> Reason? {
        if envelope.sequence < head.sequence { return nil }
        if envelope.sequence == head.sequence { return envelope.chain == head.chain ? nil : .otherHistory }
        if isOwn { return .ownOrigin }
        if envelope.continues(head) { return envelope.event?.isNameable == true ? nil : .malformed }
        return envelope.sequence == head.sequence.next ? .otherHistory : .gap
    }

    /// The event, and what is wrong with it.
    public var description: String {
        let event = "event \(origin):\(sequence)"
        return switch reason {
        case .gap: "\(event) is not the next one: events up to \(held) are held"
        case .otherHistory:
            "\(event) does not continue the history that is held (up to \(held)): two nodes have written under one origin, "
                + "as when a data directory was copied and both copies were used"
        case .ownOrigin:
            "\(event) carries this node's own origin, of which it has written \(held) events: its disk is an old copy, "
                + "or another node uses a copy of its data directory"
        case .malformed: "\(event) names what it speaks of as nothing can be named; its writer is broken"
        }
    }
}

/// What became of events from elsewhere.
public struct ReceiveOutcome: Sendable {
    /// Events that are in the log now, durable and visible.
    public internal(set) var appended = 0
    /// Events that were held before.
    public internal(set) var held = 0
    /// Of each origin the first event that was refused.
    public internal(set) var refusals: [EventRefusal] = []
    /// Why the log took no more; nil when it took all that was not refused.
    public internal(set) var failure: CommandError?
    /// What is held now, durably.
    public internal(set) var vector = VersionVector()

    /// Nothing yet.
    package init() {}

    mutating func refuse(_ envelope: Envelope, behind head: VersionVector.Head, _ reason: EventRefusal.Reason) {
        // What follows a refused event of an origin is refused for its sake.
        guard !refusals.contains(where: { $0.origin == envelope.origin }) else { return }
        refusals.append(
            EventRefusal(origin: envelope.origin, sequence: envelope.sequence, held: head.sequence, reason: reason)
        )
    }
}

extension Event {
    /// Names and ids are such as a sequencer admits; what comes from the network is not trusted to be.
    fileprivate var isNameable: Bool {
        switch self {
        case .indexCreated(let name, _, _), .indexDeleted(let name): IndexName(name) != nil
        case .vectorPut(let index, let id, _, _), .vectorDeleted(let index, let id):
            IndexName(index) != nil && String(validating: id, as: UTF8.self) != nil
        case .mark(let name): MarkName(name) != nil
        }
    }
}
