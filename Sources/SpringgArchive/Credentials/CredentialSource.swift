/// One place where credentials may be.
package protocol CredentialSource: Sendable {
    /// What the place is called in messages, such as `environment`.
    var name: String { get }

    /// Reads the credentials as they are now.
    /// - Returns: nil when the place is not in use on this machine: the next one is asked.
    /// - Throws: when it is in use and does not work, which no later place may hide.
    func fetch() throws(CredentialProblem) -> AWSCredentials?
}

/// Why a place has no credentials to give; names no secret.
package struct CredentialProblem: Error, Sendable, Equatable {
    /// One clause, such as `profile backup is not in /home/x/.aws/credentials`.
    package let reason: String
    /// Whether it may work later without anybody doing anything.
    package let isTransient: Bool

    /// A problem with its reason.
    package init(_ reason: String, isTransient: Bool = false) {
        self.reason = reason
        self.isTransient = isTransient
    }
}

/// Variables of the environment, or of a test.
package typealias Environment = @Sendable (String) -> String?

/// The variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
struct EnvironmentCredentials: CredentialSource {
    let name = "environment"
    let environment: Environment

    func fetch() throws(CredentialProblem) -> AWSCredentials? {
        let key = environment("AWS_ACCESS_KEY_ID") ?? ""
        let secret = environment("AWS_SECRET_ACCESS_KEY") ?? ""
        if key.isEmpty && secret.isEmpty { return nil }
        let credentials = AWSCredentials(
            accessKeyID: key,
            secretAccessKey: secret,
            sessionToken: environment("AWS_SESSION_TOKEN"),
            expirySeconds: nil
        )
        guard let credentials else {
            throw CredentialProblem("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must both be set, without blanks")
        }
        return credentials
    }
}
