package import SpringgCluster
package import SpringgLog

/// Replication as status pages show it.
package struct ReplicationStatus: Sendable {
    package struct Peer: Sendable {
        package let name: String
        package let address: NodeAddress?
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
            switch self.breaker {
            case .closed: "closed"
            case .open: "open"
            case .halfOpen: "half_open"
            }
        }
    }

    /// Commands are taken.
    package var isOriginating = false
    /// This node needs events that its peers' logs no longer have: it has to be started on an empty directory.
    package var isOutOfReach = false
    package var peers: [Peer] = []
    /// The last record that every peer holds; nil without peers.
    package var shipped: LSN?

    package init() {}
}
