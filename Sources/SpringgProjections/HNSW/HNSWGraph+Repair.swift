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
    /// Their own links stay until no walk can stand on them; the caller waits for that before their slots are used again.
    func remove(_ removed: BitSet, _ scratch: WalkScratch) {
        linked.forEach { slot in
            guard !removed.contains(Int(slot)) else { return }
            for level in 0...level(slot) {
                var leadsAway = false
                forEachLink(slot, level) { if removed.contains(Int($0)) { leadsAway = true } }
                if leadsAway { reconnect(slot, level, without: removed, scratch) }
            }
        }
        var count = 0
        removed.forEach { slot in
            guard linked.contains(Int(slot)) else { return }
            markUnlinked(slot)
            count += 1
        }
        changesSinceSweep += count
        if let (slot, _) = entryPoint(), removed.contains(Int(slot)) { chooseEntry() }
    }

    /// The node on the highest level becomes the entry point; of several the one of the lowest slot.
    private func chooseEntry() {
        var best: (slot: UInt32, level: Int)?
        linked.forEach { slot in
            let level = level(slot)
            if level > best?.level ?? -1 { best = (slot, level) }
        }
        entry.store(best.map { UInt64($0.level) << 32 | UInt64($0.slot) } ?? .max, ordering: .releasing)
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

    /// Gives a node the best of some slots as its neighbours.
    private func reselect(_ node: UInt32, _ level: Int, among slots: [UInt32], _ scratch: WalkScratch) {
        let query = query(of: node)
        scratch.clearPool(ef: slots.count + 1)
        var count = 0
        for start in stride(from: 0, to: slots.count, by: WalkScratch.batchMax) {
            let size = min(WalkScratch.batchMax, slots.count - start)
            for offset in 0..<size { gather(slots[start + offset], offset, scratch) }
            compareBatch(query, size, scratch) { slot, similarity in
                let candidate = Candidate.make(similarity: similarity, slot: slot)
                _ = Candidate.insert(candidate, into: scratch.pool, count: &count, limit: slots.count + 1)
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
            for slot in lost { relink(slot, scratch) }
        }
        return found
    }

    /// Rounds of a sweep: one is the rule, two are seen.
    private static let sweepsMax = 8

    private func relink(_ slot: UInt32, _ scratch: WalkScratch) {
        guard let (start, top) = entryPoint() else { return }
        let query = query(of: slot)
        let nearest = descend(query, from: start, top: top, bottom: 0, scratch)
        scratch.clearVisited(slots: slots)
        // Not through the lost node itself: what is found has to be reachable without it.
        scratch.visited[Int(slot) >> 6] |= 1 << UInt64(slot & 63)
        guard nearest.slot != slot else { return relinkFromEntry(slot) }
        walk(query, from: nearest, level: 0, ef: parameters.efConstruction, scratch)
        var candidates: [UInt32] = []
        for place in 0..<scratch.count { candidates.append(Candidate.slot(scratch.pool[place])) }
        if links(slot, 0)[0].load(ordering: .relaxed) == HNSWGraph.none {
            reselect(slot, 0, among: candidates, scratch)
        }
        for candidate in candidates where append(slot, to: candidate, 0) { return }
        if let nearest = candidates.first { replaceLast(of: nearest, 0, with: slot) }
    }

    /// A node that greedy steps reach on an upper level, and none on the lowest: the entry point takes it as neighbour.
    private func relinkFromEntry(_ slot: UInt32) {
        guard let (start, _) = entryPoint(), start != slot else { return }
        if !append(slot, to: start, 0) { replaceLast(of: start, 0, with: slot) }
    }
}
