import SpringgTestKit

/// A node with data, and requests to each endpoint of the hot path.
final class EndpointLoad {
    /// One endpoint under load.
    struct Endpoint {
        let name: String
        /// The requests of one run.
        let source: () throws -> any LoadSource
    }

    private(set) var endpoints: [Endpoint] = []

    /// Vectors of a bulk request, and queries of a batch.
    private static let bulkVectors = 100
    private static let batchQueries = 10
    /// Different requests that are sent in turn.
    private static let queries = 64
    private static let bulkRequests = 40
    /// More than any run sends.
    private static let requestsMax = 1_000_000
    /// Index of the adds and deletes, and that of bulk requests.
    private static let addIndex = "adds"
    private static let bulkIndex = "bulk"

    private var random: SeededRandom
    private let added: AddRequests
    private var deleted = 0

    /// Fills the index that is read, waits for its graph and makes the requests.
    init(_ node: NodeFixture, rows: Int, connections: Int, seed: UInt64) throws {
        var numbers = SeededRandom(seed: seed)
        let client = node.client()
        for index in [BenchNode.index, Self.addIndex, Self.bulkIndex] {
            let body = #"{"dimensions":\#(Settings.dimensions)}"#
            _ = try client.request("POST", "/api/indexes/\(index)", json: body).data()
        }
        func adds(_ index: String) -> AddRequests {
            AddRequests(index: index, dimensions: Settings.dimensions, connections: connections, random: &numbers)
        }
        try BenchNode.fill(node, adds(BenchNode.index), rows, connections: connections)
        _ = try BenchNode.waitUntilIndexed(node)
        added = adds(Self.addIndex)
        random = numbers
        let search = "/api/indexes/\(BenchNode.index)/search"
        repeated("GET /api/health", 1) { ("GET", "/api/health", "application/json", []) }
        repeated("search", Self.queries) { ("POST", search, "application/json", Array(self.query().utf8)) }
        repeated("search, binary", Self.queries) {
            ("POST", search + "?k=10", Self.binary, Self.bytes(self.random.floats(Settings.dimensions)))
        }
        repeated("batch of \(Self.batchQueries) searches", Self.queries / 4) {
            let body = (0..<Self.batchQueries).map { _ in self.query() }.joined(separator: ",")
            return ("POST", search + "/batch", "application/json", Array(#"{"searches":[\#(body)]}"#.utf8))
        }
        repeated("get", Self.queries * 16) {
            let id = AddRequests.id(Int(self.random.next() % UInt64(rows)))
            return ("GET", "/api/indexes/\(BenchNode.index)/vectors/\(id)", "application/json", [])
        }
        endpoints.append(
            Endpoint(name: "add") {
                self.added.allow(Self.requestsMax)
                return self.added
            }
        )
        endpoints.append(Endpoint(name: "delete") { self.deletes() })
        let bulk = "/api/indexes/\(Self.bulkIndex)/vectors/bulk"
        repeated("bulk of \(Self.bulkVectors), JSON", Self.bulkRequests) {
            ("POST", bulk, "application/json", Array(#"{"vectors":[\#(self.lines().joined(separator: ","))]}"#.utf8))
        }
        repeated("the same, JSON lines", Self.bulkRequests) {
            ("POST", bulk, "application/x-ndjson", Array(self.lines().joined(separator: "\n").utf8))
        }
        repeated("the same, binary", Self.bulkRequests) { ("POST", bulk, Self.binary, self.records()) }
    }

    private typealias Request = (method: String, path: String, type: String, body: [UInt8])

    private static let binary = "application/vnd.springg.f32"

    private func repeated(_ name: String, _ count: Int, _ make: () -> Request) {
        let requests = RequestBytes(capacity: 1 << 20)
        for _ in 0..<count {
            let request = make()
            requests.append(method: request.method, path: request.path, type: request.type, body: request.body)
        }
        endpoints.append(Endpoint(name: name) { RepeatedRequests(requests, count: Self.requestsMax) })
    }

    private func query() -> String {
        #"{"vector":\#(JSONValue.array(of: random.floats(Settings.dimensions))),"k":10}"#
    }

    private func lines() -> [String] {
        (0..<Self.bulkVectors).map { _ in
            let (id, vector) = (random.next() % 20_000, JSONValue.array(of: random.floats(Settings.dimensions)))
            return #"{"id":"\#(id)","vector":\#(vector),"metadata":{"custom":{"lang":"en"}}}"#
        }
    }

    private func records() -> [UInt8] {
        (0..<Self.bulkVectors).flatMap { _ -> [UInt8] in
            let id = Array("\(random.next() % 20_000)".utf8)
            return Self.bytes(UInt32(id.count)) + Self.bytes(UInt32(0)) + id
                + Self.bytes(random.floats(Settings.dimensions))
        }
    }

    private static func bytes(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
    private static func bytes(_ vector: [Float]) -> [UInt8] { vector.flatMap { bytes($0.bitPattern) } }

    /// Deletes of ids that were added and not deleted yet; a third of those that are left at a time.
    private func deletes() -> any LoadSource {
        let end = deleted + (added.handedOut - deleted) / 3
        let requests = RequestBytes(capacity: (end - deleted) * 160)
        for number in deleted..<end {
            let path = "/api/indexes/\(Self.addIndex)/vectors/\(AddRequests.id(number))"
            requests.append(method: "DELETE", path: path, body: "")
        }
        // Those that the run leaves are left.
        deleted = end
        return RepeatedRequests(requests, count: requests.count)
    }
}
