import NIOCore
import NIOHTTP1
import SpringgCluster
import SpringgLog
import SpringgProjections

/// `/internal/…`: what nodes and operators ask.
extension Worker {
    // MARK: Replication in the former program's JSON

    func replicate(_ body: ByteBuffer, isBatch: Bool, _ ticket: Ticket) throws(RequestError) -> Answer? {
        guard context.options.clusterEnabled else {
            throw RequestError(.serviceUnavailable, "Replication not enabled")
        }
        var plan = ReplicationPlan()
        guard isBatch else {
            let command = try body.withBytes { bytes throws(RequestError) in
                let message = try decodeBody(bytes) { reader throws(JSONError) in
                    try ReplicationMessage(&reader, scratch: scratch)
                }
                let command = try message.command(scratch)
                plan.add(command, subject: message.subject(scratch))
                return command
            }
            submit([command], as: .replicate(plan), ticket)
            return nil
        }
        let commands = try body.withBytes { bytes throws(RequestError) in
            try decodeBatch(bytes, &plan)
        }
        guard !commands.isEmpty else {
            return plan.batchAnswer([])
        }
        submit(commands, as: .replicateBatch(plan), ticket)
        return nil
    }

    private func decodeBatch(
        _ bytes: UnsafeRawBufferPointer,
        _ plan: inout ReplicationPlan
    ) throws(RequestError) -> [Command] {
        let invalid = RequestError.badRequest("Invalid batch request body")
        return try decodeBody(bytes, orElse: invalid) { reader throws(JSONError) in
            var commands: [Command] = []
            var count = 0
            try reader.beginObject()
            while let key = try reader.nextKey() {
                guard key.isNamed("messages"), try !reader.takeNull() else {
                    if !key.isNamed("messages") {
                        try reader.skip()
                    }
                    continue
                }
                try reader.beginArray()
                while try reader.nextElement() {
                    count += 1
                    guard count <= bulkItemsMax else {
                        throw .invalid
                    }
                    let message = try ReplicationMessage(&reader, scratch: scratch)
                    if let command = plan.command(message, scratch) {
                        commands.append(command)
                    }
                }
            }
            return commands
        }
    }

    // MARK: Block-wise comparison

    func syncManifest(_ target: Target, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let index = try self.index(target)
        offload(ticket) { () throws(RequestError) in SyncManifest.answer(index) }
        return nil
    }

    func syncBlock(_ target: Target, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let index = try self.index(target)
        let digits = target.item
        // Digits and nothing else: `0junk`, `+1` and ` 1` are no numbers.
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(String(decoding: digits, as: UTF8.self))
        else {
            throw .badRequest("Invalid block index")
        }
        offload(ticket) { () throws(RequestError) in try SyncManifest.blockAnswer(index, number: number) }
        return nil
    }

    func digestBuckets(_ target: Target, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let (index, bits) = (try self.index(target), try DigestBuckets.bits(target.item))
        offload(ticket) { () throws(RequestError) in DigestBuckets.answer(index, bits: bits) }
        return nil
    }

    func digestRows(_ target: Target, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let index = try self.index(target)
        let parts = target.item.split(separator: 0x2F, maxSplits: 1).map(Array.init)
        let bits = try DigestBuckets.bits(parts.first ?? [])
        let bucket = try DigestBuckets.bucket(parts.count > 1 ? parts[1] : [], bits: bits)
        offload(ticket) { () throws(RequestError) in
            try DigestBuckets.rowsAnswer(index, bits: bits, bucket: bucket)
        }
        return nil
    }

    // MARK: Status

    /// The cluster as this node sees it.
    func clusterStatus(localAddress: String) throws(RequestError) -> Answer {
        guard context.options.clusterEnabled else {
            throw RequestError(.serviceUnavailable, "Clustering not enabled")
        }
        let (own, others) = clusterPeers(now: CivilTime.now(), localAddress: localAddress)
        var body = ResponseWriter(capacity: 1024)
        ClusterStatus(
            nodeID: own.nodeID,
            cluster: context.options.cluster,
            isOutOfReach: context.options.replication?()?.isOutOfReach,
            tombstones: context.database.tombstones,
            peers: ([own] + others).sorted { $0.nodeID < $1.nodeID },
            memory: context.database.memory,
            indexes: context.database.indexes().map { ($0.name.description, $0.stats.memoryBytes) },
            requestsPerSecond: context.requests.perSecondLastMinute,
            requestsTotal: context.requests.total
        ).write(to: &body)
        return Answer(.ok, contentType: .json, body: body)
    }

