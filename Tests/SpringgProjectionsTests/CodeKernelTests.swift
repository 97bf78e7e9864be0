import CSpringg
import SpringgTestKit
import Testing

@Suite("Codes of 8 and 4 bits, and their dot products")
struct CodeKernelTests {
    typealias Kernel =
        @Sendable (
            UnsafePointer<Int8>?, UnsafePointer<UnsafeRawPointer?>?, Int, Int, UnsafeMutablePointer<Float>?
        ) -> Void

    static let kernels8: [Kernel] = [springg_dots_s8_portable, springg_dots_s8_avx2, springg_dots_s8]
    static let kernels4: [Kernel] = [springg_dots_u4_portable, springg_dots_u4_avx2, springg_dots_u4]

    static func dots<Byte>(_ kernel: Kernel, _ query: [Int8], _ rows: [[Byte]]) -> [Float] {
        // In memory of their own, so that the address of each stays what it is.
        let copies = rows.map { row in
            let copy = UnsafeMutableBufferPointer<Byte>.allocate(capacity: row.count)
            _ = copy.initialize(from: row)
            return copy
        }
        defer { for copy in copies { copy.deallocate() } }
        let pointers = copies.map { UnsafeRawPointer($0.baseAddress) }
        var out = [Float](repeating: -.infinity, count: rows.count + 1)
        kernel(query, pointers, rows.first?.count ?? 0, rows.count, &out)
        // Nothing behind the results is touched.
        #expect(out.last == -.infinity)
        return Array(out.dropLast())
    }

    /// The components of a 4-bit code, as the layout says: low halves of 64 bytes, then their high halves.
    static func unpacked(_ code: [UInt8]) -> [Int] {
        var components: [Int] = []
        for block in stride(from: 0, to: code.count, by: 64) {
            for byte in code[block..<block + 64] { components.append(Int(byte & 15)) }
            for byte in code[block..<block + 64] { components.append(Int(byte >> 4)) }
        }
        return components
    }

    static func product(_ a: [some BinaryInteger], _ b: [some BinaryInteger]) -> Float {
        Float(zip(a, b).reduce(0) { $0 + Int($1.0) * Int($1.1) })
    }

