import CSpringg
import SpringgLog
import Synchronization

/// A hierarchical navigable small world (Malkov & Yashunin 2016) over the rows of a store.
///
/// One indexer changes it, any number of walks read it meanwhile. A link is one atomic word, so a walk sees each link
/// whole, and a list of which some links are new and some old is as good as either: all of them lead to nodes that are
/// there. What a walk could have seen when it began is not written over before it has ended (`walks`).
///
/// Nodes have numbers of their own, which never change; `renumbered` makes a graph with others beside this one.
///
/// Memory comes in chunks of nodes that never move:
///
///     node        links of level 0 (M0 × UInt32, ended by 0xFFFFFFFF when fewer), padded to a cache line, then its code
///     factors     capacity × Float32: of the code, see `VectorCode`
///     slots       capacity × UInt32: where the row lies in the store
///     levels      capacity × UInt8: the highest level that the node is on
///     upper       capacity × pointer: links of the levels above 0, M each, for the one node in M that has them
final class HNSWGraph: @unchecked Sendable {
    // Why @unchecked: walks touch atomics, and codes that are written before any link leads to them and not again until
    // no walk can come from there. The other fields are the indexer's alone.

    typealias Link = Atomic<UInt32>
    /// Ends a list of links.
    static let none = UInt32.max

    let parameters: HNSWParameters
    let store: VectorStore
    /// The walks in progress: each pins the number of unlinkings that it may have missed.
    let walks: ReadEpochs
    let memory: MemoryAccount

    let coding: VectorCode
    let linkBytes: Int
    private let nodeBytes: Int
    private let factorOffset: Int
    private let slotOffset: Int
    private let levelOffset: Int
    private let upperOffset: Int
    private let chunkBytes: Int
    private let shift: Int
    private let mask: Int
    /// Memory that a chunk aims at: as the store's, so that a small index stays small.
    private static let chunkTargetBytes = 1 << 20
    /// Nodes, and slots, that a graph can name: walks keep a mark in the highest bit.
    static let nodesMax = 1 << 31

    /// Level of the entry point << 32 | its number; `.max` while the graph is empty.
    let entry = Atomic<UInt64>(.max)
    private let directory: Atomic<UnsafeMutablePointer<UnsafeMutableRawPointer>?>
    private let numbersGiven = Atomic<Int>(0)
    private let linkedCount = Atomic<Int>(0)
    private let bytesHeld = Atomic<Int>(0)
    /// Set when memory for more nodes was refused: rows wait unlinked then, and writers are not made to wait for them.
    let isOutOfMemory = Atomic<Bool>(false)

    // The indexer's own.
    private var arena = PageArena(isHuge: true)
    private var chunkCount = 0
    private var capacity = 16
    private var retired: [UnsafeMutablePointer<UnsafeMutableRawPointer>] = []
    /// Numbers that no walk can come to any more, to be used again.
    private var freeNumbers: [UInt32] = []
    /// The node of each slot that is linked.
    private var nodeOfSlot: [UInt32] = []
    var linked = BitSet()
    /// Links and unlinkings since every node was last seen to be reachable.
    var changesSinceSweep = 0
    /// Links and unlinkings since the nodes got their numbers.
    var changesSinceRenumbering = 0
    /// Monotonic nanoseconds before which no sweep is made for a few changes.
    var sweepDue: UInt64 = 0

    init(parameters: HNSWParameters, store: VectorStore, walks: ReadEpochs, memory: MemoryAccount) {
        self.parameters = parameters
        self.store = store
        self.walks = walks
        self.memory = memory
        coding = VectorCode(parameters.codes, dimensions: store.layout.dimensions)
        linkBytes = (parameters.M0 * 4 + 63) & ~63
        nodeBytes = linkBytes + coding.bytes
        var shift = 3
        while shift < 13, nodeBytes << (shift + 1) <= HNSWGraph.chunkTargetBytes { shift += 1 }
        self.shift = shift
        mask = (1 << shift) - 1
        factorOffset = nodeBytes << shift
        slotOffset = factorOffset + 4 << shift
        levelOffset = slotOffset + 4 << shift
        upperOffset = levelOffset + 1 << shift
        chunkBytes = upperOffset + MemoryLayout<UnsafeMutablePointer<Link>?>.stride << shift
        directory = Atomic(.allocate(capacity: capacity))
    }

