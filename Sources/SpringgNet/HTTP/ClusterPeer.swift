import SpringgCluster
import SpringgLog

/// A member of the cluster as `/internal/cluster/status` shows it: the fields of the Go program, and what gossip adds.
struct ClusterPeer {
    /// How a node that has never been archived says so.
    private static let never = "0001-01-01T00:00:00Z"

    let nodeID: String
    let address: String
    var status = MemberStatus.alive
    var vectorCount = 0
    let firstSeen: Double
    let lastSeen: Double
    /// What one of our nodes says of itself beyond that; nil for a foreign agent.
    var state: NodeState?
    /// What it holds and shows, beside what this node does; nil for this node itself.
    var agreement: Agreement?
    var replication: ReplicationStatus.Peer?
    /// Where it shows something else than this node, though it holds the same; empty while that is not known, nil when it does not.
    var divergence: [DivergentIndex]?

    /// Seconds since 1970; nil for never.
    private var lastArchived: Double? {
        state.flatMap { $0.lastArchivedAt > 0 ? Double($0.lastArchivedAt) / 1000 : nil }
    }

    /// What to say of the digests: who was seen to differ does so until it was seen to agree.
    var digests: Agreement.Digests? {
        agreement.map { $0.digests == .unknown && divergence != nil ? .differ : $0.digests }
    }

    /// Buckets in which it shows something else, as far as they are known.
    var divergentBuckets: Int {
        divergence?.reduce(0) { if case .buckets(_, _, let count) = $1.place { $0 + count } else { $0 } } ?? 0
    }

    /// Counts as a member: suspicion is not yet a verdict.
    var isLive: Bool { status == .alive || status == .suspect }

    init(nodeID: String, address: String, firstSeen: Double, lastSeen: Double) {
        self.nodeID = nodeID
        self.address = address
        self.firstSeen = firstSeen
        self.lastSeen = lastSeen
    }

    init(_ member: ClusterMember, now: Double) {
        self.init(
            nodeID: member.member.name,
            address: "\(member.member.endpoint.address)",
            firstSeen: member.firstSeen,
            lastSeen: member.lastSeen ?? now
        )
        status = member.member.status
        state = member.member.state
        // Who sends more vectors than there are numbers for is not believed, but shown.
        vectorCount = Int(clamping: state?.vectorCount ?? 0)
    }

    func write(to body: inout ResponseWriter) {
        body.string(nodeID)
        body.raw(": {\n        \"node_id\": ")
        body.string(nodeID)
        body.raw(",\n        \"ip\": ")
        body.string(address)
        body.raw(",\n        \"last_s3_sync\": ")
        body.string(lastArchived.map { CivilTime.rfc3339(min($0, Self.latest)) } ?? Self.never)
        body.raw(",\n        \"vector_count\": ")
        body.integer(vectorCount)
        body.raw(",\n        \"first_seen\": ")
        body.string(CivilTime.rfc3339(firstSeen))
        body.raw(",\n        \"last_seen\": ")
        body.string(CivilTime.rfc3339(lastSeen))
        body.raw(",\n        \"status\": ")
        body.string(statusWord)
        if let state = self.state {
            body.raw(",\n        \"api_port\": ")
            body.integer(Int(state.apiPort))
            body.raw(",\n        \"api_scheme\": ")
            body.string(state.apiIsSecure ? "https" : "http")
            body.raw(",\n        \"version\": ")
            body.string(state.version)
            body.raw(",\n        \"writes\": ")
            body.string(Self.word(state.writeState))
            body.raw(",\n        \"archives\": ")
            body.bool(state.archives)
            body.raw(",\n        \"origin\": ")
            body.string(state.origin.description)
        }
        if let agreement = self.agreement, let digests = self.digests {
            body.raw(",\n        \"lag_events\": ")
            body.integer(agreement.lag)
            body.raw(",\n        \"lead_events\": ")
            body.integer(agreement.lead)
            body.raw(",\n        \"digest\": ")
            body.string(digests.rawValue)
            if digests == .differ, let places = divergence, !places.isEmpty {
                Self.write(places, to: &body)
            }
        }
        if let replication = self.replication {
            body.raw(",\n        \"replication\": {\"breaker\": ")
            body.string(replication.breakerWord)
            body.raw(", \"lag_events\": ")
            body.integer(Int(clamping: replication.lagEvents ?? 0))
            body.raw(", \"out_of_reach\": ")
            body.bool(replication.isOutOfReach)
            if let error = replication.failure {
                body.raw(", \"last_error\": ")
                body.string(error)
            }
            body.raw("}")
        }
        body.raw("\n      }")
    }

    private static func write(_ places: [DivergentIndex], to body: inout ResponseWriter) {
        body.raw(",\n        \"differs_in\": [")
        for (position, place) in places.prefix(DivergentIndex.indexesMax).enumerated() {
            body.raw(position == 0 ? "{\"index\": " : ", {\"index\": ")
            body.string(place.name)
            switch place.place {
            case .onlyHere: body.raw(", \"only\": \"here\"}")
            case .onlyThere: body.raw(", \"only\": \"there\"}")
            case .buckets(let total, let first, let count):
                body.raw(", \"buckets_of\": ")
                body.integer(total)
                body.raw(", \"buckets_differ\": ")
                body.integer(count)
                body.raw(", \"buckets\": [")
                for (position, bucket) in first.enumerated() {
                    body.raw(position == 0 ? "" : ", ")
                    body.integer(bucket)
                }
                body.raw("]}")
            }
        }
        body.raw("],\n        \"indexes_differ\": ")
        body.integer(places.count)
    }

    private static func word(_ state: NodeState.WriteState) -> String {
        switch state {
        case .writable: "taken"
        case .readOnly: "refused"
        case .unhealthy: "impossible"
        }
    }

    /// The last second of the year 9999, the last that the format of times can hold.
    private static let latest = 253_402_300_799.0

    var statusWord: String {
        switch status {
        case .alive: "alive"
        case .suspect: "suspect"
        case .dead: "dead"
        case .left: "left"
        }
    }
}
