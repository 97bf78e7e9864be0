public import SpringgLog

extension EventRefusal {
    /// Why `envelope` cannot be appended to what is held of its origin; nil when it can, or is held already.
    static func reason(
        _ envelope: Envelope,
        behind head: VersionVector.Head,
        above dropped: EventVersion,
        isOwn: Bool
    ) -> Reason? {
        if envelope.sequence < head.sequence { return nil }
        if envelope.sequence == head.sequence { return envelope.chain == head.chain ? nil : .otherHistory }
        if isOwn { return .ownOrigin }
        if envelope.continues(head) {
            guard envelope.event?.isNameable == true else { return .malformed }
            return envelope.version < dropped ? .belowHorizon : nil
        }
        return envelope.sequence == head.sequence.next ? .otherHistory : .gap
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
