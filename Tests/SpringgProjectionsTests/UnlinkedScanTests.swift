import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

@Suite("Rows that are not in the graph yet, compared by codes")
struct UnlinkedScanTests {
    /// Rows in the graph, and beside it: enough for codes to be made.
    static let linked = 1300
    static let unlinked = 4400
    /// Searches after which every row has its code: each makes one in 32.
    static let searches = 40

    /// What rows look like.
    enum Shape: CaseIterable {
        case random
        case clustered
        case nearDuplicate
        case extreme
        case spiked

        func vector(_ random: inout SeededRandom, _ dimensions: Int, _ centres: [[Float]]) -> [Float] {
            let centre = centres[Int(random.next() % UInt64(centres.count))]
            switch self {
            case .random: return random.floats(dimensions)
            case .clustered: return zip(centre, random.floats(dimensions)).map { $0 + 0.1 * $1 }
            case .nearDuplicate:
                var vector = centres[0]
                // Of what a byte does not show; many are the same.
                vector[Int(random.next() % UInt64(dimensions))] += Float(random.next() % 4) * 1e-4
                return vector
            case .extreme:
                let denormal = Float.leastNonzeroMagnitude * 8
                let sizes: [Float] = [denormal, 1e-38, 1e-20, 1e-15, 1e-14, 1, 1e14, 1e15, 1e20, 1e37, 0]
                let size = sizes[Int(random.next() % UInt64(sizes.count))]
                return zip(centre, random.floats(dimensions)).map { ($0 + 0.1 * $1) * size }
            case .spiked:
                // One component leaves the others hardly a step of a byte.
                var vector = random.floats(dimensions)
                vector[Int(random.next() % 3)] = 100
                return vector
            }
        }
    }

