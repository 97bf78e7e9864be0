import Glibc
import SpringgTestKit
import Synchronization

/// Many kinds of requests at a moderate pace, each on a thread of its own, until told to stop.
final class SoakLoad: Sendable {
    private static let index = "soak"
    private static let dimensions = 256
    /// Ids that are written, deleted and written again.
    private static let ids: UInt64 = 20_000

    private struct Tally {
        var answers: [String: Int] = [:]
        var surprises: [String] = []
    }

    private let port: Int
    /// How many times the usual pace.
    private let pace: Double
    private let tally = Mutex(Tally())
    private let isOver = Atomic<Bool>(false)
    private let threads = Mutex<[WorkerThread]>([])

    /// Makes the index and begins.
    init(_ node: NodeFixture, seed: UInt64, pace: Double) throws {
        port = node.port
        self.pace = pace
        _ = try node.client().request(
            "POST",
            "/api/indexes/\(Self.index)",
            json: #"{"dimensions":\#(Self.dimensions)}"#
        ).data()
        var random = SeededRandom(seed: seed)
        for work in Self.work {
            let seed = random.next()
            let thread = try WorkerThread { self.run(work, seed) }
            threads.withLock { $0.append(thread) }
        }
    }

    /// Requests that were answered.
    var done: Int { tally.withLock { $0.answers.values.reduce(0, +) } }
    /// Answers that should not have come.
    var surprises: Int { tally.withLock { $0.surprises.count } }

    /// Sleeps while the others work.
    func rest(seconds: Double) { usleep(UInt32(max(0, seconds) * 1e6)) }

    /// Ends all threads.
    func stop() {
        isOver.store(true, ordering: .relaxed)
        for thread in threads.withLock({ $0 }) { thread.join() }
    }

    /// Lines for the report.
    func report() -> [String] {
        tally.withLock { tally in
            let counts = tally.answers.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            return [counts.joined(separator: ", ")] + tally.surprises.prefix(10).map { "not expected: \($0)" }
        }
    }

    // MARK: Work

    /// One kind of request.
    private struct Work: Sendable {
        let name: String
        let perSecond: Double
        /// Statuses that are right.
        var statuses: Set<Int> = [200]
        let send: @Sendable (HTTPClient, inout SeededRandom) throws -> HTTPResponse
    }

    private func run(_ work: Work, _ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let client = HTTPClient(port: port)
        let begun = Monotonic.nanoseconds()
        var turn = 0.0
        while !isOver.load(ordering: .relaxed) {
            let due = begun + UInt64(turn / (work.perSecond * pace) * 1e9)
            let now = Monotonic.nanoseconds()
            if now < due { usleep(UInt32(min((due - now) / 1000, 200_000))) }
            guard Monotonic.nanoseconds() >= due else { continue }
            turn += 1
            let outcome = Result { try work.send(client, &random) }
            tally.withLock { tally in
                tally.answers[work.name, default: 0] += 1
                switch outcome {
                case .success(let answer) where work.statuses.contains(answer.status): ()
                case .success(let answer): tally.surprises.append("\(work.name): \(answer)")
                case .failure(let error): tally.surprises.append("\(work.name): \(error)")
                }
            }
        }
    }

    private static func id(_ random: inout SeededRandom) -> String { "v\(random.next() % ids)" }

    private static func row(_ random: inout SeededRandom) -> String {
        let (id, vector) = (id(&random), JSONValue.array(of: random.floats(dimensions)))
        return #"{"id":"\#(id)","vector":\#(vector),"metadata":{"custom":{"n":\#(random.next() % 1000)}}}"#
    }

    private static func query(_ random: inout SeededRandom) -> String {
        #"{"vector":\#(JSONValue.array(of: random.floats(dimensions))),"k":10}"#
    }

    private static let path = "/api/indexes/\(index)"
    private static let json = [(name: "Content-Type", value: "application/json")]

    private static let work: [Work] = [
        Work(name: "add", perSecond: 80) { client, random in
            try client.request("POST", path + "/vectors", json: row(&random))
        },
        Work(name: "update", perSecond: 40, statuses: [200, 404]) { client, random in
            let body = #"{"vector":\#(JSONValue.array(of: random.floats(dimensions)))}"#
            return try client.request("PUT", path + "/vectors/" + id(&random), json: body)
        },
        Work(name: "delete", perSecond: 60, statuses: [200, 404]) { client, random in
            try client.request("DELETE", path + "/vectors/" + id(&random))
        },
        Work(name: "get", perSecond: 60, statuses: [200, 404]) { client, random in
            try client.request("GET", path + "/vectors/" + id(&random))
        },
        Work(name: "search", perSecond: 120) { client, random in
            try client.request("POST", path + "/search", json: query(&random))
        },
        Work(name: "batch search", perSecond: 5) { client, random in
            let searches = (0..<10).map { _ in query(&random) }.joined(separator: ",")
            return try client.request("POST", path + "/search/batch", json: #"{"searches":[\#(searches)]}"#)
        },
        Work(name: "bulk", perSecond: 0.5, statuses: [200, 429]) { client, random in
            let rows = (0..<100).map { _ in row(&random) }.joined(separator: ",")
            return try client.request("POST", path + "/vectors/bulk", json: #"{"vectors":[\#(rows)]}"#)
        },
        Work(name: "stream", perSecond: 0.2, statuses: [200, 429]) { client, random in
            let rows = (0..<500).map { _ in row(&random) }.joined(separator: "\n")
            let type = [(name: "Content-Type", value: "application/x-ndjson")]
            return try client.request("POST", path + "/vectors/bulk", headers: type, body: Array(rows.utf8))
        },
        Work(name: "scrape", perSecond: 1) { client, _ in try client.request("GET", "/metrics") },
        Work(name: "page", perSecond: 0.5) { client, _ in
            _ = try client.request("GET", "/")
            _ = try client.request("GET", "/api/events?limit=20")
            return try client.request("GET", "/api/stats")
        },
        Work(name: "index made and deleted", perSecond: 0.5) { client, random in
            let index = "/api/indexes/passing-\(random.next() % 1000)"
            _ = try client.request("POST", index, json: #"{"dimensions":8}"#)
            for number in 0..<20 {
                let vector = JSONValue.array(of: random.floats(8))
                _ = try client.request("POST", index + "/vectors", json: #"{"id":"\#(number)","vector":\#(vector)}"#)
            }
            return try client.request("DELETE", index)
        },
        Work(name: "new connection", perSecond: 20) { client, _ in
            client.close()
            return try client.request("GET", "/api/health")
        },
        Work(name: "broken off", perSecond: 2) { client, random in
            // A body that never comes whole, and a head that does not either.
            let rude = HTTPClient(port: client.port)
            let isHead = random.next() % 2 == 0
            let text = "POST \(path)/search HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n"
            try rude.send(isHead ? text : text + "\r\n{\"vector\":[0.5,")
            // Some stay until the server has had enough.
            if random.next() % 8 == 0 { _ = rude.isClosedByServer(withinSeconds: 5) }
            return try client.request("GET", "/livez")
        },
        Work(name: "malformed", perSecond: 5, statuses: [400]) { client, _ in
            try client.request("POST", path + "/search", json: #"{"vector":[1,2"#)
        },
    ]
}
