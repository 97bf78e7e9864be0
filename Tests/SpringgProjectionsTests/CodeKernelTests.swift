import CSpringg
import SpringgTestKit
import Testing

@Suite("Dot products of 8-bit codes")
struct CodeKernelTests {
    typealias Kernel = (
        UnsafePointer<Int8>?, UnsafePointer<UnsafePointer<Int8>?>?, Int, Int, UnsafeMutablePointer<Int32>?
    ) -> Void

    static func dots(_ kernel: Kernel, _ query: [Int8], _ rows: [[Int8]]) -> [Int32] {
        // In memory of their own, so that the address of each stays what it is.
        let copies = rows.map { row in
            let copy = UnsafeMutableBufferPointer<Int8>.allocate(capacity: row.count)
            _ = copy.initialize(from: row)
            return copy
        }
        defer { for copy in copies { copy.deallocate() } }
        let pointers = copies.map { UnsafePointer($0.baseAddress) }
        var out = [Int32](repeating: .min, count: rows.count + 1)
        kernel(query, pointers, query.count, rows.count, &out)
        // Nothing behind the results is touched.
        #expect(out.last == .min)
        return Array(out.dropLast())
    }

    @Test(
        "every kernel computes what the portable one does, and that is the sum",
        arguments: [64, 128, 384, 1024, 65_536]
    )
    func twins(bytes: Int) {
        var random = SeededRandom.fromEnvironment("twins(\(bytes))")
        for count in [1, 2, 3, 4, 5, 7, 8, 9, 16, 33] {
            let query = (0..<bytes).map { _ in Int8.random(in: -127...127, using: &random) }
            let rows = (0..<count).map { _ in (0..<bytes).map { _ in Int8.random(in: -127...127, using: &random) } }
            let expected = rows.map { row in zip(query, row).reduce(Int32(0)) { $0 + Int32($1.0) * Int32($1.1) } }
            #expect(CodeKernelTests.dots(springg_dots_s8_portable, query, rows) == expected)
            #expect(CodeKernelTests.dots(springg_dots_s8_avx2, query, rows) == expected)
            #expect(CodeKernelTests.dots(springg_dots_s8, query, rows) == expected)
        }
    }

    @Test("the largest components overflow nothing", arguments: [Int8(127), -127])
    func extremes(component: Int8) {
        let query = [Int8](repeating: component, count: 65_536)
        let rows = [query, query.map { -$0 }, query.map { _ in 0 }]
        let expected: [Int32] = [65_536 * 127 * 127, -65_536 * 127 * 127, 0]
        for kernel in [springg_dots_s8_portable, springg_dots_s8_avx2, springg_dots_s8] as [Kernel] {
            #expect(CodeKernelTests.dots(kernel, query, rows) == expected)
        }
    }
}
