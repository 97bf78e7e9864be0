import Logging
import SpringgCluster
import SpringgConfiguration
import SpringgLog
import SpringgNet
import SpringgProjections

extension Node {
    /// True when this node talks to others.
    ///
    /// By default alone: a port is opened for those who have others to talk to.
    static func isMember(_ settings: Configuration) -> Bool {
        settings[Keys.clusterEnabled]
            && (settings.isSet(Keys.clusterEnabled) || settings.isSet(Keys.clusterSeeds))
    }

    /// Why a member refuses writes at first.
    static let asksPeers =
        "the node has just started and asks the others what they hold of its writes; try again in a few seconds"

    /// Begins to replicate, and waits until this node may write.
    static func startReplication(
        _ settings: Configuration,
        database: Database,
        gossip: GossipService,
        logger: Logger
    ) -> ReplicationService {
        let secret = settings[Keys.jwtSecret]
        // Others are expected where some are named, or where the log has heard of some.
        let expectsPeers =
            !settings[Keys.clusterSeeds].isEmpty || database.versionVector.origins.contains { $0 != database.origin }
        let replication = ReplicationService(
            database,
            secret: secret.isEmpty ? nil : secret,
            expectsPeers: expectsPeers,
            logger: logger,
            members: { peers(of: gossip) }
        )
        // Bounded by the state machine; the margin is for a slow disk.
        if !replication.waitUntilOriginating(seconds: originSeconds) {
            logger.warning("It is not clear yet under which origin this node may write; writes are refused until it is")
        }
        logger.info("Replication", metadata: ["origin": "\(database.origin)"])
        return replication
    }

    private static let originSeconds = 30.0

    /// Members that have an API to send events to.
    private static func peers(of gossip: GossipService) -> [PeerAddress] {
        gossip.members.compactMap { member in
            guard !member.isSelf, member.member.status != .left, let state = member.member.state, state.apiPort > 0
            else { return nil }
            return PeerAddress(
                name: member.member.name,
                address: NodeAddress(member.member.endpoint.address, port: state.apiPort)
            )
        }
    }
}
