/// What has to hold of a graph, for the indexer and for tests.
///
/// The indexer only.
extension HNSWGraph {
    /// Nodes that no path of links on the lowest level leads to from the entry point.
    func unreachable() -> [UInt32] {
        var paths = Paths(nodes: nodesUsed)
        if let (start, _) = entryPoint() { reach(start, from: start, &paths) }
        var lost: [UInt32] = []
        linked.forEach { if !paths.lead(to: $0) { lost.append($0) } }
        return lost
    }

    /// To each node that was reached, the one that the first way led over: a tree of links.
    struct Paths {
        private var before: [UInt32]

        init(nodes: Int) { before = Array(repeating: HNSWGraph.none, count: nodes) }

        func lead(to node: UInt32) -> Bool { before[Int(node)] != HNSWGraph.none }

        /// Whether a link is a part of the tree.
        func include(_ link: UInt32, of node: UInt32) -> Bool { before[Int(link)] == node }

        fileprivate mutating func add(_ link: UInt32, of node: UInt32) { before[Int(link)] = node }
    }

    /// Adds a node that was reached over another, and all that links on the lowest level lead to from it.
    func reach(_ start: UInt32, from other: UInt32, _ paths: inout Paths) {
        guard !paths.lead(to: start) else { return }
        paths.add(start, of: other)
        var frontier = [start]
        while let node = frontier.popLast() {
            forEachLink(node, 0) { link in
                guard !paths.lead(to: link) else { return }
                paths.add(link, of: node)
                frontier.append(link)
            }
        }
    }

    /// What is wrong with the graph, a sentence each; empty when nothing is.
    func violations() -> [String] {
        var found: [String] = []
        var nodes = 0
        linked.forEach { node in
            nodes += 1
            for level in 0...level(node) {
                var seen = Set<UInt32>()
                forEachLink(node, level) { link in
                    if link == node { found.append("node \(node) is its own neighbour on level \(level)") }
                    if !seen.insert(link).inserted { found.append("node \(node) has \(link) twice on level \(level)") }
                    if !linked.contains(Int(link)) {
                        found.append("node \(node) leads to \(link) on level \(level), which is not in the graph")
                    } else if self.level(link) < level {
                        found.append("node \(node) leads to \(link) on level \(level), which that does not have")
                    }
                }
            }
        }
        linked.forEach { node in
            if self.node(of: slot(of: node)) != node {
                found.append("node \(node) is not the one of slot \(slot(of: node))")
            }
        }
        if nodes != count { found.append("\(count) nodes are counted, and \(nodes) are there") }
        if let (node, level) = entryPoint() {
            if !linked.contains(Int(node)) { found.append("the entry point \(node) is not in the graph") }
            if self.level(node) != level { found.append("the entry point \(node) is said to be on level \(level)") }
        } else if nodes > 0 {
            found.append("\(nodes) nodes and no entry point")
        }
        for node in unreachable() { found.append("node \(node) cannot be reached") }
        return found
    }
}
