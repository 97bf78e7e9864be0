/// The query of a request's target: `?k=10&include_vector=true`.
///
/// Names that mean nothing are passed over, as members of a body are; of a name given twice the last counts.
struct QueryItems {
    private var items: [(name: Substring, value: String)] = []

    /// - Parameter uri: The target as it was sent.
    /// - Throws: 400 when a value is not percent-encoded UTF-8.
    init(uri: String) throws(RequestError) {
        guard let start = uri.utf8.firstIndex(of: UInt8(ascii: "?")) else {
            return
        }
        for item in uri[uri.index(after: start)...].split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let value = Self.decoded(parts.count > 1 ? parts[1] : "") else {
                throw .badRequest("malformed query: \(parts[0]) is not percent-encoded UTF-8")
            }
            items.append((parts[0], value))
        }
    }

    /// The value of a name; nil when it is not there.
    func text(_ name: StaticString) -> String? {
        guard !items.isEmpty else {
            return nil
        }
        let name = name.description
        return items.last { $0.name == name }?.value
    }

    func integer(_ name: StaticString) throws(RequestError) -> Int? {
        guard let text = self.text(name) else {
            return nil
        }
        guard let value = Int(text) else {
            throw .badRequest("\(name) must be an integer, got \(text)")
        }
        return value
    }

    func bool(_ name: StaticString) throws(RequestError) -> Bool? {
        switch self.text(name) {
        case nil: return nil
        case "true": return true
        case "false": return false
        case let text?: throw .badRequest("\(name) must be true or false, got \(text)")
        }
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue)
            else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        Character(Unicode.Scalar(byte)).hexDigitValue.map(UInt8.init)
    }
}
