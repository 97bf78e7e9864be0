import SpringgLog
import Synchronization

extension VectorIndex {
    /// Brings back the graph of a checkpoint over the rows of the same, which are in their slots in the order of the file.
    ///
    /// Before there are readers. On failure the index has an empty graph, as before.
    func restoreGraph(
        from blocks: BlockReader,
        path: String,
        lsn: LSN,
        _ team: IndexingTeam
    ) throws(CheckpointDamage) {
        func damage(_ reason: String) -> CheckpointDamage { CheckpointDamage(path: path, reason: reason) }
        guard let header = blocks.header.withUnsafeBytes({ CheckpointFileHeader(.graph, decoding: $0) }) else {
            throw damage("it is of a newer version")
        }
        let restored = graph.makeEmpty()
        guard header.lsn == lsn, header.M == restored.parameters.M, header.entries <= store.slotsUsed else {
            throw damage("it belongs to other rows")
        }
        var node = GraphFileNode()
        var count = 0
        while let block = try blocks.next() {
            var offset = 0
            while offset < block.count {
                guard let bytes = node.decode(UnsafeRawBufferPointer(rebasing: block[offset...])),
                    count < header.entries,
                    restored.restore(node, as: UInt32(count), slot: UInt32(count), nodes: header.entries)
                else { throw damage("node \(count) contradicts itself or its row") }
                offset += bytes
                count += 1
            }
        }
        guard count == header.entries, take(restored, team) else { throw damage("its nodes contradict each other") }
    }

    /// Begins with a graph all of whose nodes are back; false, and nothing is changed, when they contradict each other.
    ///
    /// Before there are readers.
    func take(_ restored: HNSWGraph, _ team: IndexingTeam) -> Bool {
        guard restored.restored(team) else { return false }
        current.replace(with: restored)
        for node in 0..<UInt32(restored.nodesUsed) {
            let slot = restored.slot(of: node)
            store.ledger.remove(.queued, slot)
            store.ledger.remove(.unlinked, slot)
        }
        return true
    }
}

/// The way of a graph back from a checkpoint or a snapshot.
///
/// One thread with its team, before others know of the graph.
extension HNSWGraph {
    /// A graph of the same rows that holds none of them.
    func makeEmpty() -> HNSWGraph {
        HNSWGraph(parameters: parameters, store: store, walks: walks, memory: memory)
    }

    /// Adds the next node, which gets this number, with its links, of which there will be `nodes`; false when it cannot be.
    func restore(_ node: GraphFileNode, as number: UInt32, slot: UInt32, nodes: Int) -> Bool {
        guard node.level <= HNSWGraph.levelMax, VectorStore.hasDirection(store.scale(of: slot).pointee),
            // Without a limit: it was there before the restart.
            reserve(1, memoryLimit: 0), makeNode(slot, level: node.level) == number
        else { return false }
        for level in 0...node.level {
            let links = node.links(level)
            guard links.count <= capacity(level), links.allSatisfy({ $0 < nodes && $0 != number }) else { return false }
            links.withUnsafeBufferPointer { setLinks(number, level, $0) }
        }
        markLinked(number)
        return true
    }

    /// All nodes are there: makes the codes and the entry point; false when links lead to levels that are not there.
    fileprivate func restored(_ team: IndexingTeam) -> Bool {
        var highest: (node: UInt32, level: Int) = (HNSWGraph.none, -1)
        for node in 0..<UInt32(nodesUsed) {
            let top = level(node)
            if top > highest.level { highest = (node, top) }
            for level in stride(from: top, to: 0, by: -1) {
                var isRight = true
                forEachLink(node, level) { if self.level($0) < level { isRight = false } }
                guard isRight else { return false }
            }
        }
        guard highest.level >= 0 else { return true }
        let nodes = nodesUsed
        team.forEach((nodes + HNSWGraph.encodedAtOnce - 1) / HNSWGraph.encodedAtOnce) { [self] part, _ in
            let first = part * HNSWGraph.encodedAtOnce
            for node in first..<min(nodes, first + HNSWGraph.encodedAtOnce) { encode(UInt32(node)) }
        }
        entry.store(UInt64(highest.level) << 32 | UInt64(highest.node), ordering: .releasing)
        // Where a removed row was the only way to another.
        store.ledger.sweeps.record(sweep(team.scratch), at: monotonicNanoseconds())
        return true
    }

    /// Nodes of a round: enough that taking one costs nothing.
    private static let encodedAtOnce = 256
}