    deinit {
        memory.add(-bytes)
        guard let chunks = directory.load(ordering: .relaxed) else { return }
        for chunk in 0..<chunkCount {
            for place in 0...mask { upper(chunks[chunk], place).pointee?.deallocate() }
        }
        chunks.deallocate()
        for old in retired { old.deallocate() }
    }

    /// Rows that walks can find.
    var count: Int { linkedCount.load(ordering: .acquiring) }

    /// Bytes of codes and links.
    var bytes: Int { bytesHeld.load(ordering: .relaxed) }

    /// Numbers that were ever given to nodes: what a walk's marks must cover.
    var nodesUsed: Int { numbersGiven.load(ordering: .acquiring) }

    /// The highest level of a new node, by its slot alone: above each level goes one node in M (the paper's mL = 1 / ln M).
    private func drawLevel(_ slot: UInt32) -> Int {
        var word = UInt64(slot) &+ 0x9E37_79B9_7F4A_7C15
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        word ^= word >> 31
        var level = 0
        var bound = UInt64.max / UInt64(parameters.M)
        while word < bound, level < HNSWGraph.levelMax {
            level += 1
            bound /= UInt64(parameters.M)
        }
        return level
    }

    /// More levels than 2^31 nodes need with the smallest M.
    static let levelMax = 16

    // MARK: - Nodes

    /// Where nodes lie, read once for many of them: what is atomic, or of the object, the compiler would read each time.
    struct Nodes {
        fileprivate let chunks: UnsafeMutablePointer<UnsafeMutableRawPointer>
        fileprivate let shift: Int
        fileprivate let mask: Int
        fileprivate let nodeBytes: Int
        fileprivate let linkBytes: Int
        fileprivate let factorOffset: Int

        /// The links of level 0, and behind them the code.
        @inline(__always)
        func block(_ node: UInt32) -> UnsafeMutableRawPointer {
            chunks[Int(node) >> shift] + (Int(node) & mask) &* nodeBytes
        }

        @inline(__always)
        func code(_ node: UInt32) -> UnsafeMutableRawPointer { block(node) + linkBytes }

        @inline(__always)
        func factor(_ node: UInt32) -> UnsafeMutablePointer<Float> {
            (chunks[Int(node) >> shift] + factorOffset).assumingMemoryBound(to: Float.self) + (Int(node) & mask)
        }
    }

    /// Those whose numbers were given out before.
    @inline(__always)
    var nodes: Nodes {
        Nodes(
            // Never nil after the initialiser; a chunk is there before a link leads into it.
            chunks: directory.load(ordering: .acquiring).unsafelyUnwrapped,
            shift: shift,
            mask: mask,
            nodeBytes: nodeBytes,
            linkBytes: linkBytes,
            factorOffset: factorOffset
        )
    }

    @inline(__always)
    private func chunk(_ node: UInt32) -> UnsafeMutableRawPointer { nodes.chunks[Int(node) >> shift] }

    @inline(__always)
    private func block(_ node: UInt32) -> UnsafeMutableRawPointer { nodes.block(node) }

    @inline(__always)
    func code(_ node: UInt32) -> UnsafeMutableRawPointer { nodes.code(node) }

    @inline(__always)
    func factor(_ node: UInt32) -> UnsafeMutablePointer<Float> { nodes.factor(node) }

