import SpringgTestKit
import Testing

extension EndToEnd {
    /// Every limit holds, says so, and leaves the node working.
    @Suite struct Limits {
        @Test func theRateIsCountedByAddressWhateverAClientClaims() throws {
            let api = try API(["rate-limit-per-second": "2", "rate-limit-burst": "10"])
            let began = Monotonic.nanoseconds()
            var accepted = 0
            for number in 0..<60 {
                // A connection of its own, and another name, for every request.
                let client = api.node.client()
                let response = try client.request(
                    "GET",
                    "/api/indexes",
                    headers: [
                        (name: "X-Forwarded-For", value: "10.0.0.\(number)"),
                        (name: "X-Real-IP", value: "10.0.1.\(number)"),
                        (name: "Forwarded", value: "for=10.0.2.\(number)"),
                    ]
                )
                if response.status == 200 { accepted += 1 } else { Self.expectRateLimited(response) }
            }
            let seconds = Double(Monotonic.nanoseconds() - began) / 1e9
            #expect(accepted >= 10 && Double(accepted) <= 10 + 2 * seconds + 1)
            // Another address has a bucket of its own.
            let neighbour = api.node.client()
            neighbour.sourceAddress = "127.0.0.2"
            #expect(try neighbour.request("GET", "/api/indexes").status == 200)
        }

        private static func expectRateLimited(_ response: HTTPResponse) {
            #expect(response.status == 429)
            #expect(response.text.split(separator: "\n") == ["Rate limit exceeded"])
            #expect(response.header("Content-Type")?.hasPrefix("text/plain") == true)
        }

