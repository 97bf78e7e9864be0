import CSpringg

/// How vectors are written beside the graph: what a walk reads of them.
public enum Quantization: String, Sendable, CaseIterable {
    /// Not at all: walks read the float32 components.
    case none
    /// A byte a component.
    case int8
    /// Half a byte a component.
    case int4
}

/// A vector's direction in a byte or half a byte a component: what steers walks and construction, four or eight times
/// smaller than the floats.
///
/// Scores come from the floats, never from here.
///
///     int8    code[i] = round(127 × x[i] / max |x|); factor 1 / |code|
///     int4    code[i] = x[i] / step + 7.5, rounded and cut to 0 … 15; the step that turns the code least away from x. Factor
///             |x| / (code - 7.5) · x, which makes the error of a product with any other vector 0 on average
///
/// The cosine of a vector and a query is about (dot product of their codes - the query's offset) × both factors.
struct VectorCode: Sendable {
    let kind: Quantization
    let dimensions: Int
    /// Bytes of a code: whole cache lines, zeros behind the components.
    let bytes: Int
    /// Bytes of a query's code: 8 bits a component for any kind of code, or the query itself.
    let queryBytes: Int

    /// A vector as the kernels want the one that others are compared with.
    struct Query {
        let code: UnsafeRawPointer
        let factor: Float
        var offset: Float = 0
    }

    /// What a component of 4 bits lies above the value that it stands for.
    private static let middle: Float = 7.5

    init(_ kind: Quantization, dimensions: Int) {
        self.kind = kind
        self.dimensions = dimensions
        switch kind {
        case .none: (bytes, queryBytes) = (0, 0)
        case .int8:
            bytes = (dimensions + 63) & ~63
            queryBytes = bytes
        case .int4:
            bytes = ((dimensions + 127) & ~127) / 2
            queryBytes = bytes * 2
        }
    }

    /// How far a cosine by codes is from the true one, as a standard deviation: the part of a vector that its code loses, which
    /// points anywhere, so that a query sees one in √dimensions of it.
    ///
    /// Normal components lose 0.1 of their length to 4 bits, and 0.01 to 8.
    var deviation: Float {
        let lost: Float =
            switch kind {
            case .none: 0
            case .int8: 0.01
            case .int4: 0.1
            }
        return lost / Float(dimensions).squareRoot()
    }

    /// Writes the code of a vector that is not zero; returns its factor.
    ///
    /// `scale` is 1 / length.
    func encode(_ vector: UnsafePointer<Float>, scale: Float, into code: UnsafeMutableRawPointer) -> Float {
        switch kind {
        case .none: return scale
        case .int8:
            let sums = springg_encode_s8(vector, dimensions, bytes, code.assumingMemoryBound(to: Int8.self))
            return 1 / Float(sums.squares).squareRoot()
        case .int4:
            return 1 / (scale * springg_encode_u4(vector, dimensions, bytes, code.assumingMemoryBound(to: UInt8.self)))
        }
    }

    /// The query of a vector, written into `queryBytes` bytes; nil when it is zero, and has no direction.
    func query(
        _ vector: UnsafePointer<Float>,
        scale: Float,
        into code: UnsafeMutableRawPointer
    ) -> Query? {
        if kind == .none { return Query(code: UnsafeRawPointer(vector), factor: scale) }
        let sums = springg_encode_s8(vector, dimensions, queryBytes, code.assumingMemoryBound(to: Int8.self))
        guard sums.squares > 0 else { return nil }
        return Query(
            code: code,
            factor: 1 / Float(sums.squares).squareRoot(),
            offset: kind == .int4 ? VectorCode.middle * Float(sums.sum) : 0
        )
    }

    /// The query of a vector of which only the code of 4 bits is looked at.
    func query(of code: UnsafeRawPointer, factor: Float, into components: UnsafeMutableRawPointer) -> Query {
        let sum = springg_decode_u4(
            code.assumingMemoryBound(to: UInt8.self),
            dimensions,
            bytes,
            components.assumingMemoryBound(to: Int8.self)
        )
        // The components stand for twice their values, so that they are whole.
        return Query(code: components, factor: factor / 2, offset: VectorCode.middle * Float(sum))
    }

    /// Dot products of a query with codes (or rows) of others.
    @inline(__always)
    func dots(
        _ query: Query,
        _ rows: UnsafePointer<UnsafeRawPointer?>,
        _ count: Int,
        into dots: UnsafeMutablePointer<Float>
    ) {
        switch kind {
        case .int4: springg_dots_u4(query.code.assumingMemoryBound(to: Int8.self), rows, bytes, count, dots)
        case .int8: springg_dots_s8(query.code.assumingMemoryBound(to: Int8.self), rows, bytes, count, dots)
        case .none: springg_dots_f32(query.code.assumingMemoryBound(to: Float.self), rows, dimensions, count, dots)
        }
    }
}
