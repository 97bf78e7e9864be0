import Glibc
import SpringgTestKit
import Testing

extension EndToEnd {
    /// Search: order, scores, metadata, the boost for recent documents.
    @Suite struct SearchConformance {
        @Test func resultsCarryIdScoreAndMetadataBestFirst() throws {
            let api = try API()
            try api.createIndex("a", 2)
            let metadata =
                #"{"published_date":"2024-01-18","custom":{"title":"Advanced Vector Search","author":"John Smith"}}"#
            try api.add("a", "doc-456", [1, 0.1], metadata: metadata)
            try api.add("a", "doc-789", [1, 1])
            try api.add("a", "doc-000", [0, 1])
            let results = try #require(try api.search("a", [1, 0], k: 2).data().array)
            #expect(results.count == 2)
            #expect(results.map { $0["id"] } == [.string("doc-456"), .string("doc-789")])
            #expect(try results[0]["metadata"] == JSONValue(text: metadata))
            #expect(results[1].keys == ["id", "score"])
            #expect(abs(try #require(results[0]["score"]?.double) - 1 / 1.01.squareRoot()) < 1e-5)
            #expect(abs(try #require(results[1]["score"]?.double) - 0.5.squareRoot()) < 1e-5)
        }

        @Test func tenResultsUnlessToldOtherwise() throws {
            let api = try API()
            try api.createIndex("a", 2)
            for number in 0..<15 { try api.add("a", "v\(number)", [1, Float(number)]) }
            #expect(try api.hits("a", [1, 0]).count == 10)
            #expect(try api.hits("a", [1, 0], k: 3) == ["v0", "v1", "v2"])
            #expect(try api.hits("a", [1, 0], k: 1000).count == 15)
        }

        @Test func equalScoresAreInOrderOfTheirIds() throws {
            let api = try API()
            try api.createIndex("a", 2)
            for id in ["c", "a", "b", "A", "é"] { try api.add("a", id, [2, 1]) }
            #expect(try api.hits("a", [2, 1]) == ["A", "a", "b", "c", "é"])
            #expect(try api.hits("a", [2, 1], k: 2) == ["A", "a"])
        }

        @Test func anEmptyIndexHasNoResults() throws {
            let api = try API()
            try api.createIndex("a", 2)
            try expect(api.search("a", [1, 2]), data: "[]")
        }

        @Test func aQueryOfOtherDimensionsOrNoneIsRefused() throws {
            let api = try API()
            try api.createIndex("a", 3)
            expect(try api.search("a", [1, 2]), error: "query dimension mismatch: expected 3, got 2", status: 400)
            for body in ["{}", #"{"k":3}"#, #"{"vector":[]}"#] {
                expect(try api.post("/api/indexes/a/search", body), error: "Vector is required", status: 400)
            }
        }

        @Test func scoresRunFromMinusOneToOne() throws {
            let api = try API()
            try api.createIndex("a", 3)
            try api.add("a", "same", [0.3, -0.7, 0.2])
            try api.add("a", "opposite", [-0.3, 0.7, -0.2])
            try api.add("a", "zero", [0, 0, 0])
            let results = try #require(try api.search("a", [0.3, -0.7, 0.2]).data().array)
            let scores = results.compactMap { $0["score"]?.double }
            #expect(results.map { $0["id"]?.string } == ["same", "zero", "opposite"])
            #expect(scores.allSatisfy { (-1...1).contains($0) })
            #expect(scores[0] > 0.9999 && scores[1] == 0 && scores[2] < -0.9999)
            let none = try #require(try api.search("a", [0, 0, 0]).data().array)
            #expect(none.compactMap { $0["score"]?.double } == [0, 0, 0])
        }

        @Test func oneHugeComponentSpoilsNoSearch() throws {
            let api = try API()
            try api.createIndex("a", 4)
            let big = Float.greatestFiniteMagnitude
            try api.add("a", "huge", [big, big, big, big])
            try api.add("a", "tiny", [.leastNonzeroMagnitude, 0, 0, 0])
            try api.add("a", "plain", [1, 1, 1, 0.9])
            for query in [[1, 1, 1, 1], [big, big, big, big], [Float](repeating: .leastNonzeroMagnitude, count: 4)]
                as [[Float]]
            {
                let response = try api.search("a", query)
                #expect(response.status == 200)
                let scores = try #require(response.data().array).compactMap { $0["score"]?.double }
                #expect(scores.count == 3 && scores.allSatisfy { (-1...1).contains($0) }, "\(response)")
            }
            #expect(try api.hits("a", [1, 1, 1, 1], k: 1) == ["huge"])
        }

        @Test func anUpdatedVectorIsScoredByItsDirectionNotItsLength() throws {
            let api = try API()
            try api.createIndex("a", 2)
            try api.add("a", "a", [1, 0])
            try api.add("a", "b", [0, 1])
            #expect(try api.update("a", "b", [300, 300]).status == 200)
            let results = try #require(try api.search("a", [1, 0]).data().array)
            #expect(results.map { $0["id"]?.string } == ["a", "b"])
            #expect(abs(try #require(results[1]["score"]?.double) - 0.5.squareRoot()) < 1e-5)
        }

