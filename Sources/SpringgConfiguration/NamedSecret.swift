/// A further secret of `jwt_secrets`: `kid:secret`, or a secret alone for tokens that name none.
public struct NamedSecret: Equatable, Sendable {
    /// What the header of a token calls it.
    public let id: String?
    /// The secret.
    public let secret: String

    /// Bytes of a name at most.
    private static let idBytesMax = 64

    /// The secrets of a list separated by commas.
    /// - Throws: `ConfigurationValueError` with the reason; it holds no secret.
    public static func list(_ text: String) throws(ConfigurationValueError) -> [NamedSecret] {
        var secrets: [NamedSecret] = []
        for (place, item) in text.split(separator: ",").enumerated() {
            let parts = item.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let id = parts.count > 1 ? String(parts[0]) : nil
            if let id {
                let isGood =
                    (1...idBytesMax).contains(id.utf8.count) && id.allSatisfy { $0.isASCII && !$0.isWhitespace }
                guard isGood else {
                    throw ConfigurationValueError(reason: "entry \(place + 1): a name has 1 to 64 ASCII characters")
                }
                guard !secrets.contains(where: { $0.id == id }) else {
                    throw ConfigurationValueError(reason: "entry \(place + 1): \(id) is there twice")
                }
            }
            let secret = String(parts[parts.count - 1])
            do {
                try SecretPolicy.check(secret)
            } catch {
                throw ConfigurationValueError(
                    reason: "entry \(place + 1): a secret must have at least \(SecretPolicy.bytesMin) bytes and be "
                        + "no published example"
                )
            }
            secrets.append(NamedSecret(id: id, secret: secret))
        }
        return secrets
    }
}
