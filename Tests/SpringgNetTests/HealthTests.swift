import Dispatch
import SpringgLog
import SpringgNet
import SpringgProjections
import SpringgTestKit
import Testing

@Suite("Health")
struct HealthTests {
    @Test("while a graph catches up after a start, health says how many vectors wait")
    func catchingUp() async throws {
        let rows = 1500
        let disk = SimulatedFileSystem()
        func open(_ change: (inout DatabaseOptions) -> Void) throws -> Database {
            var options = DatabaseOptions(dataPath: "/data")
            options.lastCheckpointSeconds = 0
            change(&options)
            return try Database.open(options, fileSystem: disk, wallClock: { 1_700_000_000_000 })
        }
        let first = try open { _ in }
        try HealthTests.fill(first, rows)
        first.close()
        // The indexer's thread tells that it begins, and is held there.
        let hold = DispatchSemaphore(value: 0)
        let second = try open { $0.catchesUp = { report in if report.seconds == nil { hold.wait() } } }
        try await TestServer.run(database: second) { server in
            let behind = try server.client().request("GET", "/api/health", nil)
            #expect(behind.status == 200)
            let text = #"{"status":"healthy","service":"springg","indexing":true,"unindexed_rows":\#(rows)}"#
            #expect(String(decoding: behind.body, as: UTF8.self) == #"{"status":"success","data":\#(text)}"# + "\n")
            hold.signal()
            server.database.waitUntilIndexed()
            let there = try server.client().request("GET", "/api/health", nil)
            let usual = #"{"status":"success","data":{"status":"healthy","service":"springg"}}"#
            #expect(String(decoding: there.body, as: UTF8.self) == usual + "\n")
        }
    }

    private static func fill(_ database: Database, _ rows: Int) throws {
        var random = SeededRandom(seed: 1)
        let name = try #require(IndexName("a"))
        var commands: [Command] = [.createIndex(name: name, dimensions: 8)]
        for number in 0..<rows {
            let id = try #require(VectorID("v\(number)"))
            let vector = random.floats(8).withUnsafeBufferPointer {
                PreparedVector(index: name, id: id, vector: $0, metadata: UnsafeRawBufferPointer(start: nil, count: 0))
            }
            commands.append(.put(vector, mustExist: false))
        }
        let done = DispatchSemaphore(value: 0)
        database.submit(commands) { _ in done.signal() }
        done.wait()
    }
}
