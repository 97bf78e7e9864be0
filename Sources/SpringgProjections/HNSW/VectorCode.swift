/// A vector's direction in a byte a component: what steers walks and construction, four times smaller than the floats.
///
/// `code[i] = round(127 × x[i] / max |x|)`, and a factor of 1 / length of the code, so that the cosine of two vectors is
/// about the dot product of their codes times both factors. Scores come from the floats, never from here.
enum VectorCode {
    /// Bytes of a code: whole cache lines, zeros behind the components.
    static func bytes(dimensions: Int) -> Int { (dimensions + 63) & ~63 }

    /// Writes the code of a vector that is not zero, and returns its factor.
    static func encode(
        _ vector: UnsafePointer<Float>,
        dimensions: Int,
        into code: UnsafeMutablePointer<Int8>
    ) -> Float {
        var largest: Float = 0
        for index in 0..<dimensions { largest = max(largest, abs(vector[index])) }
        // In double precision: the inverse of a tiny float is infinite in single.
        let scale = largest > 0 ? 127 / Double(largest) : 0
        var sum = 0
        for index in 0..<dimensions {
            let component = Int8((Double(vector[index]) * scale).rounded(.toNearestOrEven))
            code[index] = component
            sum += Int(component) * Int(component)
        }
        for index in dimensions..<bytes(dimensions: dimensions) { code[index] = 0 }
        return sum > 0 ? Float(1 / Double(sum).squareRoot()) : 0
    }
}
