import Synchronization

/// What one walk at a time works in, kept from walk to walk: memory, and no other allocation on the way.
final class WalkScratch: @unchecked Sendable {
    // Why @unchecked: whoever took it from the pool has it alone until it is given back.

    /// Nodes seen, a bit each.
    private(set) var visited: UnsafeMutablePointer<UInt64>
    private var visitedWords = 0
    /// Numbers that have a bit; a node beyond them is younger than the walk.
    private(set) var visitedNodes: UInt32 = 0
    private var visitedCapacity = 64
    /// Candidates, nearest first; see `Candidate`.
    private(set) var pool: UnsafeMutablePointer<UInt64>
    private var poolCapacity: Int
    /// How many candidates the pool holds.
    var count = 0
    /// Candidates that the walk's predicate accepts, nearest first.
    private(set) var accepted: UnsafeMutablePointer<UInt64>
    var acceptedCount = 0

    /// Neighbours in hand: their numbers, codes and dot products.
    let batch: UnsafeMutablePointer<UInt32>
    let rows: UnsafeMutablePointer<UnsafeRawPointer?>
    let dots: UnsafeMutablePointer<Float>
    /// As many as a node has links, with one to spare.
    static let batchMax = 2 * IndexOptions.mRange.upperBound + 1

    /// What a vector is to which others are compared; each has a code at the same time.
    enum Part: Int, CaseIterable {
        /// The one that a walk looks for.
        case sought
        /// The one whose neighbours are chosen.
        case owner
        /// The one that may become a neighbour.
        case candidate
    }

    private var queries: UnsafeMutableRawPointer
    private var queryCapacity = 64

    /// Ends the walk, if anything does.
    var cancellation: Cancellation?

    // What was done, for whoever asks.
    var distances = 0
    var nodesVisited = 0

    init() {
        visited = .allocate(capacity: visitedCapacity)
        poolCapacity = 256
        pool = .allocate(capacity: poolCapacity)
        accepted = .allocate(capacity: poolCapacity)
        batch = .allocate(capacity: WalkScratch.batchMax)
        rows = .allocate(capacity: WalkScratch.batchMax)
        dots = .allocate(capacity: WalkScratch.batchMax)
        queries = WalkScratch.allocateQueries(queryCapacity)
    }

    deinit {
        visited.deallocate()
        pool.deallocate()
        accepted.deallocate()
        batch.deallocate()
        rows.deallocate()
        dots.deallocate()
        queries.deallocate()
    }

    /// Forgets which nodes were seen, of those with numbers below `nodes`.
    func clearVisited(nodes: Int) {
        visitedNodes = UInt32(nodes)
        visitedWords = (nodes + 63) >> 6
        if visitedWords > visitedCapacity {
            visited.deallocate()
            visitedCapacity = max(visitedWords, visitedCapacity * 2)
            visited = .allocate(capacity: visitedCapacity)
        }
        visited.update(repeating: 0, count: visitedWords)
    }

    @inline(__always)
    func markVisited(_ node: UInt32) { visited[Int(node) >> 6] |= 1 << UInt64(node & 63) }

    /// Empties the pool and makes room for `ef` candidates and one more.
    func clearPool(ef: Int) {
        if ef + 1 > poolCapacity {
            pool.deallocate()
            accepted.deallocate()
            poolCapacity = max(ef + 1, poolCapacity * 2)
            pool = .allocate(capacity: poolCapacity)
            accepted = .allocate(capacity: poolCapacity)
        }
        count = 0
        acceptedCount = 0
    }

    /// Room for the code of a vector that others are compared with; what was there before may be lost when it grows.
    func query(_ part: Part, bytes: Int) -> UnsafeMutableRawPointer {
        if bytes > queryCapacity {
            queries.deallocate()
            queryCapacity = bytes
            queries = WalkScratch.allocateQueries(bytes)
        }
        return queries + part.rawValue * queryCapacity
    }

    private static func allocateQueries(_ bytes: Int) -> UnsafeMutableRawPointer {
        .allocate(byteCount: bytes * Part.allCases.count, alignment: 64)
    }
}

/// A candidate in one word, ordered by distance: bits of 1 - similarity (never negative, so that they order like the
/// number) << 32 | node, with the highest bit of the node set once its neighbours have been looked at.
enum Candidate {
    static let expanded: UInt64 = 1 << 31

    @inline(__always)
    static func make(similarity: Float, node: UInt32) -> UInt64 {
        UInt64(max(0, 1 - similarity).bitPattern) << 32 | UInt64(node)
    }

    @inline(__always)
    static func node(_ candidate: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: candidate & (expanded - 1)) }

    @inline(__always)
    static func similarity(_ candidate: UInt64) -> Float {
        1 - Float(bitPattern: UInt32(truncatingIfNeeded: candidate >> 32))
    }

    /// Puts a candidate in its place among the nearest `limit`; returns the place, or nil when it is not among them.
    @inline(__always)
    static func insert(
        _ candidate: UInt64,
        into pool: UnsafeMutablePointer<UInt64>,
        count: inout Int,
        limit: Int
    ) -> Int? {
        if count == limit, candidate >> 32 >= pool[count - 1] >> 32 { return nil }
        // Halves by arithmetic on the borrow of a difference (no distance has the highest bit): a branch here is foretold
        // wrongly every other time, and costs more than the rest of the search.
        var low = 0
        var length = count
        while length > 0 {
            let half = (length &+ 1) >> 1
            let isLower = (pool[low &+ half &- 1] & ~expanded &- candidate) >> 63
            low &+= half & (0 &- Int(truncatingIfNeeded: isLower))
            length &-= half
        }
        if count < limit { count &+= 1 }
        (pool + low + 1).update(from: pool + low, count: count &- 1 &- low)
        pool[low] = candidate
        return low
    }
}

/// Scratch for the walks of a database: as many as ever walked at once.
final class ScratchPool: Sendable {
    private let idle = Mutex<[WalkScratch]>([])

    func with<R>(_ body: (WalkScratch) throws -> R) rethrows -> R {
        let scratch = idle.withLock { $0.popLast() } ?? WalkScratch()
        defer { idle.withLock { $0.append(scratch) } }
        return try body(scratch)
    }
}
