import Glibc
import SpringgArchive
import SpringgTestKit

/// A real S3 server, started for one test in a directory of its own, with a bucket `test-bucket`.
///
/// SeaweedFS can stand on a machine of a test's network.
final class RealServer {
    enum Kind: String, CaseIterable, Sendable {
        case seaweedFS, ministack
    }

    let kind: Kind
    let endpoint: String
    private let directory: TemporaryDirectory
    private let command: Command
    private let machine: Machine?
    /// All that it listens on.
    private let ports: [Int]
    private var process: ChildProcess?
    private var reader: WorkerThread?

    /// How it is started.
    private struct Command: Sendable {
        let program: String
        let arguments: [String]
        let environment: [String: String]
        let directory: String

        func start() throws -> ChildProcess {
            try ChildProcess(
                executable: program,
                arguments: arguments,
                environment: environment,
                workingDirectory: directory
            )
        }
    }

    static let keys = (id: "testkey0001", secret: "test/secret+with=signs")

    /// Starts a server and waits until it answers.
    init(_ kind: Kind, on machine: Machine? = nil) throws {
        self.kind = kind
        self.machine = machine
        let address = machine?.address ?? "127.0.0.1"
        directory = try TemporaryDirectory()
        let programs = RealServer.programs
        guard Files.exists(programs + "/installed") else {
            throw TestKitError("there are no S3 servers in \(programs): run `make test-servers`")
        }
        let ports = try (0..<8).map { _ in try Socket.freePort() }
        let port = ports[0]
        self.ports = ports
        switch kind {
        case .ministack:
            command = Command(
                program: programs + "/bin/ministack",
                arguments: [],
                environment: [
                    "PATH": "/usr/bin:/bin", "HOME": directory.path, "TMPDIR": directory.path,
                    "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": "\(port)", "SERVICES": "s3", "AUTH": "true",
                    "AWS_ACCESS_KEY_ID": RealServer.keys.id,
                    "AWS_SECRET_ACCESS_KEY": RealServer.keys.secret,
                ],
                directory: directory.path
            )
        case .seaweedFS:
            let identity = """
                {"identities": [{"name": "test", "actions": ["Admin", "Read", "Write", "List"],
                 "credentials": [{"accessKey": "\(RealServer.keys.id)", "secretKey": "\(RealServer.keys.secret)"}]}]}
                """
            try Files.write(directory.path + "/s3.json", identity.utf8)
            guard mkdir(directory.path + "/data", 0o755) == 0 else { throw TestKitError.system("making a directory") }
            command = Command(
                program: programs + "/bin/weed",
                arguments: [
                    "-logdir=\(directory.path)", "server", "-dir=\(directory.path)/data", "-ip=\(address)",
                    "-ip.bind=\(address)",
                    "-master.port=\(ports[1])", "-master.port.grpc=\(ports[2])", "-volume.port=\(ports[3])",
                    "-volume.port.grpc=\(ports[4])", "-filer", "-filer.port=\(ports[5])",
                    "-filer.port.grpc=\(ports[6])",
                    "-filer.localSocket=\(directory.path)/filer.sock", "-s3", "-s3.port=\(port)",
                    "-s3.port.grpc=\(ports[7])",
                    "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.config=\(directory.path)/s3.json",
                    "-s3.localSocket=\(directory.path)/s3.sock", "-s3.autoCreateBucket=false", "-s3.iam=false",
                    // It reports to its makers by default.
                    "-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=16",
                    // Alone, and elected the sooner.
                    "-master.electionTimeout=1s",
                    "-volume.preStopSeconds=1",
                ],
                environment: ["PATH": "/usr/bin:/bin", "HOME": directory.path],
                directory: directory.path
            )
        }
        endpoint = "http://\(address):\(port)"
        try start()
    }

    private func start() throws {
        let process = try machine?.run(command.start) ?? command.start()
        self.process = process
        // What it prints goes nowhere; unread it would fill the pipe, and the server would wait.
        let output = process.takeOutput()
        reader = try WorkerThread {
            var piece = [UInt8](repeating: 0, count: 1 << 16)
            while read(output, &piece, piece.count) > 0 {}
            close(output)
        }
        try machine?.run(awaitReady) ?? awaitReady()
    }

    /// Starts it again on what it left, at the same address.
    func restart() throws {
        kill()
        try start()
    }

    deinit { kill() }

    /// Kills the server without a warning.
    func kill() {
        process?.send(signal: SIGKILL)
        _ = try? process?.wait(seconds: 20)
        reader?.join()
        (process, reader) = (nil, nil)
        // Where SeaweedFS puts these is fixed in it.
        for port in ports {
            for part in ["master", "volume", "filer", "s3"] { unlink("/tmp/seaweedfs-\(part)-grpc-\(port).sock") }
        }
    }

    /// A store in the bucket.
    func store(prefix: String, _ change: (inout S3Options) -> Void = { _ in }) throws -> S3Store {
        var options = S3Options()
        options.endpoint = endpoint
        change(&options)
        return try S3Store(
            bucket: "test-bucket",
            prefix: prefix,
            options: options,
            environment: {
                ["AWS_ACCESS_KEY_ID": RealServer.keys.id, "AWS_SECRET_ACCESS_KEY": RealServer.keys.secret][$0]
            }
        )
    }

    /// Where `make test-servers` puts the programs.
    private static var programs: String {
        var directory = #filePath as Substring
        while !Files.exists(directory + "/Package.swift"), let slash = directory.lastIndex(of: "/") {
            directory = directory[..<slash]
        }
        return directory + "/.build/test-servers"
    }

    /// Makes the bucket and writes to it until that works; the first write waits for SeaweedFS to make a volume.
    private func awaitReady() throws {
        let deadline = Deadline(seconds: 60)
        let client = CurlClient(connectionsMax: 1)
        let signature = AWSSignature(region: "us-east-1", service: "s3")
        guard
            let keys = AWSCredentials(
                accessKeyID: RealServer.keys.id,
                secretAccessKey: RealServer.keys.secret,
                sessionToken: nil,
                expirySeconds: nil
            ), let address = HTTPEndpoint(endpoint)
        else { throw TestKitError("unusable test settings") }
        var last = "nothing"
        while !deadline.isOver {
            var succeeded = 0
            for path in ["/test-bucket", "/test-bucket/ready"] {
                var request = HTTPRequest("PUT", address, path: path)
                request.body = HTTPBody(.bytes([]))
                request.headers = [HTTPField("x-amz-content-sha256", AWSSignature.emptyPayload)]
                signature.sign(&request, keys, payload: AWSSignature.emptyPayload, atSeconds: time(nil))
                do throws(HTTPFailure) {
                    let answer = try client.send(request)
                    last = "\(answer.status) " + String(decoding: answer.body.prefix(200), as: UTF8.self)
                    if answer.isSuccess || answer.status == 409 { succeeded += 1 }
                } catch {
                    last = error.text
                }
            }
            if succeeded == 2 {
                try store(prefix: "").delete([ObjectKey("ready")])
                return
            }
            usleep(100_000)
        }
        throw TestKitError("\(kind) does not answer: \(last)")
    }
}
