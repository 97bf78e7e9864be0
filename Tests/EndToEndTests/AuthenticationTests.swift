import SpringgTestKit
import Testing

extension EndToEnd {
    /// Who may do what: tokens, their algorithm, time and scopes.
    @Suite struct Authentication {
        private static let flags = ["require-jwt": "true", "jwt-secret": Token.secret, "cluster-enabled": "true"]

        private func request(
            _ api: API,
            _ header: String?,
            _ method: String = "GET",
            _ path: String = "/api/indexes",
            body: String? = nil
        ) throws -> HTTPResponse {
            try api.http.request(
                method,
                path,
                headers: header.map { [(name: "Authorization", value: $0)] } ?? [],
                body: body.map { Array($0.utf8) }
            )
        }

        @Test func aGoodTokenIsTaken() throws {
            let api = try API(Self.flags)
            #expect(try request(api, "Bearer " + Token().text).status == 200)
            // Again, from whatever is remembered of it.
            #expect(try request(api, "Bearer " + Token().text).status == 200)
        }

        @Test func everyRouteUnderAPINeedsOne() throws {
            let api = try API(Self.flags)
            let requests = [
                ("GET", "/api/indexes"), ("POST", "/api/indexes/a"), ("DELETE", "/api/indexes/a"),
                ("GET", "/api/indexes/a/stats"), ("POST", "/api/indexes/a/vectors"),
                ("POST", "/api/indexes/a/vectors/bulk"),
                ("GET", "/api/indexes/a/vectors/x"), ("PUT", "/api/indexes/a/vectors/x"),
                ("DELETE", "/api/indexes/a/vectors/x"), ("POST", "/api/indexes/a/search"), ("GET", "/internal/indexes"),
                ("POST", "/internal/replicate"), ("GET", "/internal/sync/a/manifest"),
                ("GET", "/internal/sync/a/block/0"),
            ]
            for (method, path) in requests {
                let response = try request(api, nil, method, path, body: method == "POST" ? "{}" : nil)
                expect(response, error: "Authorization header required", status: 401)
            }
        }

        @Test(arguments: ["Token x", "bearer x", "Bearer", "Bearer a b", "Basic eDp5", "Bearer  x"])
        func anotherFormOfHeaderIsRefused(_ header: String) throws {
            let api = try API(Self.flags)
            expect(try request(api, header), error: "Invalid authorization header format", status: 401)
        }

