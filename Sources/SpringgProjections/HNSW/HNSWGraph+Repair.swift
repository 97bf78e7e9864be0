import CSpringg
import Synchronization

/// Taking nodes out, so that no search notices that they were there: whoever had a link to one of them chooses anew
/// among its remaining neighbours and those of the removed.
///
/// In place, as in IP-DiskANN (Xu et al. 2025), but with the neighbour selection of the construction, and for many nodes at a time:
/// links are one-way, so those that lead to a node are found by looking through all of them, once for the whole set.
///
/// The indexer only.
extension HNSWGraph {
    /// Takes nodes out.
    ///
    /// Their own links stay until no walk can stand on them; the caller waits for that before their numbers and slots are used again.
    func remove(_ removed: BitSet, _ scratch: WalkScratch) {
        linked.forEach { node in
            guard !removed.contains(Int(node)) else { return }
            for level in 0...level(node) {
                var leadsAway = false
                forEachLink(node, level) { if removed.contains(Int($0)) { leadsAway = true } }
                if leadsAway { reconnect(node, level, without: removed, scratch) }
            }
        }
        var count = 0
        removed.forEach { node in
            guard linked.contains(Int(node)) else { return }
            markUnlinked(node)
            count += 1
        }
        changesSinceSweep += count
        changesSinceRenumbering += count
        if let (node, _) = entryPoint(), removed.contains(Int(node)) { chooseEntry() }
    }

    /// The node on the highest level becomes the entry point; of several the one of the lowest number.
    private func chooseEntry() {
        var best: (node: UInt32, level: Int)?
        linked.forEach { node in
            let level = level(node)
            if level > best?.level ?? -1 { best = (node, level) }
        }
        entry.store(best.map { UInt64($0.level) << 32 | UInt64($0.node) } ?? .max, ordering: .releasing)
    }

    private func reconnect(_ node: UInt32, _ level: Int, without removed: BitSet, _ scratch: WalkScratch) {
        var candidates = Set<UInt32>()
        var gone: [UInt32] = []
        forEachLink(node, level) { link in
            if removed.contains(Int(link)) { gone.append(link) } else { candidates.insert(link) }
        }
        // Beyond the neighbours of the removed, when too many of those are removed as well.
        var looked = 0
        while looked < gone.count, looked < HNSWGraph.removedLookedThrough {
            forEachLink(gone[looked], level) { link in
                if !removed.contains(Int(link)) {
                    if link != node, linked.contains(Int(link)) { candidates.insert(link) }
                } else if candidates.count < parameters.M, !gone.contains(link) {
                    gone.append(link)
                }
            }
            looked += 1
        }
        let before = candidates.intersection(linksNow(node, level))
        reselect(node, level, among: candidates.sorted(), scratch)
        // A new neighbour has lost a link too: where it has room it takes this one in return.
        forEachLink(node, level) { if !before.contains($0) { _ = append(node, to: $0, level) } }
    }

    private func linksNow(_ node: UInt32, _ level: Int) -> Set<UInt32> {
        var links = Set<UInt32>()
        forEachLink(node, level) { links.insert($0) }
        return links
    }

    /// Removed nodes whose neighbours one node considers: bounds the work where a whole region goes at once.
    private static let removedLookedThrough = 64

    /// Gives a node the best of some others as its neighbours.
    private func reselect(_ node: UInt32, _ level: Int, among nodes: [UInt32], _ scratch: WalkScratch) {
        let query = query(of: node, as: .owner, scratch)
        scratch.clearPool(ef: nodes.count + 1)
        var count = 0
        for start in stride(from: 0, to: nodes.count, by: WalkScratch.batchMax) {
            let size = min(WalkScratch.batchMax, nodes.count - start)
            for offset in 0..<size { gather(nodes[start + offset], offset, scratch) }
            compareBatch(query, size, scratch) { node, similarity in
                let candidate = Candidate.make(similarity: similarity, node: node)
                _ = Candidate.insert(candidate, into: scratch.pool, count: &count, limit: nodes.count + 1)
            }
        }
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: capacity(level)) { chosen in
            let kept = select(scratch.pool, count, limit: capacity(level), into: chosen, scratch)
            setLinks(node, level, UnsafeBufferPointer(rebasing: chosen[..<kept]))
        }
    }

    /// Makes every node reachable from the entry point on the lowest level; returns how many were not.
    ///
    /// A node loses its last incoming link now and then, when those that had it chose others.
    @discardableResult
    func sweep(_ scratch: WalkScratch) -> Int {
        changesSinceSweep = 0
        var found = 0
        // A link that is given here may push out another, which the next round sees.
        for _ in 0..<HNSWGraph.sweepsMax {
            let lost = unreachable()
            if lost.isEmpty { break }
            found += lost.count
            for node in lost { relink(node, scratch) }
        }
        return found
    }

    /// Rounds of a sweep: one is the rule, two are seen.
    private static let sweepsMax = 8

    private func relink(_ node: UInt32, _ scratch: WalkScratch) {
        guard let (start, top) = entryPoint() else { return }
        let query = query(of: node, as: .sought, scratch)
        let nearest = descend(query, from: start, top: top, bottom: 0, scratch)
        scratch.clearVisited(nodes: nodesUsed)
        // Not through the lost node itself: what is found has to be reachable without it.
        scratch.markVisited(node)
        guard nearest.node != node else { return relinkFromEntry(node) }
        walk(query, from: nearest, level: 0, ef: parameters.efConstruction, scratch)
        var candidates: [UInt32] = []
        for place in 0..<scratch.count { candidates.append(Candidate.node(scratch.pool[place])) }
        if links(node, 0)[0].load(ordering: .relaxed) == HNSWGraph.none {
            reselect(node, 0, among: candidates, scratch)
        }
        for candidate in candidates where append(node, to: candidate, 0) { return }
        if let nearest = candidates.first { replaceLast(of: nearest, 0, with: node) }
    }

    /// A node that greedy steps reach on an upper level, and none on the lowest: the entry point takes it as neighbour.
    private func relinkFromEntry(_ node: UInt32) {
        guard let (start, _) = entryPoint(), start != node else { return }
        if !append(node, to: start, 0) { replaceLast(of: start, 0, with: node) }
    }
}
