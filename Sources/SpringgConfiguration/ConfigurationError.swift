/// Every way in which a configuration can be refused.
///
/// `description` is one line, the Go program's own where it has one; `advice` says what to do.
public enum ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file that `--config` names is not there.
    case fileNotFound(String)
    /// A file that is there cannot be read.
    case fileUnreadable(String, reason: String)
    /// A file is not JSON.
    case notJSON(String, reason: String)
    /// A file is JSON but not an object.
    case notAnObject(String, found: String)
    /// A file gives one key twice, in different capitals.
    case givenTwice(key: String, file: String)
    /// A value has another type than its key.
    case wrongType(key: String, expected: String, found: String, ConfigurationSource)
    /// A value is out of bounds; the text is complete.
    case invalid(String, ConfigurationSource)
    /// `require_jwt` is on and there is no secret.
    case secretMissing
    /// The secret is one that stands in a public document.
    case secretIsExample(String)
    /// The secret is too short to resist guessing.
    case secretTooShort(bytes: Int)

    /// One line without a prefix.
    public var description: String {
        switch self {
        case .fileNotFound(let path): "\(path): no such file"
        case .fileUnreadable(let path, let reason): "\(path): \(reason)"
        case .notJSON(let path, let reason): "\(path) is not JSON: \(reason)"
        case .notAnObject(let path, let found): "\(path) must hold one JSON object, found \(found)"
        case .givenTwice(let key, let file): "\(key) is given twice in \(file)"
        case .wrongType(let key, let expected, let found, _): "\(key) must be \(expected), found \(found)"
        case .invalid(let text, _): text
        case .secretMissing: "jwt_secret is required when require_jwt is true"
        case .secretIsExample(let secret): "jwt_secret is the well-known example \(quoted(secret))"
        case .secretTooShort(let bytes):
            "jwt_secret is too short: \(bytes) bytes (must be at least \(SecretPolicy.bytesMin))"
        }
    }

    /// What to do about it.
    public var advice: String {
        switch self {
        case .fileNotFound(let path): "check the path, or write a new file with: springg init --path \(path)"
        case .fileUnreadable: "make the file readable for the user that runs springg"
        case .notJSON, .notAnObject: "correct the file; springg.json.example shows its form"
        case .givenTwice: "keep one of the two (capitals in names do not matter)"
        case .wrongType(_, _, _, let source), .invalid(_, let source):
            "correct it in \(source); springg config --reference explains every key"
        case .secretMissing, .secretIsExample, .secretTooShort:
            "write a file with a fresh secret: springg init; or make one: openssl rand -base64 32, "
                + "and give it as jwt_secret or SPRINGG_JWT_SECRET"
        }
    }
}
