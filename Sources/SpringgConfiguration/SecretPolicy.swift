/// Which secrets may guard a server.
public enum SecretPolicy {
    /// Length below which HS256 can be guessed off-line from one token: the hash itself has 32 bytes (RFC 7518, 3.2).
    public static let bytesMin = 32

    /// Secrets that stand in public documents: the Go program's default file and its example.
    static let examples = ["change-this-secret-in-production", "your-secret-key-here"]

    /// Refuses a secret that is missing, published or short.
    ///
    /// The order is the one in which the texts help: an example that is also short is called an example.
    public static func check(_ secret: String) throws(ConfigurationError) {
        guard !secret.isEmpty else { throw .secretMissing }
        guard !examples.contains(secret) else { throw .secretIsExample(secret) }
        guard secret.utf8.count >= bytesMin else { throw .secretTooShort(bytes: secret.utf8.count) }
    }
}

extension Configuration {
    /// Refuses to serve with a weak secret while tokens are required.
    public func checkSecret() throws(ConfigurationError) {
        guard self[Keys.requireJWT] else { return }
        try SecretPolicy.check(self[Keys.jwtSecret])
    }
}
