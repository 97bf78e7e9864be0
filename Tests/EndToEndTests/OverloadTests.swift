import SpringgTestKit
import Synchronization
import Testing

extension EndToEnd {
    /// More than the node can do, for a while.
    @Suite struct Overload {
        private static let (rows, dimensions, batch, connections) = (1000, 1024, 25, 64)
        private static let path = "/api/indexes/a/search/batch?k=10"
        private static let binary = "application/vnd.springg.f32"

        @Test func whatCannotBeDoneSoonIsTurnedAwayAndTheRestIsDone() throws {
            let api = try API([
                "search-threads": "1", "max-search-wait": "50ms", "recall-probe": "0",
                "bulk-cpu-threshold-percent": "0",
            ])
            var random = SeededRandom.fromEnvironment("overload")
            try fill(api, &random)
            let queries = bytes(random.floats(Self.dimensions * Self.batch))
            let requests = RequestBytes(capacity: 1 << 20)
            requests.append(method: "POST", path: Self.path, type: Self.binary, body: queries)
            let calm = RepeatedRequests(requests, count: 20)
            let expected = try LoadGenerator(port: api.node.port, connections: 1).run(calm)
            #expect(expected.statuses == [200: 20])
            let residentBefore = try api.node.usage().residentBytes

            // Others go on meanwhile: writes, scrapes, and one who looks closely at how it is turned away.
            let port = api.node.port
            let isOver = Atomic<Bool>(false)
            let (surprises, refusals) = (Collected<String>(), Collected<Int>())
            let others = try [
                WorkerThread {
                    let client = HTTPClient(port: port)
                    while !isOver.load(ordering: .relaxed) {
                        let body = API.vectorBody("beside", [Float](repeating: 1, count: Self.dimensions))
                        let answers = [
                            try? client.request("POST", "/api/indexes/a/vectors", json: body),
                            try? client.request("GET", "/api/health"), try? client.request("GET", "/metrics"),
                        ]
                        for answer in answers where answer?.status != 200 { surprises.append("\(answer as Any)") }
                    }
                },
                WorkerThread {
                    let client = HTTPClient(port: port)
                    let type = [(name: "Content-Type", value: Self.binary)]
                    while !isOver.load(ordering: .relaxed) {
                        guard let answer = try? client.request("POST", Self.path, headers: type, body: queries) else {
                            surprises.append("no answer")
                            continue
                        }
                        let isRight =
                            answer.status == 200
                            || answer.status == 503 && answer.code == "overloaded"
                                && Int(answer.header("Retry-After") ?? "") ?? 0 >= 1
                        if !isRight { surprises.append("\(answer)") }
                        if answer.status == 503 { refusals.append(1) }
                    }
                },
            ]
            let storm = try LoadGenerator(port: port, connections: Self.connections)
                .run(RepeatedRequests(requests, count: 1_000_000), stopAfterSeconds: 3)
            isOver.store(true, ordering: .relaxed)
            for thread in others { thread.join() }
            let (done, refused) = (storm.statuses[200] ?? 0, storm.statuses[503] ?? 0)
            print(
                "overload: \(done) done, \(refused) turned away; p99 of those done \(storm.acceptedLatency.percentile(99) / 1_000_000) ms"
            )
            #expect(surprises.all == [])
            #expect(storm.lost == 0 && done + refused == storm.answered, "\(storm.statuses)")
            #expect(done > 0 && refused > 3 * done, "it was no overload: \(storm.statuses)")
            // The server counted what it turned away, and nothing is left waiting.
            let metrics = try api.get("/metrics").text.split(separator: "\n")
            #expect(metrics.contains("springg_limit_hits_total{limit=\"search_wait\"} \(refused + refusals.all.count)"))
            #expect(metrics.contains("springg_work_waiting 0"))
            // As many bodies at once as there are connections, not as many as have come.
            let resident = try api.node.usage().residentBytes
            #expect(resident < residentBefore + 64 << 20, "\(residentBefore) bytes have become \(resident)")

            // Afterwards all is as before.
            let after = try LoadGenerator(port: port, connections: 1).run(RepeatedRequests(requests, count: 20))
            #expect(after.statuses == [200: 20])
            #expect(try api.count("a") == Self.rows + 1)
            try api.stop()
        }

        private func fill(_ api: API, _ random: inout SeededRandom) throws {
            try api.createIndex("a", Self.dimensions)
            let type = [(name: "Content-Type", value: Self.binary)]
            for start in stride(from: 0, to: Self.rows, by: 250) {
                let records = (start..<start + 250).flatMap { number -> [UInt8] in
                    let id = Array("\(number)".utf8)
                    let lengths = [UInt32(id.count), 0].flatMap { length in
                        withUnsafeBytes(of: length.littleEndian) { Array($0) }
                    }
                    return lengths + id + bytes(random.floats(Self.dimensions))
                }
                let answer = try api.http.request(
                    "POST",
                    "/api/indexes/a/vectors/bulk",
                    headers: type,
                    body: records
                )
                #expect(try answer.data()["success"]?.int == 250, "\(answer)")
            }
        }

        private func bytes(_ vector: [Float]) -> [UInt8] {
            vector.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
        }
    }
}
