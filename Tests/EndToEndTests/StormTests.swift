import SpringgTestKit
import Testing

extension EndToEnd {
    /// Everything at once.
    @Suite struct Storm {
        /// The program before locked up within a second of listing, creating and adding at once.
        @Test func creatingListingAddingAndDeletingAtOnceIsAnswered() throws {
            let seed = SeededRandom.fromEnvironment("storm").seed
            let api = try API(["max-concurrent-bulk-requests": "0", "bulk-cpu-threshold-percent": "0"])
            let port = api.node.port
            let surprises = Collected<String>()
            let answers = Collected<Int>()
            try WorkerThread.run(16) { worker in
                var random = SeededRandom(seed: seed &+ UInt64(worker))
                let client = HTTPClient(port: port, timeoutSeconds: 20)
                var count = 0
                let deadline = Deadline(seconds: 3)
                while !deadline.isOver {
                    let index = "storm-\(Int.random(in: 0..<6, using: &random))"
                    let id = "v\(Int.random(in: 0..<40, using: &random))"
                    let vector = random.floats(4)
                    let (method, path, body): (String, String, String?) =
                        switch Int.random(in: 0..<20, using: &random) {
                        case 0...1: ("POST", "/api/indexes/\(index)", #"{"dimensions":4}"#)
                        case 2: ("DELETE", "/api/indexes/\(index)", nil)
                        case 3...5: ("GET", "/api/indexes", nil)
                        case 6...7: ("GET", "/api/indexes/\(index)/stats", nil)
                        case 8...12: ("POST", "/api/indexes/\(index)/vectors", API.vectorBody(id, vector))
                        case 13: ("PUT", "/api/indexes/\(index)/vectors/\(id)", API.vectorBody(nil, vector))
                        case 14: ("DELETE", "/api/indexes/\(index)/vectors/\(id)", nil)
                        case 15: ("GET", "/api/indexes/\(index)/vectors/\(id)", nil)
                        case 16:
                            (
                                "POST", "/api/indexes/\(index)/vectors/bulk",
                                #"{"vectors":[\#(API.vectorBody(id, vector)),\#(API.vectorBody("b" + id, vector))]}"#
                            )
                        default: ("POST", "/api/indexes/\(index)/search", API.vectorBody(nil, vector))
                        }
                    do {
                        let response = try client.request(method, path, body: body.map { Array($0.utf8) })
                        count += 1
                        if ![200, 404, 409].contains(response.status) {
                            surprises.append("\(method) \(path): \(response)")
                        }
                    } catch {
                        surprises.append("\(method) \(path): \(error)")
                        break
                    }
                }
                answers.append(count)
            }
            print("storm: \(answers.all.reduce(0, +)) answers")
            #expect(surprises.all == [])
            #expect(answers.all.count == 16 && answers.all.allSatisfy { $0 > 10 })
            try api.stop()
            let before = try Logdump.digest(api.node.dataPath)
            try api.start()
            for index in try #require(try api.get("/api/indexes").data().array) {
                let name = try #require(index["name"]?.string)
                #expect(before.indexes[name]?[1] == index["count"]?.int.map(String.init), "\(name)")
            }
        }

        /// Two who create the same index at once: one is told that it exists, nobody fails.
        @Test func ofManyCreatesOfOneIndexExactlyOneWins() throws {
            let api = try API()
            let port = api.node.port
            for round in 0..<20 {
                let statuses = Collected<Int>()
                try WorkerThread.run(8) { _ in
                    let client = HTTPClient(port: port)
                    let response = try? client.request("POST", "/api/indexes/i\(round)", json: #"{"dimensions":2}"#)
                    statuses.append(response?.status ?? 0)
                }
                #expect(statuses.all.sorted() == [200] + [Int](repeating: 409, count: 7))
            }
        }
    }
}
