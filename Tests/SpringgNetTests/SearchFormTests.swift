import SpringgNet
import SpringgTestKit
import Testing

/// Batches, binary bodies, and what an answer says of each vector.
@Suite struct SearchFormTests {
    private static func bytes(_ values: [Float]) -> [UInt8] {
        values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
    }

    private static func record(_ id: String, _ metadata: String, _ vector: [Float]) -> [UInt8] {
        func length(_ text: String) -> [UInt8] {
            withUnsafeBytes(of: UInt32(text.utf8.count).littleEndian) { Array($0) }
        }
        return length(id) + length(metadata) + Array(id.utf8) + Array(metadata.utf8) + bytes(vector)
    }

    private static let binary = [(name: "Content-Type", value: "application/vnd.springg.f32")]

    /// An index of three vectors of two dimensions.
    private static func fill(_ client: HTTPClient) throws {
        #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
        let body =
            #"{"vectors":[{"id":"x","vector":[1,0],"metadata":{"custom":{"n":1}}},{"id":"y","vector":[0,2]},"#
            + #"{"id":"z","vector":[1,1]}]}"#
        #expect(try client.request("POST", "/api/indexes/a/vectors/bulk", body).status == 200)
    }

    @Test func anAnswerSaysWhatIsAskedFor() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            try Self.fill(client)
            let x = #""metadata":{"custom":{"n":1}}"#
            let table: [(String, String, String)] = [
                ("", "", #"{"id":"x","score":1,\#(x)}"#),
                ("?fields=id", "", #"{"id":"x"}"#),
                ("?fields=score,vector", "", #"{"id":"x","score":1,"vector":[1,0]}"#),
                ("?include_vector=true", "", #"{"id":"x","score":1,"vector":[1,0],\#(x)}"#),
                ("?include_metadata=false", "", #"{"id":"x","score":1}"#),
                ("?fields=metadata&include_metadata=false&x=y", "", #"{"id":"x"}"#),
                ("?fields=metadat%61", "", #"{"id":"x",\#(x)}"#),
                ("", #","include_vector":true,"include_metadata":false"#, #"{"id":"x","score":1,"vector":[1,0]}"#),
                ("?include_vector=true", #","include_vector":false"#, #"{"id":"x","score":1,\#(x)}"#),
            ]
            for (query, members, hit) in table {
                let body = #"{"vector":[3,0],"k":1\#(members)}"#
                let answer = try client.request("POST", "/api/indexes/a/search\(query)", body)
                #expect(try answer.data() == JSONValue(text: "[\(hit)]"), "\(query) \(members)")
            }
            for query in [
                "?fields=everything", "?fields=", "?fields=id,,score", "?include_vector=yes", "?fields=%f",
                "?include_metadata=%ff",
            ] {
                let answer = try client.request("POST", "/api/indexes/a/search\(query)", #"{"vector":[3,0]}"#)
                #expect(answer.status == 400 && answer.code == "invalid_request", "\(query)")
            }
            let slim = try client.request("GET", "/api/indexes/a/vectors/x?include_vector=false")
            #expect(try slim.data() == JSONValue(text: #"{"id":"x",\#(x)}"#))
            #expect(
                try client.request("GET", "/api/indexes/a/vectors/x?fields=vector").data()
                    == JSONValue(text: #"{"id":"x","vector":[1,0]}"#)
            )
        }
    }

    @Test func aBatchAnswersAsItsSearchesWould() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            try Self.fill(client)
            let searches = [
                #"{"vector":[1,0.1],"k":2}"#, #"{"vector":[0,1],"explain":true}"#, #"{"vector":[0,0],"k":1}"#,
                #"{"vector":[-1,0],"include_vector":true,"include_metadata":false}"#,
            ]
            let body = #"{"searches":[\#(searches.joined(separator: ","))]}"#
            let answers = try #require(try client.request("POST", "/api/indexes/a/search/batch", body).data().array)
            #expect(answers.count == searches.count)
            for (search, answer) in zip(searches, answers) {
                let alone = try client.request("POST", "/api/indexes/a/search", search).json()
                #expect(answer["hits"] == alone["data"] && answer["explain"] == alone["explain"], "\(search)")
            }
        }
    }

    @Test func aBatchIsRefusedAsAWhole() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            try Self.fill(client)
            let many = Array(repeating: #"{"vector":[1,0]}"#, count: 1001).joined(separator: ",")
            let table: [(String, Int, String)] = [
                ("{}", 400, "At least one search is required"),
                (#"{"searches":[]}"#, 400, "At least one search is required"),
                (#"{"searches":null}"#, 400, "At least one search is required"),
                (
                    #"{"searches":[{"vector":[1,0]},{"vector":[1]}]}"#, 400,
                    "search 1: query dimension mismatch: expected 2, got 1"
                ),
                (#"{"searches":[{"k":1}]}"#, 400, "search 0: Vector is required"),
                (#"{"searches":[{"vector":[1,0],"k":10001}]}"#, 400, "search 0: k must be at most 10000"),
                (#"{"searches":[{"vector":[1,0],"ef":3}]}"#, 400, "search 0: ef must be between 10 and 2000, got 3"),
                (#"{"searches":[{"vector":[1]},7]}"#, 400, "search 0: query dimension mismatch: expected 2, got 1"),
                (#"{"searches":[7]}"#, 400, "Invalid request body"),
                (#"{"searches":[{"vector":[1]}]"#, 400, "Invalid request body"),
                (#"{"searches":[\#(many)]}"#, 400, "at most 1000 searches are allowed in one request"),
            ]
            for (body, status, text) in table {
                let answer = try client.request("POST", "/api/indexes/a/search/batch", body)
                #expect(
                    answer.status == status && answer.error?.hasSuffix(text) == true,
                    "\(body.prefix(80)): \(answer)"
                )
            }
            #expect(try client.request("POST", "/api/indexes/b/search/batch", "{}").code == "index_not_found")
        }
    }

    @Test func binaryBodiesMeanTheSame() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":3}"#).status == 200)
            var random = SeededRandom.fromEnvironment(#function)
            let vectors = (0..<50).map { _ in random.floats(3) }
            var body: [UInt8] = []
            for (number, vector) in vectors.enumerated() {
                body += Self.record("é\(number)", number % 2 == 0 ? "" : #"{"custom":{"n":\#(number)}}"#, vector)
            }
            let stored = try client.request("POST", "/api/indexes/a/vectors/bulk", headers: Self.binary, body: body)
            #expect(try stored.data() == JSONValue(text: #"{"total":50,"success":50,"failed":0}"#))
            for (number, vector) in vectors.enumerated() {
                let row = try client.request("GET", "/api/indexes/a/vectors/%C3%A9\(number)").data()
                #expect(row["vector"]?.floats == vector)
                #expect(row["metadata"]?["custom"]?["n"]?.int == (number % 2 == 0 ? nil : number))
            }
            let queries = (0..<5).map { _ in random.floats(3) }
            func ask(_ path: String, _ vectors: [[Float]]) throws -> JSONValue {
                let body = vectors.flatMap(Self.bytes)
                return try client.request("POST", path, headers: Self.binary, body: body).data()
            }
            let batch = try ask("/api/indexes/a/search/batch?k=4&fields=score", queries)
            for (place, query) in queries.enumerated() {
                let body = #"{"vector":\#(JSONValue.array(of: query)),"k":4,"include_metadata":false}"#
                let text = try client.request("POST", "/api/indexes/a/search", body).data()
                #expect(try ask("/api/indexes/a/search?k=4&include_metadata=false", [query]) == text)
                #expect(batch[place]?["hits"] == text)
            }
        }
    }

    @Test func binaryBodiesAreCheckedInLengthAndContent() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            func post(_ path: String, _ body: [UInt8]) throws -> HTTPResponse {
                try client.request("POST", "/api/indexes/a/\(path)", headers: Self.binary, body: body)
            }
            for count in 0..<20 where count != 8 {
                #expect(try post("search", Array(repeating: 0, count: count)).code == "dimension_mismatch", "\(count)")
            }
            #expect(try post("search/batch", []).error == "At least one search is required")
            #expect(try post("search/batch", Array(repeating: 0, count: 12)).code == "dimension_mismatch")
            #expect(try post("search", Self.bytes([1, .nan])).status == 400)
            #expect(try post("search", Self.bytes([.infinity, 1])).status == 400)
            for query in ["k=x", "k=10001", "ef=3", "explain=1"] {
                #expect(try post("search?\(query)", Self.bytes([1, 1])).status == 400, "\(query)")
            }
            // Cut anywhere but between records, nothing is stored.
            let whole = Self.record("a", "", [1, 2]) + Self.record("b", #"{"custom":{}}"#, [3, 4])
            let first = Self.record("a", "", [1, 2]).count
            for count in 1..<whole.count where count != first {
                let answer = try post("vectors/bulk", Array(whole[..<count]))
                #expect(answer.status == 400, "\(count) bytes: \(answer)")
            }
            // Lengths that no body has.
            for length: [UInt8] in [[255, 255, 255, 255], [0, 0, 0, 128], [255, 255, 255, 127]] {
                #expect(try post("vectors/bulk", length + [0, 0, 0, 0] + whole).status == 400)
                #expect(try post("vectors/bulk", [1, 0, 0, 0] + length + whole).status == 400)
            }
            #expect(try client.request("GET", "/api/indexes").data()[0]?["count"]?.int == 0)
            // What is wrong with one vector is no matter of the others.
            let mixed =
                Self.record("a", "", [1, .nan]) + Self.record("", "", [1, 2]) + Self.record("b", "{", [1, 2])
                + Self.record("c", "", [1, 2]) + Self.record(String(repeating: "x", count: 600), "", [1, 2])
            let answer = try post("vectors/bulk", mixed).data()
            #expect(answer["success"]?.int == 1 && answer["failed"]?.int == 4)
            #expect(answer["errors"]?.array?.compactMap { $0["index"]?.int } == [0, 1, 2, 4])
            #expect(try client.request("GET", "/api/indexes/a/vectors/c").status == 200)
        }
    }

    @Test func aRequestThatTimesOutStopsItsSearches() async throws {
        try await TestServer.run({
            $0.requestTimeoutSeconds = 0.05; $0.searchThreads = 1
        }) { server throws in
            let client = server.client()
            let dimensions = 1024
            while try client.request("POST", "/api/indexes/a", #"{"dimensions":\#(dimensions)}"#).status == 504 {}
            let vector = "[" + Array(repeating: "0.5", count: dimensions).joined(separator: ",") + "]"
            for number in 0..<300 {
                // The index must not be searched on the event loop; a write may take longer than this time-out.
                _ = try client.request("POST", "/api/indexes/a/vectors", #"{"id":"\#(number)","vector":\#(vector)}"#)
            }
            let row = [Float](repeating: 1, count: dimensions)
            // Some hundred milliseconds of work on a thread of its own; nobody waits for its end.
            let body = Array(repeating: Self.bytes(row), count: 1000).flatMap { $0 }
            let deadline = Deadline(seconds: 30)
            var abandoned = 0
            var metrics = ""
            while abandoned == 0, !deadline.isOver {
                let path = "/api/indexes/a/search/batch?k=300"
                _ = try client.request("POST", path, headers: Self.binary, body: body)
                metrics = try client.request("GET", "/metrics").text
                let line = metrics.split(separator: "\n").first { $0.hasPrefix("springg_searches_cancelled_total ") }
                abandoned = Int(line?.split(separator: " ").last ?? "0") ?? 0
            }
            #expect(abandoned > 0, "no search was ended by its time-out")
            #expect(metrics.contains(#"springg_limit_hits_total{limit="request_timeout"}"#))
        }
    }
}
