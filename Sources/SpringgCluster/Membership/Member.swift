/// A node as another knows it.
package struct Member: Equatable, Sendable {
    package let name: String
    package internal(set) var endpoint: NodeAddress
    /// What it says of itself, as it came.
    package internal(set) var meta: [UInt8]
    /// What it says of itself in its meta, when it is one of ours.
    package internal(set) var state: NodeState?
    /// The long form, which is older: it comes with exchanges of states only.
    package internal(set) var longState: NodeState?
    package internal(set) var incarnation: UInt32
    package internal(set) var status: MemberStatus
    /// When the status began.
    package internal(set) var since: Duration
    package internal(set) var firstSeen: Duration
    package internal(set) var versions: ProtocolVersions?

    /// Taken for alive: suspicion is not yet a verdict.
    package var isLive: Bool { status == .alive || status == .suspect }

    var alive: Alive {
        Alive(incarnation: incarnation, node: name, endpoint: endpoint, meta: meta, versions: versions)
    }
}

/// What happens to members.
package enum MembershipEvent: Equatable, Sendable {
    case joined(Member)
    /// Its state, address or versions changed.
    case updated(Member)
    /// Gone on purpose.
    case left(Member)
    /// Taken for dead.
    case failed(Member)
    /// It answered a ping with more than the protocol asks for, `after` the ping was sent.
    case answered(node: String, payload: [UInt8], after: Duration)
    /// We were accused of being dead or suspect and have denied it.
    case refuted(incarnation: UInt32)
    /// Another node, at another address, uses a name that is taken.
    case nameConflict(name: String, ours: NodeAddress, theirs: NodeAddress)
    /// A cluster whose versions do not fit ours was not joined.
    case refused(NodeAddress, reason: String)
}

/// Names a stream from the request to open it until its end.
package struct StreamID: Hashable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }
}

/// What the shell has to do, in this order.
package enum MembershipDirective: Equatable, Sendable {
    /// Send a packet; label and encryption come around it.
    case send([UInt8], to: NodeAddress)
    /// Dial, send, and read one message; report it, or that none came, to `streamAnswered`.
    case dial(StreamID, to: NodeAddress, request: [UInt8])
    case event(MembershipEvent)
}
