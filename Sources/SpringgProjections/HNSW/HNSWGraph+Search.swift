import CSpringg
import Glibc
import Synchronization

/// Algorithms 2 and 5 of the paper, on codes.
extension HNSWGraph {
    typealias Query = VectorCode.Query

    /// A node as the one that others are compared with.
    ///
    /// Of the float row where codes are too coarse for both sides. Valid until the scratch is asked for another query in
    /// the same part.
    func query(of node: UInt32, as part: WalkScratch.Part, _ scratch: WalkScratch) -> Query {
        if coding.kind == .int8 { return Query(code: UnsafeRawPointer(code(node)), factor: factor(node).pointee) }
        let slot = slot(of: node)
        let into = scratch.query(part, bytes: coding.queryBytes)
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
        for place in 0..<count {
            let node = scratch.batch[place]
            use(node, (scratch.dots[place] - query.offset) * query.factor * factor(node).pointee)
        }
    }

    /// The entry point and its level; nil while the graph is empty.
    func entryPoint() -> (node: UInt32, level: Int)? {
        let word = entry.load(ordering: .acquiring)
        return word == .max ? nil : (UInt32(truncatingIfNeeded: word), Int(word >> 32))
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
            let links = links(best.node, level)
            var count = 0
            for place in 0..<parameters.M {
                let link = links[place].load(ordering: .acquiring)
                if link == HNSWGraph.none { break }
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
    /// `scratch.visited` must be cleared; nodes marked there are passed over. With a predicate the walk goes the same
    /// way, and the nearest `ef` of all nodes seen on it that satisfy it are gathered beside the pool.
    func walk(
        _ query: Query,
        from start: (node: UInt32, similarity: Float),
        level: Int,
        ef: Int,
        _ scratch: WalkScratch,
        accepting predicate: ((UInt32) -> Bool)? = nil
    ) {
        scratch.clearPool(ef: ef)
        let pool = scratch.pool
        var count = 1
        pool[0] = Candidate.make(similarity: start.similarity, node: start.node)
        scratch.markVisited(start.node)
        if let predicate, predicate(start.node) {
            scratch.accepted[0] = pool[0]
            scratch.acceptedCount = 1
        }
        var cursor = 0
        var nodes = 0
        while true {
            // The neighbours of a few nodes at a time: while those of one are awaited from memory, others are on their way.
            var fresh = 0
            var taken = 0
            while cursor < count, taken < HNSWGraph.expandedAtOnce {
                let candidate = pool[cursor]
                if candidate & Candidate.expanded == 0 {
                    pool[cursor] = candidate | Candidate.expanded
                    fresh = gatherUnseen(Candidate.node(candidate), level, from: fresh, scratch)
                    taken &+= 1
                }
                cursor &+= 1
            }
            if taken == 0 { break }
            nodes &+= taken
            compareBatch(query, fresh, scratch) { node, similarity in
                let candidate = Candidate.make(similarity: similarity, node: node)
                if let place = Candidate.insert(candidate, into: pool, count: &count, limit: ef) {
                    cursor = min(cursor, place)
                }
                if let predicate, predicate(node) {
                    _ = Candidate.insert(
                        candidate,
                        into: scratch.accepted,
                        count: &scratch.acceptedCount,
                        limit: ef
                    )
                }
            }
        }
        scratch.count = count
        scratch.nodesVisited &+= nodes
    }

    /// Nodes whose neighbours are compared together.
    static let expandedAtOnce = Int(getenv("BEAM").flatMap { atoi($0) } ?? 1)

    /// Puts the neighbours of a node that the walk has not seen into the scratch's batch, behind `place`, and marks them;
    /// returns the place behind them.
    @inline(__always)
    private func gatherUnseen(_ node: UInt32, _ level: Int, from place: Int, _ scratch: WalkScratch) -> Int {
        let links = links(node, level)
        let (visited, words) = (scratch.visited, scratch.visitedWords)
        var place = place
        for number in 0..<capacity(level) {
            let link = links[number].load(ordering: .acquiring)
            if link == HNSWGraph.none { break }
            let word = Int(link) >> 6
            // A number beyond the bits is younger than this walk: its row is invisible here, or scanned.
            if word >= words { continue }
            let bit: UInt64 = 1 << UInt64(link & 63)
            let before = visited[word]
            visited[word] = before | bit
            // Written in any case and kept when unseen: nobody can foretell which are, and a wrong guess costs more.
            gather(link, place, scratch)
            springg_prefetch(factor(link))
            place &+= before & bit == 0 ? 1 : 0
        }
        return place
    }
}
