import Glibc
import SpringgArchive
import SpringgCluster
import SpringgLog

/// Asks one peer over HTTP, on connections that are kept.
final class PeerClient: Sendable {
    private let client: CurlClient
    private let access: PeerAccess
    /// How long it asks again, of a peer that says when to.
    private let patienceSeconds: Int

    /// Until the connection stands; a node of the same network answers in milliseconds.
    private static let connectMilliseconds = 2_000
    /// Without a byte in either direction: longer than a peer's disk needs for a batch.
    private static let stallSeconds = 10
    /// Whoever says that it takes longer is asked whether it really does.
    private static let pauseSecondsMax: UInt32 = 60
    /// Characters of a refusal that are worth passing on.
    private static let reasonCharactersMax = 200

    /// - Parameters:
    ///   - access: Shown to the peer, and what its certificate is checked by.
    ///   - connectionsMax: Requests at once.
    ///   - patienceSeconds: How long a request is repeated that the peer has put off.
    init(_ access: PeerAccess, connectionsMax: Int = 1, patienceSeconds: Int = 0) {
        self.access = access
        self.patienceSeconds = patienceSeconds
        client = CurlClient(connectionsMax: connectionsMax, certificates: access.certificates)
    }

    /// Sends bytes and returns those of the answer.
    ///
    /// `sent` is called, perhaps more than once, when nothing is left but to wait for it.
    /// - Throws: `PeerFailure` when there is none, or it is no success.
    func post(
        _ path: String,
        to address: APIAddress,
        _ body: [UInt8],
        answerBytesMax: Int,
        sent: (@Sendable () -> Void)? = nil
    ) throws(PeerFailure) -> [UInt8] {
        var request = self.request("POST", path, to: address, answerBytesMax: answerBytesMax)
        request.headers.append(HTTPField("content-type", "application/octet-stream"))
        request.body = HTTPBody(.bytes(body))
        request.bodySent = sent
        return try send(request)
    }

    /// Asks for bytes.
    func get(_ path: String, from address: APIAddress, answerBytesMax: Int) throws(PeerFailure) -> [UInt8] {
        try send(request("GET", path, to: address, answerBytesMax: answerBytesMax))
    }

    /// Brings events to a peer; returns what it holds then.
    func ship(
        _ shipment: Shipment,
        to address: APIAddress,
        sent: (@Sendable () -> Void)? = nil
    ) throws(PeerFailure) -> VectorMessage {
        let answer = try post(
            "/internal/log",
            to: address,
            shipment.message,
            answerBytesMax: VectorMessage.bytesMax,
            sent: sent
        )
        do throws(ReplicationWireError) {
            return try answer.withBytes { bytes throws(ReplicationWireError) in try VectorMessage(bytes) }
        } catch {
            throw PeerFailure(text: error.description)
        }
    }

    /// Ends what is under way.
    func close() { client.close() }

    private func request(_ method: String, _ path: String, to address: APIAddress, answerBytesMax: Int) -> HTTPRequest {
        let ip = address.node.address
        let host = ip.isIPv4 ? "\(ip)" : "[\(ip)]"
        let endpoint = HTTPEndpoint(isSecure: address.isSecure, host: host, port: Int(address.node.port))
        var request = HTTPRequest(method, endpoint, path: path)
        request.certificateName = access.certificateName
        if let token = access.token { request.headers.append(token.header) }
        request.timeouts.connectMilliseconds = Self.connectMilliseconds
        request.timeouts.stallSeconds = Self.stallSeconds
        request.answerBytesMax = answerBytesMax
        request.usesProxy = false
        return request
    }

    private func send(_ request: HTTPRequest) throws(PeerFailure) -> [UInt8] {
        let deadline = time(nil) + patienceSeconds
        do throws(HTTPFailure) {
            var answer = try client.send(request)
            // It sends no more in a second than it may: a limit, and no failure.
            while answer.status == 429, let pause = answer.header("retry-after").flatMap({ UInt32($0) }),
                time(nil) < deadline
            {
                sleep(min(max(1, pause), Self.pauseSecondsMax))
                answer = try client.send(request)
            }
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
