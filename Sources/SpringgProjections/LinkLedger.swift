import Synchronization

/// How each slot of a store stands with the graph: four sets of slots, a bit a slot, and how many are in each.
///
/// It is all that the writer, the indexer and the searches have to say to each other, and nobody ever waits for it: the
/// indexer runs at a low priority, and a lock that it held while it was not let run would stop a write.
///
///     put ──► unlinked + queued ──► indexer takes it from queued, links it, then takes it from unlinked
///     end, seen by no reader any more:
///         still queued ──► the writer takes it back and frees the slot at once
///         otherwise    ──► dead ──► indexer unlinks it, waits for the walks in progress ──► released ──► writer frees it
///
/// A row that has no direction (its vector is zero, or too extreme for float32) is in `unlinked` and never in `queued`.
final class LinkLedger: @unchecked Sendable {
    // Why @unchecked: everything that threads share is atomic; the writer alone allocates, and nothing moves.

    enum Members: Int, CaseIterable {
        /// Rows that a search has to compare one by one.
        case unlinked
        /// Rows that the graph is to take in.
        case queued
        /// Rows that the graph holds and nobody can see.
        case dead
        /// Slots that the graph has let go of.
        case released
    }

    /// What the checks of the graph's reachability found; here, since it outlives a graph that another takes the place of.
    let sweeps = SweepCounters()

    private typealias Word = Atomic<UInt64>
    /// Slots of a block: small for an index of a few rows, and few blocks for a million.
    private static let blockShift = 12
    private static let wordsInSet = 1 << (blockShift - 6)
    private static let wordsInBlock = wordsInSet * Members.allCases.count
    static let blockBytes = wordsInBlock * 8

    private let directory: Atomic<UnsafeMutablePointer<UnsafeMutablePointer<Word>>?>
    private let blocks = Atomic<Int>(0)
    private let counts: UnsafeMutablePointer<Atomic<Int>>
    // The writer's own.
    private var capacity = 16
    private var retired: [UnsafeMutablePointer<UnsafeMutablePointer<Word>>] = []

    init() {
        directory = Atomic(.allocate(capacity: capacity))
        counts = .allocate(capacity: Members.allCases.count)
        for members in Members.allCases { (counts + members.rawValue).initialize(to: Atomic(0)) }
    }

    deinit {
        if let blocks = directory.load(ordering: .relaxed) {
            for block in 0..<self.blocks.load(ordering: .relaxed) { blocks[block].deallocate() }
            blocks.deallocate()
        }
        for old in retired { old.deallocate() }
        counts.deallocate()
    }

    /// Slots that have a place; 64 a word.
    var words: Int { blocks.load(ordering: .acquiring) * LinkLedger.wordsInSet }

    /// How many slots are in a set.
    func count(_ members: Members) -> Int { (counts + members.rawValue).pointee.load(ordering: .acquiring) }

    /// Makes a place for `slot`; returns the bytes that it took.
    ///
    /// The writer only, before anything else is said of the slot.
    func reserve(_ slot: UInt32) -> Int {
        let count = blocks.load(ordering: .relaxed)
        guard Int(slot) >> LinkLedger.blockShift == count else { return 0 }
        // Never nil after the initialiser.
        var current = directory.load(ordering: .relaxed).unsafelyUnwrapped
        if count == capacity {
            let larger = UnsafeMutablePointer<UnsafeMutablePointer<Word>>.allocate(capacity: capacity * 2)
            larger.initialize(from: current, count: count)
            // Others may still hold the old one: kept to the end, as the store keeps its directories.
            retired.append(current)
            capacity *= 2
            current = larger
        }
        let block = UnsafeMutablePointer<Word>.allocate(capacity: LinkLedger.wordsInBlock)
        for word in 0..<LinkLedger.wordsInBlock { (block + word).initialize(to: Atomic(0)) }
        (current + count).initialize(to: block)
        directory.store(current, ordering: .releasing)
        blocks.store(count + 1, ordering: .releasing)
        return LinkLedger.blockBytes
    }

    @inline(__always)
    private func place(_ members: Members, _ word: Int) -> UnsafeMutablePointer<Word> {
        // Never nil after the initialiser.
        let block = directory.load(ordering: .acquiring).unsafelyUnwrapped[word / LinkLedger.wordsInSet]
        return block + members.rawValue * LinkLedger.wordsInSet + word % LinkLedger.wordsInSet
    }

    /// The slots `word * 64 ..< word * 64 + 64` that are in a set.
    @inline(__always)
    func word(_ members: Members, _ word: Int) -> UInt64 { place(members, word).pointee.load(ordering: .acquiring) }

    func contains(_ members: Members, _ slot: UInt32) -> Bool {
        word(members, Int(slot) >> 6) & (1 << UInt64(slot & 63)) != 0
    }

    func insert(_ members: Members, _ slot: UInt32) {
        let bit: UInt64 = 1 << UInt64(slot & 63)
        let before = place(members, Int(slot) >> 6).pointee.bitwiseOr(bit, ordering: .acquiringAndReleasing).oldValue
        if before & bit == 0 { (counts + members.rawValue).pointee.wrappingAdd(1, ordering: .acquiringAndReleasing) }
    }

    /// Returns whether the slot was in the set: of two that take it, one gets it.
    @discardableResult
    func remove(_ members: Members, _ slot: UInt32) -> Bool {
        let bit: UInt64 = 1 << UInt64(slot & 63)
        let before = place(members, Int(slot) >> 6).pointee.bitwiseAnd(~bit, ordering: .acquiringAndReleasing).oldValue
        guard before & bit != 0 else { return false }
        (counts + members.rawValue).pointee.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        return true
    }

    /// Calls `body` with each slot of a set, in ascending order, until it returns false.
    func forEach(_ members: Members, _ body: (UInt32) -> Bool) {
        guard count(members) > 0 else { return }
        for word in 0..<words {
            var bits = self.word(members, word)
            while bits != 0 {
                let bit = bits.trailingZeroBitCount
                bits &= bits - 1
                guard body(UInt32(word * 64 + bit)) else { return }
            }
        }
    }
}
