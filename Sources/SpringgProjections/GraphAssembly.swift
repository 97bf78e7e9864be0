import SpringgLog

/// Brings a graph back from the blocks of a snapshot over rows that may have changed since it was taken.
///
/// Nothing that a block says is believed before it has been checked. A node whose row is gone or has changed is left out, and who led
/// to it leads to the nearest of its neighbours. Rows that no node names wait for the indexer, as all do without a graph.
///
/// Memory: 20 bytes a row and 4 a node beside the graph, and the links of nodes that are left out.
package final class GraphAssembly {
    /// Why blocks are no graph.
    package struct Flaw: Error, Equatable {
        package let reason: String
    }

    /// Of the nodes, the share that may be left out: with more of them gone it is better to link all rows anew.
    private static let goneShare = 4

    private let M: Int
    private let total: Int
    /// Nil when blocks are only looked at.
    private let index: VectorIndex?
    private var graph: HNSWGraph?
    /// The slots of rows that no node has been found for, by name.
    private var slots: [UInt64: UInt32] = [:]
    private var namesRead = 0
    private var nodesRead = 0
    /// Number in the graph of each node; `HNSWGraph.none` for one that is left out.
    private var numbers: [UInt32] = []
    /// The slot of each number.
    private var slotsTaken: [UInt32] = []
    private var gone: [UInt32: GraphFileNode] = [:]
    /// Links to nodes that are left out.
    private var lost: [(node: UInt32, level: Int, to: UInt32)] = []
    private var node = GraphFileNode()
    private var mapped = GraphFileNode()

    /// Prepares to take `nodes` nodes; without rows only to check them.
    package init(M: Int, nodes: Int, over rows: RestoredName? = nil) throws(Flaw) {
        self.M = M
        total = nodes
        index = rows?.index
        guard rows != nil else { return }
        guard let index, index.graph.parameters.M == M else {
            throw Flaw(reason: "it is of an index with other links")
        }
        graph = index.graph.makeEmpty()
        for slot in 0..<UInt32(index.store.slotsUsed)
        where VectorStore.hasDirection(index.store.scale(of: slot).pointee) {
            slots[graphName(id: index.store.id(of: slot), version: index.store.version(of: slot))] = slot
        }
    }

    /// Takes the next block.
    package func take(_ content: [UInt8]) throws(Flaw) {
        try content.withBytes { content throws(Flaw) in
            guard let header = GraphBlockHeader(decoding: content) else {
                throw Flaw(reason: "it is no block of a graph, or of a newer version")
            }
            let isNames = header.kind == .names
            guard header.M == M, header.first == (isNames ? namesRead : nodesRead),
                header.nodes <= total - header.first,
                isNames ? nodesRead == 0 : namesRead == total
            else { throw Flaw(reason: "it is not the next block of its graph") }
            let entries = content.part(GraphBlockHeader.bytes, content.count - GraphBlockHeader.bytes)
            if isNames { try takeNames(entries, header.nodes) } else { try takeNodes(entries, header.nodes) }
        }
    }

    private func takeNames(_ entries: UnsafeRawBufferPointer, _ count: Int) throws(Flaw) {
        guard entries.count == count * 8 else { throw Flaw(reason: "its length is not that of its names") }
        namesRead += count
        guard graph != nil else { return }
        for place in 0..<count {
            if let slot = slots.removeValue(forKey: entries.integer(UInt64.self, at: place * 8)) {
                numbers.append(UInt32(slotsTaken.count))
                slotsTaken.append(slot)
            } else {
                numbers.append(HNSWGraph.none)
            }
        }
    }

    private func takeNodes(_ entries: UnsafeRawBufferPointer, _ count: Int) throws(Flaw) {
        var offset = 0
        for _ in 0..<count {
            guard let bytes = node.decode(UnsafeRawBufferPointer(rebasing: entries[offset...])), isPossible(node) else {
                throw Flaw(reason: "node \(nodesRead) contradicts itself")
            }
            if let graph, isWorthwhile { try place(node, in: graph) }
            offset += bytes
            nodesRead += 1
        }
        guard offset == entries.count else { throw Flaw(reason: "its nodes are not as many as it says") }
    }

    /// Whether a graph is of use when so many of its rows are as they were.
    package static func isWorthwhile(nodes: Int, rows: Int) -> Bool { (nodes - rows) * goneShare <= nodes }

    /// Known when all names are.
    private var isWorthwhile: Bool { GraphAssembly.isWorthwhile(nodes: total, rows: slotsTaken.count) }

    private func isPossible(_ node: GraphFileNode) -> Bool {
        guard node.level <= HNSWGraph.levelMax else { return false }
        for level in 0...node.level {
            let links = node.links(level)
            guard links.count <= (level == 0 ? 2 * M : M), links.allSatisfy({ $0 < total && $0 != nodesRead }) else {
                return false
            }
        }
        return true
    }

    private func place(_ node: GraphFileNode, in graph: HNSWGraph) throws(Flaw) {
        let number = numbers[nodesRead]
        guard number != HNSWGraph.none else {
            gone[UInt32(nodesRead)] = node
            return
        }
        mapped.removeAll()
        for level in 0...node.level {
            for link in node.links(level) {
                if numbers[Int(link)] == HNSWGraph.none {
                    lost.append((number, level, link))
                } else {
                    mapped.add(numbers[Int(link)])
                }
            }
            mapped.endLevel()
        }
        guard graph.restore(mapped, as: number, slot: slotsTaken[Int(number)], nodes: slotsTaken.count) else {
            throw Flaw(reason: "node \(nodesRead) contradicts its row")
        }
    }

    /// All blocks are taken: the index begins with the graph, or without one if too many of its rows are gone.
    ///
    /// - Throws: when its nodes contradict each other; the index has no graph then.
    package func finish(threads: Int = 1) throws(Flaw) {
        guard namesRead == total, nodesRead == total else { throw Flaw(reason: "blocks are missing") }
        guard let graph, let index, isWorthwhile, !slotsTaken.isEmpty else { return }
        for (node, level, to) in lost {
            guard let bridge = gone[to], bridge.level >= level else { throw contradiction }
            for next in bridge.links(level) where numbers[Int(next)] != HNSWGraph.none && numbers[Int(next)] != node {
                if graph.append(numbers[Int(next)], to: node, level) { break }
            }
        }
        let team = IndexingTeam(threads: threads)
        defer { team.stop() }
        guard index.take(graph, team) else { throw contradiction }
    }

    private var contradiction: Flaw { Flaw(reason: "its nodes contradict each other") }
}
