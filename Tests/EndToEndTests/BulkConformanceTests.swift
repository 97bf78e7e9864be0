import SpringgTestKit
import Testing

extension EndToEnd {
    /// Many vectors in one request.
    @Suite struct BulkConformance {
        private func bulk(_ api: API, _ vectors: [String]) throws -> HTTPResponse {
            try api.post("/api/indexes/a/vectors/bulk", #"{"vectors":[\#(vectors.joined(separator: ","))]}"#)
        }

        @Test func allVectorsAreAdded() throws {
            let api = try API(["bulk-cpu-threshold-percent": "0"])
            try api.createIndex("a", 3)
            let response = try bulk(
                api,
                [
                    API.vectorBody(
                        "doc-1",
                        [0.1, 0.2, 0.3],
                        #"{"published_date":"2024-01-15","custom":{"title":"1"}}"#
                    ),
                    API.vectorBody(
                        "doc-2",
                        [0.4, 0.5, 0.6],
                        #"{"published_date":"2024-01-16","custom":{"title":"2"}}"#
                    ),
                ]
            )
            try expect(response, data: #"{"total":2,"success":2,"failed":0}"#)
            #expect(try api.count("a") == 2)
            #expect(try api.vector("a", "doc-2").data()["metadata"]?["custom"]?["title"] == .string("2"))
        }

        @Test func eachErrorNamesItsVectorAndTheRestIsAdded() throws {
            let api = try API(["bulk-cpu-threshold-percent": "0"])
            try api.createIndex("a", 3)
            let response = try bulk(
                api,
                [
                    API.vectorBody("doc-1", [1, 2, 3]), API.vectorBody("doc-2", [1, 2]),
                    API.vectorBody(nil, [1, 2, 3]),
                    #"{"id":"doc-4"}"#, API.vectorBody("doc-5", [3, 2, 1]),
                ]
            )
            try expect(
                response,
                data: """
                    {"total":5,"success":2,"failed":3,"errors":[\
                    {"index":1,"id":"doc-2","error":"vector dimension mismatch: expected 3, got 2"},\
                    {"index":2,"error":"ID is required"},\
                    {"index":3,"id":"doc-4","error":"Vector is required"}]}
                    """
            )
            #expect(try api.count("a") == 2)
        }

        @Test func nothingToAddIsRefused() throws {
            let api = try API(["bulk-cpu-threshold-percent": "0"])
            try api.createIndex("a", 3)
            for body in ["{}", #"{"vectors":[]}"#, #"{"vectors":null}"#] {
                expect(
                    try api.post("/api/indexes/a/vectors/bulk", body),
                    error: "At least one vector is required",
                    status: 400
                )
            }
        }

        @Test func theLastOfTwoWithOneIdStays() throws {
            let api = try API(["bulk-cpu-threshold-percent": "0"])
            try api.createIndex("a", 1)
            try expect(
                try bulk(api, [API.vectorBody("x", [1]), API.vectorBody("x", [2])]),
                data: #"{"total":2,"success":2,"failed":0}"#
            )
            #expect(try api.vector("a", "x").data()["vector"]?.floats == [2])
            #expect(try api.count("a") == 1)
        }

        @Test func aThousandVectorsOfAThousandDimensions() throws {
            var random = SeededRandom.fromEnvironment("large bulk")
            let api = try API(["bulk-cpu-threshold-percent": "0"])
            try api.createIndex("a", 1024)
            let vectors = (0..<1000).map { _ in random.floats(1024) }
            let response = try bulk(api, vectors.enumerated().map { API.vectorBody("v\($0.offset)", $0.element) })
            try expect(response, data: #"{"total":1000,"success":1000,"failed":0}"#)
            try api.crashAndRestart()
            #expect(try api.count("a") == 1000)
            for number in [0, 1, 500, 999] {
                #expect(try api.vector("a", "v\(number)").data()["vector"]?.floats == vectors[number])
            }
        }

        /// More bulk requests at once than allowed: each is carried out whole, or refused with the time to wait.
        @Test func tooManyAtOnceAreTurnedAwayNotLost() throws {
            let api = try API(["bulk-cpu-threshold-percent": "0", "max-concurrent-bulk-requests": "1"])
            try api.createIndex("a", 64)
            let port = api.node.port
            let outcomes = Collected<(accepted: Int, refused: Int)>()
            try WorkerThread.run(6) { worker in
                let client = HTTPClient(port: port)
                var tally = (accepted: 0, refused: 0)
                for round in 0..<20 {
                    let vectors = (0..<100).map { number in
                        API.vectorBody(
                            "w\(worker)-\(round)-\(number)",
                            [Float](repeating: Float(number + 1), count: 64)
                        )
                    }
                    let body = #"{"vectors":[\#(vectors.joined(separator: ","))]}"#
                    guard let response = try? client.request("POST", "/api/indexes/a/vectors/bulk", json: body) else {
                        Issue.record("no answer")
                        continue
                    }
                    if response.status == 429 {
                        #expect(response.error == "Too many concurrent bulk requests, please retry")
                        #expect(response.header("Retry-After") == "2")
                        tally.refused += 1
                    } else {
                        #expect(response.status == 200)
                        #expect((try? response.data()["success"]?.int) == 100)
                        tally.accepted += 1
                    }
                }
                outcomes.append(tally)
            }
            let accepted = outcomes.all.map(\.accepted).reduce(0, +)
            print("bulk at once: \(accepted) accepted, \(outcomes.all.map(\.refused).reduce(0, +)) refused")
            #expect(accepted > 0)
            #expect(try api.count("a") == accepted * 100)
        }
    }
}
