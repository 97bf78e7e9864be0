import SpringgNet
import SpringgTestKit
import Testing

/// Whose address counts when a request comes through proxies.
@Suite struct TrustedProxyTests {
    /// Statuses of requests with these headers, each address having a burst of one.
    private static func statuses(_ proxies: String, _ forwarded: [String?]) async throws -> [Int] {
        let trusted = try #require(TrustedProxies(proxies))
        let found = Found()
        // After a second an address may ask again: who was held up for so long has to begin anew.
        for _ in 0..<10 where found.seconds >= 1 {
            try await TestServer.run({
                $0.rateLimitPerSecond = 1; $0.rateLimitBurst = 1; $0.trustedProxies = trusted
            }) { server throws in
                found.seconds = try Monotonic.seconds {
                    found.statuses = try forwarded.map { value in
                        try server.client().request(
                            "GET",
                            "/livez",
                            headers: value.map { [(name: "X-Forwarded-For", value: $0)] } ?? []
                        ).status
                    }
                }
            }
        }
        return found.statuses
    }

    // Why @unchecked: written by the body of `TestServer.run` alone, read when that has returned.
    private final class Found: @unchecked Sendable {
        var statuses: [Int] = []
        var seconds = Double.infinity
    }

    @Test func clientsBehindATrustedProxyAreCountedEachForItself() async throws {
        let several = ["10.0.0.1", "10.0.0.2", "10.0.0.3:4711", "2001:db8::1", "[2001:db8:1::1]:80"]
        #expect(try await Self.statuses("127.0.0.1", several) == [200, 200, 200, 200, 200])
        #expect(try await Self.statuses("127.0.0.0/8, fd00::/8", several) == [200, 200, 200, 200, 200])
        #expect(try await Self.statuses("", several) == [200, 429, 429, 429, 429])
        #expect(try await Self.statuses("10.0.0.0/8", several) == [200, 429, 429, 429, 429])
    }

    @Test func whatAClientSaysOfItselfIsNotBelieved() async throws {
        // The proxy adds what it sees at the end: a client that writes its own header changes nothing.
        let lies = ["1.1.1.1, 10.0.0.1", "2.2.2.2, 10.0.0.1", "3.3.3.3,4.4.4.4, 10.0.0.1", "nonsense, 10.0.0.1"]
        #expect(try await Self.statuses("127.0.0.1", lies) == [200, 429, 429, 429])
        // Two proxies, of which both are trusted.
        let twice = ["10.0.0.1, 192.168.0.1", "10.0.0.2, 192.168.0.1", "x, 10.0.0.2, 192.168.0.1"]
        #expect(try await Self.statuses("127.0.0.1,192.168.0.0/16", twice) == [200, 200, 429])
        // What cannot be read counts as the proxy that sent it.
        #expect(try await Self.statuses("127.0.0.1", ["junk", "", nil, "999.1.1.1"]) == [200, 429, 429, 429])
    }

    @Test func aForwardedRequestDoesNotComeFromThisMachine() async throws {
        try await TestServer.run({
            $0.requireJWT = true; $0.jwtSecret = TestServer.secret
        }) { server throws in
            #expect(try server.client().request("GET", "/metrics").status == 200)
            let forwarded = [(name: "X-Forwarded-For", value: "127.0.0.1")]
            #expect(try server.client().request("GET", "/metrics", headers: forwarded).status == 401)
            #expect(try server.client().request("GET", "/internal/cluster/status", headers: forwarded).status == 401)
        }
    }

    @Test func aListIsReadWholeOrNotAtAll() {
        for good in ["", "10.0.0.1", "10.0.0.0/8, ::1", "fd00::/8", "0.0.0.0/0", "::/0", "[::1]"] {
            #expect(TrustedProxies(good) != nil, "\(good)")
        }
        for bad in [
            "proxy.example", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0.0/8/8", "10.0.0", "10.0.0.1 x", "/8",
        ] {
            #expect(TrustedProxies(bad) == nil, "\(bad)")
        }
    }
}
