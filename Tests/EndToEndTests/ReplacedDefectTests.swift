import SpringgTestKit
import Testing

extension EndToEnd {
    /// What the program before did wrong and a client could see; the rest of its defects is shown in the suites of their
    /// subject (crash, storm, authentication, limits, vectors, search).
    @Suite struct ReplacedDefects {
        @Test func dimensionsDoNotWrapAround() throws {
            let api = try API()
            for dimensions in [
                "4294967300", "18446744073709551620", "1e3", "2.5", "\"4\"", "65537", "9223372036854775807",
            ] {
                let response = try api.post("/api/indexes/a", #"{"dimensions":\#(dimensions)}"#)
                #expect(response.status == 400 && response.error?.isEmpty == false, "\(dimensions): \(response)")
            }
            try expect(api.get("/api/indexes"), data: "[]")
            #expect(try api.createIndex("a", 65_536).status == 200)
        }

        @Test func bytesBehindTheDocumentAreRefused() throws {
            let api = try API()
            for body in [
                #"{"dimensions":4} xx"#, #"{"dimensions":4}{}"#, #"{"dimensions":4},"#, "{\"dimensions\":4}\u{0}",
            ] {
                expect(try api.post("/api/indexes/a", body), error: "Invalid request body", status: 400)
            }
            try expect(api.get("/api/indexes"), data: "[]")
            #expect(try api.post("/api/indexes/a", " \t\r\n{\"dimensions\":4}\n ").status == 200)
        }

        @Test func aDeletedIndexStaysDeletedOverARestart() throws {
            let api = try API()
            try api.createIndex("a", 2)
            try api.add("a", "x", [1, 2])
            try api.delete("/api/indexes/a")
            try api.restart()
            try expect(api.get("/api/indexes"), data: "[]")
            try api.crashAndRestart()
            try expect(api.get("/api/indexes"), data: "[]")
        }

        @Test func anIndexCreatedAgainWithOtherDimensionsHasNothingOfTheOldOne() throws {
            let api = try API()
            try api.createIndex("a", 2)
            for number in 0..<50 { try api.add("a", "old\(number)", [1, Float(number)]) }
            try api.delete("/api/indexes/a")
            try api.createIndex("a", 3)
            try api.add("a", "new", [1, 2, 3])
            func check() throws {
                try expect(api.get("/api/indexes"), data: #"[{"name":"a","dimensions":3,"count":1}]"#)
                try expect(api.vector("a", "new"), data: #"{"id":"new","vector":[1,2,3]}"#)
                expect(try api.vector("a", "old0"), error: "vector old0 not found", status: 404)
                #expect(try api.hits("a", [1, 2, 3]) == ["new"])
            }
            try check()
            try api.crashAndRestart()
            try check()
            try api.restart()
            try check()
        }

        @Test func aDeletedVectorStaysDeletedOverARestart() throws {
            let api = try API()
            try api.createIndex("a", 2)
            for number in 0..<20 { try api.add("a", "v\(number)", [1, Float(number)]) }
            for number in 0..<10 { try api.remove("a", "v\(number)") }
            try api.crashAndRestart()
            #expect(try api.count("a") == 10)
            expect(try api.vector("a", "v3"), error: "vector v3 not found", status: 404)
            #expect(try api.vector("a", "v13").status == 200)
        }

        /// A search used to answer 200 with nothing when a number in it was beyond reach.
        @Test func noAnswerIsEmpty() throws {
            let api = try API()
            try api.createIndex("a", 2)
            try api.add("a", "x", [3e38, -3e38])
            for query in [[3e38, 3e38], [-3e38, 3e38], [1, 1]] as [[Float]] {
                let response = try api.search("a", query)
                #expect(response.status == 200 && !response.body.isEmpty)
                #expect(try response.data().array?.count == 1)
            }
        }

        /// The directory took 87 times the data.
        @Test func theDiskTakesLittleMoreThanTheData() throws {
            var random = SeededRandom.fromEnvironment("disk use")
            let api = try API(["bulk-cpu-threshold-percent": "0", "log-segment-mb": "1"])
            try api.createIndex("a", 256)
            for round in 0..<20 {
                let part = (0..<200).map { API.vectorBody("v\(round)-\($0)", random.floats(256)) }
                let body = #"{"vectors":[\#(part.joined(separator: ","))]}"#
                #expect(try api.post("/api/indexes/a/vectors/bulk", body).status == 200)
            }
            try api.stop()
            let payload = 4000 * (256 * 4 + 7)
            let occupied = Files.treeSize(api.node.dataPath + "/log").occupied
            print("disk use: \(occupied) bytes for a payload of \(payload)")
            // A record's frame, and what is preallocated of the last segments, are all that may come on top.
            #expect(occupied < payload * 5 / 4 + 3 << 20)
        }
    }
}
