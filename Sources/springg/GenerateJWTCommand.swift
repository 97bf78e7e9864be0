import ArgumentParser
import Glibc
import SpringgConfiguration
import SpringgNet

/// Makes a token: `springg generate-jwt`.
struct GenerateJWTCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate-jwt",
        abstract: "Make a token for the API.",
        discussion: """
            Signs with the secret that `springg serve` would verify with, and prints the token and nothing else. \
            By default a token may read and write and never ends.

            Exit codes: 0 fine, 1 failure, 2 wrong usage.

            Examples:
              TOKEN=$(springg generate-jwt --user-id my-app)
              springg generate-jwt --claims '{"permissions":["read"]}'
              springg generate-jwt --claims '{"exp":1893456000}' --verbose
              springg generate-jwt --claims '{"permissions":["internal"]}'     for /internal
              springg generate-jwt --claims '{"indexes":["articles","tmp-*"]}'
            """
    )

    @Option(help: ArgumentHelp("The user that the token names.", valueName: "name"))
    var userID = TokenClaims.defaultUser

    @Option(help: ArgumentHelp("Claims to add or replace, as one JSON object.", valueName: "json"))
    var claims = ""

    @Option(help: ArgumentHelp("Sign with the key of this name in jwt_secrets.", valueName: "kid"))
    var keyID: String?

    @Flag(help: "Print the token with what it says.")
    var verbose = false

    @OptionGroup var file: ConfigurationFileOption

    func run() throws {
        let settings = try Configuration.load(explicitFile: file.file)
        let secret = try keyID.map { try Self.secret(named: $0, settings) } ?? settings[Keys.jwtSecret]
        guard !secret.isEmpty else {
            throw CommandFailure(
                "jwt_secret not configured in springg.json",
                advice: "write a file with a fresh secret: springg init; or set SPRINGG_JWT_SECRET"
            )
        }
        if keyID == nil { try settings.requireGoodSecret() }
        let issuedAt = Int64(time(nil))
        let tokenClaims: TokenClaims
        do {
            tokenClaims = try TokenClaims(userID: userID, issuedAt: issuedAt, additions: claims)
        } catch {
            throw CommandFailure("\(error)", advice: "for example: --claims '{\"permissions\":[\"read\"]}'")
        }
        let token = JSONWebToken.sign(claims: tokenClaims.text, secret: secret, keyID: keyID)
        Output.standardOutput(verbose ? try details(of: tokenClaims, token: token) : token + "\n")
    }

    private static func secret(named id: String, _ settings: Configuration) throws -> String {
        let secrets = try settings.namedSecrets()
        guard let named = secrets.first(where: { $0.id == id }), !id.contains(where: { "\"\\".contains($0) }) else {
            throw CommandFailure("there is no key \(id) in jwt_secrets")
        }
        return named.secret
    }

    private func details(of tokenClaims: TokenClaims, token: String) throws -> String {
        func shown(_ name: String) -> String {
            switch tokenClaims.members[name] {
            case .string(let text): text
            case .integer(let seconds) where name == "iat": Timestamp.utc(seconds)
            case .some(let other): other.text()
            case nil: ""
            }
        }
        var text = """
            Generated JWT Token:
            --------------------
            \(token)

            Token Details:
              User ID: \(shown("user_id"))
              Issuer: \(shown("iss"))
              Issued At: \(shown("iat"))
              Expires: \(tokenClaims.expires.map(Timestamp.utc) ?? "Never")

            """
        if !claims.isEmpty {
            text += "  Custom Claims: \(JSONValue.object(try TokenClaims.parse(claims)).text())\n"
        }
        return text
    }
}
