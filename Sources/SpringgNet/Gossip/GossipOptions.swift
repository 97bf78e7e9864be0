package import SpringgCluster

/// Where gossip listens, under which name, with whom and behind which keys.
package struct GossipOptions: Sendable {
    /// The node's name; empty = `local-` and its address.
    package var nodeName = ""
    /// Address to listen on, UDP and TCP.
    package var host = "0.0.0.0"
    /// Port to listen on, UDP and TCP; 0 = any that is free for both.
    package var port = GossipOptions.defaultPort
    /// Address under which others reach this node; empty = the one that is listened on, or the machine's own.
    package var advertisedAddress = ""
    /// Where to find nodes to begin with.
    package var seeds: [any SeedSource] = []
    /// The cluster's label and keys.
    package var security = WireSecurity()
    /// Told of each clock that is heard of: whose, by how many milliseconds it is ahead of ours, and how wrong that may be.
    package var heardClock: (@Sendable (_ node: String, _ ahead: Double, _ uncertainty: Double) -> Void)?

    /// Memberlist's port.
    package static let defaultPort = 7946

    package init() {}
}

/// Why gossip did not start.
package enum GossipError: Error, CustomStringConvertible {
    case cannotListen(host: String, port: Int, reason: String)
    case noAddress(String)

    package var description: String {
        switch self {
        case .cannotListen(let host, let port, let reason):
            "cannot listen on \(host):\(port) (UDP and TCP) for gossip: \(reason); choose another cluster_bind_port, "
                + "stop what holds it, or set cluster_enabled to false"
        case .noAddress(let text):
            "\(text.isEmpty ? "this machine has no address" : "\(text) is no address") that other nodes could reach; "
                + "set cluster_advertise_address to a numeric address"
        }
    }
}

/// Bounds of what gossip holds and waits for.
enum GossipLimits {
    /// Streams of others at once; one more is closed as soon as it is accepted.
    static let acceptedStreams = 64
    /// Streams to others at once.
    static let dialledStreams = 32
    /// Bytes that all streams together may hold while they are read.
    static let streamBytes = 32 << 20
    /// From dialling or accepting to the end, memberlist's time.
    static let streamSeconds: Int64 = 10
    /// To be connected.
    static let connectSeconds: Int64 = 3
    /// Between two looks at what the node has to say of itself.
    static let stateSeconds: Int64 = 1
    /// Between two look-ups of the seeds.
    static let seedSeconds: Int64 = 30
    /// Addresses that operators have named; the newest are kept.
    static let namedSeeds = 256
    /// For the last words of a node that leaves.
    static let leaveSeconds: Int64 = 1
}
