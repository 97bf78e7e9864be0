package import SpringgLog

/// One request to a peer: what the shell has to send, and whose outcome it has to report.
package struct Exchange: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        /// Ask what it holds.
        case ask
        /// Ship events of these origins that `held` lacks, about `bytesMax` of them.
        case ship(Set<OriginID>, lacking: VersionVector, bytesMax: Int)
        /// Fetch events that this node lacks, and append them.
        case pull
    }

    package let number: UInt64
    package let peer: String
    package let address: APIAddress
    package let kind: Kind
}

/// What came of an exchange.
package enum ExchangeOutcome: Sendable {
    /// The peer has answered an `ask` or a `ship`; `gaps` are origins of which this log no longer has what it lacks.
    case answered(VectorMessage, events: Int, bytes: Int, gaps: Set<OriginID>)
    /// Events have come and are durable here.
    case pulled(appended: Int, refused: [EventRefusal], isOutOfReach: Bool)
    /// The peer holds another event in the place of one of this log.
    case contradicted(OriginID)
    /// There is no answer, or none that helps.
    case failed(String)
}

/// What the shell has to do.
package enum ReplicationDirective: Equatable, Sendable {
    case exchange(Exchange)
    /// Begin to take commands, under a new origin or the one there is; then call `originated`.
    ///
    /// What is written from then on must be later than the reading.
    case originate(underNewOrigin: Bool, after: HLC)
    /// Take no commands, until the next `originate`: the members have forgotten this node. Answered by `held`, once what
    /// was taken before is in the log.
    case hold
    /// The members hold all that this node holds: join again, durably; then call `stand`.
    case rejoin
    case event(ReplicationEvent)
}

/// What others may want to know.
package enum ReplicationEvent: Equatable, Sendable {
    /// The peer says that it holds this, durably.
    case holds(peer: String, VersionVector)
    /// The peer answers again.
    case reachable(peer: String)
    /// The peer does not answer.
    case unreachable(peer: String, reason: String)
    /// Two histories of one origin: events of it cannot go between this node and the peer.
    case diverged(OriginID, peer: String)
    /// The peer has dropped deletions that are newer than this event, which it has not seen: it does not take it, nor what
    /// follows of that origin.
    case belowHorizon(OriginID, Sequence, peer: String)
    /// The peer needs events that this log no longer has.
    case peerOutOfReach(peer: String)
    /// This node needs events that the peer's log no longer has: it has to be seeded anew.
    case outOfReach(peer: String)
    /// Events of this node's own that its disk had lost came back.
    case restored(from: String)
}
