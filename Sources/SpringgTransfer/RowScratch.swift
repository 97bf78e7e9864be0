import SpringgLog
import SpringgProjections

/// Room for one row: aligned as floats must be, and at one address as long as the reader lives.
final class RowScratch {
    private let floats = UnsafeMutableBufferPointer<Float>.allocate(capacity: EventLimits.dimensionsMax)
    private let idBytes = UnsafeMutableRawBufferPointer.allocate(byteCount: EventLimits.vectorIDBytesMax, alignment: 8)
    private let metadataBytes = UnsafeMutableRawBufferPointer.allocate(
        byteCount: EventLimits.metadataBytesMax,
        alignment: 8
    )
    private var composed: [UInt8] = []

    deinit {
        floats.deallocate()
        idBytes.deallocate()
        metadataBytes.deallocate()
    }

    /// Where a reader puts components; its capacity is what a vector may have.
    var vectorRoom: UnsafeMutableBufferPointer<Float> { floats }

    /// Where a reader puts an id; its size is what an id may have.
    var idRoom: UnsafeMutableRawBufferPointer { idBytes }

    /// The first components.
    func vector(_ count: Int) -> UnsafeBufferPointer<Float> { UnsafeBufferPointer(rebasing: floats[..<count]) }

    /// Copies the components that stand in a file, float32, little-endian.
    func vector(copying bytes: UnsafeRawBufferPointer) -> UnsafeBufferPointer<Float> {
        let count = bytes.count / 4
        UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: floats[..<count])).copyMemory(from: bytes)
        return vector(count)
    }

    /// Copies and widens the components that stand in a file, float16, little-endian; every value is kept exactly.
    func vector(widening bytes: UnsafeRawBufferPointer) -> UnsafeBufferPointer<Float> {
        let count = bytes.count / 2
        for place in 0..<count {
            floats[place] = Float(Float16(bitPattern: bytes.integer(UInt16.self, at: place * 2)))
        }
        return vector(count)
    }

    /// The first bytes of the id.
    func id(_ count: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(idBytes).part(0, count) }

    /// What is stored for these fields; nil when it is too much.
    func metadata(_ fields: MetadataFields) -> UnsafeRawBufferPointer? {
        guard fields.fits else { return nil }
        fields.compose(into: &composed)
        metadataBytes.copyBytes(from: composed)
        return UnsafeRawBufferPointer(metadataBytes).part(0, composed.count)
    }

    /// For rows that have none.
    static var noMetadata: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}
