import SpringgLog

// Graph file of a checkpoint: the links of a graph by the numbers of the rows in the index file beside it, in whose order
// the nodes are. Codes are made from the rows, and so is everything else of a node but its level.
//
// Behind the header, in blocks (see CheckpointBlocks.swift):
//
//   u8  highest level; then for each level from 0 on: u8 links, u32 × links: numbers of rows, nearest first

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
