import Glibc

/// A JSON document as tests look at it.
///
/// Read by a small strict reader of its own: a test that used the server's reader would repeat the server's mistakes.
public enum JSONValue: Sendable {
    /// `null`
    case null
    /// `true` or `false`
    case bool(Bool)
    /// A number, as it is written.
    case number(String)
    /// A string, escapes resolved.
    case string(String)
    /// An array.
    case array([JSONValue])
    /// An object; members in the order of the text.
    case object([(key: String, value: JSONValue)])

    /// Reads one document; white space may follow it, nothing else.
    public init(_ bytes: some Collection<UInt8>) throws {
        var reader = JSONTextReader(bytes: Array(bytes))
        self = try reader.document()
    }

    /// Reads one document from text.
    public init(text: String) throws {
        try self.init(Array(text.utf8))
    }

    /// The member of an object; nil when there is none or this is no object.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.key == key }?.value
    }

    /// The element of an array; nil beyond its end or when this is no array.
    public subscript(index: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// An object without one of its members.
    public func without(_ key: String) -> JSONValue {
        guard case .object(let members) = self else { return self }
        return .object(members.filter { $0.key != key })
    }

    /// Names of an object's members, sorted.
    public var keys: [String] {
        guard case .object(let members) = self else { return [] }
        return members.map(\.key).sorted()
    }

    /// The text of a string.
    public var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// A boolean.
    public var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    /// A number as the nearest double.
    public var double: Double? {
        guard case .number(let text) = self else { return nil }
        return Double(text)
    }

    /// A number that is an integer.
    public var int: Int? {
        guard let value = double, value == value.rounded(), abs(value) < 9e15 else { return nil }
        return Int(value)
    }

    /// The elements of an array.
    public var array: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    /// An array of numbers, each as the nearest float32, rounded once from the text.
    public var floats: [Float]? {
        guard case .array(let elements) = self else { return nil }
        var values: [Float] = []
        values.reserveCapacity(elements.count)
        for element in elements {
            guard case .number(let text) = element, let value = Float(text) else { return nil }
            values.append(value)
        }
        return values
    }

    /// True for `null`.
    public var isNull: Bool {
        guard case .null = self else { return false }
        return true
    }
}

extension JSONValue: Equatable {
    /// Equal as values: the order of members and the spelling of numbers do not count.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.number(let a), .number(let b)): a == b || Double(a) == Double(b)
        case (.string(let a), .string(let b)): Array(a.utf8) == Array(b.utf8)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)):
            left.keys == right.keys && a.count == b.count && a.allSatisfy { right[$0.key] == $0.value }
        default: false
        }
    }
}

extension JSONValue: CustomStringConvertible {
    /// The document as JSON text without white space.
    public var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let text): text
        case .string(let text): Self.quoted(text)
        case .array(let elements): "[" + elements.map(\.description).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { Self.quoted($0.key) + ":" + $0.value.description }.joined(separator: ",") + "}"
        }
    }

    /// A JSON string of this text, quotes included.
    public static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    /// A JSON array of these numbers, each in shortest round-trip form.
    public static func array(of values: [Float]) -> String {
        "[" + values.map(\.description).joined(separator: ",") + "]"
    }
}

/// The reader behind `JSONValue`: recursive descent over bytes, exactly RFC 8259.
private struct JSONTextReader {
    let bytes: [UInt8]
    var at = 0
    var depth = 0

    mutating func document() throws -> JSONValue {
        let value = try value()
        skipSpace()
        guard at == bytes.count else { throw failure("bytes behind the document") }
        return value
    }

    func failure(_ what: String) -> TestKitError {
        let near = String(decoding: bytes[max(0, at - 20)..<min(bytes.count, at + 20)], as: UTF8.self)
        return TestKitError("not JSON at byte \(at) (\(what)) near: \(near)")
    }

    mutating func skipSpace() {
        while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
    }

    mutating func value() throws -> JSONValue {
        skipSpace()
        guard at < bytes.count else { throw failure("end of text") }
        switch bytes[at] {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: return try number()
        }
    }

    mutating func literal(_ word: String, _ value: JSONValue) throws -> JSONValue {
        guard bytes[at...].starts(with: word.utf8) else { throw failure("unknown word") }
        at += word.utf8.count
        return value
    }

    mutating func object() throws -> JSONValue {
        try descend()
        var members: [(key: String, value: JSONValue)] = []
        at += 1
        skipSpace()
        if take("}") { return .object(members) }
        while true {
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { throw failure("no key") }
            let key = try string()
            skipSpace()
            guard take(":") else { throw failure("no colon") }
            members.append((key, try value()))
            skipSpace()
            if take("}") { break }
            guard take(",") else { throw failure("no comma") }
        }
        depth -= 1
        return .object(members)
    }

    mutating func array() throws -> JSONValue {
        try descend()
        var elements: [JSONValue] = []
        at += 1
        skipSpace()
        if take("]") { return .array(elements) }
        while true {
            elements.append(try value())
            skipSpace()
            if take("]") { break }
            guard take(",") else { throw failure("no comma") }
        }
        depth -= 1
        return .array(elements)
    }

    mutating func descend() throws {
        depth += 1
        guard depth < 500 else { throw failure("too deep") }
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    mutating func number() throws -> JSONValue {
        let start = at
        if take("-") {}
        let whole = try digits()
        if bytes[whole] == UInt8(ascii: "0"), at - whole > 1 { throw failure("leading zero") }
        if take(".") { _ = try digits() }
        if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            if !take("+") { _ = take("-") }
            _ = try digits()
        }
        return .number(String(decoding: bytes[start..<at], as: UTF8.self))
    }

    mutating func digits() throws -> Int {
        let start = at
        while at < bytes.count, (0x30...0x39).contains(bytes[at]) { at += 1 }
        guard at > start else { throw failure("no digit") }
        return start
    }

    mutating func string() throws -> String {
        at += 1
        var out: [UInt8] = []
        while true {
            guard at < bytes.count else { throw failure("open string") }
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: out, as: UTF8.self) else { throw failure("not UTF-8") }
                return text
            case UInt8(ascii: "\\"): try escape(into: &out)
            case ..<0x20: throw failure("control character in a string")
            default: out.append(byte)
            }
        }
    }

    mutating func escape(into out: inout [UInt8]) throws {
        guard at < bytes.count else { throw failure("open escape") }
        let byte = bytes[at]
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
        case UInt8(ascii: "b"): out.append(0x08)
        case UInt8(ascii: "f"): out.append(0x0C)
        case UInt8(ascii: "n"): out.append(0x0A)
        case UInt8(ascii: "r"): out.append(0x0D)
        case UInt8(ascii: "t"): out.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hex()
            if (0xD800..<0xDC00).contains(code) {
                guard take("\\"), take("u") else { throw failure("half a surrogate pair") }
                let low = try hex()
                guard (0xDC00..<0xE000).contains(low) else { throw failure("half a surrogate pair") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("half a surrogate pair") }
            out.append(contentsOf: String(Character(scalar)).utf8)
        default: throw failure("unknown escape")
        }
    }

    mutating func hex() throws -> UInt32 {
        guard at + 4 <= bytes.count,
            let code = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
        else { throw failure("not four hex digits") }
        at += 4
        return code
    }
}
