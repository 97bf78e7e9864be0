import CSpringg
import Synchronization

/// Codes of eight bits of the rows of one chunk, while the graph does not hold these: what a search reads of them.
///
///     codes       capacity × code             whole cache lines
///     marks       capacity × Mark             what else a product by codes needs
///     births      capacity × UInt64           the birth of the row that the code was made of; 0: none
///
/// A code says whose it is: a slot is never used again before a later birth, so a code of the slot's last row is not
/// taken for the next one's. Whoever finds a row without a code may make it; of two, one gets to. Both see the row, so
/// nobody makes codes of two rows in one slot at a time.
struct RowCodes {
    /// What a code leaves out.
    struct Mark {
        /// 1 / length of the code.
        var factor: Float
        /// Length of the difference between the row's direction and the code's, as computed.
        var lost: Float
    }

    struct Layout: Sendable {
        let coding: VectorCode
        let rows: RowChunk.Layout
        private var marksOffset: Int { rows.capacity * coding.bytes }
        private var birthsOffset: Int { marksOffset + rows.capacity * MemoryLayout<Mark>.stride }
        /// Bytes of the codes of a chunk.
        var bytes: Int { birthsOffset + rows.capacity * 8 }

        init(_ rows: RowChunk.Layout) {
            self.rows = rows
            coding = VectorCode(.int8, dimensions: rows.dimensions)
        }

        func make() -> RowCodes {
            let codes = self.codes(at: .allocate(byteCount: bytes, alignment: 64))
            for place in 0..<rows.capacity { (codes.births + place).initialize(to: Atomic(RowCodes.none)) }
            return codes
        }

        /// The codes that were made at an address.
        func codes(at base: UnsafeMutableRawPointer) -> RowCodes {
            RowCodes(
                base: base,
                marks: (base + marksOffset).assumingMemoryBound(to: Mark.self),
                births: (base + birthsOffset).assumingMemoryBound(to: Atomic<UInt64>.self)
            )
        }
    }

    let base: UnsafeMutableRawPointer
    let marks: UnsafeMutablePointer<Mark>
    private let births: UnsafeMutablePointer<Atomic<UInt64>>

    /// No row is born with the first of these numbers, or lives to be seen with the second.
    private static let none: UInt64 = 0
    private static let inTheMaking = UInt64.max

    /// Whether there is a code of the row that was born then; it stays while that row can be seen.
    @inline(__always)
    func holds(_ place: Int, born: UInt64) -> Bool { births[place].load(ordering: .acquiring) == born }

    /// Makes the code of a row that the caller sees, unless another does or has.
    func make(
        _ place: Int,
        born: UInt64,
        _ row: UnsafePointer<Float>,
        scale: Float,
        _ coding: VectorCode
    ) {
        let before = births[place].load(ordering: .relaxed)
        guard before != born, before != RowCodes.inTheMaking,
            births[place].compareExchange(
                expected: before,
                desired: RowCodes.inTheMaking,
                ordering: .acquiringAndReleasing
            ).exchanged
        else { return }
        marks[place] = RowCodes.encode(row, scale: scale, coding, into: base + place * coding.bytes)
        births[place].store(born, ordering: .releasing)
    }

    /// Writes the code of a vector.
    static func encode(
        _ vector: UnsafePointer<Float>,
        scale: Float,
        _ coding: VectorCode,
        into code: UnsafeMutableRawPointer
    ) -> Mark {
        let factor = coding.encode(vector, scale: scale, into: code)
        return Mark(factor: factor, lost: loss(vector, scale: scale, code, factor: factor, coding))
    }

    /// Length of the difference between a vector × `scale` and a code × `factor`.
    static func loss(
        _ vector: UnsafePointer<Float>,
        scale: Float,
        _ code: UnsafeRawPointer,
        factor: Float,
        _ coding: VectorCode
    ) -> Float {
        springg_loss_s8(vector, scale, code.assumingMemoryBound(to: Int8.self), factor, coding.dimensions).squareRoot()
    }
}
