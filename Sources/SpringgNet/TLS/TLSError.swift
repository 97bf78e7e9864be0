/// Why there is no TLS: what is wrong with the files that it needs, and what to do about it.
public enum TLSError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file cannot be read.
    case unreadable(path: String, reason: String)
    /// Others than the owner may do what they must not with the file of the key.
    case exposedKey(path: String, mode: String)
    /// The file holds no certificate in PEM.
    case noCertificate(path: String, reason: String)
    /// The file holds no key in PEM.
    case noKey(path: String, reason: String)
    /// The key is for another certificate.
    case mismatch(certificate: String, key: String)
    /// The certificate is no longer valid, since `moment`.
    case expired(path: String, moment: String)
    /// The certificate is not valid before `moment`.
    case notYetValid(path: String, moment: String)
    /// OpenSSL takes the certificate or the authorities not, and says why.
    case refused(path: String, reason: String)

    /// The reason and what to do about it.
    public var description: String {
        switch self {
        case .unreadable(let path, let reason):
            "cannot read \(path): \(reason); the user that the server runs as must be able to"
        case .exposedKey(let path, let mode):
            "the key \(path) has mode \(mode): others could read or replace it; chmod 0600 \(path), or 0640 for a group"
        case .noCertificate(let path, let reason):
            "\(path) holds no certificate in PEM (\(reason)); it begins with -----BEGIN CERTIFICATE-----"
        case .noKey(let path, let reason):
            "\(path) holds no private key in PEM (\(reason)); a key with a password must be given without one "
                + "(openssl pkey -in \(path))"
        case .mismatch(let certificate, let key):
            "the key \(key) is not that of the first certificate in \(certificate); the node's own comes first, then those "
                + "that signed it"
        case .expired(let path, let moment):
            "the certificate \(path) expired at \(moment); renew it"
        case .notYetValid(let path, let moment):
            "the certificate \(path) is not valid before \(moment); look at the clock of this machine"
        case .refused(let path, let reason):
            "\(path) cannot be used: \(reason)"
        }
    }
}
