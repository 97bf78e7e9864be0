import Glibc
import SpringgTestKit
import Synchronization
import Testing

/// A server that accepts connections and answers every request head it sees with the next of its lines of bytes.
private final class ScriptedServer {
    let port: Int
    private let listener: Int32
    private let thread: WorkerThread

    /// A server that gives each connection in turn its answers, one to each request, and then closes it.
    init(_ script: [[String]]) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) + listen(descriptor, 10) + getsockname(descriptor, $0, &length)
            }
        }
        guard bound == 0 else { throw TestKitError("no listening socket") }
        listener = descriptor
        port = Int(in_port_t(bigEndian: address.sin_port))
        thread = try WorkerThread {
            for answers in script {
                let connection = accept(descriptor, nil, nil)
                var answers = answers[...]
                var ends = 0
                var buffer = [UInt8](repeating: 0, count: 4096)
                while !answers.isEmpty {
                    let got = recv(connection, &buffer, buffer.count, 0)
                    if got <= 0 { break }
                    // Every request of these tests ends in an empty line.
                    ends += String(decoding: buffer[..<got], as: UTF8.self).split(separator: "\r\n\r\n").count
                    while ends > 0, let answer = answers.popFirst() {
                        ends -= 1
                        // Byte by byte, so that no answer arrives in one piece.
                        for byte in answer.utf8 {
                            var byte = byte
                            _ = send(connection, &byte, 1, Int32(MSG_NOSIGNAL))
                        }
                    }
                }
                close(connection)
            }
        }
    }

    func finish() {
        thread.join()
        close(listener)
    }
}

@Suite struct HTTPClientTests {
    private static let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-A:  b \r\n\r\nhi"

    @Test func answersWithALengthAreReadAndTheConnectionIsKept() throws {
        let server = try ScriptedServer([[Self.ok, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]])
        let client = HTTPClient(port: server.port)
        let first = try client.request("GET", "/a")
        #expect(first.status == 200 && first.text == "hi" && first.header("x-a") == "b")
        #expect(try client.request("GET", "/b").status == 404)
        #expect(client.isClosedByServer(withinSeconds: 5))
        server.finish()
    }

    @Test func chunksAreJoined() throws {
        let server = try ScriptedServer([
            [
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
                Self.ok,
            ]
        ])
        let client = HTTPClient(port: server.port)
        #expect(try client.request("GET", "/").text == "abc0123456789")
        #expect(try client.request("GET", "/").text == "hi")
        client.close()
        server.finish()
    }

    @Test func aBodyMayEndWithTheConnectionAndTheNextRequestOpensANewOne() throws {
        let server = try ScriptedServer([["HTTP/1.1 200 OK\r\n\r\nuntil the end"], [Self.ok]])
        let client = HTTPClient(port: server.port)
        #expect(try client.request("GET", "/").text == "until the end")
        #expect(try client.request("GET", "/").text == "hi")
        client.close()
        server.finish()
    }

    @Test func pipelinedAnswersComeInOrderAndInterimOnesArePassedOver() throws {
        let server = try ScriptedServer([
            ["HTTP/1.1 100 Continue\r\n\r\n" + Self.ok, "HTTP/1.1 201 C\r\nContent-Length: 0\r\n\r\n"]
        ])
        let client = HTTPClient(port: server.port)
        try client.send("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
        #expect(try client.receive().status == 200)
        #expect(try client.receive().status == 201)
        client.close()
        server.finish()
    }

    @Test func aSilentServerIsATimeout() throws {
        let server = try ScriptedServer([[""]])
        let client = HTTPClient(port: server.port, timeoutSeconds: 0.05)
        #expect(throws: TestKitError.self) {
            try client.send("GET / HTTP/1.1\r\n")
            return try client.receive()
        }
        client.close()
        server.finish()
    }
}

/// Sends what it is told and keeps what comes back.
private final class ListedRequests: LoadSource {
    let requests = RequestBytes(capacity: 100)
    var next = 0
    var answers: [String] = []
    var lost = 0

    func nextRequest(connection: Int) -> UnsafeRawBufferPointer? {
        guard next < requests.count else { return nil }
        defer { next += 1 }
        return UnsafeRawBufferPointer(requests[next])
    }

    func answered(connection: Int, status: Int, body: UnsafeRawBufferPointer) {
        answers.append("\(status) " + String(decoding: body, as: UTF8.self))
    }

    func lost(connection: Int) { lost += 1 }
}

@Suite struct LoadGeneratorTests {
    @Test func everyRequestIsAnsweredOrLost() throws {
        let long = String(repeating: "x", count: 40_000)
        let server = try ScriptedServer([
            [
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                "HTTP/1.1 429 Too Many Requests\r\nContent-Type: a\r\nCONTENT-LENGTH:40000\r\n\r\n" + long,
                "HTTP/1.1 200 OK\r\nCont",
            ]
        ])
        let source = ListedRequests()
        for path in ["/1", "/2", "/3", "/4"] { source.requests.append(method: "GET", path: path, body: "") }
        let generator = try LoadGenerator(port: server.port, connections: 1)
        let report = try generator.run(source)
        #expect(source.answers == ["200 hi", "429 " + long])
        #expect(source.lost == 1 && report.lost == 1)
        #expect(report.answered == 2 && report.statuses == [200: 1, 429: 1] && report.refused == 1)
        #expect(report.latency.count == 2)
        #expect(generator.openConnections == 0)
        server.finish()
    }

    @Test func preparedAddsCarryDistinctIdsOfFixedWidth() throws {
        var random = SeededRandom(seed: 3)
        let source = AddRequests(index: "a", dimensions: 4, bodies: 3, connections: 1, random: &random)
        source.allow(5)
        for number in 0..<5 {
            let request = try #require(source.nextRequest(connection: 0))
            let text = String(decoding: request, as: UTF8.self)
            let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
            let body = try JSONValue(text: String(parts[1]))
            #expect(body["id"]?.string == AddRequests.id(number))
            #expect(body["vector"]?.floats == source.vector(ofID: number))
            #expect(parts[0].contains("Content-Length: \(parts[1].utf8.count)"))
            let empty = UnsafeRawBufferPointer(start: nil, count: 0)
            source.answered(connection: 0, status: number == 2 ? 500 : 200, body: empty)
        }
        #expect(source.nextRequest(connection: 0) == nil)
        #expect(source.acknowledged == [true, true, false, true, true])
    }
}
