package import SpringgLog

/// Where a node's HTTP API is.
package struct APIAddress: Hashable, Sendable, CustomStringConvertible {
    package let node: NodeAddress
    /// Whether it speaks TLS.
    package let isSecure: Bool

    package init(_ node: NodeAddress, isSecure: Bool = false) {
        self.node = node
        self.isSecure = isSecure
    }

    package var description: String { (isSecure ? "https://" : "http://") + node.description }
}

/// Where a member of the cluster takes events.
package struct PeerAddress: Equatable, Sendable {
    package let name: String
    /// Nil while it has none, as when it is starting.
    package let address: APIAddress?

    package init(name: String, address: APIAddress?) {
        self.name = name
        self.address = address
    }
}

/// What this node knows of another.
package struct ReplicationPeer: Sendable {
    package let name: String
    package internal(set) var address: APIAddress?
    /// What it said last that it holds; nil before it has said anything.
    package internal(set) var held: VersionVector?
    /// It has this node, as it is now, in the roster on its disk.
    var knowsUs = false
    /// It takes commands.
    var isOriginating = false
    /// Whose events it writes.
    package internal(set) var origin: OriginID?
    package internal(set) var breaker = CircuitBreaker()
    /// Why the last exchange failed; nil when it did not.
    package internal(set) var failure: String?
    /// Origins with two histories: nothing of them is shipped to it.
    package internal(set) var diverged: Set<OriginID> = []
    /// It lacks events that this log no longer has.
    package internal(set) var isOutOfReach = false
    package internal(set) var requests: UInt64 = 0
    package internal(set) var events: UInt64 = 0
    package internal(set) var bytes: UInt64 = 0

    /// The exchange under way, and what it has taken of the bandwidth.
    var exchange: (number: UInt64, kind: Exchange.Kind)?
    /// When the last shipment was begun.
    var shippedAt: Duration?
    /// When it is to be asked next, should nothing else bring an answer.
    var askAt: Duration
    /// What both held when it answered some time ago: what has not moved since is stuck.
    var mark: (at: Duration, theirs: VersionVector, ours: VersionVector)?
    /// Origins of others that do not get there by themselves.
    var helping: Set<OriginID> = []
    /// Origins of which it has something that this node does not get by itself, and fetches.
    var pulling: Set<OriginID> = []
    /// What this node held, and when, as the peer's log no longer reached back to what follows; nil when it did.
    var beyondLog: (ours: VersionVector, at: Duration)?

    init(_ peer: PeerAddress, askAt: Duration) {
        name = peer.name
        address = peer.address
        self.askAt = askAt
    }
}
