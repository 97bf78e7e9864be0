import CSpringg
import Synchronization

/// Algorithms 1 and 4 of the paper: a node's place, and which of its candidates become its neighbours.
///
/// The indexer only.
extension HNSWGraph {
    /// Links a slot, which has to be none of the graph's, and for which room was made.
    func insert(_ slot: UInt32, _ scratch: WalkScratch) {
        makeNode(slot)
        let level = level(slot)
        guard let (start, top) = entryPoint() else {
            markLinked(slot)
            entry.store(UInt64(level) << 32 | UInt64(slot), ordering: .releasing)
            return
        }
        let query = query(of: slot)
        var nearest = descend(query, from: start, top: top, bottom: level, scratch)
        for level in stride(from: min(top, level), through: 0, by: -1) {
            scratch.clearVisited(slots: slots)
            walk(query, from: nearest, level: level, ef: parameters.efConstruction, scratch)
            nearest = (Candidate.slot(scratch.pool[0]), Candidate.similarity(scratch.pool[0]))
            connect(slot, level, scratch)
        }
        markLinked(slot)
        changesSinceSweep += 1
        if level > top { entry.store(UInt64(level) << 32 | UInt64(slot), ordering: .releasing) }
    }

    /// Slots that the store has given out: what a walk's marks must cover.
    var slots: Int { store.slotsUsed }

    /// Links a node with the best of the candidates in the scratch's pool, both ways.
    private func connect(_ slot: UInt32, _ level: Int, _ scratch: WalkScratch) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: capacity(level)) { chosen in
            let count = select(scratch.pool, scratch.count, limit: parameters.M, into: chosen, scratch)
            setLinks(slot, level, UnsafeBufferPointer(rebasing: chosen[..<count]))
            var isReachable = false
            for place in 0..<count {
                if offer(slot, to: chosen[place], level, scratch) { isReachable = true }
            }
            // Every neighbour is full of better ones, and would leave this row where no search comes.
            if !isReachable, count > 0 { replaceLast(of: chosen[0], level, with: slot) }
        }
    }

    /// Links `node` to `slot` as well, if that is among its best; returns whether it is.
    private func offer(_ slot: UInt32, to node: UInt32, _ level: Int, _ scratch: WalkScratch) -> Bool {
        if append(slot, to: node, level) { return true }
        let capacity = capacity(level)
        let query = query(of: node)
        return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: capacity + 1) { candidates in
            guard let sorted = candidates.baseAddress else { return false }
            var count = 0
            forEachLink(node, level) { link in
                gather(link, count, scratch)
                count += 1
            }
            gather(slot, count, scratch)
            let gathered = count + 1
            count = 0
            compareBatch(query, gathered, scratch) { slot, similarity in
                let candidate = Candidate.make(similarity: similarity, slot: slot)
                _ = Candidate.insert(candidate, into: sorted, count: &count, limit: capacity + 1)
            }
            return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: capacity) { chosen in
                let kept = select(sorted, count, limit: capacity, into: chosen, scratch)
                setLinks(node, level, UnsafeBufferPointer(rebasing: chosen[..<kept]))
                return chosen[..<kept].contains(slot)
            }
        }
    }

    @inline(__always)
    func gather(_ slot: UInt32, _ place: Int, _ scratch: WalkScratch) {
        scratch.batch[place] = slot
        scratch.rows[place] = UnsafePointer(code(slot))
    }

    /// Adds a link where there is a free place; true when it is there then.
    func append(_ slot: UInt32, to node: UInt32, _ level: Int) -> Bool {
        let links = links(node, level)
        for place in 0..<capacity(level) {
            let link = links[place].load(ordering: .relaxed)
            if link == slot { return true }
            if link == HNSWGraph.none {
                links[place].store(slot, ordering: .releasing)
                return true
            }
        }
        return false
    }

    /// Puts a link in the place of the farthest one.
    func replaceLast(of node: UInt32, _ level: Int, with slot: UInt32) {
        links(node, level)[capacity(level) - 1].store(slot, ordering: .releasing)
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
            let slot = Candidate.slot(candidate)
            let distance = UInt32(truncatingIfNeeded: candidate >> 32)
            let query = query(of: slot)
            var isDiverse = true
            var next = 0
            // A few at a time: most candidates fall at the first ones.
            while next < kept, isDiverse {
                let size = min(HNSWGraph.comparedAtOnce, kept - next)
                for offset in 0..<size { gather(chosen[next + offset], offset, scratch) }
                compareBatch(query, size, scratch) { _, similarity in
                    if max(0, 1 - similarity).bitPattern < distance { isDiverse = false }
                }
                next += size
            }
            if isDiverse {
                chosen[kept] = slot
                kept += 1
            }
        }
        return kept
    }

    /// As many as the kernel computes side by side.
    private static let comparedAtOnce = 4
}
