import SpringgCluster
import SpringgLog

/// What `/metrics` shows beyond this node: the archive, the members, and how far each peer is.
extension Worker {
    func writeArchive(to text: inout MetricsText) {
        guard let archive = context.options.archive?() else {
            return
        }
        text.single(
            "springg_s3_rpo_seconds",
            .gauge,
            "Age of the oldest event that only the nodes have: so much would be lost with all of them.",
            archive.rpoSeconds
        )
        text.single(
            "springg_s3_lag_events",
            .gauge,
            "Events that this node holds and the archive lacks.",
            Int(clamping: archive.lagEvents)
        )
        text.single(
            "springg_s3_generation",
            .gauge,
            "The archive's newest manifest; 0 before there is one.",
            Int(clamping: archive.generation)
        )
        if let last = archive.lastSuccess {
            text.single(
                "springg_s3_last_success_timestamp_seconds",
                .gauge,
                "When this node's last round of archiving ended well.",
                last
            )
        }
        text.single(
            "springg_s3_failing",
            .gauge,
            "1 while this node's rounds of archiving fail.",
            archive.lastError == nil ? 0 : 1
        )
        text.single(
            "springg_s3_waiting_bytes",
            .gauge,
            "Bytes of the log that are kept since they are not archived.",
            archive.waitingBytes
        )
        text.single(
            "springg_s3_waiting_limit_bytes",
            .gauge,
            "Beyond how many they are removed all the same; 0 = no limit.",
            archive.waitingLimitBytes
        )
    }

    func writeCluster(to text: inout MetricsText) {
        guard let cluster = context.options.cluster else {
            return
        }
        let (own, others) = clusterPeers(now: CivilTime.now(), localAddress: "")
        text.family("springg_cluster_peers", .gauge, "Nodes that gossip knows, by what it thinks of them.")
        for status in ["alive", "suspect", "dead", "left"] {
            let count = ([own] + others).count { $0.statusWord == status }
            text.sample("springg_cluster_peers", [("status", status)], count)
        }
        text.single(
            "springg_cluster_members",
            .gauge,
            "Members that a majority is counted of, whether there or not.",
            cluster.size
        )
        text.single(
            "springg_cluster_clock_refused",
            .gauge,
            "1 while no writes are taken since this node's clock is not the others'.",
            cluster.writeRefusal == nil ? 0 : 1
        )
        text.single(
            "springg_cluster_stable_timestamp_seconds",
            .gauge,
            "Every member holds everything up to this moment, and will write nothing below it.",
            Double(cluster.stable.below.milliseconds) / 1000
        )
        if let replication = context.options.replication?() {
            text.single(
                "springg_cluster_out_of_reach",
                .gauge,
                "1 while this node lacks events that its peers no longer have in their logs.",
                replication.isOutOfReach ? 1 : 0
            )
        }
        func family(_ name: String, _ help: String, _ value: (ClusterPeer) -> Int?) {
            text.family(name, .gauge, help)
            for peer in others {
                if let value = value(peer) {
                    text.sample(name, [("node", peer.nodeID)], value)
                }
            }
        }
        family("springg_peer_lag_events", "Events that this node holds and the peer has not announced.") {
            $0.agreement?.lag
        }
        family("springg_peer_lead_events", "Events that the peer has announced and this node lacks.") {
            $0.agreement?.lead
        }
        family("springg_peer_diverged", "1 when the peer holds the same events and does not show the same.") {
            $0.digests.map { $0 == .differ ? 1 : 0 }
        }
        family(
            "springg_peer_diverged_buckets",
            "Buckets of ids in which such a peer shows something else; 0 while not known."
        ) {
            $0.agreement == nil ? nil : $0.divergentBuckets
        }
        family("springg_peer_unreachable", "1 while shipping to the peer pauses, since its last attempts failed.") {
            $0.replication.map { $0.breaker == .closed ? 0 : 1 }
        }
        family("springg_peer_out_of_reach", "1 while the peer lacks events that this log no longer has.") {
            $0.replication.map { $0.isOutOfReach ? 1 : 0 }
        }
    }
}
