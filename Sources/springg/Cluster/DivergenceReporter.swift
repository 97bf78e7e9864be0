import SpringgCluster
import SpringgConfiguration
import SpringgLog
import SpringgNet
import SpringgProjections
import Synchronization

/// Finds the buckets in which a peer shows something else than this node, for the alarm and the status.
///
/// One divergence at a time, on a thread that ends with it: this node's buckets are read where they are, the peer is asked for its
/// own, as by `springg cluster diff`.
final class DivergenceReporter: Sendable {
    private struct State {
        var thread: WriterThread?
        var node: RunningNode?
        var isClosed = false
    }

    private let database: Database
    private let settings: Configuration
    private let state = Mutex(State())

    /// Reports to `cluster` from now on.
    init(_ database: Database, _ settings: Configuration, _ cluster: ClusterService) {
        self.database = database
        self.settings = settings
        cluster.locateDivergences { [weak self, weak cluster] divergence, address in
            guard let cluster else { return }
            self?.begin(divergence, address) { cluster.located($0, divergence) }
        }
    }

    /// Ends what is under way.
    ///
    /// Blocking, shortly.
    func close() {
        let thread = state.withLock { state in
            state.isClosed = true
            state.node?.close()
            return state.thread.take()
        }
        thread?.join()
    }

    private func begin(
        _ divergence: Divergence,
        _ address: APIAddress,
        _ report: @escaping @Sendable ([DivergentIndex]?) -> Void
    ) {
        guard let node = try? ClusterCommand.Options.node(at: "\(address)", settings) else { return report(nil) }
        state.withLock { state in
            guard !state.isClosed else { return }
            // It has reported, so it is about to end.
            state.thread?.join()
            state.node = node
            state.thread = WriterThread(name: "springg-differ") { [self] in
                report(try? places(divergence, node))
                node.close()
            }
        }
    }

    /// Where the two differ; nil when one of them shows other things by now than it had announced, before or afterwards: then what
    /// was read is not of one moment, and says nothing.
    private func places(_ divergence: Divergence, _ peer: RunningNode) throws -> [DivergentIndex]? {
        guard try isStill(divergence, peer) else { return nil }
        let theirs = Set(ClusterDiff.names(try peer.send("GET", "/internal/indexes")))
        let ours = database.indexes()
        let names = ours.map(\.name.description)
        var places = theirs.subtracting(names).map { DivergentIndex($0, .onlyThere) }
        for (name, index) in zip(names, ours) {
            guard theirs.contains(name) else {
                places.append(DivergentIndex(name, .onlyHere))
                continue
            }
            let digest = try peer.send("GET", "/api/indexes/\(name)/stats").member("digest")?.string
            guard digest != index.digest.description else { continue }
            let rows = try BucketDigests(name, of: peer).rows
            let bits = BucketDigests.bits(rows: max(rows, index.count))
            let differing = try BucketDigests(index, bits: bits).differing(
                from: BucketDigests(name, of: peer, bits: bits)
            )
            if !differing.isEmpty { places.append(DivergentIndex(name, buckets: differing, of: 1 << bits)) }
        }
        guard try isStill(divergence, peer) else { return nil }
        return places.sorted { $0.name < $1.name }
    }

    private func isStill(_ divergence: Divergence, _ peer: RunningNode) throws -> Bool {
        guard NodeState.Digest(database.digest) == divergence.ours else { return false }
        let digest = try peer.send("GET", "/api/stats").member("digest")?.string.flatMap { StateDigest($0) }
        return digest.map { NodeState.Digest($0) } == divergence.theirs
    }
}