    /// This node, and the others that gossip knows.
    func clusterPeers(now: Double, localAddress: String) -> (own: ClusterPeer, others: [ClusterPeer]) {
        let gossip = context.options.gossip
        let ownName = gossip?.nodeName ?? context.options.nodeID
        var own = ClusterPeer(
            nodeID: ownName.isEmpty ? "local-\(localAddress)" : ownName,
            address: gossip.map { "\($0.endpoint.address)" } ?? localAddress,
            firstSeen: context.started,
            lastSeen: now
        )
        own.vectorCount = context.database.vectorCount
        let members = gossip?.members ?? []
        own.state = members.first { $0.isSelf }?.member.state
        let replication = context.options.replication?()
        let others = members.filter { !$0.isSelf }.map { member in
            var peer = ClusterPeer(member, now: now)
            if let ours = own.state, let theirs = member.member.state {
                peer.agreement = Agreement(ours: ours, theirs: theirs, theirLong: member.member.longState)
            }
            peer.replication = replication?.peer(member.member.name)
            peer.divergence = context.options.cluster?.divergence(of: member.member.name)
            return peer
        }
        return (own, others)
    }
}

/// What `/internal/cluster/status` shows, indented for human readers.
struct ClusterStatus {
    let nodeID: String
    let cluster: ClusterService?
    /// Whether the node lacks what no peer's log has any more; nil where nothing is replicated.
    let isOutOfReach: Bool?
    let tombstones: TombstoneReport
    let peers: [ClusterPeer]
    let memory: MemoryUse
    let indexes: [(name: String, memoryBytes: Int)]
    let requestsPerSecond: Double
    let requestsTotal: Int

    func write(to body: inout ResponseWriter) {
        body.raw("{\n  \"status\": \"success\",\n  \"data\": {\n    \"responding_node\": ")
        body.string(nodeID)
        body.raw(",\n    \"cluster_size\": ")
        body.integer(peers.count { $0.isLive })
        if let cluster = self.cluster {
            write(membersOf: cluster, to: &body)
        }
        if let isOutOfReach {
            body.raw(",\n    \"out_of_reach\": ")
            body.bool(isOutOfReach)
            if isOutOfReach {
                body.raw(",\n    \"advice\": ")
                body.string(ReplicationStatus.outOfReachAdvice)
            }
        }
        body.raw(",\n    \"peers\": {")
        for (position, peer) in peers.enumerated() {
            body.raw(position == 0 ? "\n      " : ",\n      ")
            peer.write(to: &body)
        }
        body.raw("\n    },\n    \"memory\": {\n      \"total_mb\": ")
        writeMemory(to: &body)
        body.raw("\n    },\n    \"qps\": {\n      \"last_minute\": ")
        body.double(requestsPerSecond)
        body.raw(",\n      \"total\": ")
        body.integer(requestsTotal)
        body.raw("\n    }\n  }\n}\n")
    }

    /// Who counts as a member, there or not: majorities are counted of these.
    private func write(membersOf cluster: ClusterService, to body: inout ResponseWriter) {
        let size = cluster.size
        body.raw(",\n    \"members\": [")
        for (position, name) in cluster.roster.enumerated() {
            body.raw(position == 0 ? "" : ", ")
            body.string(name)
        }
        body.raw("],\n    \"quorum\": ")
        body.integer(size / 2 + 1)
        body.raw(",\n    \"quorum_of\": ")
        body.integer(size)
        let stable = cluster.stable
        body.raw(",\n    \"stable\": {\"until\": ")
        body.string(stable.below.utc)
        body.raw(", \"hlc\": ")
        body.string(stable.below.description)
        body.raw(", \"waiting_for\": [")
        for (position, name) in stable.waitingFor.enumerated() {
            body.raw(position == 0 ? "" : ", ")
            body.string(name)
        }
        body.raw("]}")
        body.raw(",\n    \"tombstones\": {\"kept\": ")
        body.integer(tombstones.kept)
        body.raw(", \"dropped\": ")
        body.integer(tombstones.dropped)
        body.raw(", \"events_refused\": ")
        body.integer(tombstones.refused)
        body.raw("}")
        if let unready = cluster.unready {
            body.raw(",\n    \"refuses_writes\": ")
            body.string(unready.text)
        }
    }

    private func writeMemory(to body: inout ResponseWriter) {
        let (total, limit) = (memory.totalBytes, memory.limitBytes)
        body.double(megabytes(total))
        body.raw(",\n      \"limit_mb\": ")
        body.double(megabytes(limit))
        body.raw(",\n      \"usage_percent\": ")
        body.double(limit > 0 ? Double(total) / Double(limit) * 100 : 0)
        body.raw(",\n      \"per_index_mb\": {")
        for (position, index) in indexes.enumerated() {
            body.raw(position == 0 ? "\n        " : ",\n        ")
            body.string(index.name)
            body.raw(": ")
            body.double(megabytes(index.memoryBytes))
        }
        body.raw(indexes.isEmpty ? "}" : "\n      }")
    }
}
