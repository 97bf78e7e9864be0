import SpringgTestKit

/// A running node whose index holds the rows of a data set, and searches for all its queries.
final class SearchNode {
    let node: NodeFixture
    let data: DataSet
    /// Seconds from the start until every row was in the graph.
    let readySeconds: Double

    /// What `ef` may be, in ascending order.
    private static let efs = [10, 16, 20, 24, 28, 32, 36, 40, 44, 48, 64, 80, 96, 128, 200, 400]

    /// Rows go into the database before the node starts on it: as JSON they would take minutes.
    init(_ data: DataSet, _ settings: Settings) throws {
        self.data = data
        node = try BenchNode.make(in: settings.directory)
        try GraphDatabase(data, in: settings.directory, keeping: node.dataPath).close()
        try node.start(timeoutSeconds: 300)
        readySeconds = try BenchNode.waitUntilIndexed(node) ?? .nan
        guard readySeconds.isFinite else { throw TestKitError("the rows are not in a graph") }
    }

    private static func render(_ data: DataSet, ef: Int) -> RequestBytes {
        let requests = RequestBytes(capacity: data.queryCount * (data.dimensions * 12 + 200))
        for query in 0..<data.queryCount {
            let body = #"{"vector":\#(JSONValue.array(of: Array(data.query(query)))),"k":\#(DataSet.k),"ef":\#(ef)}"#
            requests.append(method: "POST", path: "/api/indexes/\(BenchNode.index)/search", body: body)
        }
        return requests
    }

    /// Searches with the smallest `ef` that has a recall; nil when none has.
    func searches(recall wanted: Double) throws -> (requests: RequestBytes, ef: Int, recall: Double)? {
        for ef in Self.efs {
            let requests = Self.render(data, ef: ef)
            let judge = JudgedRequests(requests, connections: Self.judgingConnections)
            let result = try LoadGenerator(port: node.port, connections: Self.judgingConnections).run(judge)
            guard result.statuses == [200: requests.count] else {
                throw TestKitError("searching was answered \(result.statuses)")
            }
            let recall = data.recall(judge.answers)
            if recall >= wanted { return (requests, ef, recall) }
        }
        return nil
    }

    private static let judgingConnections = 4
}

/// Each request once, with the rows that its answer names.
private final class JudgedRequests: LoadSource {
    private let requests: RequestBytes
    private var next = 0
    private var asked: [Int]
    /// Numbers of the rows found, ten a request, -1 where there were fewer.
    private(set) var answers: [Int32]

    init(_ requests: RequestBytes, connections: Int) {
        self.requests = requests
        asked = [Int](repeating: 0, count: connections)
        answers = [Int32](repeating: -1, count: requests.count * DataSet.k)
    }

    func nextRequest(connection: Int) -> UnsafeRawBufferPointer? {
        guard next < requests.count else { return nil }
        asked[connection] = next
        next += 1
        return UnsafeRawBufferPointer(requests[asked[connection]])
    }

    func answered(connection: Int, status: Int, body: UnsafeRawBufferPointer) {
        let found = (try? JSONValue(body))?["data"]?.array ?? []
        for (place, hit) in found.prefix(DataSet.k).enumerated() {
            answers[asked[connection] * DataSet.k + place] = hit["id"]?.string.flatMap { Int32($0) } ?? -1
        }
    }

    func lost(connection: Int) {}
}
