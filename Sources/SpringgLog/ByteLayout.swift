// Little-endian loads and stores at byte offsets, the one way in which this module touches encoded bytes.
// Every caller has checked the bounds of the whole structure before; the precondition of the buffer stands behind it.
//
// Inlinable, since readers in other modules ask for every word of a file: a call that is generic at run time costs each of
// them more than the word.

extension UnsafeRawBufferPointer {
    @inlinable
    package func integer<T: FixedWidthInteger>(_ type: T.Type, at offset: Int) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    package func origin(at offset: Int) -> OriginID {
        OriginID(
            high: UInt64(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
            low: UInt64(bigEndian: loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
        )
    }

    /// A part of these bytes; bounds are checked.
    @inlinable
    package func part(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[offset..<offset + count])
    }

    @inlinable
    package var isAllZero: Bool { allSatisfy { $0 == 0 } }
}

extension UnsafeMutableRawBufferPointer {
    @inlinable
    package func store(_ value: some FixedWidthInteger, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: type(of: value.littleEndian))
    }

    package func store(_ value: OriginID, at offset: Int) {
        storeBytes(of: value.high.bigEndian, toByteOffset: offset, as: UInt64.self)
        storeBytes(of: value.low.bigEndian, toByteOffset: offset + 8, as: UInt64.self)
    }

    /// Copies `bytes` to `offset`; returns the offset behind them.
    @discardableResult
    package func store(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int {
        UnsafeMutableRawBufferPointer(rebasing: self[offset..<offset + bytes.count]).copyMemory(from: bytes)
        return offset + bytes.count
    }
}

/// `count` rounded up to a multiple of eight, the alignment of everything in the log.
package func padded(_ count: Int) -> Int { (count + 7) & ~7 }

// The standard library's closures over an array's bytes lose the type of the error; these keep it.
extension [UInt8] {
    package func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try withUnsafeBufferPointer { bytes throws(E) in try body(UnsafeRawBufferPointer(bytes)) }
    }

    package mutating func withMutableBytes<R, E: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try withUnsafeMutableBufferPointer { bytes throws(E) in try body(UnsafeMutableRawBufferPointer(bytes)) }
    }
}
