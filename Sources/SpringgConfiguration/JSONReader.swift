/// Why a text is not JSON, with the place.
public struct JSONSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Line, counted from 1.
    public let line: Int
    /// Byte in the line, counted from 1.
    public let column: Int
    /// What was expected there.
    public let reason: String

    /// `line 3, column 7: expected a value`.
    public var description: String { "line \(line), column \(column): \(reason)" }
}

extension JSONValue {
    /// Parses a whole document, strictly as RFC 8259 says.
    ///
    /// Foundation's decoder is not used: it takes trailing commas, and its errors name no place, which is what
    /// somebody who edits a file by hand needs to know.
    public init(parsing bytes: [UInt8]) throws(JSONSyntaxError) {
        var reader = JSONReader(bytes: bytes)
        self = try reader.document()
    }
}

/// A recursive-descent reader over bytes in memory.
private struct JSONReader {
    /// Levels of nesting; deeper documents are refused before the stack ends.
    static let depthMax = 64

    let bytes: [UInt8]
    var offset = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    mutating func document() throws(JSONSyntaxError) -> JSONValue {
        let value = try value(depth: 0)
        skipSpace()
        guard next == nil else { throw error("expected nothing after the value") }
        return value
    }

    private mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        guard depth < Self.depthMax else { throw error("nested deeper than \(Self.depthMax) levels") }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .boolean(true))
        case UInt8(ascii: "f"): return try word("false", .boolean(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        var members: [String: JSONValue] = [:]
        offset += 1
        guard !take("}") else { return .object(members) }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw error("expected a name in double quotes") }
            let name = try string()
            guard take(":") else { throw error("expected \":\"") }
            members[name] = try value(depth: depth + 1)
        } while take(",")
        guard take("}") else { throw error("expected \",\" or \"}\"") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        var items: [JSONValue] = []
        offset += 1
        guard !take("]") else { return .array(items) }
        repeat { items.append(try value(depth: depth + 1)) } while take(",")
        guard take("]") else { throw error("expected \",\" or \"]\"") }
        return .array(items)
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
        guard bytes[offset...].starts(with: "\(text)".utf8) else { throw error("expected a value") }
        offset += text.utf8CodeUnitCount
        return value
    }

    private mutating func number() throws(JSONSyntaxError) -> JSONValue {
        let start = offset
        if next == UInt8(ascii: "-") { offset += 1 }
        let firstDigit = next
        let wholeDigits = takeDigits()
        guard wholeDigits > 0 else {
            offset = start
            throw error("expected a value")
        }
        guard firstDigit != UInt8(ascii: "0") || wholeDigits == 1 else { throw error("a number begins with 0") }
        var isInteger = true
        if next == UInt8(ascii: ".") {
            isInteger = false
            offset += 1
            guard takeDigits() > 0 else { throw error("expected a digit") }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            isInteger = false
            offset += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
            guard takeDigits() > 0 else { throw error("expected a digit") }
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isInteger, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw error("the number is too large") }
        return .number(value)
    }

    private mutating func string() throws(JSONSyntaxError) -> String {
        var content: [UInt8] = []
        offset += 1
        while let byte = next, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw error("a control character in a text must be escaped") }
            offset += 1
            if byte == UInt8(ascii: "\\") {
                content += try escaped()
            } else {
                content.append(byte)
            }
        }
        guard next != nil else { throw error("the text does not end") }
        offset += 1
        guard let text = String(validating: content, as: UTF8.self) else { throw error("the text is not UTF-8") }
        return text
    }

    /// The UTF-8 bytes of the escape whose backslash has been read.
    private mutating func escaped() throws(JSONSyntaxError) -> [UInt8] {
        guard let byte = next else { throw error("the text does not end") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): return try unicodeEscape()
        default:
            offset -= 1
            throw error("unknown escape")
        }
    }

    private mutating func unicodeEscape() throws(JSONSyntaxError) -> [UInt8] {
        var units = [try hexadecimalUnit()]
        if UTF16.isLeadSurrogate(units[0]), bytes[offset...].starts(with: "\\u".utf8) {
            offset += 2
            units.append(try hexadecimalUnit())
        }
        guard let text = String(validating: units, as: UTF16.self) else { throw error("half a surrogate pair") }
        return Array(text.utf8)
    }

    private mutating func hexadecimalUnit() throws(JSONSyntaxError) -> UInt16 {
        let digits = bytes[offset...].prefix(4)
        let areHexadecimal = digits.allSatisfy { Character(UnicodeScalar($0)).isHexDigit }
        guard digits.count == 4, areHexadecimal,
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw error("expected four hexadecimal digits") }
        offset += 4
        return unit
    }

    /// Digits from here on.
    /// - Returns: how many there were.
    private mutating func takeDigits() -> Int {
        let start = offset
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { offset += 1 }
        return offset - start
    }

    /// Skips space, and the character too when it comes next.
    private mutating func take(_ character: UnicodeScalar) -> Bool {
        skipSpace()
        guard next == UInt8(ascii: character) else { return false }
        offset += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { offset += 1 }
    }

    private func error(_ reason: String) -> JSONSyntaxError {
        let before = bytes[..<offset]
        let line = before.count { $0 == 0x0A } + 1
        let column = offset - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0) + 1
        return JSONSyntaxError(line: line, column: column, reason: next == nil ? reason + ", found the end" : reason)
    }
}
