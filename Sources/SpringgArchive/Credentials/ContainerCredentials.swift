import Glibc
import SpringgLog

/// The endpoint that ECS and EKS give to a container: `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `…_FULL_URI`.
struct ContainerCredentials: CredentialSource {
    let name = "container"
    let environment: Environment
    let transport: any HTTPTransport
    let fileSystem: any FileSystem

    func fetch() throws(CredentialProblem) -> AWSCredentials? {
        guard let (endpoint, path) = try target() else { return nil }
        var request = HTTPRequest("GET", endpoint, path: path)
        if let token = try token() { request.headers.append(HTTPField("authorization", token)) }
        let answer = try transport.sendNearby(request, "the container's endpoint")
        guard answer.isSuccess else { throw CredentialProblem("the container's endpoint: status \(answer.status)") }
        return try CredentialDocument.credentials(answer.body, from: "the container's endpoint")
    }

    /// Where to ask; nil outside a container that has credentials.
    private func target() throws(CredentialProblem) -> (HTTPEndpoint, String)? {
        if let relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), !relative.isEmpty {
            guard relative.hasPrefix("/"), relative.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw CredentialProblem("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with a slash")
            }
            return (HTTPEndpoint(isSecure: false, host: "169.254.170.2"), relative)
        }
        guard let full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI"), !full.isEmpty else { return nil }
        let scheme = full.hasPrefix("https://") ? 8 : 7
        let rest = full.utf8.dropFirst(scheme)
        let slash = rest.firstIndex(of: UInt8(ascii: "/")) ?? full.endIndex
        guard full.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), let endpoint = HTTPEndpoint(String(full[..<slash]))
        else {
            throw CredentialProblem("AWS_CONTAINER_CREDENTIALS_FULL_URI is no http or https URL")
        }
        // Without TLS the token goes only to where nobody else can listen: this machine and AWS's own addresses.
        let near = ["127.0.0.1", "localhost", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"]
        guard endpoint.isSecure || near.contains(endpoint.host) else {
            throw CredentialProblem("AWS_CONTAINER_CREDENTIALS_FULL_URI must be https or an address of this machine")
        }
        return (endpoint, slash == full.endIndex ? "/" : String(full[slash...]))
    }

    /// The token is read anew each time: the file is replaced from outside.
    private func token() throws(CredentialProblem) -> String? {
        var token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN") ?? ""
        if let path = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), !path.isEmpty {
            do throws(FileSystemError) {
                // Tokens have a few KiB.
                token = String(decoding: try fileSystem.contents(of: path, atMost: 64 << 10), as: UTF8.self)
                while token.last?.isNewline == true { token.removeLast() }
            } catch {
                throw CredentialProblem("\(error)")
            }
        }
        guard token.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
            throw CredentialProblem("the container's authorization token has more than one line")
        }
        return token.isEmpty ? nil : token
    }
}
