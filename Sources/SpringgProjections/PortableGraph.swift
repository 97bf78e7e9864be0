import SpringgLog

// A graph in blocks, for snapshots. A row is named by XXH3-64 of its id, seeded with that of its version: so a graph stays
// of use while rows come, change and go, and says nothing of those that it does not name.
//
// The content of a block, little-endian:
//
//   0  8    magic "SPRGGRB1"
//   8  u32  format version, 1
//  12  u32  1: names, 2: nodes; all blocks of names come first
//  16  u64  number of the first node in it
//  24  u32  nodes in it
//  28  u32  M: links of a node on each level but the lowest, which has twice as many
//  32       names: u64 × nodes
//           nodes, as in a graph file (see GraphFile.swift); links are numbers of nodes

/// The head of a block of a graph.
struct GraphBlockHeader: Equatable {
    enum Kind: UInt32 {
        case names = 1
        case nodes = 2
    }

    private static let magic = UInt64(littleEndian: 0x3142_5247_4752_5053)  // "SPRGGRB1"
    private static let formatVersion: UInt32 = 1
    static let bytes = 32

    var kind: Kind
    var first: Int
    var nodes: Int
    var M: Int

    init(kind: Kind, first: Int, nodes: Int, M: Int) {
        self.kind = kind
        self.first = first
        self.nodes = nodes
        self.M = M
    }

    /// Nil when it is none, or of a newer version.
    init?(decoding content: UnsafeRawBufferPointer) {
        guard content.count >= GraphBlockHeader.bytes, content.integer(UInt64.self, at: 0) == GraphBlockHeader.magic,
            content.integer(UInt32.self, at: 8) == GraphBlockHeader.formatVersion,
            let kind = Kind(rawValue: content.integer(UInt32.self, at: 12)),
            let first = Int(exactly: content.integer(UInt64.self, at: 16))
        else { return nil }
        self.kind = kind
        self.first = first
        nodes = Int(content.integer(UInt32.self, at: 24))
        M = Int(content.integer(UInt32.self, at: 28))
    }

    func encode(into out: UnsafeMutableRawBufferPointer) {
        out.store(GraphBlockHeader.magic, at: 0)
        out.store(GraphBlockHeader.formatVersion, at: 8)
        out.store(kind.rawValue, at: 12)
        out.store(UInt64(first), at: 16)
        out.store(UInt32(nodes), at: 24)
        out.store(UInt32(M), at: 28)
    }
}

/// The name of a row in a graph.
func graphName(id: UnsafeRawBufferPointer, version: EventVersion) -> UInt64 {
    let seed = withUnsafeTemporaryAllocation(byteCount: 24, alignment: 8) { bytes in
        bytes.store(version.hlc.rawValue, at: 0)
        bytes.store(version.origin, at: 8)
        return Checksum.hash64(UnsafeRawBufferPointer(bytes))
    }
    return Checksum.hash64(id, seed: seed)
}

/// The graph of an index over the rows of a captured moment, as the indexer has it now.
package struct PortableGraph {
    private let picture: GraphPicture
    /// No node is used for another row while this looks at the links.
    private let walk: ReadEpochs.Pin
    /// Keeps the rows.
    private let capture: StateCapture

    /// Nil when the index has no graph.
    fileprivate init?(of index: VectorIndex, at moment: LSN, capture: StateCapture) {
        // Before the graph is taken, as walks do it.
        walk = index.resources.walks.pin()
        self.capture = capture
        picture = GraphPicture(of: index.graph, at: moment)
        if picture.nodes.isEmpty { return nil }
    }

    /// Rows that it holds.
    package var nodes: Int { picture.nodes.count }
    /// Links of a node on each level but the lowest.
    package var M: Int { picture.graph.parameters.M }

    /// Calls `body` with the content of each block, of about so many bytes.
    package func forEachBlock(bytes: Int, _ body: ([UInt8]) throws -> Void) rethrows {
        let graph = picture.graph
        var block = Block(.names, M)
        for node in picture.nodes {
            if block.bytes.count + 8 > bytes { try body(block.finish()) }
            let slot = graph.slot(of: node)
            let name = graphName(id: graph.store.id(of: slot), version: graph.store.version(of: slot))
            block.append(8) { $0.store(name, at: 0) }
        }
        try body(block.finish())
        block = Block(.nodes, M)
        var lists = GraphFileNode()
        for node in picture.nodes {
            picture.read(node, into: &lists)
            if block.bytes.count + lists.bytes > bytes { try body(block.finish()) }
            block.append(lists.bytes) { lists.encode(into: $0) }
        }
        try body(block.finish())
    }

    private struct Block {
        private var header: GraphBlockHeader
        private(set) var bytes: [UInt8]

        init(_ kind: GraphBlockHeader.Kind, _ M: Int) {
            header = GraphBlockHeader(kind: kind, first: 0, nodes: 0, M: M)
            bytes = Array(repeating: 0, count: GraphBlockHeader.bytes)
        }

        mutating func append(_ count: Int, _ encode: (UnsafeMutableRawBufferPointer) -> Void) {
            let start = bytes.count
            bytes.append(contentsOf: repeatElement(0, count: count))
            bytes.withUnsafeMutableBytes { encode(UnsafeMutableRawBufferPointer(rebasing: $0[start...])) }
            header.nodes += 1
        }

        /// The content; what is added from now on goes to the next block.
        mutating func finish() -> [UInt8] {
            bytes.withUnsafeMutableBytes { header.encode(into: $0) }
            let content = bytes
            bytes.removeSubrange(GraphBlockHeader.bytes...)
            header.first += header.nodes
            header.nodes = 0
            return content
        }
    }
}

extension StateCapture {
    /// The graph of the index under the name at `position` in `names`; nil where there is none.
    package func graph(_ position: Int) -> PortableGraph? {
        guard let index = capture.names[position].index, index.graph.count > 0 else { return nil }
        return PortableGraph(of: index, at: capture.pin.moment, capture: self)
    }

    /// Rows that the graph of that index holds now, about.
    package func rowsLinked(_ position: Int) -> Int { capture.names[position].index?.graph.count ?? 0 }
}
