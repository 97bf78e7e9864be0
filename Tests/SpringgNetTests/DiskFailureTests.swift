import Glibc
import SpringgLog
import SpringgNet
import SpringgProjections
import SpringgTestKit
import Testing

/// What a client is told when the disk fails, on a simulated one.
@Suite struct DiskFailureTests {
    private static let vector = "[" + Array(repeating: "0.5", count: 256).joined(separator: ",") + "]"

    @Test func aFullDiskIsAnswered507UntilThereIsRoom() async throws {
        let disk = SimulatedFileSystem()
        try await TestServer.run(disk: disk) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":256}"#).status == 200)
            disk.setCapacity(300 << 10)
            var refused = 0
            for number in 0..<400 {
                let body = #"{"id":"\#(number)","vector":\#(Self.vector)}"#
                let response = try client.request("POST", "/api/indexes/a/vectors", body)
                guard response.status != 200 else { continue }
                refused += 1
                #expect(response.status == 507)
                #expect(
                    response.error
                        == "WAL write failed: No space left on device. Nothing was written; try again once there is room."
                )
            }
            #expect(refused > 0)
            #expect(try client.request("GET", "/api/health").status == 200)
            #expect(try client.request("GET", "/api/indexes/a/vectors/0").status == 200)
            disk.setCapacity(nil)
            let body = #"{"id":"room","vector":\#(Self.vector)}"#
            #expect(try client.request("POST", "/api/indexes/a/vectors", body).status == 200)
        }
    }

    @Test func afterAFailedSyncWritesAre503AndHealthSaysWhy() async throws {
        let disk = SimulatedFileSystem()
        try await TestServer.run(disk: disk) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            #expect(try client.request("POST", "/api/indexes/a/vectors", #"{"id":"kept","vector":[1]}"#).status == 200)
            disk.setSyncError(EIO)
            for _ in 0..<3 {
                let response = try client.request("POST", "/api/indexes/a/vectors", #"{"id":"lost","vector":[2]}"#)
                #expect(response.status == 503)
                #expect(response.error?.contains("read-only") == true)
                #expect(response.error?.contains("/") == false, "a path of the server in a client's answer")
                disk.setSyncError(nil)
            }
            let health = try client.request("GET", "/api/health")
            #expect(health.status == 503)
            #expect(try health.data()["status"]?.string == "unhealthy")
            #expect(try client.request("GET", "/api/indexes/a/vectors/kept").status == 200)
            #expect(try client.request("GET", "/api/indexes/a/vectors/lost").status == 404)
        }
    }

    @Test func aWriteThatTheDiskRefusesIs500AndLeavesNothing() async throws {
        let disk = SimulatedFileSystem()
        try await TestServer.run(disk: disk) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            disk.fail(callFromNow: 1, .error(EIO))
            let response = try client.request("POST", "/api/indexes/a/vectors", #"{"id":"x","vector":[2]}"#)
            #expect(response.status == 500)
            #expect(response.error == "WAL write failed: Input/output error. Nothing was written.")
            #expect(try client.request("GET", "/api/indexes/a/vectors/x").status == 404)
            #expect(try client.request("POST", "/api/indexes/a/vectors", #"{"id":"x","vector":[3]}"#).status == 200)
        }
    }
}
