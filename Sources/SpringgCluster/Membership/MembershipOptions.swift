/// Who this node is, and how often it does what; the defaults are memberlist's for a local network.
package struct MembershipOptions: Sendable {
    /// The node's name, equal to its node id.
    package var name: String
    /// Where others reach it.
    package var endpoint: NodeAddress
    package var versions = ProtocolVersions.memberlist

    package var probeInterval = Duration.seconds(1)
    package var probeTimeout = Duration.milliseconds(500)
    /// Others that are asked to probe when no answer came.
    package var indirectProbes = 3
    package var gossipInterval = Duration.milliseconds(200)
    /// Nodes that each round of gossip goes to.
    package var gossipNodes = 3
    /// A message is sent this often, times the order of magnitude of the cluster.
    package var retransmitMultiplier = 4
    package var suspicionMultiplier = 4
    package var suspicionMaxMultiplier = 6
    /// Time between two exchanges of all states with one member, in a cluster of up to 32.
    package var pushPullInterval = Duration.seconds(30)
    /// Time for which the dead still get gossip, so that those who live can say so; then they are forgotten.
    package var gossipToTheDead = Duration.seconds(30)
    /// After this time another address may take a dead node's name.
    package var nameReclaim = Duration.seconds(30)
    /// Time between two attempts to reach somebody who is not among the living.
    package var rejoinInterval = Duration.seconds(5)
    /// The longest that one of them rests between two attempts.
    package var rejoinBackoffMax = Duration.seconds(60)
    /// Least time between two announcements of this node's own state.
    package var announceInterval = Duration.seconds(1)
    /// Bytes of a packet beyond the core's own: label and encryption.
    package var packetOverhead = 0

    /// Members that are kept, the dead included: an attacker without a key may invent names.
    package var membersMax = 10_000
    /// Addresses beyond the seeds that are remembered when a member dies.
    package var rememberedMax = 512
    /// Probes on behalf of others at once.
    package var forwardsMax = 1024

    package init(name: String, endpoint: NodeAddress) {
        self.name = name
        self.endpoint = endpoint
    }
}
