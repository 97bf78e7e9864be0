import CSpringg

/// Cosine similarity over rows as they were sent: a dot product with the unit query, times the row's scale.
enum Distance {
    /// Lengths within which float32 sums of squares neither overflow nor lose their small terms.
    private static let plainLengths = 1e-15...1e15

    /// 1 / length of a row; 0 for the zero vector, which is similar to nothing; NaN when the length is so extreme that
    /// the row has to be compared in double precision.
    static func scale(_ vector: UnsafeBufferPointer<Float>) -> Float {
        let length = length(vector)
        if length == 0 { return 0 }
        return plainLengths.contains(length) ? Float(1 / length) : .nan
    }

    /// The query divided by its length, into `unit`; zeros for the zero vector.
    static func normalise(_ query: UnsafeBufferPointer<Float>, into unit: UnsafeMutableBufferPointer<Float>) {
        let length = length(query)
        let inverse = length == 0 ? 0 : 1 / length
        for index in query.indices { unit[index] = Float(Double(query[index]) * inverse) }
    }

    /// The similarity of a row whose scale is NaN.
    static func extremeSimilarity(_ unit: UnsafeBufferPointer<Float>, _ row: UnsafePointer<Float>) -> Float {
        let length = length(UnsafeBufferPointer(start: row, count: unit.count))
        return Float(springg_dot_double(unit.baseAddress, row, unit.count) / length)
    }

    private static func length(_ vector: UnsafeBufferPointer<Float>) -> Double {
        springg_dot_double(vector.baseAddress, vector.baseAddress, vector.count).squareRoot()
    }
}