    @Test("codes change nothing: ids and scores are those of comparing every row", arguments: Shape.allCases)
    func exact(_ shape: Shape) throws {
        var random = SeededRandom.fromEnvironment("unlinked \(shape)")
        for dimensions in [256, 301] {
            let centres = (0..<7).map { _ in random.floats(dimensions) }
            var harness = try HNSWHarness(dimensions: dimensions, options: #"{"m":4,"ef_construction":20}"#)
            for number in 0..<UnlinkedScanTests.linked { harness.put("l\(number)", random.floats(dimensions)) }
            harness.settle()
            let bytes = harness.index.stats.memoryBytes - harness.index.stats.graphMemoryBytes
            for number in 0..<UnlinkedScanTests.unlinked {
                harness.put("v\(number)", shape.vector(&random, dimensions, centres))
            }
            harness.publish()
            let uncoded = harness.index.stats.memoryBytes - harness.index.stats.graphMemoryBytes
            #expect(uncoded > bytes)
            var ruledOut = 0
            for search in 0..<UnlinkedScanTests.searches + 20 {
                let query = shape.vector(&random, dimensions, centres)
                let k = [1, 10, 100][search % 3]
                // Without what the walk finds, which need not be the nearest.
                let isBeside = { (slot: UInt32) in slot >= UnlinkedScanTests.linked && slot % 5 != 0 }
                let (truth, _) = harness.search(query, k: k, .exact, accepting: isBeside)
                let (answer, plan) = harness.search(query, k: k, accepting: isBeside)
                #expect(answer.ids == truth.ids)
                #expect(answer.scores.map(\.bitPattern) == truth.scores.map(\.bitPattern))
                if plan.method == .hnsw {
                    #expect(plan.unindexedScanned == UnlinkedScanTests.unlinked)
                    #expect(plan.exactComparisons >= plan.unindexedCompared)
                    ruledOut += plan.unindexedScanned - plan.unindexedCompared
                }
            }
            let coded = harness.index.stats.memoryBytes - harness.index.stats.graphMemoryBytes
            #expect(coded > uncoded)
            if shape != .nearDuplicate { #expect(ruledOut > 0) }
            // Rows that are linked need none; those that cannot be linked never had one.
            harness.settle()
            #expect(harness.index.stats.memoryBytes - harness.index.stats.graphMemoryBytes == uncoded)
        }
    }

    @Test("a code is never taken for that of the next row in the same slot")
    func reuse() throws {
        var random = SeededRandom.fromEnvironment("unlinked reuse")
        let dimensions = 256
        var harness = try HNSWHarness(dimensions: dimensions, options: #"{"m":4,"ef_construction":20}"#)
        for number in 0..<UnlinkedScanTests.linked { harness.put("l\(number)", random.floats(dimensions)) }
        harness.settle()
        let isBeside = { (slot: UInt32) in slot >= UnlinkedScanTests.linked }
        var slots = 0
        for round in 0..<6 {
            for number in 0..<UnlinkedScanTests.unlinked where round == 0 || number % 3 == round % 3 {
                harness.put("v\(number)", random.floats(dimensions))
                if number % 500 == 0 { harness.publish() }
            }
            harness.publish()
            for _ in 0..<UnlinkedScanTests.searches {
                let query = random.floats(dimensions)
                let (truth, _) = harness.search(query, .exact, accepting: isBeside)
                let (answer, plan) = harness.search(query, accepting: isBeside)
                #expect(answer == truth)
                #expect(plan.method == .hnsw)
                slots = plan.unindexedScanned
            }
            #expect(slots == UnlinkedScanTests.unlinked)
            #expect(harness.search(random.floats(dimensions)).plan.unindexedCompared < slots / 2)
        }
    }

    @Test("beside a writer and the linker, searches that make and read codes find what they should")
    func concurrent() throws {
        let dimensions = 256
        @Sendable func vector(_ number: Int) -> [Float] {
            var random = SeededRandom(seed: UInt64(number))
            return random.floats(dimensions)
        }
        var harness = try HNSWHarness(dimensions: dimensions, options: #"{"m":4,"ef_construction":20}"#)
        for number in 0..<UnlinkedScanTests.linked { harness.put("v\(number)", vector(number)) }
        harness.settle()
        let index = harness.index
        // Rows oldest ..< newest are there and not linked; those that go or may be linked are counted before that.
        let oldest = Atomic<Int>(UnlinkedScanTests.linked)
        let newest = Atomic<Int>(UnlinkedScanTests.linked)
        let done = Atomic<Int>(0)
        let isDone = Atomic<Bool>(false)
        let ruledOut = Atomic<Int>(0)
        let wrong = Mutex<[String]>([])
        let readers = try (0..<2).map { reader in
            try WorkerThread {
                var random = SeededRandom(seed: UInt64(reader))
                while !isDone.load(ordering: .acquiring) {
                    let (first, end) = (oldest.load(ordering: .acquiring), newest.load(ordering: .acquiring))
                    let wanted = first < end ? Int.random(in: first..<end, using: &random) : end - 1
                    let (answer, plan) = HNSWHarness.search(index, vector(wanted), k: 5)
                    let isThere = wanted >= oldest.load(ordering: .acquiring)
                    var failures: [String] = []
                    if answer.ids.count != 5 || Set(answer.ids).count != 5 { failures.append("\(answer.ids)") }
                    if isThere, answer.ids.first != "v\(wanted)" { failures.append("no v\(wanted)") }
                    if !failures.isEmpty { wrong.withLock { $0 += failures } }
                    ruledOut.wrappingAdd(plan.unindexedScanned - plan.unindexedCompared, ordering: .relaxed)
                    done.wrappingAdd(1, ordering: .releasing)
                }
            }
        }
        var next = UnlinkedScanTests.linked
        for round in 0..<3 {
            for _ in 0..<UnlinkedScanTests.unlinked / 100 {
                for number in next..<next + 100 { harness.put("v\(number)", vector(number)) }
                harness.publish()
                next += 100
                newest.store(next, ordering: .releasing)
            }
            // Rows go that are not linked, and others come into their slots.
            for _ in 0..<10 {
                let before = done.load(ordering: .acquiring)
                while done.load(ordering: .acquiring) < before + 4 { continue }
                let first = oldest.load(ordering: .relaxed)
                oldest.store(first + 50, ordering: .releasing)
                for number in first..<first + 50 { harness.delete("v\(number)") }
                harness.publish()
                for number in next..<next + 50 { harness.put("v\(number)", vector(number)) }
                harness.publish()
                next += 50
                newest.store(next, ordering: .releasing)
            }
            if round > 0 {
                oldest.store(next, ordering: .releasing)
                harness.settle()
            }
        }
        isDone.store(true, ordering: .releasing)
        for reader in readers { reader.join() }
        #expect(wrong.withLock { $0 } == [])
        #expect(ruledOut.load(ordering: .relaxed) > 0)
        harness.settle()
        #expect(index.graphViolations == [])
        #expect(index.stats.unindexed == 0)
    }
}
