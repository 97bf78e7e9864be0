import SpringgLog

// Graph file of a checkpoint: the links of a graph by the numbers of the rows in the index file beside it, in whose order
// the nodes are. Codes are made from the rows, and so is everything else of a node but its level.
//
// Header, little-endian:
//
//   0  8    magic "SPRGHNS1"
//   8  u32  format version, 1
//  12  u32  M: links of a node on each level but the lowest, which has twice as many
//  16  u64  LSN of the checkpoint
//  24  u64  nodes: the first so many rows
//  32  28   0
//  60  u32  CRC-32C of the 60 bytes above
//
// Nodes, in blocks (see CheckpointBlocks.swift):
//
//   u8  highest level; then for each level from 0 on: u8 links, u32 × links: numbers of rows, nearest first

/// The head of a graph file.
struct GraphFileHeader: Equatable {
    private static let magic = UInt64(littleEndian: 0x3153_4E48_4752_5053)  // "SPRGHNS1"
    private static let formatVersion: UInt32 = 1

    var lsn: LSN
    var M: Int
    var nodes: Int

    init(lsn: LSN, M: Int, nodes: Int) {
        self.lsn = lsn
        self.M = M
        self.nodes = nodes
    }

    /// Reads a header whose checksum matches.
    init?(decoding bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= CheckpointBlocks.headerBytes,
            bytes.integer(UInt64.self, at: 0) == GraphFileHeader.magic,
            bytes.integer(UInt32.self, at: 8) == GraphFileHeader.formatVersion,
            let nodes = Int(exactly: bytes.integer(UInt64.self, at: 24))
        else { return nil }
        M = Int(bytes.integer(UInt32.self, at: 12))
        lsn = LSN(bytes.integer(UInt64.self, at: 16))
        self.nodes = nodes
    }

    /// Writes the header to zeros, all but its checksum.
    func encode(into out: UnsafeMutableRawBufferPointer) {
        out.store(GraphFileHeader.magic, at: 0)
        out.store(GraphFileHeader.formatVersion, at: 8)
        out.store(UInt32(M), at: 12)
        out.store(lsn.rawValue, at: 16)
        out.store(UInt64(nodes), at: 24)
    }
}

/// One node in a graph file: its links on each level, the lowest first.
struct GraphFileNode {
    private(set) var links: [UInt32] = []
    /// Where each level's links end.
    private(set) var ends: [Int] = []

    /// The highest level.
    var level: Int { ends.count - 1 }

    func links(_ level: Int) -> ArraySlice<UInt32> { links[(level == 0 ? 0 : ends[level - 1])..<ends[level]] }

    mutating func removeAll() {
        links.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
    }

    /// Adds a link to the level in hand; false when it is there.
    @discardableResult
    mutating func add(_ link: UInt32) -> Bool {
        guard !links[(ends.last ?? 0)...].contains(link) else { return false }
        links.append(link)
        return true
    }

    mutating func endLevel() { ends.append(links.count) }

    var bytes: Int { 1 + ends.count + links.count * 4 }

    func encode(into out: UnsafeMutableRawBufferPointer) {
        out.store(UInt8(level), at: 0)
        var offset = 1
        for level in 0...level {
            let links = links(level)
            out.store(UInt8(links.count), at: offset)
            offset += 1
            for link in links {
                out.store(link, at: offset)
                offset += 4
            }
        }
    }

    /// Takes the node at the start of `bytes`; returns its size, or nil when it is not whole.
    mutating func decode(_ bytes: UnsafeRawBufferPointer) -> Int? {
        removeAll()
        guard let highest = bytes.first else { return nil }
        var offset = 1
        for _ in 0...Int(highest) {
            guard offset < bytes.count else { return nil }
            let count = Int(bytes[offset])
            offset += 1
            guard count * 4 <= bytes.count - offset else { return nil }
            for _ in 0..<count {
                links.append(bytes.integer(UInt32.self, at: offset))
                offset += 4
            }
            endLevel()
        }
        return offset
    }
}
