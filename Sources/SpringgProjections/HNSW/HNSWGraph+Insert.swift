import CSpringg
import Synchronization

/// Algorithms 1 and 4 of the paper: a node's place, and which of its candidates become its neighbours.
///
/// The indexer only.
extension HNSWGraph {
    /// Links a row that the graph does not hold, and for which room was made.
    func insert(_ slot: UInt32, _ scratch: WalkScratch) {
        let node = makeNode(slot)
        let level = level(node)
        changesSinceRenumbering += 1
        guard let (start, top) = entryPoint() else {
            markLinked(node)
            entry.store(UInt64(level) << 32 | UInt64(node), ordering: .releasing)
            return
        }
        let query = query(of: node, as: .sought, scratch)
        var nearest = descend(query, from: start, top: top, bottom: level, scratch)
        for level in stride(from: min(top, level), through: 0, by: -1) {
            scratch.clearVisited(nodes: nodesUsed)
            walk(query, from: nearest, level: level, ef: parameters.efConstruction, scratch)
            nearest = (Candidate.node(scratch.pool[0]), Candidate.similarity(scratch.pool[0]))
            connect(node, level, scratch)
        }
        markLinked(node)
        changesSinceSweep += 1
        if level > top { entry.store(UInt64(level) << 32 | UInt64(node), ordering: .releasing) }
    }

    /// Links a node with the best of the candidates in the scratch's pool, both ways.
    private func connect(_ node: UInt32, _ level: Int, _ scratch: WalkScratch) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: capacity(level)) { chosen in
            let count = select(scratch.pool, scratch.count, limit: parameters.M, into: chosen, scratch)
            setLinks(node, level, UnsafeBufferPointer(rebasing: chosen[..<count]))
            var isReachable = false
            for place in 0..<count {
                if offer(node, to: chosen[place], level, scratch) { isReachable = true }
            }
            // Every neighbour is full of better ones, and would leave this row where no search comes.
            if !isReachable, count > 0, !append(node, to: chosen[0], level) {
                replaceLast(of: chosen[0], level, with: node)
            }
        }
    }

    /// Links `neighbour` to `node` as well, if that is among its best; returns whether it is.
    private func offer(_ node: UInt32, to neighbour: UInt32, _ level: Int, _ scratch: WalkScratch) -> Bool {
        if append(node, to: neighbour, level) { return true }
        let capacity = capacity(level)
        let query = query(of: neighbour, as: .owner, scratch)
        return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: capacity + 1) { candidates in
            guard let sorted = candidates.baseAddress else { return false }
            var count = 0
            forEachLink(neighbour, level) { link in
                gather(link, count, scratch)
                count += 1
            }
            gather(node, count, scratch)
            let gathered = count + 1
            count = 0
            compareBatch(query, gathered, scratch) { node, similarity in
                let candidate = Candidate.make(similarity: similarity, node: node)
                _ = Candidate.insert(candidate, into: sorted, count: &count, limit: capacity + 1)
            }
            return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: capacity) { chosen in
                let kept = select(sorted, count, limit: capacity, into: chosen, scratch)
                setLinks(neighbour, level, UnsafeBufferPointer(rebasing: chosen[..<kept]))
                return chosen[..<kept].contains(node)
            }
        }
    }

    /// Adds a link where there is a free place; true when it is there then.
    func append(_ node: UInt32, to neighbour: UInt32, _ level: Int) -> Bool {
        let links = links(neighbour, level)
        for place in 0..<capacity(level) {
            let link = links[place].load(ordering: .relaxed)
            if link == node { return true }
            if link == HNSWGraph.none {
                links[place].store(node, ordering: .releasing)
                return true
            }
        }
        return false
    }

    /// Puts a link in the place of the farthest one.
    func replaceLast(of neighbour: UInt32, _ level: Int, with node: UInt32) {
        links(neighbour, level)[capacity(level) - 1].store(node, ordering: .releasing)
    }

    /// Chooses neighbours among candidates, nearest first: one that is nearer to a neighbour already chosen than to the
    /// node itself is reached through that one, and left out.
    ///
    /// - Returns: How many were chosen.
    func select(
        _ candidates: UnsafeMutablePointer<UInt64>,
        _ count: Int,
        limit: Int,
        into chosen: UnsafeMutableBufferPointer<UInt32>,
        _ scratch: WalkScratch
    ) -> Int {
        var kept = 0
        for place in 0..<count where kept < limit {
            let candidate = candidates[place]
            let node = Candidate.node(candidate)
            let distance = UInt32(truncatingIfNeeded: candidate >> 32)
            let query = query(of: node, as: .candidate, scratch)
            var isDiverse = true
            var next = 0
            // A few at a time: most candidates fall at the first ones.
            while next < kept, isDiverse {
                let size = min(HNSWGraph.comparedAtOnce, kept - next)
                for offset in 0..<size { gather(chosen[next + offset], offset, scratch) }
                compareBatch(query, size, scratch) { _, similarity in
                    if (max(0, 1 - similarity) * HNSWGraph.slack).bitPattern < distance { isDiverse = false }
                }
                next += size
            }
            if isDiverse {
                chosen[kept] = node
                kept += 1
            }
        }
        return kept
    }

    /// How much nearer to a chosen neighbour than to the node a candidate has to be to be left out.
    ///
    /// The α of Subramanya et al. 2019: longer links stay, and a walk needs a tenth fewer comparisons for a recall of 0.95.
    private static let slack: Float = 1.1

    /// As many as the kernel computes side by side.
    private static let comparedAtOnce = 4
}
