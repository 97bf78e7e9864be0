import CSpringg
import SpringgLog

/// How a search was answered.
public struct SearchPlan: Sendable, Equatable {
    /// The ways there are.
    public enum Method: String, Sendable {
        /// The query was compared with every row.
        case exact
        /// The graph led to the nearest rows; those not in it were compared one by one.
        case hnsw
    }
    /// The way that was taken.
    public var method = Method.exact
    /// Candidates that the walk kept; 0 for an exact search.
    public var ef = 0
    /// Comparisons with codes, on the walk.
    public var distances = 0
    /// Nodes whose neighbours the walk looked at.
    public var nodesVisited = 0
    /// Rows compared because the graph did not hold them yet.
    public var unindexedScanned = 0
    /// Those of them that were compared with their float32 components; a code ruled the others out.
    public var unindexedCompared = 0
    /// Rows compared exactly, with their float32 components.
    public var exactComparisons = 0
    /// True when the walk led to too few visible rows, and every row was compared after all.
    public var fellBack = false
}

/// Search by the graph: a walk on codes, the best of it compared exactly, and every row that is not linked yet.
enum GraphSearch {
    /// Rows, for each candidate that a walk keeps, from which on a walk is cheaper than comparing all of them.
    ///
    /// Measured on 5,000 real embeddings of 384 dimensions, one core: a walk at ef 64 takes 25 µs, as long as comparing
    /// 1,380 rows. Rows of more dimensions are compared in proportion more slowly, codes too.
    static let rowsForEachCandidate = 20

    /// Rows below which no graph is built: exact search is cheaper than any walk.
    static let rowsMin = HNSWParameters.defaultEf * rowsForEachCandidate

    /// Candidates compared exactly beyond `k`: the order by codes is nearly that by floats, and ten more places catch
    /// what differs.
    static func candidatesCompared(k: Int) -> Int { k + max(10, k / 4) }

    /// Whether the walk is the cheaper way.
    static func pays(k: Int, ef: Int, rowsLinked: Int) -> Bool {
        rowsLinked >= max(ef, candidatesCompared(k: k)) * rowsForEachCandidate
    }

    /// The nearest rows, or nil when the walk leads to fewer than there should be.
    static func nearest(
        _ query: UnsafeBufferPointer<Float>,
        k: Int,
        ef: Int,
        in current: CurrentGraph,
        of store: VectorStore,
        at moment: LSN,
        _ scratch: WalkScratch,
        plan: inout SearchPlan,
        cancellation: Cancellation? = nil,
        accepting predicate: ((UInt32) -> Bool)? = nil
    ) -> [ExactSearch.Candidate]? {
        scratch.distances = 0
        scratch.nodesVisited = 0
        scratch.cancellation = cancellation
        defer { scratch.cancellation = nil }
        return ExactSearch.withScorer(query, store) { scorer in
            var best = BoundedHeap(capacity: k)
            // First the rows that are not linked, then the walk: one that is being linked meanwhile is met at least once.
            var scanned: [Range<UInt32>] = []
            var scan = UnlinkedScan(scorer, scratch)
            plan.unindexedScanned = store.forEachUnlinkedRun(at: moment, unless: cancellation) {
                slot,
                rows,
                scales,
                count in
                scan.offer(slot, rows, scales, count, to: &best, accepting: predicate)
                scanned.append(slot..<slot + UInt32(count))
            }
            plan.unindexedCompared = scan.compared
            plan.exactComparisons = scan.compared
            // Only now: what another linked meanwhile is in the graph as it is now.
            let graph = current.graph
            guard let code = encode(scorer, scratch, graph), let (start, top) = graph.entryPoint() else { return nil }
            let wanted = candidatesCompared(k: k)
            plan.method = .hnsw
            plan.ef = max(ef, k + k / 4)
            var found = 0
            // Rows that died and are still linked take places in the pool: once more with room for them, if they are many.
            for _ in 0..<2 {
                // Numbers that are given out from here on are younger than this moment: the search passes over them.
                graph.search(
                    code,
                    from: start,
                    top: top,
                    ef: plan.ef,
                    scratch,
                    accepting: predicate.map { accepts in { accepts(graph.slot(of: $0)) } }
                )
                let (pool, count) =
                    predicate == nil ? (scratch.pool, scratch.count) : (scratch.accepted, scratch.acceptedCount)
                found = choose(pool, count, wanted, graph, moment, without: scanned)
                let hidden = count - found
                if found == min(wanted, count) || hidden == 0 { break }
                plan.ef = min(plan.ef * 2 + hidden, efMax)
            }
            let pool = predicate == nil ? scratch.pool : scratch.accepted
            plan.exactComparisons += compare(
                pool,
                found,
                scorer,
                scratch,
                k: k,
                deviation: graph.coding.deviation,
                &best
            )
            plan.distances = scratch.distances
            plan.nodesVisited = scratch.nodesVisited
            return best.count < k ? nil : best.sorted(in: store)
        }
    }

