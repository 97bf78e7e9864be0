import Logging
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

    private init(_ options: ServerOptions, logger: Logger) async throws {
        directory = try TemporaryDirectory()
        database = try Database.open(DatabaseOptions(dataPath: directory.path + "/data"))
        server = try await APIServer.start(database: database, options: options, logger: logger)
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

    /// Runs `body` with a server whose limits by rate are off unless `change` says otherwise.
    static func run(
        _ change: (inout ServerOptions) -> Void = { _ in },
        logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        _ body: (TestServer) async throws -> Void
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
        let server = try await TestServer(options, logger: logger)
        do {
            try await body(server)
            await server.stop()
        } catch {
            await server.stop()
            throw error
        }
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
