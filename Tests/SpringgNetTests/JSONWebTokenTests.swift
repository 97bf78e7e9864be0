import SpringgNet
import SpringgTestKit
import Testing

@Suite struct JSONWebTokenTests {
    private static let secret = "an-example-secret-of-32-characters"
    private static let keys = TokenKeys([TokenKey(id: nil, secret: secret)])
    private static let now = 1_700_000_000.0

    private func verify(_ token: String, secret: String = secret) throws(JSONWebToken.Refusal) -> JSONWebToken.Grant {
        try JSONWebToken.verify(token.utf8, keys: TokenKeys([TokenKey(id: nil, secret: secret)]), now: Self.now)
    }

    private func sign(_ claims: String) -> String {
        JSONWebToken.sign(claims: claims, secret: Self.secret)
    }

    /// Signs a token with a header of one's own, as an attacker with a secret of his own would.
    private func sign(header: String, claims: String) -> String {
        let real = sign(claims)
        let body = "\(Base64URL.encode(header.utf8)).\(real.split(separator: ".")[1])"
        // The signature of another token: what counts is that the header is refused before it is looked at.
        return "\(body).\(real.split(separator: ".")[2])"
    }

    @Test func theExampleOfTheStandardHasItsSignature() {
        // Independent of our own verification: made with `openssl dgst -sha256 -hmac`.
        let token = JSONWebToken.sign(claims: #"{"iss":"springg"}"#, secret: "secret")
        #expect(token.hasPrefix("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzcHJpbmdnIn0."))
        #expect(token.hasSuffix(".49_0Aier7JWz3XphjOtkNBFLLnzgxMy5tTTtogHmFBc"))
    }

    @Test func scopesComeFromPermissions() throws {
        let table: [(String, ScopeSet)] = [
            (#"{"iss":"springg"}"#, [.read, .write]),
            (#"{"iss":"springg","permissions":["read"]}"#, [.read]),
            (#"{"iss":"springg","permissions":[]}"#, []),
            (#"{"iss":"springg","permissions":["write","internal","dance"]}"#, [.write, .internal]),
            (#"{"iss":"springg","permissions":["admin"]}"#, [.admin, .read, .write]),
            (#"{"permissions":["READ"],"\u0069ss":"nobody","iss":"springg","x":{"iss":[1]}}"#, []),
        ]
        for (claims, scopes) in table {
            #expect(try verify(sign(claims)).scopes == scopes, "\(claims)")
        }
    }

    @Test func timesAreHonoured() throws {
        #expect(try verify(sign(#"{"iss":"springg","exp":1700000001,"nbf":1700000000}"#)).expires == 1_700_000_001)
        #expect(try verify(sign(#"{"iss":"springg","exp":1.7000000005e9}"#)).expires == 1_700_000_000.5)
        for claims in [
            #"{"iss":"springg","exp":1700000000}"#, #"{"iss":"springg","nbf":1700000000.5}"#,
            #"{"iss":"springg","exp":0}"#, #"{"iss":"springg","exp":-5}"#,
        ] {
            #expect(throws: JSONWebToken.Refusal.invalidOrExpired, "\(claims)") { try verify(sign(claims)) }
        }
    }

    @Test func issuerAndClaimsAreCheckedWithNamesOfTheirOwn() {
        for claims in [
            "{}", #"{"iss":"other"}"#, #"{"iss":"Springg"}"#, #"{"iss":null}"#, #"{"iss":7}"#, #"{"ISS":"springg"}"#,
        ] {
            #expect(throws: JSONWebToken.Refusal.issuer, "\(claims)") { try verify(sign(claims)) }
        }
        for claims in [
            "", "[]", "null", "7", #"{"iss":"springg"} x"#, #"{"iss":"springg","exp":"1800000000"}"#,
            #"{"iss":"springg","nbf":null}"#, #"{"iss":"springg","permissions":"read"}"#,
            #"{"iss":"springg","permissions":[1]}"#, #"{"iss":"springg","exp":1e999}"#, "\u{FF}",
        ] {
            #expect(throws: JSONWebToken.Refusal.claims, "\(claims)") { try verify(sign(claims)) }
        }
    }

    @Test func theHeaderCannotChooseTheAlgorithm() {
        let claims = #"{"iss":"springg"}"#
        for header in [
            #"{"alg":"none"}"#, #"{"alg":"None","typ":"JWT"}"#, #"{"alg":"RS256"}"#, #"{"alg":"HS384"}"#,
            #"{"alg":""}"#,
            #"{"alg":"hs256"}"#, #"{"ALG":"HS256"}"#, #"{"alg":["HS256"]}"#, #"{"typ":"JWT"}"#, "[]", "",
            #"{"alg":"HS256","crit":["b64"],"b64":false}"#, #"{"alg":"none","alg":"HS256"}"#,
            #"{"alg":"HS256","alg":"none"}"#, #"{"alg":"HS256"} "# + "x",
        ] {
            #expect(throws: JSONWebToken.Refusal.invalidOrExpired, "\(header)") {
                try verify(sign(header: header, claims: claims))
            }
        }
        let parts = sign(claims).split(separator: ".")
        let unsigned = Base64URL.encode(#"{"alg":"none"}"#.utf8)
        for token in ["\(unsigned).\(parts[1]).", "\(parts[0]).\(parts[1]).", "\(parts[0]).\(parts[1])"] {
            #expect(throws: JSONWebToken.Refusal.invalidOrExpired) { try verify(token) }
        }
    }

    @Test func everyChangedCharacterIsRefused() throws {
        let token = Array(sign(#"{"iss":"springg","user_id":"a","permissions":["read"]}"#).utf8)
        _ = try JSONWebToken.verify(token, keys: Self.keys, now: Self.now)
        for position in token.indices {
            for change: UInt8 in [1, 2, 4, 8, 0x80] {
                var changed = token
                changed[position] ^= change
                #expect(throws: JSONWebToken.Refusal.invalidOrExpired) {
                    try JSONWebToken.verify(changed, keys: Self.keys, now: Self.now)
                }
            }
        }
        for count in 0..<token.count {
            #expect(throws: JSONWebToken.Refusal.invalidOrExpired) {
                try JSONWebToken.verify(token[..<count], keys: Self.keys, now: Self.now)
            }
        }
        #expect(throws: JSONWebToken.Refusal.invalidOrExpired) {
            try verify(String(decoding: token, as: UTF8.self), secret: Self.secret + "x")
        }
    }

    @Test func aTokenLargerThanAllowedIsRefusedWithoutWork() {
        let claims = #"{"iss":"springg","x":""# + String(repeating: "x", count: JSONWebToken.bytesMax) + #""}"#
        #expect(throws: JSONWebToken.Refusal.invalidOrExpired) { try verify(sign(claims)) }
    }

    @Test func base64HasOneTextForEachValue() {
        var random = SeededRandom.fromEnvironment("base64HasOneTextForEachValue")
        for count in 0..<200 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            let text = Base64URL.encode(bytes)
            #expect(Base64URL.decode(text.utf8) == bytes)
            #expect(Base64URL.decode((text + "=").utf8) == nil)
        }
        // Bits left over that are not zero, a lone character, the other alphabet, white space.
        for text in ["QQ", "QR", "Q", "+/", "Q Q", "QUI", "QUJD\n"] {
            let decoded = Base64URL.decode(text.utf8)
            #expect((decoded != nil) == ["QQ", "QUI"].contains(text), "\(text)")
        }
    }
}
