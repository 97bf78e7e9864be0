import Foundation
import Glibc
import Logging
import SpringgArchive
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
            && (settings.isSet(Keys.clusterEnabled) || settings.isSet(Keys.clusterSeeds)
                || settings[Keys.clusterDiscovery] == "ec2")
    }

    /// True when others are to be found.
    static func expectsPeers(_ settings: Configuration) -> Bool {
        !settings[Keys.clusterSeeds].isEmpty || discovers(settings)
    }

    /// Why a member refuses writes at first.
    static let asksPeers =
        "the node has just started and asks the others what they hold of its writes; try again in a few seconds"

    /// Begins to replicate, and waits until this node may write.
    static func startReplication(
        _ settings: Configuration,
        database: Database,
        _ members: (gossip: GossipService, cluster: ClusterService),
        bandwidth: ServedBandwidth,
        acks: AckTracker,
        logger: Logger
    ) -> ReplicationService {
        // Others are expected where some are named, where there were some, or where the log has heard of some.
        let expectsPeers =
            expectsPeers(settings) || members.cluster.roster.count > 1
            || database.versionVector.origins.contains { $0 != database.origin }
        let (gossip, cluster) = members
        let replication = ReplicationService(
            database,
            options: replicationOptions(settings),
            access: PeerAccess(settings),
            bandwidth: bandwidth,
            cluster: cluster,
            expectsPeers: expectsPeers,
            logger: logger,
            // Who was forgotten is not asked, and sent nothing: it asks by itself.
            members: { peers(of: gossip, roster: cluster.roster).filter { !cluster.isForgotten($0.name) } },
            holds: { acks.peer($0, holds: $1) }
        )
        acks.expectPeers { [weak replication] in replication?.hurry() }
        cluster.whenHeard { [weak replication] in replication?.heard(of: $0) }
        gossip.whenMembersChange { [weak replication] in replication?.look() }
        // Bounded by the state machine; the margin is for a slow disk.
        if !replication.waitUntilOriginating(seconds: originSeconds) {
            logger.warning("It is not clear yet under which origin this node may write; writes are refused until it is")
        }
        logger.info("Replication", metadata: ["origin": "\(database.origin)"])
        return replication
    }

    /// How the settings want others to be sent what they lack.
    static func replicationOptions(_ settings: Configuration) -> ReplicationOptions {
        let bound = settings[Keys.replicationBandwidth]
        return bound > 0 ? ReplicationOptions(bytesPerSecond: bound * bytesOfMegabit) : ReplicationOptions()
    }

    private static let originSeconds = 30.0
    private static let bytesOfMegabit = 125_000

    /// The other members that are nodes of ours; one without an API yet, because it is starting, counts too.
    ///
    /// Gossip forgets who is away, and `roster` does not: before this node writes, it has to know that it has not asked them.
    private static func peers(of gossip: GossipService, roster: [String] = []) -> [PeerAddress] {
        let members = gossip.members
        let present: [PeerAddress] = members.compactMap { member in
            guard !member.isSelf, member.member.status != .left, let state = member.member.state else { return nil }
            let node = NodeAddress(member.member.endpoint.address, port: state.apiPort)
            let address = APIAddress(node, isSecure: state.apiIsSecure)
            return PeerAddress(
                name: member.member.name,
                address: state.apiPort > 0 && state.isUnderstood ? address : nil
            )
        }
        guard let own = members.first(where: \.isSelf)?.member.name else { return present }
        let named = Set(present.map(\.name)).union([own])
        return present + roster.filter { !named.contains($0) }.map { PeerAddress(name: $0, address: nil) }
    }

    // MARK: - New nodes

    /// Fetches the state of a peer when this node has nothing and the logs of the others do not reach back.
    /// - Throws: `CommandFailure` when a snapshot is needed and cannot be had.
    static func seed(_ settings: Configuration, _ gossip: GossipService, logger: Logger) throws {
        let dataPath = settings[Keys.dataPath]
        guard try isEmpty(dataPath), expectsPeers(settings) else { return }
        let deadline = Date(timeIntervalSinceNow: searchSeconds)
        while peers(of: gossip).isEmpty, Date() < deadline { usleep(20_000) }
        do {
            let seeder = Seeder(PeerAccess(settings), logger: logger)
            guard let report = try seeder.seed(dataPath, from: peers(of: gossip)) else { return }
            logger.info(
                "Seeded by a peer's snapshot",
                metadata: [
                    "vectors": "\(report.rows)", "indexes": "\(report.indexes)", "digest": "\(report.digest)",
                    "linked": "\(report.rowsLinked)",
                ]
            )
            for damage in report.damagedGraphs {
                logger.warning("A graph of the snapshot cannot be used, it is built anew from its rows: \(damage)")
            }
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    /// How long a new node looks for others before it begins with nothing.
    private static let searchSeconds = 2.0

    /// Whether nothing is in a data directory; one that is not there is empty, one that cannot be read is not known to be.
    private static func isEmpty(_ dataPath: String) throws -> Bool {
        do throws(FileSystemError) {
            return try PosixFileSystem().list(dataPath).allSatisfy { $0 == "LOCK" || $0 == "lost+found" }
        } catch {
            guard error.code != ENOENT else { return true }
            throw CommandFailure("\(error)", advice: "data_path must be a directory that this user can read and write")
        }
    }
}

extension PeerAccess {
    /// As the settings say.
    init(_ settings: Configuration) {
        self.init(
            secret: settings[Keys.jwtSecret],
            certificates: settings[Keys.tlsCACertificate],
            certificateName: settings[Keys.tlsServerName]
        )
    }
}
