package import SpringgLog

/// What sends requests: libcurl, or a test.
package protocol HTTPTransport: Sendable {
    /// Sends a request and waits for the whole answer; `onBody` is called when the request streams it.
    func send(
        _ request: HTTPRequest,
        onBody: (HTTPAnswer, UnsafeRawBufferPointer) throws -> Void
    ) throws(HTTPFailure) -> HTTPAnswer

    /// Ends running transfers soon, and lets every later one fail with `.closed`.
    func close()
}

extension HTTPTransport {
    /// Sends a request and gathers the answer's body.
    package func send(_ request: HTTPRequest) throws(HTTPFailure) -> HTTPAnswer {
        var request = request
        request.streamsAnswer = false
        return try send(request) { _, _ in }
    }
}

/// Status, headers and body of an answer.
package struct HTTPAnswer: Sendable {
    /// The status code; 0 before there is one.
    package var status = 0
    /// The headers, names in small letters.
    package var headers: [HTTPField] = []
    /// The body, unless it was handed on.
    package var body: [UInt8] = []

    /// Nothing yet.
    package init() {}

    /// The first header of a name, which is given in small letters.
    package func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

    /// The server's clock, in seconds since 1970.
    package var dateSeconds: Int? { header("date").flatMap(CivilTime.parseHTTPDate) }

    /// 2xx.
    package var isSuccess: Bool { (200..<300).contains(status) }
}

/// Why a request has no answer.
///
/// Texts name no secret: credentials travel in headers, and are never in a URL.
package enum HTTPFailure: Error {
    /// No connection: the name is unknown, nobody listens, no route.
    case unreachable(String)
    /// The other side took too long.
    case timedOut(String)
    /// The connection broke.
    case broken(String)
    /// No trust in the other side; waiting does not help.
    case tls(String)
    /// The answer is no HTTP, or larger than it may be.
    case invalid(String)
    /// The request's own bytes could not be read.
    case localFile(FileSystemError)
    /// The one who takes the answer's bytes threw.
    case consumer(any Error)
    /// The transport was closed.
    case closed

    /// What went wrong, in words.
    package var text: String {
        switch self {
        case .unreachable(let text), .timedOut(let text), .broken(let text), .tls(let text), .invalid(let text): text
        case .localFile(let error): "\(error)"
        case .consumer(let error): "\(error)"
        case .closed: "closed"
        }
    }
}
