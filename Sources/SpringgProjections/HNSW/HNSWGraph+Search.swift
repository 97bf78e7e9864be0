import CSpringg
import Synchronization

/// Algorithms 2 and 5 of the paper, on codes.
extension HNSWGraph {
    typealias Query = VectorCode.Query

    /// A node as the one that others are compared with.
    ///
    /// The one that is sought is made from its row, since codes of four bits on both sides find worse neighbours; what is
    /// compared among those found, from its code: that lies there, and the row does not. Valid until the scratch is asked for another query in
    /// the same part.
    func query(of node: UInt32, as part: WalkScratch.Part, _ scratch: WalkScratch) -> Query {
        if coding.kind == .int8 { return Query(code: UnsafeRawPointer(code(node)), factor: factor(node).pointee) }
        let into = scratch.query(part, bytes: coding.queryBytes)
        if coding.kind == .int4, part != .sought {
            return coding.query(of: code(node), factor: factor(node).pointee, into: into)
        }
        let slot = slot(of: node)
        guard let vector = store.vector(of: slot).baseAddress,
            let query = coding.query(vector, scale: store.scale(of: slot).pointee, into: into)
        else { preconditionFailure("node \(node) has no direction") }
        return query
    }

    @inline(__always)
    func similarity(_ query: Query, _ node: UInt32, _ scratch: WalkScratch) -> Float {
        gather(node, 0, scratch)
        var similarity: Float = 0
        compareBatch(query, 1, scratch) { similarity = $1 }
        return similarity
    }

    /// Puts a node into a place of the scratch's batch.
    @inline(__always)
    func gather(_ node: UInt32, _ place: Int, _ scratch: WalkScratch) {
        scratch.batch[place] = node
        scratch.rows[place] = row(node)
    }

    /// Similarities of the batch's first `count` nodes, which `use` gets one by one.
    @inline(__always)
    func compareBatch(
        _ query: Query,
        _ count: Int,
        _ scratch: WalkScratch,
        _ use: (UInt32, Float) -> Void
    ) {
        guard count > 0 else { return }
        coding.dots(query, scratch.rows, count, into: scratch.dots)
        scratch.distances &+= count
        let (nodes, batch, dots) = (nodes, scratch.batch, scratch.dots)
        for place in 0..<count {
            let node = batch[place]
            use(node, (dots[place] - query.offset) * query.factor * nodes.factor(node).pointee)
        }
    }

    /// The entry point and its level; nil while the graph is empty.
    func entryPoint() -> (node: UInt32, level: Int)? {
        let word = entry.load(ordering: .acquiring)
        return word == .max ? nil : (UInt32(truncatingIfNeeded: word), Int(word >> 32))
    }

    /// The `ef` nearest nodes of all that a search finds, in the scratch's pool.
    ///
    /// What it compares on the way down is on the lowest level too: it goes into the pool, and is not compared again. With a
    /// predicate the search goes the same way, and the nearest `ef` of all nodes seen on it that satisfy it are gathered
    /// beside the pool.
    func search(
        _ query: Query,
        from start: UInt32,
        top: Int,
        ef: Int,
        _ scratch: WalkScratch,
        accepting predicate: ((UInt32) -> Bool)? = nil
    ) {
        scratch.clearPool(ef: ef)
        scratch.clearVisited(nodes: nodesUsed)
        scratch.markVisited(start)
        gather(start, 0, scratch)
        _ = compareUnseen(query, 1, ef: ef, scratch, accepting: predicate)
        var level = top
        while level > 0 {
            scratch.nodesVisited &+= 1
            let nearest = scratch.pool[0]
            let fresh = gatherUnseen(Candidate.node(nearest), level, scratch)
            _ = compareUnseen(query, fresh, ef: ef, scratch, accepting: predicate)
            if scratch.pool[0] == nearest { level -= 1 }
        }
        expand(query, level: 0, ef: ef, scratch, accepting: predicate)
    }

    /// The nearest node that greedy steps reach on the levels from `top` down to above `bottom`.
    func descend(
        _ query: Query,
        from start: UInt32,
        top: Int,
        bottom: Int,
        _ scratch: WalkScratch
    ) -> (node: UInt32, similarity: Float) {
        var best = (node: start, similarity: similarity(query, start, scratch))
        var level = top
        while level > bottom {
            scratch.nodesVisited &+= 1
            var count = 0
            forEachLink(best.node, level) { link in
                gather(link, count, scratch)
                count &+= 1
            }
            let before = best.node
            compareBatch(query, count, scratch) { node, similarity in
                if similarity > best.similarity { best = (node, similarity) }
            }
            if best.node == before { level -= 1 }
        }
        return best
    }

