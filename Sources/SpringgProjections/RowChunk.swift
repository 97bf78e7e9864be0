import Glibc
import SpringgLog
import Synchronization

/// A block of rows in one allocation: the floats first, page-aligned, then what a scan needs, then the rest.
///
///     rows        capacity × stride × Float32     stride = dimensions rounded up to 16 floats (a cache line)
///     lifespans   capacity × Lifespan             which moments see the row
///     scales      capacity × Float32              1 / length of the vector; NaN: compute in double precision
///     details     capacity × Details              id, metadata, version
///     codes       one pointer                     `RowCodes` of the rows that the graph does not hold yet, if any
///
/// A slot's bytes are written while no reader can see the row, and never again before it is reclaimed.
struct RowChunk {
    /// The LSN that made the row and the LSN that ended it; `.max` while there is none.
    struct Lifespan: ~Copyable {
        let born = Atomic<UInt64>(.max)
        let died = Atomic<UInt64>(.max)
    }

    struct Details {
        /// One allocation: id, then metadata.
        var text: UnsafeMutableRawPointer?
        var idBytes: UInt32 = 0
        var metadataBytes: UInt32 = 0
        var version = EventVersion.none
    }

    let rows: UnsafeMutablePointer<Float>
    let lifespans: UnsafeMutablePointer<Lifespan>
    let scales: UnsafeMutablePointer<Float>
    let details: UnsafeMutablePointer<Details>
    let codes: UnsafeMutablePointer<Atomic<UnsafeMutableRawPointer?>>

    /// How the chunks of one store are laid out.
    struct Layout: Sendable {
        let dimensions: Int
        let stride: Int
        /// log2 of the rows in a chunk.
        let shift: Int

        /// Bytes of float rows that a chunk aims at: large enough that a scan runs through it.
        private static let targetBytes = 1 << 20
        /// log2 of the most rows in a chunk: an index of a few short rows should not take a megabyte.
        private static let shiftMax = 10

        init(dimensions: Int) {
            self.dimensions = dimensions
            stride = (dimensions + 15) & ~15
            var shift = 3
            while shift < Layout.shiftMax, (stride * 4) << (shift + 1) <= Layout.targetBytes { shift += 1 }
            self.shift = shift
        }

        var capacity: Int { 1 << shift }
        var mask: Int { capacity - 1 }
        var rowBytes: Int { stride * 4 }
        private var lifespanOffset: Int { capacity * rowBytes }
        private var scaleOffset: Int { lifespanOffset + capacity * MemoryLayout<Lifespan>.stride }
        private var detailsOffset: Int { (scaleOffset + capacity * 4 + 15) & ~15 }
        private var codesOffset: Int { detailsOffset + capacity * MemoryLayout<Details>.stride }
        /// Bytes of a chunk.
        var bytes: Int { codesOffset + 8 }

        /// Begins a chunk in `bytes` of memory on a page boundary.
        func make(at base: UnsafeMutableRawPointer) -> RowChunk {
            let chunk = RowChunk(
                rows: base.bindMemory(to: Float.self, capacity: capacity * stride),
                lifespans: (base + lifespanOffset).bindMemory(to: Lifespan.self, capacity: capacity),
                scales: (base + scaleOffset).bindMemory(to: Float.self, capacity: capacity),
                details: (base + detailsOffset).bindMemory(to: Details.self, capacity: capacity),
                codes: (base + codesOffset).bindMemory(to: Atomic<UnsafeMutableRawPointer?>.self, capacity: 1)
            )
            chunk.codes.initialize(to: Atomic(nil))
            for slot in 0..<capacity {
                (chunk.lifespans + slot).initialize(to: Lifespan())
                (chunk.details + slot).initialize(to: Details())
            }
            return chunk
        }
    }

    /// Lets go of all but the chunk's own memory.
    func destroy(_ layout: Layout) {
        for slot in 0..<layout.capacity { free(details[slot].text) }
        codes.pointee.load(ordering: .relaxed)?.deallocate()
        codes.deinitialize(count: 1)
        lifespans.deinitialize(count: layout.capacity)
    }
}