    /// What a query is compared with: the node's code, or its row where there are no codes.
    @inline(__always)
    func row(_ node: UInt32) -> UnsafeRawPointer? {
        coding.kind == .none
            ? UnsafeRawPointer(store.vector(of: slot(of: node)).baseAddress) : UnsafeRawPointer(code(node))
    }

    /// Where the node's row lies in the store.
    @inline(__always)
    func slot(of node: UInt32) -> UInt32 { slotPlace(node).pointee }

    @inline(__always)
    private func slotPlace(_ node: UInt32) -> UnsafeMutablePointer<UInt32> {
        (chunk(node) + slotOffset).assumingMemoryBound(to: UInt32.self) + (Int(node) & mask)
    }

    /// The node of a slot that is linked.
    ///
    /// The indexer only.
    func node(of slot: UInt32) -> UInt32 { nodeOfSlot[Int(slot)] }

    /// A node's highest level.
    func level(_ node: UInt32) -> Int { Int(levelPlace(node).pointee) }

    private func levelPlace(_ node: UInt32) -> UnsafeMutablePointer<UInt8> {
        (chunk(node) + levelOffset).assumingMemoryBound(to: UInt8.self) + (Int(node) & mask)
    }

    @inline(__always)
    private func upper(
        _ chunk: UnsafeMutableRawPointer,
        _ place: Int
    ) -> UnsafeMutablePointer<UnsafeMutablePointer<Link>?> {
        (chunk + upperOffset).assumingMemoryBound(to: UnsafeMutablePointer<Link>?.self) + place
    }

    /// The links of a node on a level that it has: `capacity(level)` words.
    @inline(__always)
    func links(_ node: UInt32, _ level: Int) -> UnsafeMutablePointer<Link> {
        if level == 0 { return block(node).assumingMemoryBound(to: Link.self) }
        guard let base = upper(chunk(node), Int(node) & mask).pointee else {
            preconditionFailure("node \(node) has no links on level \(level)")
        }
        return base + (level - 1) * parameters.M
    }

    @inline(__always)
    func capacity(_ level: Int) -> Int { level == 0 ? parameters.M0 : parameters.M }

    /// Calls `body` with each link of a node.
    @inline(__always)
    func forEachLink(_ node: UInt32, _ level: Int, _ body: (UInt32) -> Void) {
        let links = links(node, level)
        for place in 0..<capacity(level) {
            let link = links[place].load(ordering: .acquiring)
            if link == HNSWGraph.none { return }
            body(link)
        }
    }

    /// Replaces the links of a node.
    func setLinks(_ node: UInt32, _ level: Int, _ new: UnsafeBufferPointer<UInt32>) {
        let links = links(node, level)
        for place in 0..<capacity(level) {
            let link = place < new.count ? new[place] : HNSWGraph.none
            if links[place].load(ordering: .relaxed) != link { links[place].store(link, ordering: .releasing) }
        }
    }

    /// Makes room for so many more nodes; false when there is no memory for them.
    ///
    /// The indexer only.
    func reserve(_ nodes: Int, memoryLimit: Int) -> Bool {
        while freeNumbers.count + (chunkCount << shift) - nodesUsed < nodes {
            guard hasMemoryForChunk(limit: memoryLimit), addChunk() else { return false }
        }
        return true
    }

    /// Makes the node of a row, with no links; returns its number.
    ///
    /// The indexer only, when room was made.
    func makeNode(_ slot: UInt32) -> UInt32 { makeNode(slot, level: drawLevel(slot)) }

    /// Writes the code of a new node.
    func encode(_ node: UInt32) {
        let slot = slot(of: node)
        guard let vector = store.vector(of: slot).baseAddress else { return }
        factor(node).pointee = coding.encode(vector, scale: store.scale(of: slot).pointee, into: code(node))
    }

