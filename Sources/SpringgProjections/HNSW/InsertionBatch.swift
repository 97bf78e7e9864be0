import Synchronization

/// Rows that are being linked together, and which nodes they chose.
///
/// An offer says that a member chose a node on a level. It is one word, level << 59 | node << 28 | member, so that sorted
/// offers stand together by node.
final class InsertionBatch: @unchecked Sendable {
    // Why @unchecked: the arrays do not change; of `offered` each member's part is written in its own round of a loop;
    // `accepted` is atomic; `sorted` and `groups` are set between two loops.

    let nodes: [UInt32]
    let levels: [Int]
    /// The offers in order.
    private(set) var sorted: [UInt64] = []
    /// The parts of `sorted` that are for one node on one level.
    private(set) var groups: [Range<Int>] = []

    private let M: Int
    /// Where each member's offers begin: M a level.
    private let starts: [Int]
    private let offered: UnsafeMutablePointer<UInt64>
    /// Of each member the levels, a bit each, on which some node took it.
    private let accepted: UnsafeMutablePointer<Atomic<UInt32>>

    private static let memberBits: UInt64 = 28
    private static let levelShift: UInt64 = 59
    private static let noOffer = UInt64.max

    init(_ nodes: [UInt32], levels: [Int], M: Int) {
        self.nodes = nodes
        self.levels = levels
        self.M = M
        var starts: [Int] = []
        var end = 0
        for level in levels {
            starts.append(end)
            end += (level + 1) * M
        }
        self.starts = starts
        offered = .allocate(capacity: end)
        offered.initialize(repeating: InsertionBatch.noOffer, count: end)
        accepted = .allocate(capacity: nodes.count)
        for member in nodes.indices { (accepted + member).initialize(to: Atomic(0)) }
    }

    deinit {
        offered.deallocate()
        accepted.deinitialize(count: nodes.count)
        accepted.deallocate()
    }

    static func offer(of member: Int, to node: UInt32, _ level: Int) -> UInt64 {
        UInt64(level) << levelShift | UInt64(node) << memberBits | UInt64(member)
    }

    static func target(_ offer: UInt64) -> (node: UInt32, level: Int) {
        (UInt32(truncatingIfNeeded: offer >> memberBits & 0x7FFF_FFFF), Int(offer >> levelShift))
    }

    static func member(_ offer: UInt64) -> Int { Int(offer & (1 << memberBits - 1)) }

    /// Room for a member's offers on one level.
    func offers(_ member: Int, _ level: Int) -> UnsafeMutablePointer<UInt64> { offered + starts[member] + level * M }

    /// Brings the offers of all members in order.
    func sortOffers() {
        let end = (starts.last ?? 0) + ((levels.last ?? -1) + 1) * M
        sorted = UnsafeBufferPointer(start: offered, count: end).filter { $0 != InsertionBatch.noOffer }
        sorted.sort()
        var start = 0
        for place in sorted.indices
        where sorted[place] >> InsertionBatch.memberBits
            != sorted[start] >> InsertionBatch.memberBits
        {
            groups.append(start..<place)
            start = place
        }
        if start < sorted.count { groups.append(start..<sorted.count) }
    }

    func markAccepted(_ member: Int, _ level: Int) {
        (accepted + member).pointee.bitwiseOr(1 << UInt32(level), ordering: .relaxed)
    }

    /// Members that made offers on a level, and nobody took them.
    func unaccepted() -> [(node: UInt32, level: Int)] {
        var found: [(UInt32, Int)] = []
        for member in nodes.indices {
            let levelsAccepted = (accepted + member).pointee.load(ordering: .relaxed)
            for level in 0...levels[member]
            where levelsAccepted & 1 << UInt32(level) == 0 && offers(member, level).pointee != InsertionBatch.noOffer {
                found.append((nodes[member], level))
            }
        }
        return found
    }

    /// The first of the members on the highest level.
    var highest: (node: UInt32, level: Int)? {
        nodes.indices.max { (levels[$0], nodes[$1]) < (levels[$1], nodes[$0]) }.map { (nodes[$0], levels[$0]) }
    }
}