    @Test("every kernel computes the sum", arguments: [64, 128, 384, 1024, 65_536])
    func twins(bytes: Int) {
        var random = SeededRandom.fromEnvironment("twins(\(bytes))")
        for count in [1, 2, 3, 4, 5, 7, 8, 9, 16, 33] {
            let query = (0..<bytes).map { _ in Int8.random(in: -127...127, using: &random) }
            let rows = (0..<count).map { _ in (0..<bytes).map { _ in Int8.random(in: -127...127, using: &random) } }
            let expected = rows.map { CodeKernelTests.product(query, $0) }
            for kernel in CodeKernelTests.kernels8 { #expect(CodeKernelTests.dots(kernel, query, rows) == expected) }
            let halves = (0..<count).map { _ in
                (0..<max(64, bytes / 2)).map { _ in UInt8.random(in: 0...255, using: &random) }
            }
            let query4 = query.count == 64 ? query + query : query
            let expected4 = halves.map { CodeKernelTests.product(query4, CodeKernelTests.unpacked($0)) }
            for kernel in CodeKernelTests.kernels4 {
                #expect(CodeKernelTests.dots(kernel, query4, halves) == expected4)
            }
        }
    }

    @Test("the largest components overflow nothing", arguments: [Int8(127), -127])
    func extremes(component: Int8) {
        let query = [Int8](repeating: component, count: 65_536)
        let rows = [query, query.map { -$0 }, query.map { _ in 0 }]
        let expected: [Float] = [65_536 * 127 * 127, -65_536 * 127 * 127, 0]
        for kernel in CodeKernelTests.kernels8 { #expect(CodeKernelTests.dots(kernel, query, rows) == expected) }
        let full = [UInt8](repeating: 255, count: 32_768)
        for kernel in CodeKernelTests.kernels4 {
            #expect(
                CodeKernelTests.dots(kernel, query, [full, full]) == [1, 1].map { $0 * Float(component) * 65_536 * 15 }
            )
        }
    }

    @Test("codes of every number of dimensions are what their definition says, and products of them what it promises")
    func codes() {
        var random = SeededRandom.fromEnvironment("codes")
        for dimensions in 1...1100 {
            let vectors = (0..<3).map { _ in random.floats(dimensions).map { $0 == 0 ? 1 : $0 } }
            let bytes = ((dimensions + 127) & ~127) / 2
            let queries = vectors.map { vector in
                // Filled with noise first: what lies behind the components has to be written too.
                var code = [Int8](repeating: 99, count: bytes * 2)
                let sums = springg_encode_s8(vector, dimensions, bytes * 2, &code)
                let largest = vector.map(abs).max() ?? 0
                for (component, whole) in zip(vector, code) {
                    #expect(abs(Float(whole) - 127 * component / largest) <= 0.501)
                }
                #expect(code.dropFirst(dimensions).allSatisfy { $0 == 0 })
                #expect(Int(sums.sum) == code.reduce(0) { $0 + Int($1) })
                #expect(Float(sums.squares) == CodeKernelTests.product(code, code))
                return code
            }
            let codes = vectors.map { vector in
                var code = [UInt8](repeating: 0x99, count: bytes)
                let along = springg_encode_u4(vector, dimensions, bytes, &code)
                let values = CodeKernelTests.unpacked(code).prefix(dimensions).map { Float($0) - 7.5 }
                let expected = zip(values, vector).reduce(0) { $0 + $1.0 * $1.1 }
                #expect(abs(along - expected) <= 1e-4 * expected)
                // Sixteen levels keep a vector of evenly spread components within 7 degrees.
                let lengths = CodeKernelTests.length(values) * CodeKernelTests.length(vector)
                #expect(expected / lengths > 0.9925)
                #expect(CodeKernelTests.unpacked(code).dropFirst(dimensions).allSatisfy { $0 == 0 })
                return code
            }
            for query in queries {
                let expected = codes.map { CodeKernelTests.product(query, CodeKernelTests.unpacked($0)) }
                for kernel in CodeKernelTests.kernels4 {
                    #expect(CodeKernelTests.dots(kernel, query, codes) == expected)
                }
            }
        }
    }

    static func length(_ vector: [Float]) -> Float { vector.reduce(0) { $0 + $1 * $1 }.squareRoot() }

    @Test("one component that is ten times the others does not blot them out")
    func outlier() {
        var random = SeededRandom.fromEnvironment("outlier")
        var vector = random.floats(384)
        vector[17] = 10
        var code = [UInt8](repeating: 0, count: 192)
        let along = springg_encode_u4(vector, 384, 192, &code)
        let values = CodeKernelTests.unpacked(code).map { Float($0) - 7.5 }
        #expect(along / (CodeKernelTests.length(values) * CodeKernelTests.length(vector)) > 0.9)
    }

    @Test("a vector of zeros has no code")
    func zero() {
        let vector = [Float](repeating: 0, count: 100)
        var code8 = [Int8](repeating: 1, count: 128)
        #expect(springg_encode_s8(vector, 100, 128, &code8).squares == 0)
        var code4 = [UInt8](repeating: 1, count: 64)
        #expect(springg_encode_u4(vector, 100, 64, &code4) == 0)
    }

    @Test("products with rows that lie anywhere are those with rows side by side, bit for bit")
    func scattered() {
        var random = SeededRandom.fromEnvironment("scattered")
        for dimensions in [1, 7, 16, 33, 384, 1025] {
            let query = random.floats(dimensions)
            let rows = random.floats(dimensions * 9)
            var side = [Float](repeating: 0, count: 9)
            var anywhere = side
            springg_dot_rows(query, rows, dimensions, dimensions, 9, &side)
            rows.withUnsafeBufferPointer { rows in
                let pointers = (0..<9).map { UnsafeRawPointer(rows.baseAddress?.advanced(by: $0 * dimensions)) }
                springg_dots_f32(query, pointers, dimensions, 9, &anywhere)
            }
            #expect(side == anywhere)
            springg_dots_f32_portable(query, [], dimensions, 0, &anywhere)
            #expect(side == anywhere)
        }
    }
}
