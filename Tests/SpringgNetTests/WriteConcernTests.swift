import SpringgCluster
import SpringgLog
import SpringgNet
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// What a write is answered with, when, and who can see it: asked of a live server whose peers the test plays.
@Suite struct WriteConcernTests {
    private func add(_ client: HTTPClient, _ id: Int, _ query: String = "") throws -> HTTPResponse {
        try client.request("POST", "/api/indexes/a/vectors\(query)", #"{"id":"\#(id)","vector":[1,\#(id)]}"#)
    }

    /// The level in an answer's receipt; nil when it has none.
    private func ack(_ response: HTTPResponse) throws -> String? { try response.json()["receipt"]?["ack"]?.string }

    private func create(_ server: TestServer) throws {
        #expect(try server.client().request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
    }

    @Test("every write carries its receipt, and the data is as it was")
    func receipts() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            let origin = server.database.origin.description
            var sequence = 0
            func check(_ method: String, _ path: String, _ body: String?, events: Int = 1) throws {
                let response = try client.request(method, path, body)
                let document = try response.json()
                sequence += events
                #expect(response.status == 200 && document.keys == ["data", "receipt", "status"], "\(response)")
                let receipt = try #require(document["receipt"])
                #expect(receipt.keys == ["ack", "hlc", "origin", "sequence"])
                #expect(receipt["origin"]?.string == origin && receipt["sequence"]?.int == sequence)
                #expect(receipt["ack"]?.string == "local")
            }
            try check("POST", "/api/indexes/a", #"{"dimensions":2}"#)
            try check("POST", "/api/indexes/a/vectors", #"{"id":"1","vector":[1,2]}"#)
            try check("PUT", "/api/indexes/a/vectors/1", #"{"vector":[2,2]}"#)
            let three = (0..<3).map { #"{"id":"b\#($0)","vector":[1,2]}"# }.joined(separator: ",")
            try check("POST", "/api/indexes/a/vectors/bulk", #"{"vectors":[\#(three)]}"#, events: 3)
            try check("DELETE", "/api/indexes/a/vectors/1", nil)
            try check("POST", "/api/marks", #"{"name":"now"}"#)
            try check("DELETE", "/api/indexes/a", nil)
            // What wrote nothing has none.
            let refused = try client.request("POST", "/api/indexes/a/vectors/bulk", #"{"vectors":[\#(three)]}"#)
            #expect(try refused.status == 404 && ack(refused) == nil)
        }
    }

    @Test("a level that nobody can reach is not claimed, not waited for, and hides no write")
    func alone() async throws {
        try await TestServer.run({ $0.ackTimeoutSeconds = 20 }) { server throws in
            try create(server)
            let client = server.client(timeoutSeconds: 10)
            for (level, status, reached) in [
                ("local", 200, "local"), ("peer", 202, "local"), ("quorum", 200, "quorum"),
            ] {
                let response = try add(client, 1, "?ack=\(level)")
                #expect(try response.status == status && ack(response) == reached)
                #expect(try response.data()["added"]?.bool == true)
            }
            #expect(try add(client, 1, "?x=1&ack=s3").status == 202)
            let before = server.database.versionVector
            for wrong in ["all", "", "LOCAL", "peer%20"] {
                let response = try add(client, 2, "?ack=\(wrong)")
                #expect(response.status == 400 && response.text.contains("ack must be local, peer, quorum or s3"))
            }
            #expect(server.database.versionVector == before)
        }
    }

    @Test("a write is answered as soon as its level is reached, and no sooner; reads go on meanwhile")
    func levels() async throws {
        let acks = AckTracker()
        acks.expectPeers()
        acks.setMembers(5)
        try await TestServer.run({
            $0.acks = acks
            $0.defaultAck = .quorum
            $0.ackTimeoutSeconds = 30
            $0.ioThreads = 1
        }) { server throws in
            acks.setMembers(1)
            try create(server)
            acks.setMembers(5)
            func send(_ id: Int, _ query: String) throws -> HTTPClient {
                let client = server.client()
                let body = #"{"id":"\#(id)","vector":[1,2]}"#
                try client.send(
                    "POST /api/indexes/a/vectors\(query) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                )
                return client
            }
            let reader = server.client()
            func waitForVector(_ id: Int) throws {
                let deadline = Deadline(seconds: 20)
                while try reader.request("GET", "/api/indexes/a/vectors/\(id)").status != 200 {
                    guard !deadline.isOver else { throw TestKitError("vector \(id) is not there") }
                }
            }
            let byDefault = try send(1, "")
            try waitForVector(1)
            // It is stored and seen; one peer is not enough, two are.
            acks.peer("b", holds: server.database.versionVector)
            let peer = try send(2, "?ack=peer")
            try waitForVector(2)
            acks.peer("c", holds: server.database.versionVector)
            for client in [byDefault, peer] {
                let response = try client.receive()
                let level = try ack(response)
                #expect(response.status == 200 && level == (client === peer ? "peer" : "quorum"), "\(response)")
            }
            // Nothing is left waiting that the end of the server would have to cut off.
            let last = try send(3, "?ack=quorum")
            try waitForVector(3)
            acks.setMembers(1)
            #expect(try last.receive().status == 200)
        }
    }

    @Test("when the time is over the answer says how far the write has got")
    func timeIsOver() async throws {
        let acks = AckTracker()
        acks.expectPeers()
        acks.setMembers(3)
        let asked = Flag()
        acks.expectArchive { asked.set() }
        try await TestServer.run({
            $0.acks = acks
            $0.ackTimeoutSeconds = 0.05
        }) { server throws in
            try create(server)
            let client = server.client()
            let one = try add(client, 1, "?ack=quorum")
            #expect(try one.status == 202 && ack(one) == "local")
            acks.peer("b", holds: server.database.versionVector)
            #expect(!asked.isSet)
            let two = try add(client, 2, "?ack=s3")
            #expect(try two.status == 202 && ack(two) == "local")
            #expect(asked.isSet)
            acks.archiveHolds(server.database.versionVector)
            #expect(try client.request("GET", "/api/indexes/a/stats").data()["count"]?.int == 2)
        }
    }

    @Test("a server that stops tells those who wait what there is")
    func stop() async throws {
        let acks = AckTracker()
        acks.expectPeers()
        acks.setMembers(3)
        try await TestServer.run({
            $0.acks = acks
            $0.ackTimeoutSeconds = 30
        }) { server throws in
            try create(server)
            let client = server.client()
            let body = #"{"id":"1","vector":[1,2]}"#
            try client.send(
                "POST /api/indexes/a/vectors?ack=peer HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
            )
            let deadline = Deadline(seconds: 20)
            while server.database.vectorCount == 0, !deadline.isOver {}
            server.shutdown(gracePeriodSeconds: 2)
            let response = try client.receive()
            #expect(try response.status == 202 && ack(response) == "local")
        }
    }

    @Test("a read after a receipt waits for that event, and for nothing else")
    func readAfter() async throws {
        try await TestServer.run({
            $0.ackTimeoutSeconds = 20
            $0.ioThreads = 1
        }) { server throws in
            try create(server)
            let client = server.client()
            let receipt = try #require(try add(client, 1).json()["receipt"])
            let origin = try #require(receipt["origin"]?.string)
            let sequence = try #require(receipt["sequence"]?.int)
            func get(_ event: String) throws -> HTTPResponse {
                try client.request(
                    "GET",
                    "/api/indexes/a/vectors/1",
                    nil,
                    headers: [(name: "X-Springg-After", value: event)]
                )
            }
            #expect(try get("\(origin):\(sequence)").status == 200)
            #expect(try get(" \(origin):1 , \(origin):\(sequence)").status == 200)
            for wrong in [
                "", "x", origin, "\(origin):", "\(origin):-1", "\(origin):1x", ",", "\(origin):99999999999999999999",
            ] {
                let response = try get(wrong)
                #expect(response.status == 400 && response.text.contains("X-Springg-After must be"), "\(wrong)")
            }
            // An event that comes while the read waits; the one event loop answers others meanwhile.
            let waiting = server.client()
            try waiting.send(
                "GET /api/indexes/a/vectors/2 HTTP/1.1\r\nHost: x\r\nX-Springg-After: \(origin):\(sequence + 1)\r\n\r\n"
            )
            #expect(try client.request("GET", "/api/indexes/a/vectors/2").status == 404)
            #expect(try add(client, 2).status == 200)
            #expect(try waiting.receive().status == 200)
        }
        try await TestServer.run({ $0.ackTimeoutSeconds = 0.05 }) { server throws in
            try create(server)
            let event = "0123456789abcdef0123456789abcdef:7"
            let response = try server.client().request(
                "GET",
                "/api/indexes",
                nil,
                headers: [(name: "X-Springg-After", value: event)]
            )
            #expect(response.status == 503 && response.header("Retry-After") == "1")
            #expect(response.text.contains("does not hold event \(event) yet"))
        }
    }

    @Test("a node that may not originate says why, writes nothing, and serves reads")
    func refusal() async throws {
        let flag = Flag()
        try await TestServer.run({ $0.writeRefusal = { flag.isSet ? "the clock is wrong" : nil } }) { server throws in
            try create(server)
            let client = server.client()
            #expect(try add(client, 1).status == 200)
            flag.set()
            let response = try add(client, 2)
            #expect(response.status == 503 && response.text.contains("the clock is wrong"))
            #expect(try client.request("GET", "/api/indexes/a/vectors/1").status == 200)
            #expect(server.database.vectorCount == 1)
        }
    }
}

/// Something that happened.
private final class Flag: Sendable {
    private let value = Mutex(false)
    func set() { value.withLock { $0 = true } }
    var isSet: Bool { value.withLock { $0 } }
}
