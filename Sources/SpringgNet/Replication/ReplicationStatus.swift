package import SpringgCluster
package import SpringgLog

/// Replication as status pages show it.
package struct ReplicationStatus: Sendable {
    package struct Peer: Sendable {
        package let name: String
        package let address: APIAddress?
        /// Events that this node holds and the peer lacks; nil before the peer has said what it holds.
        package let lagEvents: UInt64?
        /// Seconds for which it has lacked the oldest of this node's own.
        package let lagSeconds: Double
        package let breaker: CircuitBreaker.State
        /// Why the last attempt failed; nil when it did not.
        package let failure: String?
        /// Answered requests, events and bytes shipped since the start.
        package let requests: UInt64
        package let events: UInt64
        package let bytes: UInt64
        /// Origins with two histories, of which nothing goes to this peer.
        package let diverged: [OriginID]
        /// It lacks what this log no longer has.
        package let isOutOfReach: Bool

        /// The breaker's state in a word.
        package var breakerWord: String {
            switch breaker {
            case .closed: "closed"
            case .open: "open"
            case .halfOpen: "half_open"
            }
        }
    }

    /// Commands are taken.
    package var isOriginating = false
    /// The members have forgotten this node, and commands are not taken.
    package var isExpelled = false
    /// Commands are not taken, and for how long is up to others: nobody who knows this node has answered in time.
    package var isAwaitingOthers = false
    /// This node needs events that its peers' logs no longer have: it has to be started on an empty directory.
    package var isOutOfReach = false
    package var peers: [Peer] = []
    /// The last record that every peer holds; nil without peers.
    package var shipped: LSN?

    package init() {}

    /// What an operator reads of such a node, everywhere.
    package static let outOfReachAdvice = """
        This node lacks events that its peers no longer have in their logs. \
        Stop it, move its data directory away and start it: it fetches a snapshot from a peer
        """

    /// Why the node is not ready; nothing when it is.
    package var unready: [Unready] {
        isOutOfReach ? [Unready(code: "out_of_reach", text: Self.outOfReachAdvice)] : []
    }

    /// How it goes with one peer; nil for one that is not known.
    func peer(_ name: String) -> Peer? { peers.first { $0.name == name } }
}
