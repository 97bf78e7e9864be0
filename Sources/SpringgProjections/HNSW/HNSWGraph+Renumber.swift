import Synchronization

/// Nodes that are neighbours in the graph become neighbours in memory.
///
/// The indexer only.
extension HNSWGraph {
    /// True when so much has changed that other numbers are worth the time of copying the graph.
    var wantsRenumbering: Bool {
        changesSinceRenumbering > 0
            && changesSinceRenumbering * HNSWGraph.renumberedShare >= max(count, GraphSearch.rowsMin)
    }

    /// The share of changed nodes from which on their numbers say little of who is whose neighbour.
    private static let renumberedShare = 2

    /// The same graph with its nodes in breadth-first order from the entry point; nil when there is no memory for it.
    ///
    /// Holes that removed nodes left are gone.
    func renumbered(memoryLimit: Int) -> HNSWGraph? {
        guard hasMemory(for: bytes, limit: memoryLimit) else { return nil }
        let copy = HNSWGraph(parameters: parameters, store: store, walks: walks, memory: memory)
        let order = breadthFirst()
        var numbers = [UInt32](repeating: HNSWGraph.none, count: nodesUsed)
        for node in order {
            guard copy.reserve(1, memoryLimit: memoryLimit) else { return nil }
            numbers[Int(node)] = copy.makeNode(slot(of: node), level: level(node))
        }
        for node in order {
            let number = numbers[Int(node)]
            copy.code(number).copyMemory(from: code(node), byteCount: coding.bytes)
            copy.factor(number).pointee = factor(node).pointee
            for level in 0...level(node) {
                withUnsafeTemporaryAllocation(of: UInt32.self, capacity: capacity(level)) { links in
                    var count = 0
                    forEachLink(node, level) { link in
                        links[count] = numbers[Int(link)]
                        count += 1
                    }
                    copy.setLinks(number, level, UnsafeBufferPointer(rebasing: links[..<count]))
                }
            }
            copy.markLinked(number)
        }
        if let (node, level) = entryPoint() {
            copy.entry.store(UInt64(level) << 32 | UInt64(numbers[Int(node)]), ordering: .releasing)
        }
        copy.changesSinceSweep = changesSinceSweep
        copy.sweepDue = sweepDue
        return copy
    }

    /// All nodes: those that the entry point leads to first, nearest first, then the others.
    private func breadthFirst() -> [UInt32] {
        var order: [UInt32] = []
        order.reserveCapacity(count)
        var seen = BitSet()
        func add(_ node: UInt32) {
            guard !seen.contains(Int(node)) else { return }
            seen.insert(Int(node))
            order.append(node)
        }
        if let (start, _) = entryPoint() { add(start) }
        var next = 0
        while next < order.count {
            forEachLink(order[next], 0, add)
            next += 1
        }
        linked.forEach(add)
        return order
    }
}
