import SpringgTestKit
import Testing

/// A running node of a test's own, and the API's requests by name.
final class API {
    let node: NodeFixture
    private(set) var http: HTTPClient
    private let token: String?

    init(
        _ flags: [String: String] = [:],
        environment: [String: String] = [:],
        token: String? = nil,
        on machine: Machine? = nil
    ) throws {
        node = try NodeFixture(flags: flags, on: machine)
        node.environment.merge(environment) { $1 }
        self.token = token
        try node.start()
        http = node.client(token: token)
    }

    /// Stops the node in good order and starts it on the same directory.
    func restart() throws {
        try stop()
        try start()
    }

    /// Stops the node in good order.
    func stop() throws {
        // An open connection may be waited for.
        http.close()
        #expect(try node.terminate() == .exited(0))
    }

    /// Kills the node and starts it on the same directory.
    func crashAndRestart() throws {
        try node.kill()
        try start()
    }

    /// Starts the stopped node again; returns the seconds that it took to be ready.
    @discardableResult
    func start() throws -> Double {
        let seconds = try node.start()
        http = node.client(token: token)
        return seconds
    }

    func get(_ path: String) throws -> HTTPResponse { try http.request("GET", path) }

    func post(_ path: String, _ body: String) throws -> HTTPResponse { try http.request("POST", path, json: body) }

    func put(_ path: String, _ body: String) throws -> HTTPResponse { try http.request("PUT", path, json: body) }

    @discardableResult
    func delete(_ path: String) throws -> HTTPResponse { try http.request("DELETE", path) }

    @discardableResult
    func createIndex(_ name: String, _ dimensions: Int) throws -> HTTPResponse {
        try post("/api/indexes/\(name)", #"{"dimensions":\#(dimensions)}"#)
    }

    @discardableResult
    func add(_ index: String, _ id: String, _ vector: [Float], metadata: String? = nil) throws -> HTTPResponse {
        try post("/api/indexes/\(index)/vectors", Self.vectorBody(id, vector, metadata))
    }

    /// Adds many vectors, a hundred at a time; `row` makes each as a request has it.
    func add(_ index: String, _ numbers: Range<Int>, _ row: (Int) -> String) throws {
        for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 100) {
            let rows = (start..<min(start + 100, numbers.upperBound)).map(row).joined(separator: ",")
            let answer = try post("/api/indexes/\(index)/vectors/bulk", #"{"vectors":[\#(rows)]}"#)
            try #require(try answer.status == 200 && answer.data()["failed"]?.int == 0, "\(answer)")
        }
    }

    func update(_ index: String, _ id: String, _ vector: [Float], metadata: String? = nil) throws -> HTTPResponse {
        try put(Self.path(index, id), Self.vectorBody(nil, vector, metadata))
    }

    func vector(_ index: String, _ id: String) throws -> HTTPResponse { try get(Self.path(index, id)) }

    @discardableResult
    func remove(_ index: String, _ id: String) throws -> HTTPResponse { try delete(Self.path(index, id)) }

    func search(_ index: String, _ vector: [Float], k: Int? = nil, boost: String? = nil) throws -> HTTPResponse {
        var body = #"{"vector":\#(JSONValue.array(of: vector))"#
        if let k { body += #","k":\#(k)"# }
        if let boost { body += #","recency_boost":\#(boost)"# }
        return try post("/api/indexes/\(index)/search", body + "}")
    }

    /// Ids of the results, best first.
    func hits(_ index: String, _ vector: [Float], k: Int? = nil, boost: String? = nil) throws -> [String] {
        let results = try #require(try search(index, vector, k: k, boost: boost).data().array)
        return results.compactMap { $0["id"]?.string }
    }

    func count(_ index: String) throws -> Int {
        try #require(try get("/api/indexes/\(index)/stats").data()["count"]?.int)
    }

    /// One vector of a request; without an id for PUT.
    static func vectorBody(_ id: String?, _ vector: [Float], _ metadata: String? = nil) -> String {
        var members = id.map { [#""id":\#(JSONValue.quoted($0))"#] } ?? []
        members.append(#""vector":\#(JSONValue.array(of: vector))"#)
        if let metadata { members.append(#""metadata":\#(metadata)"#) }
        return "{" + members.joined(separator: ",") + "}"
    }

    static func path(_ index: String, _ id: String) -> String { "/api/indexes/\(index)/vectors/\(escaped(id))" }

    /// A path segment in which everything but unreserved characters (RFC 3986, 2.3) is percent-encoded.
    static func escaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            let character = Unicode.Scalar(byte)
            if byte < 0x80,
                character.properties.isAlphabetic || (0x30...0x39).contains(byte) || "-._~".utf8.contains(byte)
            {
                result.unicodeScalars.append(character)
            } else {
                let hex = String(byte, radix: 16, uppercase: true)
                result += "%" + (hex.count == 1 ? "0" : "") + hex
            }
        }
        return result
    }
}

/// Expects a success with exactly this `data`.
func expect(
    _ response: HTTPResponse,
    data: String,
    status: Int = 200,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    #expect(response.status == status, "\(response)", sourceLocation: sourceLocation)
    #expect(response.header("Content-Type") == "application/json", sourceLocation: sourceLocation)
    let expected = try JSONValue(text: #"{"status":"success","data":\#(data)}"#)
    #expect(try response.json().without("receipt") == expected, sourceLocation: sourceLocation)
}

/// Expects a refusal in the API's form with exactly this text.
func expect(
    _ response: HTTPResponse,
    error: String,
    status: Int,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(response.status == status, "\(response)", sourceLocation: sourceLocation)
    #expect(response.error == error, "\(response)", sourceLocation: sourceLocation)
    #expect(response.header("Content-Type") == "application/json", sourceLocation: sourceLocation)
}
