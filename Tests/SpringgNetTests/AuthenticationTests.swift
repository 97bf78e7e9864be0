import SpringgLog
import SpringgNet
import SpringgTestKit
import Testing

/// Tokens and scopes, as a live server asks for them.
@Suite struct AuthenticationTests {
    private func token(_ claims: String, secret: String = TestServer.secret) -> String {
        JSONWebToken.sign(claims: claims, secret: secret)
    }

    private func request(
        _ client: HTTPClient,
        _ method: String,
        _ path: String,
        _ authorization: String?,
        _ body: String? = nil
    ) throws -> HTTPResponse {
        try client.request(
            method,
            path,
            body,
            headers: authorization.map { [(name: "Authorization", value: $0)] } ?? []
        )
    }

    @Test func eachMistakeHasItsText() async throws {
        try await TestServer.run({
            $0.requireJWT = true; $0.jwtSecret = TestServer.secret
        }) { server throws in
            let client = server.client()
            let good = token(#"{"iss":"springg"}"#)
            let table: [(String?, String)] = [
                (nil, "Authorization header required"),
                ("", "Authorization header required"),
                (good, "Invalid authorization header format"),
                ("bearer \(good)", "Invalid authorization header format"),
                ("Bearer", "Invalid authorization header format"),
                ("Bearer \(good) x", "Invalid authorization header format"),
                ("Basic dTpw", "Invalid authorization header format"),
                ("Bearer x", "Invalid or expired token"),
                ("Bearer a.b.c", "Invalid or expired token"),
                ("Bearer \(good)x", "Invalid or expired token"),
                (
                    "Bearer \(token(#"{"iss":"springg"}"#, secret: "another-secret-of-some-32-letters"))",
                    "Invalid or expired token"
                ),
                ("Bearer \(token(#"{"iss":"springg","exp":1700000000}"#))", "Invalid or expired token"),
                ("Bearer \(token(#"{"iss":"springg","nbf":99999999999}"#))", "Invalid or expired token"),
                ("Bearer \(token(#"{"iss":"somebody"}"#))", "Invalid token issuer"),
                ("Bearer \(token(#"{"iss":"springg","exp":"never"}"#))", "Invalid token claims"),
            ]
            for (authorization, text) in table {
                // Twice: what is refused is not remembered as good.
                for _ in 0..<2 {
                    let response = try request(client, "GET", "/api/indexes", authorization)
                    #expect(response.status == 401 && response.error == text, "\(authorization ?? "none")")
                }
            }
            for _ in 0..<3 { #expect(try request(client, "GET", "/api/indexes", "Bearer \(good)").status == 200) }
            #expect(try client.request("GET", "/api/health").status == 200)
            // A path that is not there needs no token to be not there.
            #expect(try client.request("GET", "/api/nothing").status == 404)
        }
    }

    @Test func aRememberedTokenStillExpires() async throws {
        try await TestServer.run({
            $0.requireJWT = true; $0.jwtSecret = TestServer.secret
        }) { server throws in
            let client = server.client()
            // Soon enough to see it happen, late enough to be used before.
            let expires = CivilTime.now() + 1.5
            let brief = "Bearer \(token(#"{"iss":"springg","exp":\#(expires)}"#))"
            #expect(try request(client, "GET", "/api/indexes", brief).status == 200)
            let deadline = Deadline(seconds: 30)
            var last = try request(client, "GET", "/api/indexes", brief)
            while last.status == 200, !deadline.isOver {
                last = try request(client, "GET", "/api/indexes", brief)
            }
            #expect(last.status == 401 && last.error == "Invalid or expired token")
            #expect(CivilTime.now() >= expires)
        }
    }

    @Test func scopesDecideWhatATokenMayDo() async throws {
        try await TestServer.run({
            $0.requireJWT = true; $0.jwtSecret = TestServer.secret
        }) { server throws in
            let client = server.client()
            func bearer(_ permissions: String) -> String {
                "Bearer \(token(#"{"iss":"springg","permissions":\#(permissions)}"#))"
            }
            // The token that the command line makes by default can do all that the README shows.
            let standard =
                "Bearer \(token(#"{"iss":"springg","user_id":"springg-client","permissions":["read","write"]}"#))"
            #expect(try request(client, "POST", "/api/indexes/a", standard, #"{"dimensions":1}"#).status == 200)
            let row = #"{"id":"1","vector":[1]}"#
            #expect(try request(client, "POST", "/api/indexes/a/vectors", standard, row).status == 200)
            #expect(try request(client, "POST", "/api/indexes/a/search", bearer(#"["read"]"#), row).status == 200)

            let reads = [("GET", "/api/indexes"), ("GET", "/api/indexes/a/stats"), ("GET", "/api/indexes/a/vectors/1")]
            let writes = [
                ("POST", "/api/indexes/b"), ("DELETE", "/api/indexes/b"), ("POST", "/api/indexes/a/vectors"),
                ("POST", "/api/indexes/a/vectors/bulk"), ("PUT", "/api/indexes/a/vectors/1"),
                ("DELETE", "/api/indexes/a/vectors/2"),
            ]
            let internals = [
                ("GET", "/internal/indexes"), ("POST", "/internal/replicate"), ("GET", "/internal/sync/a/manifest"),
                ("GET", "/internal/sync/a/block/0"),
            ]
            let table: [(String, [(String, String)], String?)] = [
                (#"["read"]"#, reads, nil), (#"["read"]"#, writes, "write"), (#"["read"]"#, internals, "internal"),
                (#"["write"]"#, reads, "read"), (#"["write"]"#, writes, nil),
                (#"["read","write"]"#, internals, "internal"),
                (#"["internal"]"#, internals, nil), (#"["internal"]"#, reads, "read"), ("[]", writes, "write"),
                (#"["admin"]"#, reads + writes, nil), (#"["admin"]"#, internals, "internal"),
            ]
            for (permissions, requests, missing) in table {
                for (method, path) in requests {
                    let response = try request(client, method, path, bearer(permissions), method == "GET" ? nil : "{}")
                    if let missing {
                        #expect(response.status == 403, "\(permissions) \(method) \(path)")
                        #expect(
                            response.error == "Insufficient permissions: this needs the scope \"\(missing)\"",
                            "\(permissions) \(method) \(path)"
                        )
                    } else {
                        #expect(![401, 403].contains(response.status), "\(permissions) \(method) \(path)")
                    }
                }
            }
        }
    }

    @Test func internalRoutesNeedATokenWheneverThereIsASecret() async throws {
        try await TestServer.run({
            $0.requireJWT = false; $0.jwtSecret = TestServer.secret
        }) { server throws in
            let client = server.client()
            #expect(try client.request("GET", "/api/indexes").status == 200)
            for (method, path) in [("GET", "/internal/indexes"), ("POST", "/internal/replicate")] {
                let refused = try request(client, method, path, nil, method == "GET" ? nil : "{}")
                #expect(refused.status == 401 && refused.error == "Authorization header required")
            }
            // Whoever is on the machine may look at the cluster.
            #expect(try client.request("GET", "/internal/cluster/status").status == 200)
            let peer = "Bearer \(token(#"{"iss":"springg","permissions":["internal"]}"#))"
            #expect(try request(client, "GET", "/internal/indexes", peer).status == 200)
        }
    }

    @Test func anEmptySecretIsNone() async throws {
        try await TestServer.run({ $0.jwtSecret = "" }) { server throws in
            let forged = "Bearer \(token(#"{"iss":"springg","permissions":["internal"]}"#, secret: ""))"
            #expect(try request(server.client(), "GET", "/internal/indexes", forged).status == 200)
            #expect(try request(server.client(), "GET", "/internal/indexes", nil).status == 200)
        }
    }

    @Test func withoutASecretTokensCannotBeRequired() async throws {
        for secret in [nil, ""] {
            await #expect(throws: ServerError.self) {
                try await TestServer.run({
                    $0.requireJWT = true; $0.jwtSecret = secret
                }) { _ in }
            }
        }
    }
}
