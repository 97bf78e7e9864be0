import CSpringg
package import SpringgLog

/// The rows of a source that can be stored, and a flaw for each that cannot: what holds for every row, wherever it is from.
///
/// An id is 1 to 512 bytes of UTF-8 and comes once (a table of about 30 bytes an id remembers them), a vector has the
/// dimensions of its index, and every component is a finite number. What a source refuses it refuses again when it is read
/// again, in the same order.
package final class CheckedRows {
    package let source: any RowSource
    /// Components of each row; the first row says so where nothing else does.
    package private(set) var dimensions: Int?
    private var ids: Set<RowKey> = []

    package init(_ source: any RowSource, dimensions: Int?) {
        self.source = source
        self.dimensions = source.dimensions ?? dimensions
    }

    package func next() throws(FileSystemError) -> SourceStep {
        let step = try source.next()
        guard case .row(let row) = step, let reason = refusal(of: row) else { return step }
        return .flaw(row.place.flaw(reason))
    }

    private func refusal(of row: SourceRow) -> String? {
        guard row.id.count > 0 else { return "the id is empty" }
        guard row.id.count <= EventLimits.vectorIDBytesMax else {
            return "the id has \(row.id.count) bytes; at most \(EventLimits.vectorIDBytesMax) are allowed"
        }
        guard springg_utf8_valid(row.id.assumingMemoryBound(to: UInt8.self).baseAddress, row.id.count) else {
            return "the id is not valid UTF-8"
        }
        let expected = dimensions ?? row.vector.count
        guard row.vector.count == expected else {
            return "the vector has \(row.vector.count) dimensions; the index has \(expected)"
        }
        guard (1...EventLimits.dimensionsMax).contains(row.vector.count) else {
            return "the vector has \(row.vector.count) dimensions; 1 to \(EventLimits.dimensionsMax) are allowed"
        }
        if let place = firstNotFinite(row.vector) {
            return "component \(place) of the vector is \(row.vector[place]), not a finite number"
        }
        guard ids.insert(RowKey(row.id)).inserted else {
            return "the id \(shown(row.id)) was there already"
        }
        dimensions = expected
        return nil
    }

    private func shown(_ id: UnsafeRawBufferPointer) -> String {
        String(decoding: id.prefix(80), as: UTF8.self).debugDescription
    }

    private func firstNotFinite(_ vector: UnsafeBufferPointer<Float>) -> Int? {
        // All at once first: infinity and NaN alone have all bits of the exponent set.
        var found = false
        for component in vector { found = found || component.bitPattern & 0x7F80_0000 == 0x7F80_0000 }
        return found ? vector.firstIndex { !$0.isFinite } : nil
    }
}