        /// A search right behind an answered write sees it, whatever happened before.
        @Test func aWriteIsSeenByTheNextSearch() throws {
            let api = try API()
            try api.createIndex("a", 8)
            for round in 0..<200 {
                var vector = [Float](repeating: 0.01, count: 8)
                vector[round % 8] = Float(round + 1)
                try api.add("a", "v\(round)", vector)
                #expect(try api.hits("a", vector, k: 200).contains("v\(round)"))
                if round % 3 == 0 {
                    try api.remove("a", "v\(round)")
                    #expect(try !api.hits("a", vector, k: 200).contains("v\(round)"))
                }
            }
        }

        /// 5,000 real embeddings, 100 queries that are none of them: the true ten of each while every row is compared, and
        /// nearly all of them through the graph.
        @Test func theTrueNeighboursOfRealEmbeddingsAreFound() throws {
            let fixture = try FixtureVectors(directory: RepositoryFiles.root + "/Fixtures")
            let api = try API(["bulk-cpu-threshold-percent": "0"])
            try api.createIndex("words", FixtureVectors.dimensions)
            for start in stride(from: 0, to: fixture.rows.count, by: 500) {
                let part = (start..<min(start + 500, fixture.rows.count)).map {
                    API.vectorBody(fixture.ids[$0], fixture.rows[$0])
                }
                let body = #"{"vectors":[\#(part.joined(separator: ","))]}"#
                #expect(try api.post("/api/indexes/words/vectors/bulk", body).data()["success"]?.int == part.count)
            }
            for (query, truth) in zip(fixture.queries, fixture.groundTruth) {
                // So many candidates are no cheaper than all rows.
                let (ids, scores, method) = try Self.explained(api, query, ef: 2000)
                #expect(method == "exact")
                #expect(Set(ids) == Set(truth.map { fixture.ids[$0] }))
                #expect(scores == scores.sorted(by: >))
                let nearest = Self.cosine(query, fixture.rows[truth[0]])
                #expect(abs(try #require(scores.first) - nearest) < 2e-6)
            }
            while try api.get("/api/indexes/words/stats").data()["unindexed"]?.int != 0 {}
            #expect(try api.get("/api/indexes/words/stats").data()["indexed"]?.int == fixture.rows.count)
            var found = 0
            for (query, truth) in zip(fixture.queries, fixture.groundTruth) {
                let (ids, scores, method) = try Self.explained(api, query, ef: nil)
                #expect(method == "hnsw")
                #expect(ids.count == truth.count)
                #expect(scores == scores.sorted(by: >))
                found += Set(ids).intersection(truth.map { fixture.ids[$0] }).count
            }
            #expect(found >= 980)
        }

