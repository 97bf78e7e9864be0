import Dispatch
import Logging
import SpringgLog
import SpringgNet
import SpringgProjections
import SpringgTestKit

/// A server on the loopback with a database of its own in a temporary directory.
final class TestServer: Sendable {
    /// A secret long enough to be one.
    static let secret = "an-example-secret-of-32-characters"

    let database: Database
    let server: APIServer
    private let directory: TemporaryDirectory

    private init(
        _ options: ServerOptions,
        disk: (any FileSystem)?,
        database: Database?,
        logger: Logger
    ) async throws {
        directory = try TemporaryDirectory()
        var databaseOptions = DatabaseOptions(dataPath: directory.path + "/data")
        databaseOptions.segmentBytes = 256 << 10
        self.database =
            try database
            ?? Database.open(
                databaseOptions,
                fileSystem: disk ?? PosixFileSystem(),
                wallClock: { Monotonic.nanoseconds() / 1_000_000 }
            )
        server = try await APIServer.start(database: self.database, options: options, logger: logger)
    }

    /// A connection of its own.
    func client(timeoutSeconds: Double = 30) -> HTTPClient {
        let client = HTTPClient(port: server.port)
        client.timeoutSeconds = timeoutSeconds
        return client
    }

    func stop() async {
        await server.shutdown(gracePeriodSeconds: 5)
        database.close()
    }

    /// Stops the server from a thread that may block.
    func shutdown(gracePeriodSeconds: Double) {
        let done = DispatchSemaphore(value: 0)
        Task {
            await server.shutdown(gracePeriodSeconds: gracePeriodSeconds)
            done.signal()
        }
        done.wait()
    }

    /// Runs `body` with a server whose limits by rate are off unless `change` says otherwise.
    ///
    /// Without a database it gets one of its own. `body` gets a thread of its own: its clients block, and the threads that run tests are few.
    static func run(
        _ change: (inout ServerOptions) -> Void = { _ in },
        disk: (any FileSystem)? = nil,
        database: Database? = nil,
        logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        _ body: @escaping @Sendable (TestServer) throws -> Void
    ) async throws {
        var options = ServerOptions()
        options.host = "127.0.0.1"
        options.port = 0
        options.ioThreads = 2
        options.searchThreads = 1
        options.rateLimitPerSecond = 0
        options.bulkCPUThresholdPercent = 0
        options.clusterEnabled = true
        change(&options)
        let server = try await TestServer(options, disk: disk, database: database, logger: logger)
        let result: Result<Void, any Error> = await withCheckedContinuation { continuation in
            // A queue of its own is a thread of its own while its work blocks.
            DispatchQueue(label: "test body").async { continuation.resume(returning: Result { try body(server) }) }
        }
        await server.stop()
        try result.get()
    }
}

extension HTTPClient {
    /// A request whose body, if any, is text.
    func request(
        _ method: String,
        _ path: String,
        _ body: String?,
        headers: [(name: String, value: String)] = []
    ) throws -> HTTPResponse {
        try request(method, path, headers: headers, body: body.map { Array($0.utf8) })
    }
}