    /// The `ef` nearest nodes that a walk on one level finds from `start`, in the scratch's pool.
    ///
    /// `scratch.visited` must be cleared; nodes marked there are passed over.
    func walk(
        _ query: Query,
        from start: (node: UInt32, similarity: Float),
        level: Int,
        ef: Int,
        _ scratch: WalkScratch
    ) {
        scratch.clearPool(ef: ef)
        scratch.pool[0] = Candidate.make(similarity: start.similarity, node: start.node)
        scratch.count = 1
        scratch.markVisited(start.node)
        expand(query, level: level, ef: ef, scratch)
    }

    /// Walks on from the candidates in the pool until none is left whose neighbours were not looked at.
    @inline(__always)
    private func expand(
        _ query: Query,
        level: Int,
        ef: Int,
        _ scratch: WalkScratch,
        accepting predicate: ((UInt32) -> Bool)? = nil
    ) {
        let (pool, cancellation) = (scratch.pool, scratch.cancellation)
        var cursor = 0
        var asked = HNSWGraph.none
        while cursor < scratch.count, cancellation?.isCancelled != true {
            let candidate = pool[cursor]
            cursor &+= 1
            if candidate & Candidate.expanded != 0 { continue }
            pool[cursor &- 1] = candidate | Candidate.expanded
            scratch.nodesVisited &+= 1
            let fresh = gatherUnseen(Candidate.node(candidate), level, scratch)
            // The one whose turn comes next, unless a nearer one is found now: its neighbours are on their way meanwhile.
            if cursor < scratch.count, pool[cursor] & Candidate.expanded == 0, asked != Candidate.node(pool[cursor]) {
                asked = Candidate.node(pool[cursor])
                prefetchNeighbours(asked, level)
            }
            let nearest = compareUnseen(query, fresh, ef: ef, scratch, accepting: predicate)
            cursor = min(cursor, nearest)
        }
    }

    /// Asks for the codes of a node's neighbours.
    @inline(__always)
    private func prefetchNeighbours(_ node: UInt32, _ level: Int) {
        let nodes = nodes
        forEachLink(node, level) { link in
            let code = nodes.code(link)
            for offset in stride(from: 0, to: coding.bytes, by: 64) { springg_prefetch(code + offset) }
        }
    }

    /// Compares the batch's first nodes and puts the nearest into the pool; returns the first place that one of them took.
    @inline(__always)
    private func compareUnseen(
        _ query: Query,
        _ count: Int,
        ef: Int,
        _ scratch: WalkScratch,
        accepting predicate: ((UInt32) -> Bool)?
    ) -> Int {
        let (pool, nodes) = (scratch.pool, nodes)
        var held = scratch.count
        var nearest = Int.max
        compareBatch(query, count, scratch) { node, similarity in
            let candidate = Candidate.make(similarity: similarity, node: node)
            if let place = Candidate.insert(candidate, into: pool, count: &held, limit: ef) {
                // Its links, should its turn come: two lines for all but a large M.
                springg_prefetch(nodes.block(node))
                springg_prefetch(nodes.block(node) + 64)
                nearest = min(nearest, place)
            }
            if let predicate, predicate(node) {
                _ = Candidate.insert(candidate, into: scratch.accepted, count: &scratch.acceptedCount, limit: ef)
            }
        }
        scratch.count = held
        return nearest
    }

    /// Puts the neighbours of a node that the walk has not seen into the scratch's batch, and marks them; returns how many
    /// there are.
    @inline(__always)
    private func gatherUnseen(_ node: UInt32, _ level: Int, _ scratch: WalkScratch) -> Int {
        let links = links(node, level)
        let (visited, limit, batch, rows) = (scratch.visited, scratch.visitedNodes, scratch.batch, scratch.rows)
        var count = 0
        for number in 0..<capacity(level) {
            let link = links[number].load(ordering: .acquiring)
            if link >= limit {
                if link == HNSWGraph.none { break }
                // Younger than this walk: its row is invisible here, or scanned.
                continue
            }
            let word = Int(link) >> 6
            let bit: UInt64 = 1 << UInt64(link & 63)
            let before = visited[word]
            visited[word] = before | bit
            // Written in any case and kept when unseen: nobody can foretell which are, and a wrong guess costs more.
            batch[count] = link
            count &+= before & bit == 0 ? 1 : 0
        }
        let nodes = nodes
        for place in 0..<count {
            let link = batch[place]
            rows[place] = coding.kind == .none ? row(link) : UnsafeRawPointer(nodes.code(link))
            springg_prefetch(nodes.factor(link))
        }
        return count
    }
}
