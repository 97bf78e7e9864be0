import Glibc
import SpringgArchive
import SpringgConfiguration
import SpringgLog
import SpringgNet

/// The server that runs on this machine by the same configuration, asked over its API.
struct RunningNode {
    /// An answer to a command is short; what is longer is not from our server.
    private static let answerBytesMax = 64 << 20
    /// A write waits for a sync, and that for a slow disk; longer than any of them.
    private static let timeoutSeconds = 30

    private let endpoint: HTTPEndpoint
    private let certificateName: String?
    private let client: CurlClient
    private let token: String?
    private let advice: String

    /// The address and the secret that `springg serve` would use.
    init(
        _ settings: Configuration,
        advice: String = "the data directory is in use: run this with the configuration of the server that uses it "
            + "(--config, SPRINGG_PORT, SPRINGG_JWT_SECRET)"
    ) {
        self.init(NodeURL(settings), settings, advice: advice)
    }

    /// Any node with this secret; `advice` is what to do when it does not answer.
    init(_ url: NodeURL, _ settings: Configuration, advice: String) {
        (endpoint, self.advice) = (url.endpoint, advice)
        let (authorities, name) = (settings[Keys.tlsCACertificate], settings[Keys.tlsServerName])
        client = CurlClient(connectionsMax: 1, certificates: authorities.isEmpty ? nil : authorities)
        certificateName = name.isEmpty ? nil : name
        let secret = settings[Keys.jwtSecret]
        let now = Int64(time(nil))
        let claims = JSONValue.object([
            "iss": .string("springg"), "user_id": .string("springg-cli"), "iat": .integer(now),
            "exp": .integer(now + 60), "permissions": .array([.string("admin"), .string("internal")]),
        ])
        token = secret.isEmpty ? nil : JSONWebToken.sign(claims: claims.text(), secret: secret)
    }

    /// Ends what is under way; nothing can be asked any more.
    func close() { client.close() }

    /// True when some process has the data directory open.
    static func holds(_ dataPath: String) throws -> Bool {
        guard access(dataPath + "/LOCK", F_OK) == 0 else { return false }
        do {
            _ = try PosixFileSystem().lock(dataPath + "/LOCK")
            return false
        } catch {
            guard error.code == EWOULDBLOCK else { throw CommandFailure("\(error)") }
            return true
        }
    }

    /// Sends a request; returns what the answer has under `data`.
    /// - Throws: `CommandFailure` with the server's own text, or why there is no answer.
    func send(_ method: String, _ path: String, body: JSONValue? = nil) throws -> JSONValue {
        var request = HTTPRequest(method, endpoint, path: path)
        request.certificateName = certificateName
        request.usesProxy = false
        request.answerBytesMax = RunningNode.answerBytesMax
        request.timeouts.stallSeconds = RunningNode.timeoutSeconds
        if let token { request.headers.append(HTTPField("authorization", "Bearer \(token)")) }
        if let body {
            request.headers.append(HTTPField("content-type", "application/json"))
            request.body = HTTPBody(.bytes(Array(body.text().utf8)))
        }
        let answer: HTTPAnswer
        do throws(HTTPFailure) {
            answer = try client.send(request)
        } catch {
            var advice = advice
            if case .tls = error {
                advice =
                    "tls_ca_certificate names the authorities to trust, tls_server_name the name that nodes' certificates carry"
            }
            throw CommandFailure("cannot reach the server at \(endpoint): \(error.text)", advice: advice)
        }
        guard case .object(let members)? = try? JSONValue(parsing: answer.body) else {
            throw CommandFailure("what listens on \(endpoint) is no Springg server", advice: advice)
        }
        guard answer.isSuccess, let data = members["data"] else {
            guard case .string(let text)? = members["error"] else {
                throw CommandFailure("HTTP status \(answer.status)")
            }
            throw CommandFailure(text)
        }
        return data
    }
}
