import SpringgLog
import SpringgNet
import SpringgTestKit
import Testing

/// Several secrets, tokens for single indexes, and what attackers send.
@Suite struct TokenKeyTests {
    private static let old = "the-old-secret-of-32-characters-"
    private static let new = "the-new-secret-of-32-characters-"

    private func get(_ client: HTTPClient, _ path: String, _ token: String) throws -> HTTPResponse {
        try client.request("GET", path, headers: [(name: "Authorization", value: "Bearer \(token)")])
    }

    private func sign(_ claims: String, _ secret: String = TestServer.secret, _ keyID: String? = nil) -> String {
        JSONWebToken.sign(claims: claims, secret: secret, keyID: keyID)
    }

    @Test func secretsAreChangedWithoutTurningClientsAway() async throws {
        let claims = #"{"iss":"springg"}"#
        func statuses(_ change: @escaping @Sendable (inout ServerOptions) -> Void) async throws -> [Int] {
            let tokens = [sign(claims, Self.old), sign(claims, Self.new), sign(claims, Self.new, "2026")]
            let found = Box<[Int]>([])
            try await TestServer.run({
                $0.requireJWT = true
                change(&$0)
            }) { server throws in
                found.value = try tokens.map { try get(server.client(), "/api/indexes", $0).status }
            }
            return found.value
        }
        // The old alone; the new beside it under a name; the new in its place, the old still good; the new alone.
        #expect(try await statuses { $0.jwtSecret = Self.old } == [200, 401, 401])
        let named = TokenKey(id: "2026", secret: Self.new)
        #expect(
            try await statuses {
                $0.jwtSecret = Self.old; $0.jwtSecrets = [named]
            } == [200, 401, 200]
        )
        let former = TokenKey(id: nil, secret: Self.old)
        #expect(
            try await statuses {
                $0.jwtSecret = Self.new; $0.jwtSecrets = [former, named]
            } == [200, 200, 200]
        )
        #expect(try await statuses { $0.jwtSecrets = [named] } == [401, 401, 200])
        #expect(
            try await statuses {
                $0.jwtSecret = Self.new; $0.jwtSecrets = [TokenKey(id: "2026", secret: "")]
            } == [401, 200, 401]
        )
    }

    /// A value that a closure of another thread sets before it is read.
    private final class Box<Value>: @unchecked Sendable {
        // Why @unchecked: written by the body of `TestServer.run` alone, read when that has returned.
        var value: Value
        init(_ value: Value) { self.value = value }
    }

    @Test func aTokenMayBeForSingleIndexes() async throws {
        try await TestServer.run({
            $0.requireJWT = true; $0.jwtSecret = TestServer.secret
        }) { server throws in
            let client = server.client()
            func status(_ indexes: String, _ path: String, permissions: String = #"["read","internal"]"#) throws -> Int
            {
                let claims = #"{"iss":"springg","permissions":\#(permissions),"indexes":\#(indexes)}"#
                return try get(client, path, sign(claims)).status
            }
            let some = #"["articles","tmp-*"]"#
            let table: [(String, String, Int)] = [
                (some, "/api/indexes/articles/stats", 404), (some, "/api/indexes/tmp-1/stats", 404),
                (some, "/api/indexes/tmp-/vectors/x", 404), (some, "/api/indexes/%74mp-1/stats", 404),
                (some, "/api/indexes/article/stats", 403), (some, "/api/indexes/articles2/stats", 403),
                (some, "/api/indexes/tmp/stats", 403), (some, "/api/indexes/Articles/stats", 403),
                (some, "/api/indexes", 403), (some, "/api/stats", 403), (some, "/internal/indexes", 403),
                (some, "/internal/sync/articles/manifest", 404), (some, "/internal/sync/other/manifest", 403),
                (#"["*"]"#, "/api/indexes", 200), (#"["*"]"#, "/api/indexes/x/stats", 404),
                ("[]", "/api/indexes", 403), ("[]", "/api/indexes/a/stats", 403),
                (#"[""]"#, "/api/indexes/a/stats", 403),
                (#""articles""#, "/api/indexes/articles/stats", 401), ("[1]", "/api/indexes/articles/stats", 401),
                ("null", "/api/indexes/articles/stats", 401), ("{}", "/api/indexes/articles/stats", 401),
            ]
            for (indexes, path, expected) in table {
                // Twice: the second time the token is remembered.
                for _ in 0..<2 { #expect(try status(indexes, path) == expected, "\(indexes) \(path)") }
            }
            let many = "[" + (0..<300).map { "\"i\($0)\"" }.joined(separator: ",") + "]"
            #expect(try status(many, "/api/indexes/i1/stats") == 401)
            // Scopes are still asked for.
            #expect(try status(some, "/api/indexes/articles/stats", permissions: #"["write"]"#) == 403)
        }
    }

    @Test func whatAttackersSendIsRefused() async throws {
        let claims = #"{"iss":"springg","permissions":["read","write","admin","internal"]}"#
        func encode(_ text: String) -> String { Base64URL.encode(text.utf8) }
        let good = JSONWebToken.sign(claims: claims, secret: TestServer.secret)
        let parts = good.split(separator: ".").map(String.init)
        func forged(_ header: String, _ signature: String? = nil) -> String {
            "\(encode(header)).\(parts[1]).\(signature ?? parts[2])"
        }
        let later = Int(CivilTime.now()) + 3600
        var attacks: [(String, Int)] = [
            // No algorithm, and algorithms that would be checked with something public.
            (forged(#"{"alg":"none"}"#, ""), 401), (forged(#"{"alg":"None"}"#), 401),
            (forged(#"{"alg":"nOnE"}"#, ""), 401),
            (forged(#"{"alg":"RS256","typ":"JWT"}"#), 401), (forged(#"{"alg":"ES256"}"#), 401),
            (forged(#"{"alg":"PS256"}"#), 401), (forged(#"{"alg":"HS512"}"#), 401), (forged(#"{"alg":"EdDSA"}"#), 401),
            (forged(#"{"typ":"JWT"}"#), 401), (forged(#"{"alg":null}"#), 401), (forged(#"{"alg":["HS256"]}"#), 401),
            (forged(#"{"alg":"HS256","alg":"none"}"#), 401), (forged(#"{"alg":"HS256","crit":["exp"]}"#), 401),
            // Keys of the attacker's choice.
            (forged(#"{"alg":"HS256","kid":"other"}"#), 401), (forged(#"{"alg":"HS256","kid":""}"#), 401),
            (forged(#"{"alg":"HS256","kid":"../../dev/null"}"#), 401), (forged(#"{"alg":"HS256","kid":7}"#), 401),
            (forged(#"{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}"#), 401),
            (forged(#"{"alg":"HS256","kid":"\#(String(repeating: "k", count: 1000))"}"#), 401),
            (JSONWebToken.sign(claims: claims, secret: ""), 401),
            (JSONWebToken.sign(claims: claims, secret: "secret"), 401),
            // Bad base64, bad shapes.
            ("\(parts[0]).\(parts[1]).\(parts[2])=", 401), ("\(parts[0]).\(parts[1])!.\(parts[2])", 401),
            ("\(parts[0])\(parts[1]).\(parts[2])", 401), (good + ".", 401), (good + ".x", 401), ("..", 401), (".", 401),
            ("\(parts[0])..\(parts[2])", 401), (".\(parts[1]).\(parts[2])", 401), (good.uppercased(), 401),
            (String(good.dropLast()), 401), (good + "A", 401), ("é.é.é", 401),
            // Huge.
            (String(repeating: "A", count: 20_000), 401), (String(repeating: ".", count: 10_000), 401),
            (
                JSONWebToken.sign(
                    claims: #"{"iss":"springg","x":"\#(String(repeating: "x", count: 15_000))"}"#,
                    secret: TestServer.secret
                ), 401
            ),
            // Signed by us, and still not good.
            (sign(#"{"iss":"springg","exp":1}"#), 401), (sign(#"{"iss":"springg","nbf":\#(later)}"#), 401),
            (sign(#"{"iss":"springg","exp":1e308,"nbf":1e308}"#), 401), (sign(#"{"iss":"Springg"}"#), 401),
            (sign(#"{"iss":["springg"]}"#), 401), (sign("{}"), 401), (sign("[]"), 401), (sign(""), 401),
            (sign(#"{"iss":"springg","permissions":{}}"#), 401), (sign(#"{"iss":"springg","permissions":[]}"#), 403),
            (sign(#"{"iss":"springg","permissions":["READ"]}"#), 403),
            (sign(#"{"iss":"springg","permissions":["write"]}"#), 403),
            (sign(#"{"iss":"springg","permissions":["internal"]}"#), 403),
        ]
        // Each character of the signature counts.
        for place in parts[2].indices {
            var signature = parts[2]
            signature.replaceSubrange(place...place, with: signature[place] == "A" ? "B" : "A")
            attacks.append(("\(parts[0]).\(parts[1]).\(signature)", 401))
        }
        try await TestServer.run({
            $0.requireJWT = true; $0.jwtSecret = TestServer.secret
        }) { [attacks] server throws in
            let client = server.client()
            for (token, status) in attacks {
                let answer = try get(client, "/api/indexes", token)
                #expect(answer.status == status && answer.code != nil, "\(token.prefix(200)): \(answer)")
            }
            #expect(try get(client, "/api/indexes", good).status == 200)
        }
    }
}