        @Test func aRateOfNothingIsNoLimit() throws {
            let api = try API(["rate-limit-per-second": "0"])
            for _ in 0..<500 { #expect(try api.get("/api/health").status == 200) }
        }

        @Test func aBodyThatIsTooLargeIsRefused() throws {
            let api = try API(["max-body-mb": "1", "bulk-cpu-threshold-percent": "0"])
            try api.createIndex("a", 1)
            let padding = String(repeating: " ", count: 2 << 20)
            for path in ["/api/indexes/a/vectors", "/api/indexes/a/vectors/bulk", "/api/indexes/b"] {
                let response = try api.post(path, padding + "{}")
                #expect([400, 413].contains(response.status), "\(path): \(response)")
            }
            // Announced alone is enough; in chunks nothing is announced.
            let announced = api.node.client()
            try announced.send(
                "POST /api/indexes/a/vectors/bulk HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000000\r\n\r\n{"
            )
            #expect([400, 413].contains(try announced.receive().status))
            let chunked = api.node.client()
            try chunked.send(
                "POST /api/indexes/a/vectors/bulk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            let chunk = "10000\r\n" + String(repeating: " ", count: 65_536) + "\r\n"
            for _ in 0..<40 { if (try? chunked.send(chunk)) == nil { break } }
            #expect([400, 413].contains(try chunked.receive().status))
            // Just below the limit is still taken.
            let large = (0..<9000).map {
                API.vectorBody("vector-\($0)", [1], #"{"custom":{"a":"0123456789012345678901234567"}}"#)
            }
            let body = #"{"vectors":[\#(large.joined(separator: ","))]}"#
            try #require(body.utf8.count < 1 << 20 && body.utf8.count > 1 << 19)
            #expect(try api.post("/api/indexes/a/vectors/bulk", body).data()["success"]?.int == 9000)
            #expect(try api.count("a") == 9000)
        }

        @Test func connectionsBeyondTheLimitAreClosedAndTheOthersGoOn() throws {
            let api = try API(["max-connections": "8"])
            api.http.close()
            let open = (0..<8).map { _ in api.node.client() }
            for client in open { #expect(try client.request("GET", "/api/health").status == 200) }
            for _ in 0..<5 {
                let extra = api.node.client(timeoutSeconds: 10)
                try extra.connect()
                // Closed at once, or told so first.
                if let response = try? extra.request("GET", "/api/health") { #expect(response.status == 503) }
                #expect(extra.isClosedByServer(withinSeconds: 10))
            }
            for client in open { #expect(try client.request("GET", "/api/health").status == 200) }
            for client in open { client.close() }
            // The places become free once the server has seen the ends of those connections.
            let deadline = Deadline(seconds: 10)
            var answered = false
            while !answered, !deadline.isOver {
                answered = (try? api.node.client(timeoutSeconds: 5).request("GET", "/api/health"))?.status == 200
            }
            #expect(answered)
        }

        @Test func aClientThatIsSlowToAskIsLeft() throws {
            let api = try API(["read-timeout": "1s", "idle-timeout": "1s"])
            let half = api.node.client()
            try half.send("POST /api/indexes/a HTTP/1.1\r\nHost: x\r\nContent-Le")
            let body = api.node.client()
            try body.send("POST /api/indexes/a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            let idle = api.node.client()
            #expect(try idle.request("GET", "/api/health").status == 200)
            for client in [half, body] {
                if let response = try? client.receive() { #expect([400, 408].contains(response.status)) }
                #expect(client.isClosedByServer(withinSeconds: 10))
            }
            #expect(idle.isClosedByServer(withinSeconds: 10))
            try expect(api.get("/api/indexes"), data: "[]")
        }

        @Test func aClientThatDoesNotReadIsLeft() throws {
            let api = try API(["write-timeout": "1s", "max-connections": "4"])
            try api.createIndex("a", 4096)
            try api.add("a", "x", [Float](repeating: 0.123_456_78, count: 4096))
            let deaf = api.node.client()
            // Answers of 40 kB each, far more than the buffers between the two can hold.
            let request = "GET /api/indexes/a/vectors/x HTTP/1.1\r\nHost: x\r\n\r\n"
            try? deaf.send(String(repeating: request, count: 2000))
            #expect(try api.get("/api/health").status == 200)
            let deadline = Deadline(seconds: 15)
            var closed = false
            // The end is seen by sending: reading would make this a client that reads.
            while !closed, !deadline.isOver { closed = (try? deaf.send(request)) == nil }
            #expect(closed)
            #expect(try api.get("/api/health").status == 200)
        }

        @Test func anIndexHoldsSoManyVectorsAndNoMore() throws {
            let api = try API(["max-vectors-per-index": "10", "bulk-cpu-threshold-percent": "0"])
            try api.createIndex("a", 1)
            for number in 0..<10 { #expect(try api.add("a", "v\(number)", [1]).status == 200) }
            let refused = try api.add("a", "one-more", [1])
            #expect((400..<600).contains(refused.status) && refused.error?.isEmpty == false, "\(refused)")
            // Replacing takes no room, deleting makes some.
            #expect(try api.add("a", "v3", [2]).status == 200)
            try api.remove("a", "v4")
            #expect(try api.add("a", "one-more", [1]).status == 200)
            let bulk = try api.post("/api/indexes/a/vectors/bulk", #"{"vectors":[{"id":"y","vector":[1]}]}"#).data()
            #expect(bulk["failed"]?.int == 1)
            #expect(try api.count("a") == 10)
            try api.restart()
            #expect(try api.count("a") == 10)
        }

        @Test func memoryIsBounded() throws {
            let api = try API(["max-memory-mb": "8", "bulk-cpu-threshold-percent": "0"])
            try api.createIndex("a", 1024)
            let vector = [Float](repeating: 0.5, count: 1024)
            // Half of it at once, and then one after the other.
            var accepted = 1000
            try api.add("a", 0..<accepted) { API.vectorBody("v\($0)", vector) }
            var refused: HTTPResponse?
            while refused == nil, accepted < 5000 {
                let response = try api.add("a", "v\(accepted)", vector)
                if response.status == 200 { accepted += 1 } else { refused = response }
            }
            let text = try #require(refused?.error)
            #expect(refused?.status == 500)
            #expect(text.hasPrefix("memory limit exceeded: ") && text.hasSuffix("(limit: 8 MB)"), "\(text)")
            #expect((1000..<2100).contains(accepted))
            #expect(try api.vector("a", "v0").status == 200)
            // What was taken before a restart is taken again after it.
            try api.restart()
            #expect(try api.count("a") == accepted)
            for number in 0..<100 { try api.remove("a", "v\(number)") }
            #expect(try api.add("a", "again", vector).status == 200)
        }

        @Test func oneBulkRequestTooManyIsToldToWait() throws {
            let api = try API(["max-concurrent-bulk-requests": "1", "bulk-cpu-threshold-percent": "0"])
            try api.createIndex("a", 1)
            let body = #"{"vectors":[{"id":"x","vector":[1]}]}"#
            let head =
                "POST /api/indexes/a/vectors/bulk HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            let slow = api.node.client()
            try slow.send(head.split(separator: "Host: x").joined(separator: "Host: x\r\nExpect: 100-continue"))
            // The 100 says that this one has its place, so that the next one is one too many.
            try slow.waitForInput()
            let refused = try api.post("/api/indexes/a/vectors/bulk", body)
            expect(refused, error: "Too many concurrent bulk requests, please retry", status: 429)
            #expect(refused.header("Retry-After") == "2")
            try slow.send(body)
            #expect(try slow.receive().status == 200)
            // The place is given back with the answer, a moment before or after it arrives here.
            let deadline = Deadline(seconds: 10)
            var response = try api.post("/api/indexes/a/vectors/bulk", body)
            while response.status == 429, !deadline.isOver {
                response = try api.post("/api/indexes/a/vectors/bulk", body)
            }
            #expect(response.status == 200)
        }
    }
}
