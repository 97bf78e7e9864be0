import SpringgTestKit
import Testing

extension EndToEnd {
    /// Creating, listing, describing and deleting indexes, as the API's description shows them.
    @Suite struct IndexConformance {
        @Test func creatingAnswersNameAndDimensions() throws {
            let api = try API()
            try expect(
                api.createIndex("articles", 1024),
                data: #"{"name":"articles","dimensions":1024,"created":true}"#
            )
        }

        @Test func listingShowsEveryIndexByName() throws {
            let api = try API()
            try expect(api.get("/api/indexes"), data: "[]")
            try api.createIndex("products", 768)
            try api.createIndex("articles", 3)
            try api.add("articles", "a", [1, 2, 3])
            try expect(
                api.get("/api/indexes"),
                data: """
                    [{"name":"articles","dimensions":3,"count":1},{"name":"products","dimensions":768,"count":0}]
                    """
            )
        }

        @Test func statsCarryTheFieldsOfTheDescriptionAndOfTheProgramBefore() throws {
            let api = try API()
            try api.createIndex("articles", 3)
            try api.add("articles", "a", [1, 2, 3], metadata: #"{"custom":{"a":1}}"#)
            try api.add("articles", "b", [1, 2, 4])
            let stats = try api.get("/api/indexes/articles/stats").data()
            #expect(stats["name"] == .string("articles"))
            #expect(stats["dimensions"]?.int == 3)
            #expect(stats["count"]?.int == 2)
            #expect(stats["vector_count"]?.int == 2)
            #expect(stats["dirty"]?.bool != nil)
            let memory = try #require(stats["memory_bytes"]?.int)
            #expect(memory >= 2 * 3 * 4)
            #expect(try #require(stats["memory_mb"]?.double) >= 0)
            #expect(try #require(stats["disk_size"]?.int) > 0)
        }

        @Test func deletingTakesTheIndexAndItsVectors() throws {
            let api = try API()
            try api.createIndex("articles", 2)
            try api.add("articles", "a", [1, 2])
            try expect(api.delete("/api/indexes/articles"), data: #"{"name":"articles","deleted":true}"#)
            try expect(api.get("/api/indexes"), data: "[]")
            expect(try api.vector("articles", "a"), error: "index articles not found", status: 404)
            try api.createIndex("articles", 2)
            #expect(try api.count("articles") == 0)
        }

        @Test func anIndexThatExistsIsAConflict() throws {
            let api = try API()
            try api.createIndex("articles", 2)
            expect(try api.createIndex("articles", 2), error: "index articles already exists", status: 409)
            expect(try api.createIndex("articles", 3), error: "index articles already exists", status: 409)
            #expect(try api.get("/api/indexes").data()[0]?["dimensions"]?.int == 2)
        }

        @Test func anIndexThatDoesNotExistIsNotFound() throws {
            let api = try API()
            let text = "index nothing not found"
            expect(try api.get("/api/indexes/nothing/stats"), error: text, status: 404)
            expect(try api.delete("/api/indexes/nothing"), error: text, status: 404)
            expect(try api.add("nothing", "a", [1]), error: text, status: 404)
            expect(try api.vector("nothing", "a"), error: text, status: 404)
            expect(try api.update("nothing", "a", [1]), error: text, status: 404)
            expect(try api.remove("nothing", "a"), error: text, status: 404)
            expect(try api.search("nothing", [1]), error: text, status: 404)
            expect(
                try api.post("/api/indexes/nothing/vectors/bulk", #"{"vectors":[{"id":"a","vector":[1]}]}"#),
                error: text,
                status: 404
            )
        }

        @Test func dimensionsMustBePositive() throws {
            let api = try API()
            for body in ["{}", #"{"dimensions":0}"#, #"{"dimensions":-4}"#, #"{"dimensions":null}"#] {
                expect(try api.post("/api/indexes/a", body), error: "Dimensions must be positive", status: 400)
            }
            try expect(api.get("/api/indexes"), data: "[]")
        }

        @Test func keysMatchWhateverTheirCase() throws {
            let api = try API()
            try expect(
                api.post("/api/indexes/a", #"{"DIMENSIONS":2,"unknown":{"x":[1,2,{}]}}"#),
                data: #"{"name":"a","dimensions":2,"created":true}"#
            )
            try expect(
                api.post("/api/indexes/a/vectors", #"{"Id":"x","VECTOR":[1,2]}"#),
                data: #"{"id":"x","added":true}"#
            )
        }

        @Test(arguments: ["a", "A_b-c.1", "0", ".hidden", "a..b", "healthy"])
        func namesOfLettersDigitsAndAFewSigns(_ name: String) throws {
            let api = try API()
            #expect(try api.createIndex(name, 2).status == 200)
            try api.add(name, "v", [1, 2])
            try api.restart()
            #expect(try api.count(name) == 1)
        }
    }
}
