/// What a request is signed with.
package struct AWSCredentials: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// Names the key; not a secret.
    package let accessKeyID: String
    let secretAccessKey: String
    /// Comes with temporary keys.
    let sessionToken: String?
    /// When they end, in seconds since 1970; nil for keys that last.
    package let expirySeconds: Int?

    /// Makes credentials, or nil when a part could not be sent in a header.
    package init?(accessKeyID: String, secretAccessKey: String, sessionToken: String?, expirySeconds: Int?) {
        let token = sessionToken == "" ? nil : sessionToken
        guard !accessKeyID.isEmpty, !secretAccessKey.isEmpty,
            (accessKeyID + (token ?? "")).utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = token
        self.expirySeconds = expirySeconds
    }

    /// The end of the key's name: enough to recognise it in a log, and nothing secret.
    package var description: String { "access key …" + accessKeyID.suffix(4) }

    /// The same, so that no debugger's or test's print gives the secret away.
    package var debugDescription: String { description }

    /// Hides the parts from `dump` and from string interpolation of what holds this.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
