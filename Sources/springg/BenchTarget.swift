import Glibc
import SpringgArchive
import SpringgConfiguration
import SpringgNet

/// Where the node is, and by what it is known.
struct BenchAddress: Sendable {
    let url: NodeURL
    /// What its certificate must carry.
    let certificateName: String
    /// The file of authorities that are trusted; empty for the system's.
    let authorities: String

    init(_ url: NodeURL, _ settings: Configuration) {
        self.url = url
        let name = settings[Keys.tlsServerName]
        certificateName = name.isEmpty ? url.host : name
        authorities = settings[Keys.tlsCACertificate]
    }
}

/// The node that is measured, and how requests to it look.
struct BenchTarget {
    let address: BenchAddress
    private let token: String?

    init(_ settings: Configuration, _ address: BenchAddress, token: String?) {
        self.address = address
        let secret = settings[Keys.jwtSecret]
        if let token {
            self.token = token
        } else if !secret.isEmpty {
            // Longer than any run.
            let claims = JSONValue.object([
                "iss": .string(TokenClaims.issuer), "user_id": .string("springg-bench"),
                "exp": .integer(Int64(time(nil)) + 86_400), "permissions": .array([.string("read"), .string("write")]),
            ])
            self.token = JSONWebToken.sign(claims: claims.text(), secret: secret)
        } else {
            self.token = nil
        }
    }

    func request(_ method: String, _ path: String, _ body: String = "") -> [UInt8] {
        request(method, path, Array(body.utf8), type: "application/json")
    }

    /// A request with a binary body.
    func request(_ method: String, _ path: String, _ body: [UInt8]) -> [UInt8] {
        request(method, path, body, type: "application/vnd.springg.f32")
    }

    private func request(_ method: String, _ path: String, _ body: [UInt8], type: String) -> [UInt8] {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: \(address.url.endpoint.authority)\r\n"
        if let token { head += "Authorization: Bearer \(token)\r\n" }
        if !body.isEmpty { head += "Content-Type: \(type)\r\n" }
        return Array((head + "Content-Length: \(body.count)\r\n\r\n").utf8) + body
    }

    static func bytes(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

    /// Sends one request on a connection of its own.
    func expectSuccess(_ request: [UInt8]) throws {
        let answer = try BenchConnection(address).exchange(request)
        guard answer.status == 200 else {
            throw CommandFailure(
                "the node answered \(answer.status): \(String(decoding: answer.body.prefix(300), as: UTF8.self))"
            )
        }
    }

    /// Waits until graphs hold what was written: before that a node is slower than it will be.
    func awaitIndexed() throws {
        let line = ProgressLine()
        defer { line.finish() }
        while true {
            let answer = try BenchConnection(address).exchange(request("GET", "/api/health"))
            guard answer.body.count < 1 << 16,
                String(decoding: answer.body, as: UTF8.self).contains("\"indexing\":true")
            else {
                return
            }
            line.show("waiting for the graph")
            usleep(200_000)
        }
    }
}

/// What a run found, for people and for programs.
struct BenchReport {
    private let members: [(name: String, value: JSONValue)]
    let text: String

    init(operation: String, seconds: Double, rate: Double?, _ connections: Int, _ result: BenchResult) {
        let times = result.times
        let perSecond = Double(times.count) / seconds
        let percentiles: [(String, Double)] = [("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9)]
        let milliseconds = percentiles.map { ($0.0, Double(times.percentile($0.1)) / 1e6) }
        let errors = result.statuses.filter { $0.key >= 400 }.values.reduce(0, +)
        members =
            [
                ("operation", .string(operation)), ("connections", .integer(Int64(connections))),
                ("loop", .string(rate == nil ? "closed" : "open")), ("rate", rate.map { .number($0) } ?? .null),
                ("seconds", .number(seconds)), ("answers", .integer(Int64(times.count))),
                ("per_second", .number(perSecond)),
                ("errors", .integer(Int64(errors))), ("mean_ms", .number(times.mean / 1e6)),
                ("max_ms", .number(Double(times.highest) / 1e6)),
                (
                    "statuses",
                    .object(
                        Dictionary(
                            uniqueKeysWithValues: result.statuses.map { ("\($0.key)", .integer(Int64($0.value))) }
                        )
                    )
                ),
            ] + milliseconds.map { ("\($0.0)_ms", .number($0.1)) }
        func shown(_ value: Double) -> String { "\((value * 1000).rounded() / 1000)" }
        let statuses = result.statuses.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(
            separator: ", "
        )
        text = """
            \(operation), \(connections) connections, \(rate.map { "\(Int($0)) a second (open loop)" } ?? "closed loop"), \(seconds) s
              answers     \(times.count) (\(statuses))
              a second    \(Int(perSecond))
              ms          \(milliseconds.map { "\($0.0) \(shown($0.1))" }.joined(separator: "  "))
                          mean \(shown(times.mean / 1e6))  max \(shown(Double(times.highest) / 1e6))

            """
    }

    var json: String { JSONValue.object(Dictionary(uniqueKeysWithValues: members.map { ($0.name, $0.value) })).text() }
}