        @Test func forgedTokensAreRefused() throws {
            let api = try API(Self.flags)
            let good = Token().text
            let parts = good.split(separator: ".").map(String.init)
            let more = Token.base64URL(Array(#"{"iss":"springg","permissions":["admin","internal"]}"#.utf8))
            let hs256 = Token.base64URL(Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8))
            let none = Token.base64URL(Array(#"{"alg":"none","typ":"JWT"}"#.utf8))
            let forged = [
                "x", "a.b.c", "..", "...", parts[0] + "." + parts[1], parts[0] + "." + parts[1] + ".", good + ".",
                good + "x",
                String(good.dropLast()), parts[0] + "." + more + "." + parts[2], none + "." + parts[1] + ".",
                none + "." + parts[1] + "." + parts[2], hs256 + ".." + parts[2],
                Token(algorithm: "none").text, Token(algorithm: "None").text, Token(algorithm: "HS384").text,
                Token(algorithm: "HS512").text, Token(algorithm: "RS256").text, Token(algorithm: "hs256").text,
                Token(secret: Token.secret + "x").text, Token(secret: "").text, String(repeating: "A", count: 7000),
            ]
            for token in forged {
                expect(try request(api, "Bearer " + token), error: "Invalid or expired token", status: 401)
            }
            #expect(try request(api, "Bearer " + good).status == 200)
        }

        @Test func timeAndIssuerCount() throws {
            let api = try API(Self.flags)
            func answer(_ claims: String) throws -> HTTPResponse {
                try request(api, "Bearer " + Token(claims: claims).text)
            }
            let base = #""iss":"springg","permissions":["read"]"#
            #expect(try answer("{\(base),\"exp\":4102444800}").status == 200)
            #expect(try answer("{\(base),\"nbf\":1700000000}").status == 200)
            expect(try answer("{\(base),\"exp\":1700000000}"), error: "Invalid or expired token", status: 401)
            expect(try answer("{\(base),\"nbf\":4102444800}"), error: "Invalid or expired token", status: 401)
            let issuer = "Invalid token issuer"
            expect(try answer(#"{"iss":"somebody","permissions":["read"]}"#), error: issuer, status: 401)
            expect(try answer(#"{"permissions":["read"]}"#), error: issuer, status: 401)
        }

        /// A token that is good now is not good for ever: what the server remembers of it must end with it.
        @Test func aRememberedTokenStillExpires() throws {
            let api = try API(Self.flags)
            let soon = Token.with(permissions: ["read"], #","exp":\#(Self.now() + 3)"#)
            #expect(try request(api, "Bearer " + soon).status == 200)
            // The clock of the world is what is waited for: ask until the answer changes, ten seconds at most.
            let deadline = Deadline(seconds: 10)
            var last = try request(api, "Bearer " + soon)
            while last.status == 200, !deadline.isOver { last = try request(api, "Bearer " + soon) }
            expect(last, error: "Invalid or expired token", status: 401)
        }

        @Test func permissionsAreKept() throws {
            let api = try API(Self.flags)
            func answer(_ permissions: [String], _ method: String, _ path: String, _ body: String? = nil) throws -> Int
            {
                try request(api, "Bearer " + Token.with(permissions: permissions), method, path, body: body).status
            }
            #expect(try answer(["read", "write"], "POST", "/api/indexes/a", #"{"dimensions":1}"#) == 200)
            #expect(try answer(["read"], "GET", "/api/indexes") == 200)
            #expect(try answer(["read"], "POST", "/api/indexes/a/search", #"{"vector":[1]}"#) == 200)
            #expect(try answer(["write"], "POST", "/api/indexes/a/vectors", #"{"id":"x","vector":[1]}"#) == 200)
            let writes = [
                ("POST", "/api/indexes/b", #"{"dimensions":1}"#),
                ("POST", "/api/indexes/a/vectors", #"{"id":"y","vector":[1]}"#),
                ("POST", "/api/indexes/a/vectors/bulk", #"{"vectors":[{"id":"y","vector":[1]}]}"#),
                ("PUT", "/api/indexes/a/vectors/x", #"{"vector":[2]}"#), ("DELETE", "/api/indexes/a/vectors/x", nil),
                ("DELETE", "/api/indexes/a", nil),
            ]
            for (method, path, body) in writes {
                #expect(try answer(["read"], method, path, body) == 403, "\(method) \(path)")
                #expect(try answer([], method, path, body) == 403, "\(method) \(path)")
            }
            #expect(try answer(["write"], "GET", "/api/indexes/a/vectors/x") == 403)
            let state = try request(api, "Bearer " + Token().text, "GET", "/api/indexes/a/vectors/x")
            #expect(try state.data()["vector"]?.floats == [1])
            let refused = try request(api, "Bearer " + Token.with(permissions: ["read"]), "DELETE", "/api/indexes/a")
            #expect(refused.error?.isEmpty == false)
        }

        @Test func internalRoutesNeedTheirOwnPermission() throws {
            let api = try API(Self.flags)
            for permissions in [["read", "write"], ["read"], []] {
                let token = "Bearer " + Token.with(permissions: permissions)
                #expect(try request(api, token, "GET", "/internal/indexes").status == 403)
                #expect(try request(api, token, "POST", "/internal/replicate", body: "{}").status == 403)
            }
            let token = "Bearer " + Token.with(permissions: ["internal"])
            #expect(try request(api, token, "GET", "/internal/indexes").status == 200)
            // The status also answers the machine itself, for whoever looks after it.
            #expect(try request(api, nil, "GET", "/internal/cluster/status").status == 200)
        }

        /// A secret that is set guards what nodes tell each other even where the API is open.
        @Test func internalRoutesAreGuardedWheneverThereIsASecret() throws {
            let api = try API(["require-jwt": "false", "jwt-secret": Token.secret, "cluster-enabled": "true"])
            #expect(try api.get("/api/indexes").status == 200)
            expect(try api.get("/internal/indexes"), error: "Authorization header required", status: 401)
            let token = "Bearer " + Token.with(permissions: ["internal"])
            #expect(try request(api, token, "GET", "/internal/indexes").status == 200)
        }

        private static func now() -> Int { Int(WallClock.seconds()) }
    }
}
