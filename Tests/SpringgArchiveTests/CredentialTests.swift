import SpringgArchive
import SpringgLog
import SpringgTestKit
import Synchronization
import Testing

@Suite("Where credentials come from")
struct CredentialTests {
    private func chain(
        _ environment: [String: String],
        files: SimulatedFileSystem = SimulatedFileSystem(),
        seconds: @escaping @Sendable () -> Int = { 1_000 }
    ) -> CredentialChain {
        // Nobody listens on this port; the metadata address itself must not be asked by a test.
        var environment = environment
        environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] =
            environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] ?? "http://127.0.0.1:1"
        let variables = environment
        return CredentialChain(
            environment: { variables[$0] },
            transport: CurlClient(connectionsMax: 4),
            fileSystem: files,
            wallClockSeconds: seconds
        )
    }

    private func keyID(_ chain: CredentialChain) throws -> String { try chain.current().accessKeyID }

    private func problem(_ chain: CredentialChain) -> String {
        do throws(CredentialProblem) {
            return "no problem: \(try chain.current())"
        } catch {
            return error.reason
        }
    }

    private let home = ["HOME": "/home/x"]

    private var files: SimulatedFileSystem {
        let files = SimulatedFileSystem()
        let credentials = """
            # two identities
            [default]
            aws_access_key_id = DEFAULT
            aws_secret_access_key=abc/+=
            [backup]
            aws_access_key_id=BACKUP
            aws_secret_access_key=def
            aws_session_token = token==
            s3 =
                aws_access_key_id = NESTED
            [half]
            aws_access_key_id=HALF
            """
        let config = """
            [profile other]
            region = eu-x
            AWS_ACCESS_KEY_ID = OTHER
            aws_secret_access_key = ghi
            [profile role]
            role_arn = arn:aws:iam::1:role/x
            [profile empty]
            region = eu-x
            """
        files.setContents("/home/x/.aws/credentials", Array(credentials.utf8))
        files.setContents("/home/x/.aws/config", Array(config.utf8))
        return files
    }

    @Test("AWS's order: environment, profile, container, instance role")
    func order() throws {
        let container = try StubServer { _ in
            .answer(CredentialTests.document("CONTAINER", expiry: "2030-01-01T00:00:00Z"))
        }
        let instance = try instanceService()
        var environment = home
        environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = instance.endpoint
        #expect(try keyID(chain(environment)) == "INSTANCE")
        environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = container.endpoint + "/get"
        #expect(try keyID(chain(environment)) == "CONTAINER")
        #expect(try keyID(chain(environment, files: files)) == "DEFAULT")
        environment["AWS_ACCESS_KEY_ID"] = "ENVIRONMENT"
        environment["AWS_SECRET_ACCESS_KEY"] = "x"
        #expect(try keyID(chain(environment, files: files)) == "ENVIRONMENT")
    }

    @Test("profiles in both files", arguments: [("backup", "BACKUP"), ("other", "OTHER"), ("default", "DEFAULT")])
    func profiles(name: String, key: String) throws {
        #expect(try keyID(chain(home.merging(["AWS_PROFILE": name]) { $1 }, files: files)) == key)
    }

    @Test(
        "what is there but does not work is an error, not the next place",
        arguments: [
            (["AWS_ACCESS_KEY_ID": "A"], "must both be set"),
            (["AWS_ACCESS_KEY_ID": "A\nB", "AWS_SECRET_ACCESS_KEY": "x"], "without blanks"),
            (["AWS_PROFILE": "missing"], "profile missing is not in /home/x/.aws/credentials or /home/x/.aws/config"),
            (["AWS_PROFILE": "empty"], "profile empty has no keys"),
            (["AWS_PROFILE": "half"], "profile half of /home/x/.aws/credentials needs"),
            (["AWS_PROFILE": "role"], "uses role_arn, which is not supported"),
            (["AWS_PROFILE": "x", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://10.0.0.1/x"], "profile x"),
        ]
    )
    func problems(environment: [String: String], reason: String) {
        let text = problem(chain(home.merging(environment) { $1 }, files: files))
        #expect(text.contains(reason), "\(text)")
    }

    @Test(
        "a container's endpoint elsewhere is not told the token",
        arguments: [
            "http://10.0.0.1/x", "http://localhost.example.com/", "ftp://localhost/", "http://user@localhost/", "x",
        ]
    )
    func containerElsewhere(uri: String) {
        let text = problem(chain(["AWS_CONTAINER_CREDENTIALS_FULL_URI": uri]))
        #expect(text.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI"), "\(text)")
    }

    @Test("the container's token is read anew each time and sent as it is")
    func containerToken() throws {
        let seen = Mutex<[String]>([])
        let server = try StubServer { request in
            seen.withLock { $0.append("\(request.target) \(request.header("authorization") ?? "none")") }
            return .answer(CredentialTests.document("C", expiry: "1970-01-01T00:30:00Z"))
        }
        let files = SimulatedFileSystem()
        files.setContents("/token", Array("first\n".utf8))
        let now = Mutex(1_000)
        let chain = chain(
            [
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": server.endpoint + "/a?b=c",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/token",
            ],
            files: files
        ) { now.withLock { $0 } }
        _ = try chain.current()
        files.setContents("/token", Array("second".utf8))
        _ = try chain.current()
        now.withLock { $0 = 1_500 }
        _ = try chain.current()
        #expect(seen.withLock { $0 } == ["/a?b=c first", "/a?b=c second"])
    }

    // MARK: - The instance's role

    static func document(_ key: String, expiry: String) -> StubServer.Answer {
        let text = """
            {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "\(key)", "SecretAccessKey": "s/\\u002B", "Token": "t",
             "Expiration": "\(expiry)", "LastUpdated": null, "Extra": [1, {"a": 2}]}
            """
        return StubServer.Answer(200, body: Array(text.utf8))
    }

    /// A metadata service that hands out tokens and one role's keys.
    private func instanceService(
        log: @escaping @Sendable (StubServer.Request) -> Void = { _ in },
        expiry: @escaping @Sendable () -> String = { "2030-01-01T00:00:00Z" },
        key: @escaping @Sendable () -> String = { "INSTANCE" }
    ) throws -> StubServer {
        try StubServer { request in
            log(request)
            if request.method == "PUT", request.target == "/latest/api/token" {
                guard request.header("x-aws-ec2-metadata-token-ttl-seconds") != nil else { return .answer(.init(400)) }
                return .answer(.init(200, body: Array("the-token".utf8)))
            }
            guard request.header("x-aws-ec2-metadata-token") == "the-token" else { return .answer(.init(401)) }
            switch request.target {
            case "/latest/meta-data/iam/security-credentials/":
                return .answer(.init(200, body: Array("my-role\n".utf8)))
            case "/latest/meta-data/iam/security-credentials/my-role":
                return .answer(CredentialTests.document(key(), expiry: expiry()))
            default: return .answer(.init(404))
            }
        }
    }

    @Test("a role's keys are fetched anew before they end, and the old ones serve while that fails")
    func rotation() throws {
        let now = Mutex(10_000)
        let issued = Mutex(0)
        let isBroken = Mutex(false)
        let server = try StubServer { request in
            if isBroken.withLock({ $0 }) { return .answer(.init(503)) }
            if request.method == "PUT" { return .answer(.init(200, body: Array("tok".utf8))) }
            if request.target.hasSuffix("/") { return .answer(.init(200, body: Array("r".utf8))) }
            let number = issued.withLock {
                $0 += 1; return $0
            }
            // An hour each.
            return .answer(CredentialTests.document("K\(number)", expiry: FakeS3.isoDate(now.withLock { $0 } + 3_600)))
        }
        let chain = chain(["AWS_EC2_METADATA_SERVICE_ENDPOINT": server.endpoint]) { now.withLock { $0 } }
        #expect(try keyID(chain) == "K1")
        now.withLock { $0 += 2_000 }
        #expect(try keyID(chain) == "K1")
        // Ten minutes before the end.
        now.withLock { $0 += 1_000 }
        isBroken.withLock { $0 = true }
        #expect(try keyID(chain) == "K1")
        isBroken.withLock { $0 = false }
        #expect(try keyID(chain) == "K1", "within a minute of a failure nobody asks again")
        now.withLock { $0 += 61 }
        #expect(try keyID(chain) == "K2")
        // Refused by the store before their time.
        let refused = try chain.current()
        #expect(try chain.current(insteadOf: refused).accessKeyID == "K3")
        // Ended, and no others to be had.
        now.withLock { $0 += 4_000 }
        isBroken.withLock { $0 = true }
        #expect(problem(chain) == "instance role: instance metadata: status 503")
    }

    @Test("keys that end in the middle of an upload are replaced by the next ones")
    func endInTheMiddle() throws {
        let fake = try FakeS3()
        let issued = Mutex(0)
        let server = try StubServer { request in
            if request.method == "PUT" { return .answer(.init(200, body: Array("tok".utf8))) }
            if request.target.hasSuffix("/") { return .answer(.init(200, body: Array("r".utf8))) }
            let number = issued.withLock {
                $0 += 1; return $0
            }
            let text = """
                {"Code":"Success","AccessKeyId":"\(FakeS3.keys.id)","SecretAccessKey":"\(FakeS3.keys.secret)","Token":"t\(number)","Expiration":"2040-01-01T00:00:00Z"}
                """
            return .answer(.init(200, body: Array(text.utf8)))
        }
        fake.state.withLock { $0.sessionToken = "t1" }
        fake.next(where: { $0.target.contains("partNumber=3&") }) { _, operate in
            fake.state.withLock { $0.sessionToken = "t2" }
            return .answer(operate())
        }
        var options = S3Options()
        options.region = "eu-test-1"
        options.endpoint = fake.endpoint
        options.partBytes = 10
        let time = TestTime(seconds: FakeS3.start)
        let endpoint = server.endpoint
        let store = try S3Store(
            bucket: FakeS3.bucket,
            prefix: "",
            options: options,
            environment: { _ in nil },
            transport: CurlClient(connectionsMax: 2),
            credentials: CredentialChain(
                environment: { $0 == "AWS_EC2_METADATA_SERVICE_ENDPOINT" ? endpoint : nil },
                transport: CurlClient(connectionsMax: 2),
                fileSystem: SimulatedFileSystem(),
                wallClockSeconds: { time.seconds }
            ),
            clock: time.clock,
            random: SeededRandom(seed: 1)
        )
        try store.put(ObjectKey("a"), bytes: [UInt8](repeating: 7, count: 45))
        #expect(try store.read(ObjectKey("a"), limit: 45) == [UInt8](repeating: 7, count: 45))
        #expect(issued.withLock { $0 } == 2)
        #expect(fake.broken == [])
    }

    @Test("one fetch serves all who wait for it")
    func together() throws {
        let asked = Mutex(0)
        let server = try instanceService(log: { if $0.method == "PUT" { asked.withLock { $0 += 1 } } })
        let chain = chain(["AWS_EC2_METADATA_SERVICE_ENDPOINT": server.endpoint])
        let failures = Mutex(0)
        try WorkerThread.run(8) { _ in
            if (try? chain.current().accessKeyID) != "INSTANCE" { failures.withLock { $0 += 1 } }
        }
        #expect(failures.withLock { $0 } == 0)
        #expect(asked.withLock { $0 } == 1)
    }

    @Test(
        "answers that are no keys are refused, whatever they are",
        arguments: [
            "", "{}", "[]", "{\"Code\":\"Failed\"}", "{\"AccessKeyId\":\"A\"}", "not json",
            "{\"AccessKeyId\":1,\"SecretAccessKey\":2}",
            "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Expiration\":\"tomorrow\"}",
            "{\"AccessKeyId\":\"A\\nX: y\",\"SecretAccessKey\":\"B\"}",
            "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"\(String(repeating: "x", count: 20_000))\"}",
        ]
    )
    func badDocuments(text: String) throws {
        let server = try StubServer { _ in .answer(.init(200, body: Array(text.utf8))) }
        let reason = problem(chain(["AWS_CONTAINER_CREDENTIALS_FULL_URI": server.endpoint + "/"]))
        #expect(reason.hasPrefix("container: "), "\(reason)")
    }

    @Test("where nothing is, the message says where was looked")
    func nothing() {
        #expect(
            problem(chain(["AWS_EC2_METADATA_DISABLED": "true"]))
                == "none in environment, profile, container, instance role"
        )
        #expect(problem(chain([:])).hasPrefix("instance role: instance metadata: "))
    }
}
