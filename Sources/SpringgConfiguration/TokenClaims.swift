/// What a token says, before it is signed.
public struct TokenClaims: Equatable, Sendable {
    /// The claims, defaults and additions.
    public let members: [String: JSONValue]

    /// Who issues tokens, and whom the server trusts.
    public static let issuer = "springg"
    /// The user that a token names unless told otherwise.
    public static let defaultUser = "springg-client"

    /// The default claims (issuer, time, user, permissions to read and write), overridden by `additions`.
    ///
    /// `issuedAt` is Unix time in seconds, `additions` the text of one JSON object, or empty.
    /// - Throws: `TokenClaimsError` when `additions` is something else.
    public init(userID: String, issuedAt: Int64, additions: String = "") throws(TokenClaimsError) {
        var members: [String: JSONValue] = [
            "iss": .string(TokenClaims.issuer),
            "iat": .integer(issuedAt),
            "user_id": .string(userID),
            "permissions": .array([.string("read"), .string("write")]),
        ]
        members.merge(try TokenClaims.parse(additions)) { _, added in added }
        self.members = members
    }

    /// The claims as JSON, names sorted.
    public var text: String { JSONValue.object(members).text() }

    /// When the token ends, in Unix seconds, or nil for never.
    public var expires: Int64? {
        switch members["exp"] {
        case .integer(let seconds): seconds
        case .number(let seconds): Int64(exactly: seconds.rounded(.down))
        default: nil
        }
    }

    /// The members of a `--claims` text.
    public static func parse(_ text: String) throws(TokenClaimsError) -> [String: JSONValue] {
        guard !text.isEmpty else { return [:] }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: Array(text.utf8))
        } catch {
            throw TokenClaimsError(reason: error.description)
        }
        guard case .object(let members) = value else {
            throw TokenClaimsError(reason: "must be an object, found \(value.summary)")
        }
        return members
    }
}

/// Why `--claims` cannot be used.
public struct TokenClaimsError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong with the JSON.
    public let reason: String

    /// The Go program's text with the reason.
    public var description: String { "invalid JSON in --claims: \(reason)" }
}
