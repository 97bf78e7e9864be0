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
        of database: DatabaseBox,
        logger: Logger
    ) throws -> GossipService? {
        guard isMember(settings) else { return nil }
        let options = try gossipOptions(settings)
        if options.security.keyring == nil, !options.host.hasPrefix("127."), options.host != "::1" {
            logger.warning(
                "Everyone who reaches this port can join the cluster: cluster_keys is not set",
                metadata: ["address": "\(options.host)", "port": "\(options.port)"]
            )
        }
        let apiPort = UInt16(truncatingIfNeeded: settings[Keys.port])
        let gossip = try Blocking.wait {
            try await GossipService.start(options, logger: logger) { nodeState(of: database.value, apiPort: apiPort) }
        }
        logger.info("Gossip", metadata: ["name": "\(gossip.nodeName)", "address": "\(gossip.endpoint)"])
        return gossip
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
    /// Heads and digest are not of one moment while writes go on: who compares them does so again before it complains.
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
        state.setHeads(database.versionVector)
        state.digest = digest(database.digest)
        let indexes = database.indexes()
        state.vectorCount = UInt64(indexes.reduce(0) { $0 + $1.count })
        for index in indexes { state.indexDigests[index.name.description] = digest(index.digest) }
        if case .readOnly = database.health { state.writeState = .unhealthy }
        return state
    }

    private static func digest(_ digest: StateDigest) -> NodeState.Digest {
        NodeState.Digest(low: digest.low, high: digest.high)
    }
}

/// The database, once it is open: gossip begins before, since a new node has to find others first.
final class DatabaseBox: Sendable {
    private let content = Mutex<Database?>(nil)

    var value: Database? { content.withLock { $0 } }

    func set(_ database: Database) { content.withLock { $0 = database } }
}
