import CSpringg
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

@Suite("Exact search")
struct ExactSearchTests {
    static func index(_ vectors: [[Float]], dimensions: Int) throws -> VectorIndex {
        let state = Materializer()
        var writer = LoneOrigin()
        func apply(_ event: EncodedEvent) {
            let lsn = writer.stamp(event)
            if let decoded = event.envelope.event {
                state.apply(decoded, of: event.envelope, recordBytes: 0, lsn: lsn)
            }
        }
        apply(.indexCreated(name: "a", dimensions: dimensions, options: .empty))
        for (number, vector) in vectors.enumerated() { apply(EventSet.put("a", "v\(number)", vector)) }
        state.publish()
        return try #require(state.indexes.first)
    }

    static func search(_ index: VectorIndex, _ query: [Float], k: Int) -> [(id: String, score: Float)] {
        query.withUnsafeBufferPointer { query in
            index.withHits(query: query, k: k) { hits in
                hits.map { (String(decoding: $0.id, as: UTF8.self), $0.score) }
            }
        }
    }

    /// Cosine in double precision, the plain way.
    static func cosine(_ a: [Float], _ b: [Float]) -> Double {
        let dot = zip(a, b).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        let lengths =
            (a.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
            * (b.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
        return lengths == 0 ? 0 : dot / lengths
    }

    @Test("finds what comparing everything in double precision finds", arguments: [1, 2, 3, 7, 16, 33, 100, 384, 1024])
    func againstOracle(dimensions: Int) throws {
        var random = SeededRandom.fromEnvironment("againstOracle(\(dimensions))")
        let vectors = (0..<700).map { _ in random.floats(dimensions) }
        let index = try ExactSearchTests.index(vectors, dimensions: dimensions)
        for _ in 0..<10 {
            let query = random.floats(dimensions)
            let found = ExactSearchTests.search(index, query, k: 10)
            let expected = vectors.enumerated().map { (id: "v\($0)", score: ExactSearchTests.cosine(query, $1)) }
                .sorted { $0.score > $1.score }.prefix(10)
            #expect(found.count == 10)
            for (hit, wanted) in zip(found, expected) {
                // Neighbours in the order may change places within rounding; their scores may not differ by more.
                #expect(abs(Double(hit.score) - wanted.score) < 1e-5)
            }
        }
    }

    @Test("equal scores come in the order of the ids' bytes, whatever the slots")
    func ties() throws {
        let index = try ExactSearchTests.index(Array(repeating: [1, 0], count: 30), dimensions: 2)
        let ids = ExactSearchTests.search(index, [2, 0], k: 12).map(\.id)
        #expect(ids == Array((0..<30).map { "v\($0)" }.sorted().prefix(12)))
    }

    @Test("components at the limits of float32, zeros and tiny ones give finite, right scores")
    func extremes() throws {
        let huge = Float.greatestFiniteMagnitude
        let tiny = Float.leastNonzeroMagnitude
        let vectors: [[Float]] = [
            [huge, huge, huge], [tiny, 0, 0], [0, 0, 0], [1, 1, 1], [-huge, -huge, -huge], [huge, 0, 0],
            [1e-20, 1e-20, 0],
        ]
        let index = try ExactSearchTests.index(vectors, dimensions: 3)
        for query in [[1, 1, 1], [huge, huge, huge], [tiny, tiny, tiny], [0, 0, 0], [-1, 0.5, huge]] as [[Float]] {
            let found = ExactSearchTests.search(index, query, k: 10)
            #expect(found.count == vectors.count)
            for hit in found {
                let number = try #require(Int(hit.id.dropFirst()))
                #expect(abs(Double(hit.score) - ExactSearchTests.cosine(query, vectors[number])) < 1e-5)
                #expect((-1...1).contains(hit.score))
            }
        }
    }

    @Test("k of 0, 1, all and more than all")
    func counts() throws {
        let index = try ExactSearchTests.index((0..<20).map { [Float($0), 1] }, dimensions: 2)
        for k in [0, 1, 19, 20, 21, 1000] {
            #expect(ExactSearchTests.search(index, [1, 0], k: k).count == min(k, 20))
        }
    }

    @Test("the portable kernels agree with the fast ones on every length")
    func kernels() {
        var random = SeededRandom.fromEnvironment("kernels")
        for count in 0...130 {
            let a = random.floats(count)
            let b = random.floats(count)
            let exact = zip(a, b).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            #expect(abs(Double(springg_dot(a, b, count)) - exact) < 1e-4)
            #expect(abs(Double(springg_dot_portable(a, b, count)) - exact) < 1e-4)
            #expect(abs(springg_dot_double(a, b, count) - exact) < 1e-12)
        }
        let query = random.floats(48)
        let rows = random.floats(48 * 9)
        var fast = [Float](repeating: 0, count: 9)
        var portable = fast
        springg_dot_rows(query, rows, 48, 48, 9, &fast)
        springg_dot_rows_portable(query, rows, 48, 48, 9, &portable)
        for (a, b) in zip(fast, portable) { #expect(abs(a - b) < 1e-4) }
    }

    @Test("checksums: the published vectors, and fast and portable alike")
    func checksums() {
        #expect(springg_crc32c(0, "123456789", 9) == 0xE306_9283)
        #expect(springg_crc32c(0, [UInt8](repeating: 0, count: 32), 32) == 0x8A91_36AA)
        #expect(springg_crc32c(0, [UInt8](repeating: 0xFF, count: 32), 32) == 0x62A8_AB43)
        #expect(springg_crc32c(0, (0..<32).map { UInt8($0) }, 32) == 0x46DD_794E)
        var random = SeededRandom.fromEnvironment("checksums")
        for count in 0..<200 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(springg_crc32c(7, bytes, count) == springg_crc32c_portable(7, bytes, count))
            let split = count / 3
            let first = springg_crc32c(0, bytes, split)
            let whole = bytes.withUnsafeBytes {
                springg_crc32c(first, $0.baseAddress.map { $0 + split }, count - split)
            }
            #expect(whole == springg_crc32c(0, bytes, count))
        }
    }
}
