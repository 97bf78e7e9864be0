import ArgumentParser
import Glibc
import SpringgConfiguration
import SpringgNet

/// Puts load on a node and says what it took: `springg bench`.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure a running node.",
        discussion: """
            Makes an index of its own with random vectors, puts load on it, shows how many requests were answered and how \
            long they took, and removes the index again. The server is the one of the configuration, or --host and --port.

            Without --rate each connection sends as soon as it has its answer: how much does the node do? With --rate \
            requests are sent at that pace whether or not answers have come, and times count from the moment at which \
            each should have been sent: how long does it take?

            The limits hold for this too: rate_limit_per_second must be 0, or as high as what is measured.

            Exit codes: 0 fine, 1 failure, 2 wrong usage.

            Examples:
              springg bench                                        searches, as many as go
              springg bench --operation add --connections 64
              springg bench --rate 2000 --duration 30 --json
              springg bench --host 10.0.1.45 --port 8080 --dimensions 1024 --vectors 100000
              springg bench --host https://db.example.org --tls-ca-certificate ca.pem
            """
    )

    enum Operation: String, ExpressibleByArgument, CaseIterable {
        case search, add, get, health
    }

    enum Form: String, ExpressibleByArgument, CaseIterable {
        case json, binary
    }

    @Option(help: "What to measure.") var operation = Operation.search
    @Option(help: ArgumentHelp("Requests a second; without it as many as go.", valueName: "n")) var rate: Double?
    @Option(help: ArgumentHelp("Connections.", valueName: "n")) var connections = 16
    @Option(help: ArgumentHelp("Seconds to measure.", valueName: "seconds")) var duration = 10.0
    @Option(help: ArgumentHelp("Seconds before that, which do not count.", valueName: "seconds")) var warmup = 1.0
    @Option(help: ArgumentHelp("Vectors in the index.", valueName: "n")) var vectors = 10_000
    @Option(help: ArgumentHelp("Components of a vector.", valueName: "n")) var dimensions = 384
    @Option(help: ArgumentHelp("Results of a search.", valueName: "n")) var k = 10
    @Option(help: "Form of a search's body.") var body = Form.json
    @Option(help: ArgumentHelp("The node's address, https://HOST too.", valueName: "address")) var host: String?
    @Option(help: ArgumentHelp("The node's port.", valueName: "port")) var port: Int?
    @Option(help: ArgumentHelp("Token; without it one is signed with jwt_secret.", valueName: "token")) var token:
        String?
    @Option(help: ArgumentHelp("Start of the random numbers.", valueName: "n")) var seed: UInt64 = 1
    @Flag(help: "Print one JSON object.") var json = false
    @OptionGroup var file: ConfigurationFileOption
    @Option(Keys.tlsCACertificate) var tlsCACertificate: String?
    @Option(Keys.tlsServerName) var tlsServerName: String?

    func validate() throws {
        func check(_ isGood: Bool, _ text: String) throws { if !isGood { throw ValidationError(text) } }
        try check((1...1000).contains(connections), "--connections must be 1 to 1000")
        try check(rate.map { $0 > 0 && $0 <= 1_000_000 } ?? true, "--rate must be more than 0, up to 1000000")
        try check((0.1...3600).contains(duration), "--duration must be 0.1 to 3600")
        try check((0...600).contains(warmup), "--warmup must be 0 to 600")
        try check((1...10_000_000).contains(vectors), "--vectors must be 1 to 10000000")
        try check((1...65_536).contains(dimensions), "--dimensions must be 1 to 65536")
        try check((1...10_000).contains(k), "--k must be 1 to 10000")
    }

    func run() throws {
        var flags: [String: String] = [:]
        flags[Keys.tlsCACertificate.name] = tlsCACertificate
        flags[Keys.tlsServerName.name] = tlsServerName
        let settings = try Configuration.load(explicitFile: file.file, flags: flags)
        guard var url = host.map({ NodeURL($0, settings) }) ?? NodeURL(settings) else {
            throw ValidationError("\(host ?? "") is no address: give HOST or https://HOST")
        }
        if let port { url.port = port }
        // TLS writes to the socket by itself, and a node that hangs up is an error of one request.
        signal(SIGPIPE, SIG_IGN)
        let target = BenchTarget(settings, BenchAddress(url, settings), token: token)
        let index = "springg-bench-\(getpid())"
        var random = BenchRandom(state: seed)
        let requests: [[UInt8]]
        if operation == .health {
            requests = [target.request("GET", "/api/health")]
        } else {
            try target.expectSuccess(target.request("POST", "/api/indexes/\(index)", #"{"dimensions":\#(dimensions)}"#))
            requests = try prepare(target, index, &random)
        }
        defer {
            if operation != .health { try? target.expectSuccess(target.request("DELETE", "/api/indexes/\(index)")) }
        }
        if warmup > 0 { _ = try load(target, requests, seconds: warmup).run { _, _ in } }
        let line = ProgressLine()
        let result = try load(target, requests, seconds: duration).run { answers, seconds in
            line.show("\(answers) answers in \(Int(seconds)) s")
        }
        line.finish()
        let report = BenchReport(operation: operation.rawValue, seconds: duration, rate: rate, connections, result)
        Output.standardOutput(json ? report.json + "\n" : report.text)
        guard result.failures.isEmpty else { throw CommandFailure(result.failures[0]) }
    }

    private func load(_ target: BenchTarget, _ requests: [[UInt8]], seconds: Double) -> BenchLoad {
        BenchLoad(
            address: target.address,
            connections: connections,
            rate: rate,
            seconds: seconds,
            requests: requests
        )
    }

    /// Vectors of one bulk request.
    private static let bulk = 500
    /// Different requests that are sent in turn.
    private static let variety = 256

    private func prepare(_ target: BenchTarget, _ index: String, _ random: inout BenchRandom) throws -> [[UInt8]] {
        let path = "/api/indexes/\(index)"
        if operation != .add {
            let line = ProgressLine()
            for start in stride(from: 0, to: vectors, by: Self.bulk) {
                var records: [UInt8] = []
                for number in start..<min(start + Self.bulk, vectors) {
                    let id = Array("v\(number)".utf8)
                    records += BenchTarget.bytes(UInt32(id.count)) + BenchTarget.bytes(UInt32(0)) + id
                    records += random.vector(dimensions).flatMap { BenchTarget.bytes($0.bitPattern) }
                }
                try target.expectSuccess(target.request("POST", path + "/vectors/bulk", records))
                line.show("\(start) of \(vectors) vectors")
            }
            line.finish()
            try target.awaitIndexed()
        }
        return (0..<Self.variety).map { number in
            switch operation {
            case .search where body == .binary:
                let query = random.vector(dimensions).flatMap { BenchTarget.bytes($0.bitPattern) }
                return target.request("POST", path + "/search?k=\(k)", query)
            case .search:
                return target.request("POST", path + "/search", #"{"vector":\#(random.vector(dimensions)),"k":\#(k)}"#)
            case .add:
                let vector = random.vector(dimensions)
                return target.request("POST", path + "/vectors", #"{"id":"v\#(number)","vector":\#(vector)}"#)
            case .get:
                return target.request("GET", path + "/vectors/v\(Int(random.next() % UInt64(vectors)))")
            case .health:
                return target.request("GET", "/api/health")
            }
        }
    }
}

/// Numbers that are the same each time (SplitMix64).
struct BenchRandom {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// Components from -1 to 1.
    mutating func vector(_ dimensions: Int) -> [Float] {
        (0..<dimensions).map { _ in Float(Int64(bitPattern: next()) >> 40) * 0x1p-23 }
    }
}
