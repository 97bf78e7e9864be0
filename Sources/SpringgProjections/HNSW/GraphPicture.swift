import SpringgLog

/// A graph as a checkpoint holds it: the nodes whose rows are visible at its moment, in breadth-first order, and the links
/// between them.
///
/// It is taken while the indexer goes on, on any thread that pins the graph's `walks` before and for as long as it lives.
/// What it reads are links, one atomic word each, as walks do. Rows that are visible at a pinned moment keep their nodes;
/// a node that no link leads to (yet) is left out, and its row is linked anew after a restart.
struct GraphPicture {
    let graph: HNSWGraph
    /// The nodes; the place of each is the number of its row.
    private(set) var nodes: [UInt32] = []
    /// Number of each node's row; `HNSWGraph.none` for one that is left out.
    private var numbers: [UInt32]

    init(of graph: HNSWGraph, at moment: LSN) {
        self.graph = graph
        numbers = Array(repeating: HNSWGraph.none, count: graph.nodesUsed)
        var seen = BitSet()
        var reached: [UInt32] = []
        func reach(_ node: UInt32) {
            // A number given since is a younger row's.
            guard Int(node) < numbers.count, !seen.contains(Int(node)) else { return }
            seen.insert(Int(node))
            reached.append(node)
        }
        if let (start, _) = graph.entryPoint() { reach(start) }
        var next = 0
        while next < reached.count {
            let node = reached[next]
            next += 1
            if graph.store.isVisible(graph.slot(of: node), at: moment) {
                numbers[Int(node)] = UInt32(nodes.count)
                nodes.append(node)
            }
            graph.forEachLink(node, 0, reach)
        }
    }

    /// Reads the links of one of the nodes.
    ///
    /// A link to a node that is left out is replaced by one to the nearest of that node's neighbours, so that rows deleted
    /// just now leave no hole.
    func read(_ node: UInt32, into lists: inout GraphFileNode) {
        lists.removeAll()
        for level in 0...graph.level(node) {
            graph.forEachLink(node, level) { link in
                if let number = number(link) {
                    lists.add(number)
                } else if Int(link) < numbers.count {
                    var isReplaced = false
                    graph.forEachLink(link, level) { next in
                        if !isReplaced, next != node, let number = number(next) { isReplaced = lists.add(number) }
                    }
                }
            }
            lists.endLevel()
        }
    }

    /// The number of a node's row; nil when it is left out.
    private func number(_ node: UInt32) -> UInt32? {
        guard Int(node) < numbers.count, numbers[Int(node)] != HNSWGraph.none else { return nil }
        return numbers[Int(node)]
    }
}
