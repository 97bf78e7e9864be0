import SpringgConfiguration
import Testing

@Suite("The claims of a token")
struct TokenClaimsTests {
    @Test("defaults")
    func defaults() throws {
        let claims = try TokenClaims(userID: "me", issuedAt: 1_700_000_000)
        #expect(
            claims.text == #"{"iat":1700000000,"iss":"springg","permissions":["read","write"],"user_id":"me"}"#
        )
        #expect(claims.expires == nil)
    }

    @Test("--claims overrides and adds")
    func additions() throws {
        let additions = #"{"permissions":["read"],"exp":1893456000,"team":"a\/b\u00e9","iss":"other"}"#
        let claims = try TokenClaims(userID: "me", issuedAt: 1, additions: additions)
        #expect(
            claims.text
                == #"{"exp":1893456000,"iat":1,"iss":"other","permissions":["read"],"team":"a/bé","user_id":"me"}"#
        )
        #expect(claims.expires == 1_893_456_000)
    }

    @Test("numbers beyond 2^53 keep their digits")
    func largeNumbers() throws {
        let claims = try TokenClaims(userID: "me", issuedAt: 1, additions: #"{"account":9007199254740993}"#)
        #expect(claims.text.contains("9007199254740993"))
    }

    @Test("what is no object is refused", arguments: ["x", "[1]", "{\"a\":1,}", "{} {}", "\"text\""])
    func refused(text: String) {
        let error = #expect(throws: TokenClaimsError.self) {
            try TokenClaims(userID: "me", issuedAt: 1, additions: text)
        }
        #expect(error?.description.hasPrefix("invalid JSON in --claims: ") == true)
    }
}
