import SpringgLog

/// Stands for an id in tables that hold every id of a file: 128 bits of it, so that two never meet by chance.
struct RowKey: Hashable {
    private let low: UInt64
    private let high: UInt64

    init(_ id: UnsafeRawBufferPointer) { (low, high) = Checksum.hash128(id) }
}
