/// One request, before anybody has signed it.
package struct HTTPRequest: Sendable {
    /// The method, in capitals.
    package var method: String
    /// Where it goes.
    package var endpoint: HTTPEndpoint
    /// The path as it is sent: begins with a slash, encoded (`PercentEncoding`).
    package var path: String
    /// The parameters, not encoded, in any order.
    package var query: [HTTPField] = []
    /// What is sent besides `Host` and `Content-Length`.
    ///
    /// Names in small letters.
    package var headers: [HTTPField] = []
    /// The bytes to send; nil for a request without a body.
    package var body: HTTPBody?
    /// Called, perhaps more than once, when the last of these bytes is on its way and the answer is all that is waited for.
    package var bodySent: (@Sendable () -> Void)?
    /// How long it may take.
    package var timeouts = HTTPTimeouts()
    /// The body of a success is handed on piece by piece; every other body is gathered up to `answerBytesMax`.
    package var streamsAnswer = false
    /// Bytes of a gathered body; a longer one is a failure.
    package var answerBytesMax = 1 << 20
    /// The name that the other side's certificate must carry, where that is not the endpoint's host.
    package var certificateName: String?
    /// Whether a proxy named by the environment is used; never for what only this machine can reach.
    package var usesProxy = true

    /// A request without parameters, headers or body.
    package init(_ method: String, _ endpoint: HTTPEndpoint, path: String) {
        self.method = method
        self.endpoint = endpoint
        self.path = path
    }

    /// The parameters as they are sent and signed: encoded, sorted by name, each with its `=`.
    package var encodedQuery: String {
        query.map { (PercentEncoding.encode($0.name), PercentEncoding.encode($0.value)) }
            .sorted { ($0.0, $0.1) < ($1.0, $1.1) }
            .map { $0.0 + "=" + $0.1 }.joined(separator: "&")
    }

    /// The whole address.
    package var url: String { url(at: endpoint) }

    /// The same at another endpoint.
    func url(at endpoint: HTTPEndpoint) -> String {
        endpoint.description + path + (query.isEmpty ? "" : "?" + encodedQuery)
    }
}

/// A part of an `ObjectBody`.
package struct HTTPBody: Sendable {
    /// Where the bytes are.
    package let source: ObjectBody
    /// Which of them.
    package let range: Range<Int>

    /// All bytes of a body, or a range of them.
    package init(_ source: ObjectBody, _ range: Range<Int>? = nil) {
        self.source = source
        self.range = range ?? 0..<source.count
    }
}

/// A name and a value: of a header or of a query.
package struct HTTPField: Sendable, Equatable {
    /// The name.
    package let name: String
    /// The value.
    package let value: String

    /// Makes a field.
    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// How long the parts of a transfer may take.
package struct HTTPTimeouts: Sendable, Equatable {
    /// Until the connection stands.
    package var connectMilliseconds = 5_000
    /// Without a byte in either direction; whole seconds are what libcurl measures.
    package var stallSeconds = 60
    /// The whole transfer; nil for one whose size nobody knows.
    package var totalMilliseconds: Int?

    /// The defaults.
    package init() {}
}

/// Scheme, host and port.
package struct HTTPEndpoint: Sendable, Equatable, CustomStringConvertible {
    /// Whether TLS is used.
    package let isSecure: Bool
    /// Name or address; one of IPv6 in its brackets.
    package let host: String
    /// Nil for the scheme's own.
    package let port: Int?

    /// Makes an endpoint from parts that are known to be right.
    package init(isSecure: Bool, host: String, port: Int? = nil) {
        self.isSecure = isSecure
        self.host = host
        self.port = port == (isSecure ? 443 : 80) ? nil : port
    }

    /// Reads `https://host:port`, or nil; a slash at the end is forgiven, a path, a query or a name with password is not.
    package init?(_ text: String) {
        let isSecure: Bool
        var rest: Substring
        if let secure = text.dropping(prefix: "https://") {
            (isSecure, rest) = (true, secure[...])
        } else if let plain = text.dropping(prefix: "http://") {
            (isSecure, rest) = (false, plain[...])
        } else {
            return nil
        }
        if rest.hasSuffix("/") { rest.removeLast() }
        var port: Int?
        // The colons within the brackets of an IPv6 address are not those before a port.
        let bracket = rest.lastIndex(of: "]") ?? rest.startIndex
        if let colon = rest[bracket...].lastIndex(of: ":") {
            guard let number = Int(rest[rest.index(after: colon)...]), (1...65535).contains(number) else { return nil }
            port = number
            rest = rest[..<colon]
        }
        guard !rest.isEmpty, rest.utf8.allSatisfy(HTTPEndpoint.isHostByte) else { return nil }
        self.init(isSecure: isSecure, host: String(rest), port: port)
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        PercentEncoding.isUnreserved(byte) || byte == UInt8(ascii: "[") || byte == UInt8(ascii: "]")
            || byte == UInt8(ascii: ":")
    }

    /// What the `Host` header says.
    package var authority: String { port.map { "\(host):\($0)" } ?? host }

    /// Whether the host is an address rather than a name.
    package var isAddress: Bool { host.hasPrefix("[") || host.utf8.allSatisfy { $0 == 46 || (48...57).contains($0) } }

    /// The beginning of a URL.
    package var description: String { (isSecure ? "https://" : "http://") + authority }
}