    /// Gives a number to a row, whose code is still to be written.
    func makeNode(_ slot: UInt32, level: Int) -> UInt32 {
        let node = takeNumber()
        if Int(slot) >= nodeOfSlot.count {
            let missing = max(Int(slot) + 1 - nodeOfSlot.count, nodeOfSlot.count)
            nodeOfSlot.append(contentsOf: repeatElement(HNSWGraph.none, count: missing))
        }
        nodeOfSlot[Int(slot)] = node
        slotPlace(node).pointee = slot
        levelPlace(node).pointee = UInt8(level)
        let upper = upper(chunk(node), Int(node) & mask)
        if level > 0 {
            let count = level * parameters.M
            let links = UnsafeMutablePointer<Link>.allocate(capacity: count)
            for place in 0..<count { (links + place).initialize(to: Atomic(HNSWGraph.none)) }
            upper.pointee = links
            account(count * 4)
        }
        setLinks(node, 0, UnsafeBufferPointer(start: nil, count: 0))
        return node
    }

    private func takeNumber() -> UInt32 {
        if let number = freeNumbers.popLast() { return number }
        let number = nodesUsed
        precondition(number < HNSWGraph.nodesMax, "node \(number) is beyond what a graph can name")
        numbersGiven.store(number + 1, ordering: .releasing)
        return UInt32(number)
    }

    /// Takes back the number of a node that no walk can stand on.
    ///
    /// The indexer only.
    func free(_ node: UInt32) {
        let upper = upper(chunk(node), Int(node) & mask)
        if let links = upper.pointee {
            links.deallocate()
            upper.pointee = nil
            account(-level(node) * parameters.M * 4)
        }
        freeNumbers.append(node)
    }

    /// Whether one more chunk would fit.
    func hasMemoryForChunk(limit: Int) -> Bool { hasMemory(for: chunkBytes, limit: limit) }

    func hasMemory(for bytes: Int, limit: Int) -> Bool { limit == 0 || memory.total + bytes <= limit }

    private func addChunk() -> Bool {
        guard let chunk = arena.take(chunkBytes) else { return false }
        // Never nil after the initialiser.
        var chunks = directory.load(ordering: .relaxed).unsafelyUnwrapped
        if chunkCount == capacity {
            let larger = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(capacity: capacity * 2)
            larger.initialize(from: chunks, count: chunkCount)
            // Walks may still hold the old one: kept to the end, as the store keeps its directories.
            retired.append(chunks)
            capacity *= 2
            chunks = larger
        }
        for place in 0...mask {
            (chunk + place * nodeBytes).bindMemory(to: Link.self, capacity: linkBytes / 4)
            let links = (chunk + place * nodeBytes).assumingMemoryBound(to: Link.self)
            for link in 0..<linkBytes / 4 { (links + link).initialize(to: Atomic(HNSWGraph.none)) }
        }
        (chunk + factorOffset).bindMemory(to: Float.self, capacity: mask + 1).initialize(repeating: 0, count: mask + 1)
        (chunk + slotOffset).bindMemory(to: UInt32.self, capacity: mask + 1).initialize(repeating: 0, count: mask + 1)
        (chunk + levelOffset).bindMemory(to: UInt8.self, capacity: mask + 1).initialize(repeating: 0, count: mask + 1)
        (chunk + upperOffset).bindMemory(to: UnsafeMutablePointer<Link>?.self, capacity: mask + 1)
            .initialize(repeating: nil, count: mask + 1)
        (chunks + chunkCount).initialize(to: chunk)
        directory.store(chunks, ordering: .releasing)
        chunkCount += 1
        account(chunkBytes)
        return true
    }

    private func account(_ count: Int) {
        bytesHeld.wrappingAdd(count, ordering: .relaxed)
        memory.add(count)
    }

    func markLinked(_ node: UInt32) {
        linked.insert(Int(node))
        linkedCount.wrappingAdd(1, ordering: .acquiringAndReleasing)
    }

    func markUnlinked(_ node: UInt32) {
        linked.remove(Int(node))
        linkedCount.wrappingSubtract(1, ordering: .acquiringAndReleasing)
    }
}
