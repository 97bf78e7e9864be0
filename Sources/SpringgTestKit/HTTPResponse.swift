/// One answer of a server, read whole.
public struct HTTPResponse: Sendable, CustomStringConvertible {
    /// Status code.
    public let status: Int
    /// Header fields in the order they came.
    public let headers: [(name: String, value: String)]
    /// The body, chunks joined.
    public let body: [UInt8]

    /// The value of a header field, whatever the case of its name.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// The body as text.
    public var text: String { String(decoding: body, as: UTF8.self) }

    /// The body as JSON.
    public func json() throws -> JSONValue { try JSONValue(body) }

    /// `data` of a successful answer; throws when the answer is anything else.
    public func data() throws -> JSONValue {
        let document = try json()
        guard document["status"] == .string("success"), let data = document["data"] else {
            throw TestKitError("not a success: \(self)")
        }
        return data
    }

    /// `error` of a refusal in the API's form; nil when the answer is no such thing.
    public var error: String? {
        guard let document = try? json(), document["status"] == .string("error"),
            document["code"]?.string?.isEmpty == false, document.keys == ["code", "error", "status"]
        else { return nil }
        return document["error"]?.string
    }

    /// `code` of a refusal in the API's form; nil when the answer is no such thing.
    public var code: String? { error == nil ? nil : (try? json())?["code"]?.string }

    /// Status and the beginning of the body.
    public var description: String {
        "\(status) \(text.prefix(300))"
    }
}

/// Splits the head of an answer into status and fields.
enum HTTPHead {
    static func parse(
        _ bytes: some Collection<UInt8>
    ) throws -> (status: Int, headers: [(name: String, value: String)]) {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: true)
        guard let first = lines.first else { throw TestKitError("an empty head") }
        let parts = first.split(separator: " ", maxSplits: 2)
        guard parts.count >= 2, parts[0].hasPrefix("HTTP/1."), let status = Int(parts[1]) else {
            throw TestKitError("no status line: \(first)")
        }
        var headers: [(name: String, value: String)] = []
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { throw TestKitError("no header field: \(line)") }
            var value = line[line.index(after: colon)...]
            while value.first == " " { value.removeFirst() }
            while value.last == " " { value.removeLast() }
            headers.append((String(line[..<colon]), String(value)))
        }
        return (status, headers)
    }
}
