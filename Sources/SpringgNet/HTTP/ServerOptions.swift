package import SpringgCluster

/// What a server listens on and what it allows.
///
/// Every limit: 0 = off.
public struct ServerOptions: Sendable {
    /// Address to listen on, a name or a number.
    public var host = "0.0.0.0"
    /// TCP port to listen on; 0 = any free one.
    public var port = 8080
    /// What the server shows to its clients; nil for HTTP without TLS.
    public var certificates: TLSCertificates?
    /// Event loops; 0 = one a core.
    public var ioThreads = 0
    /// Threads for searches and other work too long for an event loop; 0 = one a core.
    public var searchThreads = 0
    /// The HS256 secret, or nil for none.
    public var jwtSecret: String?
    /// Further secrets that tokens may be signed with.
    public var jwtSecrets: [TokenKey] = []
    /// Who may say on whose behalf a request comes.
    public var trustedProxies = TrustedProxies()
    /// True when everything under `/api` but `/api/health` needs a token.
    public var requireJWT = false
    /// Dimensions that the command line uses where its user names none; creating an index always names them.
    public var defaultDimensions = 1024
    /// Requests a second that one remote address may send.
    public var rateLimitPerSecond = 100
    /// Requests that one remote address may send at once after a pause; 0 = as many as `rateLimitPerSecond`.
    public var rateLimitBurst = 100
    /// Bytes of a request's body.
    public var bodyBytesMax = 100 << 20
    /// Bytes of a request's head: its target and headers.
    public var headBytesMax = 64 << 10
    /// Seconds from a whole request to its answer, else 504.
    public var requestTimeoutSeconds = 60.0
    /// Seconds from a request's first byte to its last.
    public var readTimeoutSeconds = 15.0
    /// Seconds that a client may take to read a response.
    public var writeTimeoutSeconds = 15.0
    /// Seconds that a connection may stay open without a request.
    public var idleTimeoutSeconds = 60.0
    /// Connections open at once; one more is closed as soon as it is accepted.
    public var connectionsMax = 4096
    /// Bulk requests at once, else 429.
    public var bulkConcurrencyMax = 2
    /// CPU of this process in percent of all cores from which bulk requests get 429.
    public var bulkCPUThresholdPercent = 80.0
    /// Seconds that work may be expected to wait for a thread, else 503.
    public var searchWaitSeconds = 1.0
    /// True when the processor time of requests is divided into stages.
    public var measuresStages = false
    /// True when this node answers `/internal/replicate` and `/internal/cluster/status`.
    public var clusterEnabled = false
    /// Name under which this node shows itself in the cluster's status; empty = `local-<address>`.
    public var nodeID = ""

    /// How far the archive is; nil without one.
    public var archive: (@Sendable () -> ArchiveFigures)?

    /// Seconds that a write may wait for its level, and a request for the events that it wants to see.
    public var ackTimeoutSeconds = 5.0
    /// What a write has to reach when its request does not say.
    package var defaultAck = AckLevel.local
    /// How far writes have got; nil where there is nothing beyond this node.
    package var acks: AckTracker?
    /// Why this node takes no writes of clients at the moment; nil when it does.
    package var writeRefusal: (@Sendable () -> String?)?
    /// The program's version, for those who ask.
    public var version = ""
    /// What else may keep the node from being ready: each says why, or nothing.
    public var unready: [@Sendable () -> [Unready]] = []

    /// Who is in the cluster; nil where nobody looks.
    package var gossip: GossipService?
    /// What is decided by that; nil where there is no gossip.
    package var cluster: ClusterService?
    /// What other nodes may fetch in a second.
    package var bandwidth = ServedBandwidth(ReplicationOptions())
    /// How replication goes; nil where there is none, or not yet.
    package var replication: (@Sendable () -> ReplicationStatus?)?

    /// All secrets.
    var tokenKeys: TokenKeys {
        TokenKeys([TokenKey(id: nil, secret: jwtSecret ?? "")] + jwtSecrets)
    }

    /// Options with the defaults: no authentication, all limits on.
    public init() {}
}

/// Why a server did not start.
public enum ServerError: Error, Sendable, CustomStringConvertible {
    /// `requireJWT` is set but there is no secret to check a token with.
    case secretMissing
    /// The address could not be listened on.
    case cannotListen(host: String, port: Int, reason: String)

    /// The reason and what to do about it.
    public var description: String {
        switch self {
        case .secretMissing:
            "tokens are required but there is no secret to check them with; set jwt_secret"
        case .cannotListen(let host, let port, let reason):
            "cannot listen on \(host):\(port): \(reason); choose another port or stop what holds it"
        }
    }
}
