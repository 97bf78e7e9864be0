import Foundation
import Logging
import SpringgCluster
import SpringgConfiguration
import SpringgLog
import SpringgNet
import SpringgProjections
import Synchronization

extension Node {
    /// Begins to look for other nodes, if the settings want that.
    /// - Throws: `CommandFailure` for a setting that cannot be, or a port that is taken.
    static func startGossip(
        _ settings: Configuration,
        of database: Late<Database>,
        acks: AckTracker,
        logger: Logger
    ) throws -> Members? {
        guard isMember(settings) else { return nil }
        var options = try gossipOptions(settings)
        discover(settings, &options, logger: logger)
        let cluster = ClusterService(
            acks: acks,
            size: settings[Keys.clusterSize],
            expectsOthers: expectsPeers(settings),
            maxClockOffsetMilliseconds: settings[Keys.maxClockOffset].seconds * 1000,
            file: RosterFile(directory: settings[Keys.dataPath], fileSystem: PosixFileSystem()),
            logger: logger
        )
        options.heardClock = { cluster.heardClock($0, ahead: $1, uncertainty: $2) }
        if options.security.keyring == nil, !options.host.hasPrefix("127."), options.host != "::1" {
            logger.warning(
                "Everyone who reaches this port can join the cluster: cluster_keys is not set",
                metadata: ["address": "\(options.host)", "port": "\(options.port)"]
            )
        }
        let apiPort = UInt16(truncatingIfNeeded: settings[Keys.port])
        let isSecure = !settings[Keys.tlsCertificate].isEmpty
        let wanted = options
        let gossip = try Blocking.wait {
            try await GossipService.start(wanted, logger: logger) {
                let database = database.value
                var state = nodeState(of: database, apiPort: apiPort)
                state.apiIsSecure = isSecure
                // Nothing is written into a directory that may still be filled by a peer.
                if database != nil { cluster.look(&state) }
                return state
            }
        }
        cluster.begin(gossip)
        logger.info("Gossip", metadata: ["name": "\(gossip.nodeName)", "address": "\(gossip.endpoint)"])
        return (gossip, cluster)
    }

    private static func gossipOptions(_ settings: Configuration) throws -> GossipOptions {
        var options = GossipOptions()
        let host = settings[Keys.clusterBindAddress]
        options.nodeName = settings[Keys.nodeID]
        options.host = host.isEmpty ? settings[Keys.bindAddress] : host
        options.port = settings[Keys.clusterBindPort]
        options.advertisedAddress = settings[Keys.clusterAdvertiseAddress]
        options.seeds = try list(settings[Keys.clusterSeeds]).map { text in
            guard let seed = NamedSeed(text, defaultPort: options.port) else {
                throw CommandFailure(
                    "invalid cluster_seeds: \(text) (must be name, address, name:port or [address]:port)"
                )
            }
            return seed
        }
        let keys = try list(settings[Keys.clusterKeys]).map { text in
            guard let key = Data(base64Encoded: text), [16, 24, 32].contains(key.count) else {
                throw CommandFailure(
                    "invalid cluster_keys: each must be 16, 24 or 32 bytes in base64 (openssl rand -base64 32)"
                )
            }
            return Array(key)
        }
        options.security = WireSecurity(label: Array(settings[Keys.clusterLabel].utf8), keyring: Keyring(keys))
        return options
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }

    /// What this node says of itself.
    ///
    /// Before the database is open the node has nothing to say, and no API.
    private static func nodeState(of database: Database?, apiPort: UInt16) -> NodeState {
        var state = NodeState()
        state.composedAt = UInt64(max(0, Date().timeIntervalSince1970 * 1000))
        state.version = BuildInformation.version
        guard let database else {
            state.writeState = .readOnly
            return state
        }
        state.apiPort = apiPort
        state.origin = database.origin
        // Heads and digests of one moment, if writes leave one: others compare them with theirs.
        for attempt in 1...attemptsMax {
            let (settled, marks) = (database.log.settled, database.log.watermarks)
            state.setHeads(settled.heads)
            state.hlcFloor = HLC(settled.hlc.rawValue &+ 1)
            state.digest = NodeState.Digest(database.digest)
            let indexes = database.indexes()
            state.vectorCount = UInt64(indexes.reduce(0) { $0 + $1.count })
            state.indexDigests = [:]
            for index in indexes { state.indexDigests[index.name.description] = NodeState.Digest(index.digest) }
            if marks.applied == marks.appended, database.log.watermarks == marks { break }
            if attempt == attemptsMax { state.digest = NodeState.Digest(low: 0, high: 0) }
        }
        if case .readOnly = database.health { state.writeState = .unhealthy }
        return state
    }

    /// Looks for a moment without writes before the digest is left out.
    private static let attemptsMax = 8
}

extension NodeState.Digest {
    /// As it is announced.
    init(_ digest: StateDigest) { self.init(low: digest.low, high: digest.high) }
}

/// A part that others need before it is there.
final class Late<Part: Sendable>: Sendable {
    private let content = Mutex<Part?>(nil)

    var value: Part? { content.withLock { $0 } }

    func set(_ part: Part) { content.withLock { $0 = part } }
}
