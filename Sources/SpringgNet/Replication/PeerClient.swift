import SpringgArchive
import SpringgCluster
import SpringgLog

/// Asks one peer over HTTP, on a connection that is kept.
final class PeerClient: Sendable {
    private let client = CurlClient(connectionsMax: 1)
    private let token: InternalToken?

    /// Until the connection stands; a node of the same network answers in milliseconds.
    private static let connectMilliseconds = 2_000
    /// Without a byte in either direction: longer than a peer's disk needs for a batch.
    private static let stallSeconds = 10
    /// Characters of a refusal that are worth passing on.
    private static let reasonCharactersMax = 200

    init(token: InternalToken?) { self.token = token }

    /// Sends bytes and returns those of the answer.
    /// - Throws: `PeerFailure` when there is none, or it is no success.
    func post(
        _ path: String,
        to address: NodeAddress,
        _ body: [UInt8],
        answerBytesMax: Int
    ) throws(PeerFailure) -> [UInt8] {
        var request = self.request("POST", path, to: address, answerBytesMax: answerBytesMax)
        request.headers.append(HTTPField("content-type", "application/octet-stream"))
        request.body = HTTPBody(.bytes(body))
        return try self.send(request)
    }

    /// Asks for bytes.
    func get(_ path: String, from address: NodeAddress, answerBytesMax: Int) throws(PeerFailure) -> [UInt8] {
        try self.send(self.request("GET", path, to: address, answerBytesMax: answerBytesMax))
    }

    /// Ends what is under way.
    func close() { self.client.close() }

    private func request(_ method: String, _ path: String, to address: NodeAddress, answerBytesMax: Int) -> HTTPRequest
    {
        let host = address.address.isIPv4 ? "\(address.address)" : "[\(address.address)]"
        let endpoint = HTTPEndpoint(isSecure: false, host: host, port: Int(address.port))
        var request = HTTPRequest(method, endpoint, path: path)
        if let token { request.headers.append(token.header) }
        request.timeouts.connectMilliseconds = Self.connectMilliseconds
        request.timeouts.stallSeconds = Self.stallSeconds
        request.answerBytesMax = answerBytesMax
        request.usesProxy = false
        return request
    }

    private func send(_ request: HTTPRequest) throws(PeerFailure) -> [UInt8] {
        do throws(HTTPFailure) {
            let answer = try self.client.send(request)
            guard answer.isSuccess else {
                let text = String(decoding: answer.body, as: UTF8.self).prefix(Self.reasonCharactersMax)
                throw HTTPFailure.invalid("status \(answer.status): \(text)")
            }
            return answer.body
        } catch {
            throw PeerFailure(text: error.text)
        }
    }
}

/// Why a peer gave no answer.
struct PeerFailure: Error {
    let text: String
}
