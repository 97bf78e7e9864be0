import NIOCore
import NIOHTTP1
import SpringgProjections

/// `/api/health` and `/api/indexes…`.
extension Worker {
    func health() -> Answer {
        func answer(_ status: String, _ reason: String) -> Answer {
            .success { body in
                body.raw(#"{"status":"#)
                body.string(status)
                body.raw(#","service":"springg","reason":"#)
                body.string(reason)
                body.raw("}")
            }
        }
        switch context.database.health {
        case .healthy:
            if context.options.replication?()?.isOutOfReach == true {
                return answer("degraded", ReplicationStatus.outOfReachAdvice)
            }
            if let cluster = context.options.cluster, let peer = cluster.diverging.first {
                // Ready all the same: both nodes see it, and which of them is right nobody knows.
                let own = context.options.gossip?.nodeName ?? ""
                return answer("degraded", ClusterService.divergenceAdvice(own, peer))
            }
            let rows = context.database.rowsToLink
            return .success { body in
                body.raw(#"{"status":"healthy","service":"springg""#)
                if rows > 0 {
                    body.raw(#","indexing":true,"unindexed_rows":"#)
                    body.integer(rows)
                }
                body.raw("}")
            }
        case .full(let reason):
            // 200: reads are served, and a node that is replaced for want of room takes its data with it.
            return answer("degraded", reason)
        case .readOnly(let reason):
            var answer = answer("unhealthy", reason)
            answer.status = .serviceUnavailable
            return answer
        }
    }

    func listIndexes() -> Answer {
        let indexes = context.database.indexes()
        return .success { body in
            body.raw("[")
            for (position, index) in indexes.enumerated() {
                body.raw(position == 0 ? #"{"name":"# : #",{"name":"#)
                body.string(index.name.description)
                body.raw(#","dimensions":"#)
                body.integer(index.dimensions)
                body.raw(#","count":"#)
                body.integer(index.count)
                body.raw("}")
            }
            body.raw("]")
        }
    }

    func createIndex(_ target: Target, _ body: ByteBuffer, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let name = try indexName(target)
        let request = try body.withBytes { bytes throws(RequestError) in try CreateRequest(bytes) }
        submit(
            [.createIndex(name: name, dimensions: request.dimensions, options: request.options)],
            as: .createIndex(name, dimensions: request.dimensions),
            ticket
        )
        return nil
    }

    func deleteIndex(_ target: Target, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let name = try indexName(target)
        submit([.deleteIndex(name: name)], as: .deleteIndex(name), ticket)
        return nil
    }

    func indexStats(_ target: Target) throws(RequestError) -> Answer {
        let stats = try index(target).stats
        return .success(capacity: 512) { body in
            body.raw(#"{"name":"#)
            body.string(stats.name.description)
            body.raw(#","dimensions":"#)
            body.integer(stats.dimensions)
            // Both names are in use: the documentation says one, the former program the other.
            body.raw(#","count":"#)
            body.integer(stats.vectorCount)
            body.raw(#","vector_count":"#)
            body.integer(stats.vectorCount)
            body.raw(#","memory_bytes":"#)
            body.integer(stats.memoryBytes)
            body.raw(#","memory_mb":"#)
            body.double(megabytes(stats.memoryBytes))
            body.raw(#","memory":{"graph_bytes":"#)
            body.integer(stats.graphMemoryBytes)
            body.raw(#","quantization":"#)
            body.string(stats.quantization.rawValue)
            body.raw(#","row_bytes_per_vector":"#)
            body.integer(stats.rowBytesPerVector)
            body.raw(#","code_bytes_per_vector":"#)
            body.integer(stats.codeBytesPerVector)
            body.raw(#","link_bytes_per_vector":"#)
            body.integer(stats.linkBytesPerVector)
            body.raw(#"},"disk_size":"#)
            body.integer(stats.diskBytes)
            body.raw(#","dirty":"#)
            body.bool(stats.dirty)
            body.raw(#","digest":"#)
            body.string(stats.digest.description)
            body.raw(#","conflicts":"#)
            body.integer(stats.conflicts)
            body.raw(#","tombstones":"#)
            body.integer(stats.tombstones)
            body.raw(#","concurrent_writes":"#)
            body.integer(stats.concurrentWrites)
            body.raw(#","indexed":"#)
            body.integer(stats.indexed)
            body.raw(#","unindexed":"#)
            body.integer(stats.unindexed)
            write(graphOf: stats, to: &body)
            write(recallOf: stats, to: &body)
            body.raw("}")
        }
    }

    private func write(graphOf stats: IndexStats, to body: inout ResponseWriter) {
        body.raw(#","graph":{"sweeps":"#)
        body.integer(stats.sweeps.sweeps)
        body.raw(#","relinked":"#)
        body.integer(stats.sweeps.relinked)
        body.raw(#","last_sweep_relinked":"#)
        body.integer(stats.sweeps.lastRelinked)
        body.raw(#","seconds_since_sweep":"#)
        body.optional(stats.sweeps.secondsSinceLast)
        body.raw("}")
    }

    private func write(recallOf stats: IndexStats, to body: inout ResponseWriter) {
        guard let recall = stats.recall else {
            return body.raw(#","recall_probe":null"#)
        }
        body.raw(#","recall_probe":{"recall":"#)
        body.optional(recall.recall)
        body.raw(#","samples":"#)
        body.integer(recall.samples)
        body.raw(#","total":"#)
        body.integer(recall.total)
        body.raw(#","abandoned":"#)
        body.integer(recall.abandoned)
        body.raw("}")
    }
}

/// Megabytes as the status pages give them: of 1,048,576 bytes.
func megabytes(_ bytes: Int) -> Double {
    Double(bytes) / 1_048_576
}
