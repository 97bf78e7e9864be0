import CSpringg
import Synchronization

/// Taking nodes out, so that no search notices that they were there: whoever had a link to one of them chooses anew
/// among its remaining neighbours and those of the removed.
///
/// In place, as in IP-DiskANN (Xu et al. 2025), but with the neighbour selection of the construction, and for many nodes at a time:
/// links are one-way, so those that lead to a node are found by looking through all of them, once for the whole set.
///
/// The indexer only, with its team: each node that loses links is one thread's, which writes the links of that node and of no
/// other, and reads besides only those of the removed, which do not change.
extension HNSWGraph {
    /// Takes nodes out.
    ///
    /// Their own links stay until no walk can stand on them; the caller waits for that before their numbers and slots are
    /// used again.
    func remove(_ removed: BitSet, _ team: IndexingTeam) {
        let bereft = leadingTo(removed, team)
        team.forEach(bereft.count) { [self] place, scratch in reconnect(bereft[place], without: removed, scratch) }
        // A new neighbour has lost a link too: where it has room it takes the one that chose it in return.
        for loser in bereft {
            for neighbour in loser.gained { _ = append(loser.node, to: neighbour, loser.level) }
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

    /// A node that has links to removed ones on a level.
    private final class Bereft {
        let node: UInt32
        let level: Int
        /// Neighbours that it did not have before.
        var gained: [UInt32] = []

        init(_ node: UInt32, _ level: Int) {
            self.node = node
            self.level = level
        }
    }

    /// The nodes that lead to removed ones, in the order of their numbers.
    private func leadingTo(_ removed: BitSet, _ team: IndexingTeam) -> [Bereft] {
        final class Part { var found: [Bereft] = [] }
        let words = linked.words.count
        let parts = stride(from: 0, to: words, by: HNSWGraph.wordsLookedThrough).map { _ in Part() }
        team.forEach(parts.count) { [self] number, _ in
            let first = number * HNSWGraph.wordsLookedThrough
            linked.forEach(inWords: first..<min(words, first + HNSWGraph.wordsLookedThrough)) { node in
                guard !removed.contains(Int(node)) else { return }
                for level in 0...level(node) {
                    var leadsAway = false
                    forEachLink(node, level) { if removed.contains(Int($0)) { leadsAway = true } }
                    if leadsAway { parts[number].found.append(Bereft(node, level)) }
                }
            }
        }
        return parts.flatMap(\.found)
    }

    /// Words of the set of nodes that one round looks through: some thousand nodes, a fraction of a millisecond.
    private static let wordsLookedThrough = 64

    /// The node on the highest level becomes the entry point; of several the one of the lowest number.
    private func chooseEntry() {
        var best: (node: UInt32, level: Int)?
        linked.forEach { node in
            let level = level(node)
            if level > best?.level ?? -1 { best = (node, level) }
        }
        entry.store(best.map { UInt64($0.level) << 32 | UInt64($0.node) } ?? .max, ordering: .releasing)
    }

    private func reconnect(_ bereft: Bereft, without removed: BitSet, _ scratch: WalkScratch) {
        let (node, level) = (bereft.node, bereft.level)
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
        forEachLink(node, level) { if !before.contains($0) { bereft.gained.append($0) } }
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

    /// Makes every node reachable from the entry point on the lowest level; returns how many links that took.
    ///
    /// A node loses its last incoming link now and then, when those that had it chose others; and many rows that are all
    /// alike choose each other alone, so that no link leads to any of them.
    @discardableResult
    func sweep(_ scratch: WalkScratch) -> Int {
        changesSinceSweep = 0
        var relinked: [UInt32] = []
        for _ in 0..<HNSWGraph.sweepsMax {
            guard let (start, _) = entryPoint() else { break }
            let before = relinked.count
            var paths = Paths(nodes: nodesUsed)
            reach(start, from: start, &paths)
            linked.forEach { node in
                guard !paths.lead(to: node) else { return }
                let latest = relinked[before...].suffix(WalkScratch.batchMax)
                let neighbour = relink(node, from: start, beside: latest, paths, scratch)
                relinked.append(node)
                // One link is enough for all that it leads to.
                reach(node, from: neighbour, &paths)
            }
            if relinked.count == before { break }
        }
        return relinked.count
    }

    /// Rounds of a sweep: one is the rule, and the second finds nothing.
    private static let sweepsMax = 8

    /// Lets one of the nodes that `start` leads to lead to a node that it does not lead to; returns which.
    ///
    /// Near it, and one that has room; or one of those that have just been linked; or one that has a link that nothing
    /// depends on.
    private func relink(
        _ node: UInt32,
        from start: UInt32,
        beside latest: ArraySlice<UInt32>,
        _ paths: Paths,
        _ scratch: WalkScratch
    ) -> UInt32 {
        let query = query(of: node, as: .sought, scratch)
        scratch.clearVisited(nodes: nodesUsed)
        // Not through the lost node itself, and not down from the upper levels: what is found has to be reachable without.
        scratch.markVisited(node)
        let nearest = (start, similarity(query, start, scratch))
        walk(query, from: nearest, level: 0, ef: parameters.efConstruction, scratch)
        var candidates: [UInt32] = []
        for place in 0..<scratch.count { candidates.append(Candidate.node(scratch.pool[place])) }
        if links(node, 0)[0].load(ordering: .relaxed) == HNSWGraph.none {
            reselect(node, 0, among: candidates, scratch)
        }
        for candidate in candidates where append(node, to: candidate, 0) { return candidate }
        // Where hundreds of rows are alike, a walk meets the same few of them again and again, and those are full.
        var others: [(similarity: Float, node: UInt32)] = []
        for (place, other) in latest.enumerated() { gather(other, place, scratch) }
        compareBatch(query, latest.count, scratch) { others.append(($1, $0)) }
        others.sort { ($0.similarity, $1.node) > ($1.similarity, $0.node) }
        for other in others where append(node, to: other.node, 0) { return other.node }
        for candidate in candidates + others.map(\.node) where displace(for: node, at: candidate, paths) {
            return candidate
        }
        replaceLast(of: candidates[0], 0, with: node)
        return candidates[0]
    }

    /// Puts a link to a node in the place of the farthest that no path is made of; false when all are needed.
    private func displace(for node: UInt32, at neighbour: UInt32, _ paths: Paths) -> Bool {
        let links = links(neighbour, 0)
        for place in stride(from: capacity(0) - 1, through: 0, by: -1)
        where !paths.include(links[place].load(ordering: .relaxed), of: neighbour) {
            links[place].store(node, ordering: .releasing)
            return true
        }
        return false
    }
}