        private static func explained(
            _ api: API,
            _ query: [Float],
            ef: Int?
        ) throws -> (ids: [String], scores: [Double], method: String?) {
            let effort = ef.map { #","ef":\#($0)"# } ?? ""
            let body = #"{"vector":\#(JSONValue.array(of: query))\#(effort),"explain":true}"#
            let answer = try api.post("/api/indexes/words/search", body)
            #expect(answer.status == 200)
            let results = try #require(try answer.data().array)
            return (
                results.compactMap { $0["id"]?.string }, results.compactMap { $0["score"]?.double },
                try answer.json()["explain"]?["method"]?.string
            )
        }

        /// What a graph cannot be, and a search cannot ask for.
        @Test func optionsOfTheGraphHaveBounds() throws {
            let api = try API()
            for (member, text) in [
                (#""m":3"#, "m must be between 4 and 64, got 3"), (#""M":65"#, "m must be between 4 and 64, got 65"),
                (#""ef_construction":9"#, "ef_construction must be between 10 and 2000, got 9"),
                (#""ef":2001"#, "ef must be between 10 and 2000, got 2001"),
                (#""quantization":"int2""#, "quantization must be one of auto, none, int8, int4, got int2"),
                (#""quantization":4"#, "Invalid request body"),
            ] {
                let refused = try api.post("/api/indexes/a", #"{"dimensions":2,\#(member)}"#)
                #expect(refused.status == 400)
                #expect(try refused.json()["error"]?.string == text)
            }
            let made = try api.post("/api/indexes/a", #"{"dimensions":2,"M":8,"ef_construction":100,"ef":40}"#)
            #expect(made.status == 200)
            for (name, found) in [("none", "none"), ("int8", "int8"), ("int4", "int4"), ("auto", "int8")] {
                let body = #"{"dimensions":64,"quantization":"\#(name)"}"#
                #expect(try api.post("/api/indexes/q-\(name)", body).status == 200)
                let memory = try api.get("/api/indexes/q-\(name)/stats").data()["memory"]
                #expect(memory?["quantization"]?.string == found)
                #expect(memory?["row_bytes_per_vector"]?.int == 256)
            }
            try api.add("a", "v", [1, 0])
            for (member, status) in [(#""ef":9"#, 400), (#""ef":2001"#, 400), (#""ef":10"#, 200), (#""ef":null"#, 200)]
            {
                #expect(try api.post("/api/indexes/a/search", #"{"vector":[1,0],\#(member)}"#).status == status)
            }
            #expect(try api.post("/api/indexes/a/search", #"{"vector":[1,0],"explain":1}"#).status == 400)
        }

        private static func cosine(_ left: [Float], _ right: [Float]) -> Double {
            func dot(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
            return dot(left, right) / (dot(left, left) * dot(right, right)).squareRoot()
        }
    }

    /// `recency_boost`, as the program before defined it.
    @Suite struct RecencyBoost {
        /// A date so many days ago, as `2006-01-02` in UTC.
        private func day(_ daysAgo: Int) -> String {
            var moment = time(nil) - daysAgo * 86_400
            var parts = tm()
            gmtime_r(&moment, &parts)
            func two(_ number: Int32) -> String { (number < 10 ? "0" : "") + String(number) }
            return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        }

        private func filled() throws -> API {
            let api = try API()
            try api.createIndex("a", 2)
            func add(_ id: String, _ vector: [Float], _ date: String?) throws {
                try api.add("a", id, vector, metadata: date.map { #"{"published_date":"\#($0)","custom":{"x":1}}"# })
            }
            try add("best", [1, 0], day(400))
            try add("recent", [1, 0.5], day(1))
            try add("recent-time", [1, 0.55], day(1) + "T00:00:00+00:00")
            try add("recent-space", [1, 0.6], day(1) + " 00:00:00")
            try add("medium", [1, 0.7], day(20))
            try add("old", [1, 0.8], day(300))
            try add("undated", [1, 0.9], nil)
            try add("odd", [1, 1], "yesterday")
            return api
        }

        private static let boost = """
            {"field":"published_date","recent_days":7,"recent_multiplier":1.5,"medium_days":30,"medium_multiplier":1.2}
            """

        @Test func recentDocumentsAreMultipliedAndSortedAnew() throws {
            let api = try filled()
            let plain = try #require(try api.search("a", [1, 0]).data().array)
            let boosted = try #require(try api.search("a", [1, 0], boost: Self.boost).data().array)
            let ids = boosted.compactMap { $0["id"]?.string }
            #expect(ids == ["recent", "recent-time", "recent-space", "best", "medium", "old", "undated", "odd"])
            let before = Dictionary(
                uniqueKeysWithValues: plain.map { ($0["id"]?.string ?? "", $0["score"]?.double ?? 0) }
            )
            for result in boosted {
                let id = try #require(result["id"]?.string)
                let multiplier = id.hasPrefix("recent") ? 1.5 : id == "medium" ? 1.2 : 1
                let expected = try #require(before[id]) * multiplier
                #expect(abs(try #require(result["score"]?.double) - expected) < 1e-5, "\(id)")
            }
        }

        @Test func aFieldThatIsNoDateChangesNothing() throws {
            let api = try filled()
            let plain = try api.search("a", [1, 0]).data()
            let other = Self.boost.split(separator: "published_date").joined(separator: "custom")
            #expect(try api.search("a", [1, 0], boost: other).data() == plain)
            let modified = Self.boost.split(separator: "published_date").joined(separator: "modified_date")
            #expect(try api.search("a", [1, 0], boost: modified).data() == plain)
        }

        /// Multiplying a negative score would push the recent document down: it must never come out worse.
        @Test func aNegativeScoreIsNeverWorsened() throws {
            let api = try filled()
            let before = try #require(try api.search("a", [-1, 0], k: 100).data().array)
            let after = try #require(try api.search("a", [-1, 0], k: 100, boost: Self.boost).data().array)
            let scores = Dictionary(
                uniqueKeysWithValues: before.map { ($0["id"]?.string ?? "", $0["score"]?.double ?? 0) }
            )
            for result in after {
                let id = try #require(result["id"]?.string)
                #expect(try #require(result["score"]?.double) >= (try #require(scores[id])) - 1e-6, "\(id)")
            }
        }

        /// More candidates are looked at than are asked for, so that a boosted one can come up from behind.
        @Test func candidatesFromBehindCanWin() throws {
            let api = try API()
            try api.createIndex("a", 2)
            for number in 0..<9 { try api.add("a", "old\(number)", [1, 0.01 * Float(number)]) }
            try api.add("a", "new", [1, 0.3], metadata: #"{"published_date":"\#(day(0))"}"#)
            #expect(try api.hits("a", [1, 0], k: 1) == ["old0"])
            #expect(try api.hits("a", [1, 0], k: 1, boost: Self.boost) == ["new"])
        }
    }
}
