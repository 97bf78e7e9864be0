import SpringgTestKit
import Testing

extension EndToEnd {
    /// Adding, reading, replacing and deleting single vectors.
    @Suite struct VectorConformance {
        private static let metadata = """
            {"published_date":"2024-01-15","modified_date":"2024-01-20","custom":{"title":"Introduction to Vector Databases",\
            "author":"Jane Doe","category":"technology","tags":["vectors","databases","ai"]}}
            """

        @Test func anAddedVectorIsReadBackAsItWasSent() throws {
            let api = try API()
            try api.createIndex("articles", 3)
            try expect(
                api.add("articles", "doc-123", [0.1, 0.2, 0.3], metadata: Self.metadata),
                data: #"{"id":"doc-123","added":true}"#
            )
            try expect(
                api.vector("articles", "doc-123"),
                data: #"{"id":"doc-123","vector":[0.1,0.2,0.3],"metadata":\#(Self.metadata)}"#
            )
        }

        @Test func aVectorWithoutMetadataHasNone() throws {
            let api = try API()
            try api.createIndex("articles", 2)
            try api.add("articles", "a", [1, 2])
            try expect(api.vector("articles", "a"), data: #"{"id":"a","vector":[1,2]}"#)
        }

        @Test func updatingReplacesVectorAndMetadata() throws {
            let api = try API()
            try api.createIndex("articles", 3)
            try api.add("articles", "doc-123", [0.1, 0.2, 0.3], metadata: Self.metadata)
            let newer = #"{"modified_date":"2024-01-25","custom":{"title":"Updated Title"}}"#
            try expect(
                api.update("articles", "doc-123", [0.2, 0.3, 0.4], metadata: newer),
                data: #"{"id":"doc-123","updated":true}"#
            )
            try expect(
                api.vector("articles", "doc-123"),
                data: #"{"id":"doc-123","vector":[0.2,0.3,0.4],"metadata":\#(newer)}"#
            )
            // Metadata that is left out is deleted.
            #expect(try api.update("articles", "doc-123", [1, 2, 3]).status == 200)
            try expect(api.vector("articles", "doc-123"), data: #"{"id":"doc-123","vector":[1,2,3]}"#)
            #expect(try api.count("articles") == 1)
        }

        @Test func addingAnIdThatExistsReplacesIt() throws {
            let api = try API()
            try api.createIndex("articles", 2)
            try api.add("articles", "a", [1, 2], metadata: #"{"custom":{"x":1}}"#)
            try expect(api.add("articles", "a", [3, 4]), data: #"{"id":"a","added":true}"#)
            try expect(api.vector("articles", "a"), data: #"{"id":"a","vector":[3,4]}"#)
            #expect(try api.count("articles") == 1)
        }

        @Test func deletingIsOnceOnly() throws {
            let api = try API()
            try api.createIndex("articles", 2)
            try api.add("articles", "doc-123", [1, 2])
            try expect(api.remove("articles", "doc-123"), data: #"{"id":"doc-123","deleted":true}"#)
            expect(try api.vector("articles", "doc-123"), error: "vector doc-123 not found", status: 404)
            expect(try api.remove("articles", "doc-123"), error: "vector doc-123 not found", status: 404)
            expect(try api.update("articles", "doc-123", [1, 2]), error: "vector doc-123 not found", status: 404)
            #expect(try api.count("articles") == 0)
            #expect(try api.hits("articles", [1, 2]) == [])
        }

        @Test func aVectorOfOtherDimensionsIsRefused() throws {
            let api = try API()
            try api.createIndex("articles", 3)
            try api.add("articles", "a", [1, 2, 3])
            let text = "vector dimension mismatch: expected 3, got 2"
            expect(try api.add("articles", "b", [1, 2]), error: text, status: 400)
            expect(try api.update("articles", "a", [1, 2]), error: text, status: 400)
            try expect(api.vector("articles", "a"), data: #"{"id":"a","vector":[1,2,3]}"#)
            #expect(try api.count("articles") == 1)
        }

        @Test func idAndVectorAreRequired() throws {
            let api = try API()
            try api.createIndex("a", 2)
            try api.add("a", "x", [1, 2])
            let path = "/api/indexes/a/vectors"
            for body in [#"{"vector":[1,2]}"#, #"{"id":"","vector":[1,2]}"#, #"{"id":null,"vector":[1,2]}"#] {
                expect(try api.post(path, body), error: "ID is required", status: 400)
            }
            for body in [#"{"id":"x"}"#, #"{"id":"x","vector":[]}"#, #"{"id":"x","vector":null}"#] {
                expect(try api.post(path, body), error: "Vector is required", status: 400)
            }
            for body in ["{}", #"{"vector":[]}"#, #"{"metadata":{"custom":{}}}"#] {
                expect(try api.put(path + "/x", body), error: "Vector is required", status: 400)
            }
        }

        /// What is sent is what comes back, to the last bit of a float32: no normalising, no rounding twice.
        @Test func everyFiniteFloatSurvivesTheRoundTripAndARestart() throws {
            var random = SeededRandom.fromEnvironment("float round trip")
            let api = try API()
            var values: [Float] = [
                0, -0.0, 1, -1, .leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude,
            ]
            values += [-Float.greatestFiniteMagnitude, 0.1, 1 / 3, 16_777_216, .pi, 1e-37, -.leastNonzeroMagnitude]
            while values.count < 1024 {
                let value = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
                if value.isFinite { values.append(value) }
            }
            try api.createIndex("a", values.count)
            try api.add("a", "v", values)
            func check() throws {
                let back = try #require(try api.vector("a", "v").data()["vector"]?.floats)
                #expect(back.map(\.bitPattern) == values.map(\.bitPattern))
            }
            try check()
            try api.restart()
            try check()
        }

        /// The text of the number decides, not a detour through a double: these lie next to a tie of two float32.
        @Test func numbersAreRoundedOnce() throws {
            let api = try API()
            let texts = [
                "1.00000005960464477539062500000001", "1.00000005960464477539062499999999", "1e-46", "16777217.0000001",
            ]
            try api.createIndex("a", texts.count)
            _ = try api.post("/api/indexes/a/vectors", #"{"id":"v","vector":[\#(texts.joined(separator: ","))]}"#)
            let back = try #require(try api.vector("a", "v").data()["vector"]?.floats)
            #expect(back == [1.0000001, 1, 0, 16_777_218])
        }

        @Test(arguments: [
            "a/b", "/", "a b", "ä", "日本語", "😀", "%", "%2F", "a?b#c", "..", ".", "x\u{0}y", "\"quoted\\", "a+b", "bulk",
            "\n",
            String(repeating: "x", count: 512), String(repeating: "é", count: 256),
        ])
        func anyTextOf512BytesIsAnId(_ id: String) throws {
            let api = try API()
            try api.createIndex("a", 2)
            #expect(try api.add("a", id, [1, 2]).data()["id"] == .string(id))
            #expect(try api.vector("a", id).data()["id"] == .string(id))
            #expect(try api.update("a", id, [3, 4]).data()["id"] == .string(id))
            #expect(try api.hits("a", [3, 4]) == [id])
            try api.restart()
            #expect(try api.vector("a", id).data()["vector"]?.floats == [3, 4])
            #expect(try api.remove("a", id).data()["id"] == .string(id))
            #expect(try api.count("a") == 0)
        }

        @Test func idsThatDifferOnlyInTheirBytesAreTwo() throws {
            let api = try API()
            try api.createIndex("a", 1)
            // Equal to Unicode, not to a database: precomposed and decomposed, capitals.
            let ids = ["\u{E9}", "e\u{301}", "E\u{301}", "x", "x ", "X"]
            for (number, id) in ids.enumerated() { try api.add("a", id, [Float(number + 1)]) }
            #expect(try api.count("a") == ids.count)
            for (number, id) in ids.enumerated() {
                #expect(try api.vector("a", id).data()["vector"]?.floats == [Float(number + 1)])
            }
        }

        @Test func metadataKeepsItsValuesAndDropsUnknownKeys() throws {
            let api = try API()
            try api.createIndex("a", 1)
            let custom =
                #"{"n":1.50,"big":123456789012345678901234567890,"t":true,"null":null,"u":"\u00e9\n😀","a":[{"b":[]}]}"#
            try api.add("a", "v", [1], metadata: #"{"custom":\#(custom),"modified_date":"x","other":5}"#)
            try expect(
                api.vector("a", "v"),
                data: #"{"id":"v","vector":[1],"metadata":{"modified_date":"x","custom":\#(custom)}}"#
            )
            #expect(try api.vector("a", "v").text.contains("123456789012345678901234567890"))
        }
    }
}
