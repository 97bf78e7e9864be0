/// What an EC2 instance can ask about itself (IMDSv2: each question needs a token, which only this machine can get).
package struct InstanceMetadata: Sendable {
    private let environment: Environment
    private let transport: any HTTPTransport

    /// Longer than any use of it here; a token is taken for each question or two.
    private static let tokenSeconds = "300"

    /// Makes a client; it asks nothing yet.
    package init(environment: @escaping Environment, transport: any HTTPTransport) {
        self.environment = environment
        self.transport = transport
    }

    /// Whether `AWS_EC2_METADATA_DISABLED` forbids to ask.
    package var isDisabled: Bool { environment("AWS_EC2_METADATA_DISABLED")?.lowercased() == "true" }

    /// A session in which questions can be asked.
    package struct Session: Sendable {
        fileprivate let endpoint: HTTPEndpoint
        fileprivate let token: String
        fileprivate let transport: any HTTPTransport

        /// The text at a path such as `/latest/meta-data/instance-id`; nil when the instance has no such thing.
        package func get(_ path: String) throws(CredentialProblem) -> [UInt8]? {
            var request = HTTPRequest("GET", endpoint, path: path)
            request.headers = [HTTPField("x-aws-ec2-metadata-token", token)]
            let answer = try transport.sendNearby(request, "instance metadata")
            if answer.status == 404 { return nil }
            // A token may be forgotten by the service before its time; the next session has another.
            let isTransient = answer.status == 401
            guard answer.isSuccess else {
                throw CredentialProblem("instance metadata: status \(answer.status)", isTransient: isTransient)
            }
            return answer.body
        }
    }

    /// Gets a token.
    package func open() throws(CredentialProblem) -> Session {
        let isIPv6 = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")?.lowercased() == "ipv6"
        let text =
            environment("AWS_EC2_METADATA_SERVICE_ENDPOINT")
            ?? (isIPv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254")
        guard let endpoint = HTTPEndpoint(text) else {
            throw CredentialProblem("AWS_EC2_METADATA_SERVICE_ENDPOINT is no http://HOST:PORT")
        }
        var request = HTTPRequest("PUT", endpoint, path: "/latest/api/token")
        request.headers = [HTTPField("x-aws-ec2-metadata-token-ttl-seconds", InstanceMetadata.tokenSeconds)]
        request.body = HTTPBody(.bytes([]))
        let answer = try transport.sendNearby(request, "instance metadata")
        let token = String(decoding: answer.body, as: UTF8.self)
        guard answer.isSuccess, !token.isEmpty, token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw CredentialProblem("instance metadata: no token (status \(answer.status))")
        }
        return Session(endpoint: endpoint, token: token, transport: transport)
    }
}

/// The role that an EC2 instance was given.
struct InstanceRoleCredentials: CredentialSource {
    let name = "instance role"
    let metadata: InstanceMetadata

    private static let path = "/latest/meta-data/iam/security-credentials/"

    func fetch() throws(CredentialProblem) -> AWSCredentials? {
        if metadata.isDisabled { return nil }
        do throws(CredentialProblem) {
            return try fetchOnce()
        } catch  where error.isTransient {
            return try fetchOnce()
        }
    }

    private func fetchOnce() throws(CredentialProblem) -> AWSCredentials? {
        let session = try metadata.open()
        guard let list = try session.get(InstanceRoleCredentials.path), !list.isEmpty else {
            throw CredentialProblem("the instance has no role")
        }
        let role = list.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        // Names of roles have letters, digits and `+=,.@-_`, the rest is encoded and found by nobody.
        let name = PercentEncoding.encode(String(decoding: role, as: UTF8.self))
        guard let document = try session.get(InstanceRoleCredentials.path + name) else {
            throw CredentialProblem("the instance's role \(name.prefix(64)) has no credentials")
        }
        return try CredentialDocument.credentials(document, from: "instance metadata")
    }
}
