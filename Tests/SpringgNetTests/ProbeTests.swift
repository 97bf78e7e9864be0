import Glibc
import Logging
import SpringgLog
import SpringgNet
import SpringgProjections
import SpringgTestKit
import Testing

/// `/livez` and `/readyz` through a node's life.
@Suite struct ProbeTests {
    /// The codes of the reasons, and the status beside them.
    private static func readiness(_ client: HTTPClient) throws -> (status: Int, codes: [String]) {
        let response = try client.request("GET", "/readyz")
        let reasons = try response.json()["data"]?["reasons"]?.array ?? []
        return (response.status, reasons.compactMap { $0["code"]?.string })
    }

    @Test func aNodeThatStartsSaysHowFarItIs() async throws {
        var options = ServerOptions()
        options.host = "127.0.0.1"
        options.port = 0
        options.ioThreads = 1
        let directory = try TemporaryDirectory()
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = try await APIServer.start(options: options, logger: logger)
        do {
            let port = server.port
            func ask(_ path: String) throws -> HTTPResponse { try HTTPClient(port: port).request("GET", path) }
            #expect(try ask("/livez").status == 200)
            #expect(try ask("/readyz").text.contains("opening the database"))
            server.replayed(ReplayProgress(bytesDone: 43, bytesTotal: 100, events: 7))
            let unready = try ask("/readyz")
            #expect(unready.status == 503 && unready.header("retry-after") == "1")
            #expect(try unready.json()["data"]?["reasons"]?[0]?["text"]?.string == "replaying the log: 43%")
            for path in ["/api/health", "/api/indexes", "/api/indexes/a/vectors/x", "/metrics"] {
                let refused = try ask(path)
                #expect(refused.status == 503 && refused.code == "starting", "\(path)")
                #expect(refused.error == "Server is starting: replaying the log: 43%")
                #expect(refused.header("retry-after") == "1")
            }
            let database = try Database.open(DatabaseOptions(dataPath: directory.path + "/data"))
            defer { database.close() }
            server.open(database, options: options)
            #expect(try ask("/readyz").status == 200)
            #expect(try ask("/api/indexes").status == 200)
        } catch {
            await server.shutdown(gracePeriodSeconds: 1)
            throw error
        }
        await server.shutdown(gracePeriodSeconds: 1)
    }

    @Test func aNodeThatTakesNoWritesIsNotReady() async throws {
        let disk = SimulatedFileSystem()
        try await TestServer.run(disk: disk) { server throws in
            let client = server.client()
            #expect(try Self.readiness(client) == (200, []))
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            disk.setSyncError(EIO)
            #expect(try client.request("POST", "/api/indexes/a/vectors", #"{"id":"x","vector":[1]}"#).status == 503)
            #expect(try Self.readiness(server.client()) == (503, ["read_only"]))
            #expect(try server.client().request("GET", "/livez").status == 200)
        }
    }

    @Test func aFullDiskIsAReasonUntilThereIsRoom() async throws {
        let disk = SimulatedFileSystem()
        let vector = "[" + Array(repeating: "0.5", count: 256).joined(separator: ",") + "]"
        try await TestServer.run(disk: disk) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":256}"#).status == 200)
            disk.setCapacity(300 << 10)
            var number = 0
            func add() throws -> Int {
                number += 1
                return try client.request("POST", "/api/indexes/a/vectors", #"{"id":"\#(number)","vector":\#(vector)}"#)
                    .status
            }
            while try add() == 200 {}
            #expect(try Self.readiness(server.client()) == (503, ["disk_full"]))
            disk.setCapacity(nil)
            #expect(try add() == 200)
            #expect(try Self.readiness(server.client()) == (200, []))
        }
    }

    @Test func otherPartsOfTheNodeHaveTheirSay() async throws {
        try await TestServer.run({
            $0.unready = [{ [] }, { [Unready(code: "clock", text: "the clock is off")] }]
        }) { server throws in
            let response = try server.client().request("GET", "/readyz")
            #expect(response.status == 503)
            #expect(try response.json()["error"]?.string == "not ready: the clock is off")
        }
    }
}