    /// Candidates that a second walk keeps, at most; from there on every row is compared.
    private static let efMax = 4 * IndexOptions.efRange.upperBound

    /// The query's code; nil for a query of zeros, which has no direction to walk in.
    private static func encode(
        _ scorer: ExactSearch.Scorer,
        _ scratch: WalkScratch,
        _ graph: HNSWGraph
    ) -> HNSWGraph.Query? {
        guard let unit = scorer.unit.baseAddress else { return nil }
        let room = scratch.query(.sought, bytes: graph.coding.queryBytes)
        return graph.coding.query(unit, scale: 1, into: room)
    }

    /// Puts the slots of the first `wanted` candidates that are visible to the front of the pool; returns how many there
    /// are.
    private static func choose(
        _ pool: UnsafeMutablePointer<UInt64>,
        _ count: Int,
        _ wanted: Int,
        _ graph: HNSWGraph,
        _ moment: LSN,
        without scanned: [Range<UInt32>]
    ) -> Int {
        for place in 0..<min(count, wanted) {
            graph.store.prefetch(graph.slot(of: Candidate.node(pool[place])))
        }
        var found = 0
        for place in 0..<count where found < wanted {
            let slot = graph.slot(of: Candidate.node(pool[place]))
            guard graph.store.isVisible(slot, at: moment), !contains(scanned, slot) else { continue }
            pool[found] = pool[place] & ~0xFFFF_FFFF | UInt64(slot)
            found += 1
        }
        return found
    }

    /// Whether one of some ascending ranges holds the slot.
    private static func contains(_ ranges: [Range<UInt32>], _ slot: UInt32) -> Bool {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= slot { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].contains(slot)
    }

    /// Scores slots by their floats, nearest by code first, as long as they may be among the best; returns how many.
    ///
    /// `deviation` is that of a cosine by codes. One row in a thousand is off by three of them, and had to be at the edge.
    private static func compare(
        _ pool: UnsafeMutablePointer<UInt64>,
        _ count: Int,
        _ scorer: ExactSearch.Scorer,
        _ scratch: WalkScratch,
        k: Int,
        deviation: Float,
        _ best: inout BoundedHeap
    ) -> Int {
        let margin = 3 * deviation
        var start = 0
        while start < count {
            // Too far below the worst of the best for the code's error to make up.
            let estimate = Candidate.similarity(pool[start])
            if estimate < best.threshold - margin { break }
            let size = min(start == 0 ? k + comparedAtOnce / 2 : comparedAtOnce, WalkScratch.batchMax, count - start)
            for place in 0..<size {
                scratch.batch[place] = UInt32(truncatingIfNeeded: pool[start + place])
                scratch.rows[place] = UnsafeRawPointer(scorer.store.vector(of: scratch.batch[place]).baseAddress)
            }
            scorer.offer(scratch.batch, scratch.rows, size, products: scratch.dots, to: &best)
            start += size
        }
        return start
    }

    /// Rows that are compared before it is asked again whether the next may be among the best.
    private static let comparedAtOnce = 4
}
