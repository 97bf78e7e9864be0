import Foundation
import Glibc
import SpringgNet
import SpringgTestKit
import Testing

/// Bulk requests of JSON lines, which are worked off while they arrive.
@Suite struct BulkStreamTests {
    private static let lines = [(name: "Content-Type", value: "application/x-ndjson; charset=utf-8")]
    private static let head =
        "POST /api/indexes/a/vectors/bulk HTTP/1.1\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"

    private static func chunk(_ text: String) -> String { String(text.utf8.count, radix: 16) + "\r\n\(text)\r\n" }

    @Test func everyLineIsStoredOrListed() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            func post(_ text: String) throws -> HTTPResponse {
                try client.request("POST", "/api/indexes/a/vectors/bulk", text, headers: Self.lines)
            }
            let some =
                #"{"id":"1","vector":[1,2]}"# + "\n\n  \r\n" + #"{"id":"2","vector":[1]}"# + "\r\n{\n"
                + #"{"vector":[1,2]}"# + "\n" + #"{"id":"5","vector":[3,4]} x"# + "\n" + #"{"id":"6","vector":[5,6]}"#
            let answer = try post(some)
            #expect(answer.status == 200)
            #expect(
                try answer.data()
                    == JSONValue(
                        text: #"{"total":6,"success":2,"failed":4,"errors":["#
                            + #"{"index":1,"id":"2","error":"vector dimension mismatch: expected 2, got 1"},"#
                            + #"{"index":2,"error":"Invalid request body"},{"index":3,"error":"ID is required"},"#
                            + #"{"index":4,"error":"Invalid request body"}]}"#
                    )
            )
            for empty in ["", "\n\n", " "] { #expect(try post(empty).error == nil && post(empty).status == 400) }
            let missing = try client.request("POST", "/api/indexes/b/vectors/bulk", some, headers: Self.lines)
            #expect(missing.status == 404 && missing.code == "index_not_found")
            // The connection is as good as new.
            #expect(try post(some).data()["success"]?.int == 2)
        }
    }

    @Test func linesMayComeInAnyPieces() async throws {
        var random = SeededRandom.fromEnvironment(#function)
        let text = (0..<40).map { #"{"id":"é\#($0)","vector":[\#($0),1]}"# + "\n" }.joined()
        let bytes = Array(text.utf8)
        var pieces: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + Int.random(in: 1...60, using: &random))
            pieces.append(Array(bytes[start..<end]))
            start = end
        }
        try await TestServer.run { [pieces] server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            let connection = try RawConnection(port: server.server.port)
            connection.send(Self.head)
            for piece in pieces {
                connection.send(Array((String(piece.count, radix: 16) + "\r\n").utf8) + piece + Array("\r\n".utf8))
            }
            connection.send("0\r\n\r\n")
            #expect(
                connection.receive(until: "}}").contains(#""data":{"total":40,"success":40,"failed":0},"receipt":"#)
            )
            #expect(try client.request("GET", "/api/indexes").data()[0]?["count"]?.int == 40)
        }
    }

    @Test func aLongStreamNeedsNoMoreMemoryThanAShortOne() async throws {
        // A body limit that the stream exceeds a hundredfold: it holds for what is read whole.
        try await TestServer.run({ $0.bodyBytesMax = 16 << 20 }) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":64}"#).status == 200)
            let vector = "[" + (0..<64).map { "0.\($0)1234567" }.joined(separator: ",") + "]"
            let padding = String(repeating: " ", count: 60_000)
            let connection = try RawConnection(port: server.server.port)
            connection.send(Self.head)
            func send(_ lines: Range<Int>) {
                for number in lines {
                    // Few ids, so that the data stay small, and much to read.
                    connection.send(Self.chunk(#"{"id":"\#(number % 50)","vector":\#(vector)}\#(padding)"# + "\n"))
                }
            }
            send(0..<500)
            let before = try ProcessUsage(pid: getpid()).residentBytes
            send(500..<2500)
            let after = try ProcessUsage(pid: getpid()).residentBytes
            connection.send("0\r\n\r\n")
            #expect(
                connection.receive(until: "}}").contains(#""data":{"total":2500,"success":2500,"failed":0},"receipt":"#)
            )
            #expect(after - before < 64 << 20, "\((after - before) >> 20) MiB more for 115 MiB of lines")
        }
    }

    @Test func aStreamThatFailsSaysHowFarItGot() async throws {
        let disk = SimulatedFileSystem()
        try await TestServer.run(disk: disk) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":256}"#).status == 200)
            disk.setCapacity(400 << 10)
            let vector = "[" + Array(repeating: "0.5", count: 256).joined(separator: ",") + "]"
            let connection = try RawConnection(port: server.server.port)
            connection.send(Self.head)
            for number in 0..<4000 where !connection.hasEnded(within: 0) {
                guard connection.send(Array(Self.chunk(#"{"id":"\#(number)","vector":\#(vector)}"# + "\n").utf8)) else {
                    break
                }
            }
            connection.send("0\r\n\r\n")
            let received = connection.receiveAll()
            #expect(received.hasPrefix("HTTP/1.1 507 "), "\(received.prefix(300))")
            let start = try #require(received.range(of: "\r\n\r\n"))
            let answer = try JSONValue(text: String(received[start.upperBound...]))
            #expect(answer["code"]?.string == "disk_full")
            let stored = try #require(answer["data"]?["success"]?.int)
            #expect(try client.request("GET", "/api/indexes").data()[0]?["count"]?.int == stored)
        }
    }

    @Test func aLineHasALimitAndAStreamAPace() async throws {
        try await TestServer.run({ $0.readTimeoutSeconds = 0.5 }) { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            let slow = try RawConnection(port: server.server.port)
            slow.send(Self.head + Self.chunk(#"{"id":"x","vector":[1]}"# + "\n"))
            let received = slow.receiveAll()
            #expect(received.hasPrefix("HTTP/1.1 408 ") && received.contains(#""data":{"total":1,"#))
            let long = try RawConnection(port: server.server.port)
            long.send(Self.head)
            let piece = Self.chunk(String(repeating: "x", count: 1 << 20))
            for _ in 0..<9 { long.send(piece) }
            #expect(long.receiveAll().hasPrefix("HTTP/1.1 413 "))
            #expect(try client.request("GET", "/api/health").status == 200)
        }
    }
}
