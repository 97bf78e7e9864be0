import CSpringg
import Synchronization

/// Algorithms 1 and 4 of the paper: nodes' places, and which of their candidates become their neighbours.
///
/// Rows are linked many at a time, in steps that a team of threads takes together; within a step nobody reads what
/// another writes, so that there is no lock and the same batch gives the same graph on any number of threads (the idea
/// of ParlayANN, Manohar et al. 2024):
///
///     encode     each new node's code
///     choose     each new node walks the graph, in which no link changes meanwhile, looks at the whole batch beside
///                it, and sets its own links
///     accept     each node that was chosen takes in those that chose it, all at once
///
/// The indexer only, with its team.
extension HNSWGraph {
    /// Rows that may be linked together: few enough beside those that are there, so that the graph that they walk leads
    /// to where they belong, and that each can be compared with all others.
    var batchMax: Int { min(max(1, count / HNSWGraph.batchShare), HNSWGraph.batchLimit) }
    private static let batchShare = 16
    private static let batchLimit = 256

    /// Links rows that the graph does not hold, and for which room was made.
    func insert(_ slots: [UInt32], _ team: IndexingTeam) {
        let nodes = slots.map(makeNode)
        team.forEach(nodes.count) { [self] member, _ in encode(nodes[member]) }
        let batch = InsertionBatch(nodes, levels: nodes.map(level), M: parameters.M)
        let (start, top) = entryPoint() ?? (HNSWGraph.none, -1)
        team.forEach(nodes.count) { [self] member, scratch in place(member, of: batch, from: start, top: top, scratch) }
        batch.sortOffers()
        team.forEach(batch.groups.count) { [self] group, scratch in accept(batch.groups[group], of: batch, scratch) }
        for (node, level) in batch.unaccepted() {
            // All its neighbours are full of better ones, and would leave this row where no search comes.
            let nearest = links(node, level)[0].load(ordering: .relaxed)
            if !append(node, to: nearest, level) { replaceLast(of: nearest, level, with: node) }
        }
        for node in nodes { markLinked(node) }
        changesSinceSweep += nodes.count
        changesSinceRenumbering += nodes.count
        if let (node, level) = batch.highest, level > top {
            entry.store(UInt64(level) << 32 | UInt64(node), ordering: .releasing)
        }
    }

    /// Chooses the neighbours of a new node on all its levels, and offers it to them.
    private func place(
        _ member: Int,
        of batch: InsertionBatch,
        from entry: UInt32,
        top: Int,
        _ scratch: WalkScratch
    ) {
        let node = batch.nodes[member]
        let highest = batch.levels[member]
        let query = query(of: node, as: .sought, scratch)
        var nearest = top < 0 ? nil : descend(query, from: entry, top: top, bottom: highest, scratch)
        for level in stride(from: highest, through: 0, by: -1) {
            scratch.clearPool(ef: parameters.efConstruction)
            if let start = nearest, level <= top {
                scratch.clearVisited(nodes: nodesUsed)
                walk(query, from: start, level: level, ef: parameters.efConstruction, scratch)
                nearest = (Candidate.node(scratch.pool[0]), Candidate.similarity(scratch.pool[0]))
            }
            compareBatch(query, with: batch, except: member, level, scratch)
            let offers = batch.offers(member, level)
            withUnsafeTemporaryAllocation(of: UInt32.self, capacity: parameters.M) { chosen in
                let count = select(scratch.pool, scratch.count, limit: parameters.M, into: chosen, scratch)
                setLinks(node, level, UnsafeBufferPointer(rebasing: chosen[..<count]))
                for place in 0..<count {
                    offers[place] = InsertionBatch.offer(of: member, to: chosen[place], level)
                }
            }
        }
    }

    /// Adds to the scratch's pool those of the batch that are on a level.
    private func compareBatch(
        _ query: Query,
        with batch: InsertionBatch,
        except member: Int,
        _ level: Int,
        _ scratch: WalkScratch
    ) {
        let limit = parameters.efConstruction
        var gathered = 0
        func compare() {
            compareBatch(query, gathered, scratch) { node, similarity in
                let candidate = Candidate.make(similarity: similarity, node: node)
                _ = Candidate.insert(candidate, into: scratch.pool, count: &scratch.count, limit: limit)
            }
            gathered = 0
        }
        for other in batch.nodes.indices where other != member && batch.levels[other] >= level {
            gather(batch.nodes[other], gathered, scratch)
            gathered += 1
            if gathered == WalkScratch.batchMax { compare() }
        }
        compare()
    }

    /// Links a node to those that chose it, as far as they are among its best.
    private func accept(_ group: Range<Int>, of batch: InsertionBatch, _ scratch: WalkScratch) {
        let (node, level) = InsertionBatch.target(batch.sorted[group.lowerBound])
        var next = group.lowerBound
        while next < group.upperBound {
            let member = InsertionBatch.member(batch.sorted[next])
            guard append(batch.nodes[member], to: node, level) else { break }
            batch.markAccepted(member, level)
            next += 1
        }
        guard next < group.upperBound else { return }
        // No room for the rest: the best of all.
        let query = query(of: node, as: .owner, scratch)
        let limit = capacity(level) + group.upperBound - next
        scratch.clearPool(ef: limit)
        var gathered = 0
        func compare() {
            compareBatch(query, gathered, scratch) { node, similarity in
                let candidate = Candidate.make(similarity: similarity, node: node)
                _ = Candidate.insert(candidate, into: scratch.pool, count: &scratch.count, limit: limit)
            }
            gathered = 0
        }
        func add(_ other: UInt32) {
            gather(other, gathered, scratch)
            gathered += 1
            if gathered == WalkScratch.batchMax { compare() }
        }
        forEachLink(node, level, add)
        for offer in next..<group.upperBound {
            let other = batch.nodes[InsertionBatch.member(batch.sorted[offer])]
            // A node of the same batch may have chosen it in turn.
            if !leads(node, to: other, level) { add(other) }
        }
        compare()
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: capacity(level)) { chosen in
            let kept = select(scratch.pool, scratch.count, limit: capacity(level), into: chosen, scratch)
            setLinks(node, level, UnsafeBufferPointer(rebasing: chosen[..<kept]))
            for offer in group {
                let member = InsertionBatch.member(batch.sorted[offer])
                if chosen[..<kept].contains(batch.nodes[member]) { batch.markAccepted(member, level) }
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

    private func leads(_ node: UInt32, to other: UInt32, _ level: Int) -> Bool {
        var found = false
        forEachLink(node, level) { if $0 == other { found = true } }
        return found
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
