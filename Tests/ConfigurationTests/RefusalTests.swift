import SpringgConfiguration
import Testing

@Suite("What is wrong is refused with the text that users of the Go program know")
struct RefusalTests {
    static let bounds: [(String, String)] = [
        (#"{"port": 0}"#, "invalid port: 0"),
        (#"{"port": 65536}"#, "invalid port: 65536"),
        (#"{"port": -1}"#, "invalid port: -1"),
        (#"{"dimensions": 0}"#, "dimensions must be positive: 0"),
        (#"{"dimensions": -4}"#, "dimensions must be positive: -4"),
        (#"{"data_path": ""}"#, "data_path is required"),
        (#"{"log_level": "loud"}"#, "invalid log_level: loud (must be debug, info, warn, or error)"),
        (#"{"log_level": ""}"#, "invalid log_level:  (must be debug, info, warn, or error)"),
        (
            #"{"persistence_interval": "soon"}"#,
            #"invalid persistence_interval: time: invalid duration "soon""#
        ),
        (#"{"s3_sync_interval": "5"}"#, #"invalid s3_sync_interval: time: missing unit in duration "5""#),
        (
            #"{"s3_sync_interval": "5d"}"#,
            #"invalid s3_sync_interval: time: unknown unit "d" in duration "5d""#
        ),
        (#"{"log_format": "xml"}"#, "invalid log_format: xml (must be text or json)"),
        (#"{"durability": "never"}"#, "invalid durability: never (must be fsync or interval)"),
        (#"{"durability_interval": "0s"}"#, "invalid durability_interval: 0s (must be 1ms to 1m)"),
        (#"{"log_segment_mb": 0}"#, "invalid log_segment_mb: 0 (must be 1 to 1024)"),
        (
            #"{"max_vectors_per_index": -1}"#,
            "invalid max_vectors_per_index: -1 (must be 0 to 1000000000000)"
        ),
        (
            #"{"bulk_cpu_threshold_percent": 100.5}"#,
            "invalid bulk_cpu_threshold_percent: 100.5 (must be 0 to 100)"
        ),
        (#"{"read_timeout": "-1s"}"#, "invalid read_timeout: -1s (must be 0s to 24h)"),
        (#"{"cluster_bind_port": 0}"#, "invalid cluster_bind_port: 0 (must be 1 to 65535)"),
    ]

    @Test("the texts", arguments: bounds)
    func texts(file: String, text: String) {
        #expect(refusal(of: file) == text)
    }

    static let types: [(String, String)] = [
        (#"{"port": "8080"}"#, #"port must be an integer, found the text "8080""#),
        (#"{"port": 80.5}"#, "port must be an integer, found the number 80.5"),
        (#"{"port": true}"#, "port must be an integer, found the truth value true"),
        (#"{"require_jwt": 1}"#, "require_jwt must be true or false, found the number 1"),
        (#"{"data_path": ["x"]}"#, "data_path must be a text, found a list"),
        (#"{"read_timeout": 15}"#, #"read_timeout must be a duration such as "5m", found the number 15"#),
        (#"{"bulk_cpu_threshold_percent": {}}"#, "bulk_cpu_threshold_percent must be a number, found an object"),
    ]

    @Test("a wrong type names key, expected and found", arguments: types)
    func wrongTypes(file: String, text: String) {
        #expect(refusal(of: file) == text)
    }

    static let places: [(String, String)] = [
        ("", "line 1, column 1: expected a value, found the end"),
        ("{\n  \"port\": 8080,\n}", "line 3, column 1: expected a name in double quotes"),
        ("{\n  \"port\" 8080}", "line 2, column 10: expected \":\""),
        ("{\"port\": 8080} x", "line 1, column 16: expected nothing after the value"),
        ("{\"port\": 08080}", "line 1, column 15: a number begins with 0"),
        ("{\"a\": \"\\ud800\"}", "line 1, column 14: half a surrogate pair"),
    ]

    @Test("a file that is not JSON names line and column", arguments: places)
    func notJSON(file: String, place: String) {
        #expect(refusal(of: file) == "./springg.json is not JSON: \(place)")
    }

    @Test("a list is not a configuration")
    func notAnObject() {
        #expect(refusal(of: "[]") == "./springg.json must hold one JSON object, found a list")
    }

    @Test("a wrong flag or variable is named in the advice")
    func advice() {
        #expect(throws: ConfigurationError.invalid("invalid port: abc (must be an integer)", .flag("port"))) {
            try load(flags: ["port": "abc"])
        }
        let error = ConfigurationError.invalid("invalid port: 0", .environment("SPRINGG_PORT"))
        #expect(error.advice.contains("the variable SPRINGG_PORT"))
    }

    @Test("nesting without end is refused, not followed")
    func depth() {
        #expect(refusal(of: String(repeating: "[", count: 100_000))?.contains("nested deeper than 64") == true)
    }
}

@Suite("A server that needs tokens starts with a good secret only")
struct SecretTests {
    static let secrets: [(String, String)] = [
        ("", "jwt_secret is required when require_jwt is true"),
        (
            "change-this-secret-in-production",
            #"jwt_secret is the well-known example "change-this-secret-in-production""#
        ),
        ("your-secret-key-here", #"jwt_secret is the well-known example "your-secret-key-here""#),
        (String(repeating: "x", count: 31), "jwt_secret is too short: 31 bytes (must be at least 32)"),
    ]

    @Test("each kind of bad secret has its text", arguments: secrets)
    func refused(secret: String, text: String) throws {
        let settings = try load(flags: ["jwt_secret": secret])
        let error = #expect(throws: ConfigurationError.self) { try settings.checkSecret() }
        #expect(error?.description == text)
        #expect(error?.advice.contains("openssl rand -base64 32") == true)
        #expect(error?.advice.contains("springg init") == true)
    }

    @Test("32 bytes are enough, and without require_jwt none is needed")
    func accepted() throws {
        try load(flags: ["jwt_secret": String(repeating: "x", count: 32)]).checkSecret()
        try load(flags: ["require_jwt": "false"]).checkSecret()
    }

    @Test("the file that init writes loads without warning and passes the policy, each with a secret of its own")
    func initialFile() throws {
        let secrets = (0..<20).map { _ in InitialConfiguration.freshSecret() }
        #expect(Set(secrets).count == secrets.count)
        for secret in secrets {
            let settings = try load(["./springg.json": InitialConfiguration.text(secret: secret)])
            try settings.checkSecret()
            #expect(settings.warnings == [])
            #expect(settings[Keys.jwtSecret] == secret)
            #expect(secret.utf8.count == 44)
        }
    }
}
