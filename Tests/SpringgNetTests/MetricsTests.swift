import SpringgNet
import SpringgTestKit
import Testing

/// `/metrics`: in a form that Prometheus takes, and true.
@Suite struct MetricsTests {
    /// Samples by name and labels, as they are written.
    private static func samples(_ client: HTTPClient) throws -> [String: Double] {
        let response = try client.request("GET", "/metrics")
        #expect(response.status == 200)
        #expect(response.header("content-type") == "text/plain; version=0.0.4; charset=utf-8")
        var samples: [String: Double] = [:]
        for line in response.text.split(separator: "\n") where !line.hasPrefix("#") {
            let end = try #require(line.lastIndex(of: " "))
            let isNew = samples.updateValue(
                try #require(Double(line[line.index(after: end)...])),
                forKey: String(line[..<end])
            )
            #expect(isNew == nil, "twice: \(line)")
        }
        return samples
    }

    private static let search = #"{method="POST",route="/api/indexes/{name}/search""#

    @Test func whatHappenedIsCounted() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            for number in 0..<7 {
                let body = #"{"id":"\#(number)","vector":[1,2]}"#
                #expect(try client.request("POST", "/api/indexes/a/vectors", body).status == 200)
            }
            // On connections of their own, so that both event loops have some to count.
            for number in 0..<10 {
                let body = number < 6 ? #"{"vector":[1,2]}"# : #"{"vector":[1]}"#
                _ = try server.client().request("POST", "/api/indexes/a/search", body)
            }
            let found = try Self.samples(client)
            #expect(found["springg_http_requests_total" + Self.search + #",status="200"}"#] == 6)
            #expect(found["springg_http_requests_total" + Self.search + #",status="400"}"#] == 4)
            #expect(found["springg_http_request_duration_seconds_count" + Self.search + "}"] == 10)
            #expect(found["springg_http_request_duration_seconds_bucket" + Self.search + #",le="+Inf"}"#] == 10)
            #expect(try #require(found["springg_http_request_duration_seconds_sum" + Self.search + "}"]) > 0)
            #expect(found[#"springg_log_lsn{mark="durable"}"#] == 8)
            #expect(found["springg_log_commit_events_sum"] == 8)
            #expect(try #require(found["springg_log_sync_duration_seconds_count"]) >= 1)
            #expect(found[#"springg_vectors{index="a"}"#] == 7)
            #expect(found["springg_writable"] == 1 && found["springg_disk_full"] == 0)
            #expect(try #require(found[#"springg_memory_bytes{part="rows"}"#]) > 0)
            #expect(try #require(found["process_resident_memory_bytes"]) > 1_000_000)
            #expect(try #require(found["process_open_fds"]) > 3)
            // Buckets never fall, and none is above the count.
            let buckets = found.filter { $0.key.hasPrefix("springg_log_sync_duration_seconds_bucket") }
            #expect(buckets.values.max() == found["springg_log_sync_duration_seconds_count"])
        }
    }

    @Test func nodesThatHoldTheSameShowTheSameDigest() async throws {
        try await TestServer.run { server throws in
            let before = try Self.samples(server.client())["springg_state_digest"]
            #expect(before == 0)
            let client = server.client()
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":1}"#).status == 200)
            #expect(try client.request("POST", "/api/indexes/a/vectors", #"{"id":"x","vector":[1]}"#).status == 200)
            let digest = try #require(try client.request("GET", "/api/stats").data()["digest"]?.string)
            let lower = try #require(UInt64(digest.suffix(16), radix: 16)) & (1 << 52 - 1)
            #expect(try Self.samples(client)["springg_state_digest"] == Double(lower))
        }
    }

    @Test func aLimitThatIsHitIsCounted() async throws {
        try await TestServer.run({
            $0.rateLimitPerSecond = 1; $0.rateLimitBurst = 2; $0.ioThreads = 1
        }) { server throws in
            // Nobody is refused the numbers by the limit that they show: asked again until there is a token.
            let statuses = try (0..<6).map { _ in try server.client().request("GET", "/api/health").status }
            let refused = statuses.count { $0 == 429 }
            #expect(refused > 0)
            let deadline = Deadline(seconds: 30)
            var response = try server.client().request("GET", "/metrics")
            while response.status == 429, !deadline.isOver { response = try server.client().request("GET", "/metrics") }
            let line = try #require(
                response.text.split(separator: "\n").first { $0.hasPrefix(#"springg_limit_hits_total{limit="rate"} "#) }
            )
            #expect(try #require(Int(line.split(separator: " ")[1])) >= refused)
        }
    }

    @Test func aTokenIsNeededFromElsewhereOnly() async throws {
        try await TestServer.run({
            $0.requireJWT = true; $0.jwtSecret = TestServer.secret
        }) { server throws in
            #expect(try server.client().request("GET", "/metrics").status == 200)
            for path in ["/livez", "/readyz"] { #expect(try server.client().request("GET", path).status == 200) }
        }
    }
}
