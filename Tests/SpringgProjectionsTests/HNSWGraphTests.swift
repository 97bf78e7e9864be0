import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

@Suite("The graph finds what comparing every row finds")
struct HNSWGraphTests {
    static let fixture = Result { try FixtureVectors(directory: HNSWHarness.fixtures) }

    static func filled(_ data: FixtureVectors, options: String = "", threads: Int = 1) throws -> HNSWHarness {
        var harness = try HNSWHarness(dimensions: FixtureVectors.dimensions, options: options)
        for (id, row) in zip(data.ids, data.rows) { harness.put(id, row) }
        harness.settle(threads: threads)
        return harness
    }

    @Test("recall@10 on real embeddings is at least 0.98 with what the program chooses, and the scores are exact")
    func recall() throws {
        let data = try HNSWGraphTests.fixture.get()
        let harness = try HNSWGraphTests.filled(data)
        #expect(harness.index.graphViolations == [])
        #expect(harness.index.stats.indexed == data.rows.count)
        #expect(harness.index.stats.unindexed == 0)
        let recall = harness.recall(data.queries)
        print("recall@10 at the default ef: \(recall)")
        #expect(recall >= 0.98)
        for query in data.queries {
            let found = harness.search(query).answer
            let exact = harness.search(query, k: 100, .exact).answer
            let scores = Dictionary(uniqueKeysWithValues: zip(exact.ids, exact.scores))
            for (id, score) in zip(found.ids, found.scores) { #expect(scores[id] == score) }
        }
    }

    @Test("a larger ef finds no less, and the options of an index are its own")
    func effort() throws {
        let data = try HNSWGraphTests.fixture.get()
        let harness = try HNSWGraphTests.filled(data, options: #"{"m":8,"ef_construction":60,"ef":20}"#)
        #expect(harness.search(data.queries[0]).plan.ef == 20)
        #expect(harness.search(data.queries[0], ef: 100).plan.ef == 100)
        #expect(harness.recall(data.queries, ef: 400) >= harness.recall(data.queries, ef: 20))
        #expect(harness.recall(data.queries, ef: 400) >= 0.99)
    }

    @Test("the same rows give the same graph, on one thread and on many", arguments: [1, 2, 5])
    func deterministic(threads: Int) throws {
        let data = try HNSWGraphTests.fixture.get()
        let (first, second) = (try HNSWGraphTests.filled(data), try HNSWGraphTests.filled(data, threads: threads))
        #expect(second.index.graphViolations == [])
        for query in data.queries.prefix(50) {
            let (one, other) = (first.search(query, ef: 16), second.search(query, ef: 16))
            #expect(one.answer == other.answer)
            #expect(one.plan == other.plan)
        }
    }

    @Test("rows linked many at a time are found as well as rows linked one after the other")
    func batches() throws {
        let data = try HNSWGraphTests.fixture.get()
        let rows = 3000
        var (single, many) = (
            try HNSWHarness(dimensions: FixtureVectors.dimensions),
            try HNSWHarness(dimensions: FixtureVectors.dimensions)
        )
        for number in 0..<rows {
            many.put(data.ids[number], data.rows[number])
            single.put(data.ids[number], data.rows[number])
            // Fewer are not linked at all, and then in batches that grow.
            if number > 1280 { single.settle() }
        }
        many.settle(threads: 2)
        #expect(many.index.graphViolations == [])
        let queries = data.queries + data.rows[rows...].prefix(800)
        for ef in [16, 32, 64] {
            let (one, other) = (single.recall(queries, ef: ef), many.recall(queries, ef: ef))
            print("ef \(ef): recall \(one) one after the other, \(other) many at a time")
            #expect(other >= one - 0.003)
        }
    }

    @Test("after three times the rows have passed through, recall is within 0.01 of a fresh graph and nothing is lost")
    func churn() throws {
        var random = SeededRandom.fromEnvironment("churn")
        let data = try HNSWGraphTests.fixture.get()
        let rows = data.rows.count
        var churned = try HNSWHarness(dimensions: FixtureVectors.dimensions)
        // Which vector stands under which id; half of the rows are replaced, or removed and put under a new id, a round.
        var standing: [(id: String, vector: Int)] = []
        for number in 0..<rows / 2 {
            standing.append(("r0-\(number)", number))
            churned.put("r0-\(number)", data.rows[number])
        }
        churned.settle()
        var passed = rows / 2
        var round = 0
        while passed < rows / 2 * 3 {
            round += 1
            standing.shuffle(using: &random)
            var vectors = Set(standing.map(\.vector))
            for place in 0..<standing.count / 2 {
                vectors.remove(standing[place].vector)
                let free = (0..<rows).lazy.filter { !vectors.contains($0) }
                let next = free.dropFirst(Int.random(in: 0..<200, using: &random)).first ?? standing[place].vector
                vectors.insert(next)
                if random.oneIn(2) {
                    churned.delete(standing[place].id)
                    standing[place].id = "r\(round)-\(place)"
                }
                standing[place].vector = next
                churned.put(standing[place].id, data.rows[next])
                passed += 1
            }
            if round == 2 {
                // In the middle of the work, with removed rows still in the graph: a restart is no fresh beginning.
                churned.publish()
                let disk = SimulatedFileSystem()
                try churned.checkpoint(to: disk)
                churned = try HNSWHarness(restoring: churned.lsn, from: disk)
                #expect(churned.damagedGraphs == [])
            }
            churned.settle(threads: 2)
            #expect(churned.index.graphViolations == [])
            #expect(churned.index.stats.unindexed == 0)
        }
        var fresh = try HNSWHarness(dimensions: FixtureVectors.dimensions)
        for row in standing { fresh.put(row.id, data.rows[row.vector]) }
        fresh.settle()
        // Many queries, so that chance alone makes no difference of a hundredth: rows that do not stand there are some too.
        let standingVectors = Set(standing.map(\.vector))
        let others = (0..<rows).filter { !standingVectors.contains($0) }
        let queries = data.queries + others.prefix(700).map { data.rows[$0] }
        for ef in [32, 64] {
            let (old, new) = (churned.recall(queries, ef: ef), fresh.recall(queries, ef: ef))
            print("ef \(ef): recall \(old) after \(passed) rows, \(new) when built afresh")
            #expect(old >= new - 0.01)
        }
        #expect(churned.index.stats.indexed == standing.count)
        // Slots are used again: twice the rows at most were ever held at once.
        #expect(churned.index.stats.memoryBytes <= 2 * fresh.index.stats.memoryBytes)
    }

    @Test("a graph that lost most of its rows gives their memory back, and finds the others as before")
    func renumbering() throws {
        let data = try HNSWGraphTests.fixture.get()
        var harness = try HNSWGraphTests.filled(data)
        let full = harness.index.stats
        let kept = data.rows.count / 4
        for id in data.ids.dropFirst(kept) { harness.delete(id) }
        harness.settle()
        let left = harness.index.stats
        #expect(harness.index.graphViolations == [])
        #expect(left.indexed == kept)
        #expect(left.graphMemoryBytes < full.graphMemoryBytes / 2)
        #expect(harness.recall(data.queries) >= 0.98)
    }

    @Test("whatever is put, replaced and deleted: never a dead row, never fewer than k, every row can be reached")
    func model() throws {
        var random = SeededRandom.fromEnvironment("model")
        let dimensions = 12
        var harness = try HNSWHarness(dimensions: dimensions, options: #"{"m":4,"ef_construction":20}"#)
        var rows: [String: [Float]] = [:]
        var misses = 0
        for step in 0..<60 {
            for _ in 0..<Int.random(in: 1..<300, using: &random) {
                let id = "v\(Int.random(in: 0..<3000, using: &random))"
                if random.oneIn(step % 3 == 0 ? 2 : 6) {
                    if rows.removeValue(forKey: id) != nil { harness.delete(id) }
                } else {
                    let vector = random.oneIn(50) ? [Float](repeating: 0, count: dimensions) : random.floats(dimensions)
                    rows[id] = vector
                    harness.put(id, vector)
                }
            }
            // Searched in all states: with rows not linked, with dead ones still linked, and with neither.
            if random.oneIn(2) { harness.settle() } else { harness.publish() }
            if random.oneIn(2) { #expect(harness.index.graphViolations == []) }
            for _ in 0..<5 {
                let k = Int.random(in: 1..<20, using: &random)
                let answer = harness.search(random.floats(dimensions), k: k).answer
                #expect(answer.ids.count == min(k, rows.count))
                #expect(Set(answer.ids).count == answer.ids.count)
                for id in answer.ids { #expect(rows[id] != nil) }
            }
            if let (id, vector) = rows.filter({ $0.value.contains { $0 != 0 } }).randomElement(using: &random) {
                if !harness.search(vector, k: 3).answer.ids.contains(id) { misses += 1 }
            }
        }
        #expect(misses <= 3)
        harness.settle()
        #expect(harness.index.graphViolations == [])
        for id in rows.keys { harness.delete(id) }
        harness.settle()
        #expect(harness.index.stats.indexed == 0)
        #expect(harness.search(random.floats(dimensions)).answer.ids.isEmpty)
        harness.put("again", random.floats(dimensions))
        harness.settle()
        #expect(harness.search(random.floats(dimensions)).answer.ids == ["again"])
    }

    @Test("rows that lie together closely, more than a node has links: no link twice, every row can be reached")
    func crowds() throws {
        var random = SeededRandom.fromEnvironment("crowds")
        for dimensions in [1, 2, 3, 64] {
            var harness = try HNSWHarness(dimensions: dimensions, options: #"{"m":4,"ef_construction":20}"#)
            let centres = (0..<5).map { _ in random.floats(dimensions) }
            for number in 0..<2500 {
                var vector = centres[number % 5]
                // Many are the same.
                if random.oneIn(2) { vector[0] += Float(random.next() % 8) / 64 }
                harness.put("v\(number)", vector)
            }
            harness.settle(threads: 2)
            // Thousands of sentences, if there is one.
            #expect(harness.index.graphViolations.prefix(3) == [], "\(dimensions) dimensions")
            for number in stride(from: 0, to: 2500, by: 3) { harness.delete("v\(number)") }
            harness.settle(threads: 2)
            #expect(harness.index.graphViolations.prefix(3) == [], "\(dimensions) dimensions, after deletes")
            for centre in centres { #expect(harness.search(centre, k: 20).answer.ids.count == 20) }
        }
    }

    @Test("rows of zeros and of extreme length are found, though no graph can hold them")
    func extremes() throws {
        var random = SeededRandom.fromEnvironment("extremes")
        var harness = try HNSWHarness(dimensions: 16)
        for number in 0..<2000 { harness.put("v\(number)", random.floats(16)) }
        let direction = random.floats(16)
        harness.put("huge", direction.map { $0 * 1e36 })
        harness.put("tiny", direction.map { $0 * 1e-36 })
        harness.put("zero", [Float](repeating: 0, count: 16))
        harness.settle()
        #expect(harness.index.stats.unindexed == 3)
        let (answer, plan) = harness.search(direction, k: 2)
        #expect(plan.method == .hnsw)
        #expect(plan.unindexedScanned == 3)
        #expect(Set(answer.ids) == ["huge", "tiny"])
        // A query without a direction is compared with every row: all of them score 0.
        let none = harness.search([Float](repeating: 0, count: 16), k: 2005)
        #expect(none.plan.method == .exact)
        #expect(none.answer.ids.count == 2003)
        harness.delete("zero")
        harness.settle()
        #expect(harness.index.stats.unindexed == 2)
    }

    @Test("the cheaper way is taken: comparing all of a few rows, and for a large k")
    func planner() throws {
        var random = SeededRandom.fromEnvironment("planner")
        var harness = try HNSWHarness(dimensions: 8)
        for number in 0..<500 { harness.put("v\(number)", random.floats(8)) }
        harness.settle()
        #expect(harness.index.stats.indexed == 0)
        #expect(harness.search(random.floats(8), nil).plan.method == .exact)
        for number in 500..<4000 { harness.put("v\(number)", random.floats(8)) }
        harness.settle()
        #expect(harness.index.stats.indexed == 4000)
        let plan = harness.search(random.floats(8), nil).plan
        #expect(plan.method == .hnsw)
        #expect(plan.distances > 0 && plan.distances < 4000)
        #expect(plan.nodesVisited >= plan.ef)
        #expect(harness.search(random.floats(8), k: 2000, nil).plan.method == .exact)
        #expect(harness.search(random.floats(8), ef: 2000, nil).plan.method == .exact)
    }

    @Test("a predicate is satisfied by every answer, and by all there are when they are few")
    func predicate() throws {
        let data = try HNSWGraphTests.fixture.get()
        let harness = try HNSWGraphTests.filled(data)
        for query in data.queries.prefix(20) {
            let even = harness.search(query, accepting: { $0 % 2 == 0 }).answer
            let truth = harness.search(query, .exact, accepting: { $0 % 2 == 0 }).answer
            #expect(even.ids.count == 10)
            #expect(Set(even.ids).intersection(truth.ids).count >= 8)
            let few = harness.search(query, accepting: { $0 < 12 })
            #expect(few.answer.ids.count == 10)
            #expect(few.answer == harness.search(query, .exact, accepting: { $0 < 12 }).answer)
        }
    }
}
