/// An element of an S3 answer: its name, its text, its children.
///
/// The reader takes what S3 sends and no more: elements, text, the five named and the numeric references, CDATA, comments
/// and a declaration. Attributes are passed over. A document type, which could define entities, is refused, as is nesting or
/// length beyond what any answer has.
package struct XMLElement: Equatable, Sendable {
    /// The name, a prefix included.
    package private(set) var name: String
    /// The text between the tags; empty for an element with children.
    package private(set) var text = ""
    /// The elements within.
    package private(set) var children: [XMLElement] = []

    /// Levels of an S3 answer, with room to spare.
    package static let depthMax = 16

    /// Text of the first child of that name.
    package subscript(name: String) -> String? { children.first { $0.name == name }?.text }

    /// All children of that name.
    package func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

    /// Reads a whole document; nil when it is not one, or has what no answer of S3 has.
    package init?(_ bytes: [UInt8]) {
        var reader = XMLReader(bytes: bytes[...])
        guard let root = reader.document() else { return nil }
        self = root
    }

    fileprivate init(name: String) { self.name = name }

    fileprivate mutating func append(_ child: XMLElement) { children.append(child) }

    /// Text between children is white space for the eye.
    fileprivate mutating func finish(_ bytes: [UInt8]) -> Bool {
        if children.isEmpty {
            guard let text = String(validating: bytes, as: UTF8.self) else { return false }
            self.text = text
            return true
        }
        return bytes.allSatisfy(XMLReader.isSpace)
    }
}

/// Writes text so that an XML reader gives it back.
package func xmlEscaped(_ text: String) -> String {
    var result = ""
    for character in text.unicodeScalars {
        switch character {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        default: result.unicodeScalars.append(character)
        }
    }
    return result
}

private struct XMLReader {
    var bytes: ArraySlice<UInt8>

    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0A).contains(byte) || byte == 0x0D }

    mutating func document() -> XMLElement? {
        // Blanks before the declaration: S3 sends them while it completes a long upload.
        guard skipMisc(), take("<"), let root = element(depth: 1), skipMisc(), bytes.isEmpty else { return nil }
        return root
    }

    /// Passes white space, comments and declarations between elements; false when one has no end.
    private mutating func skipMisc() -> Bool {
        while true {
            bytes = bytes.drop(while: XMLReader.isSpace)
            if take("<?") {
                guard skip(past: "?>") else { return false }
            } else if take("<!--") {
                guard skip(past: "-->") else { return false }
            } else {
                return true
            }
        }
    }

    /// Reads an element whose `<` has been taken.
    private mutating func element(depth: Int) -> XMLElement? {
        guard depth <= XMLElement.depthMax, let name = name(), let isEmpty = attributes() else { return nil }
        var element = XMLElement(name: name)
        guard !isEmpty else { return element }
        var text: [UInt8] = []
        while !bytes.isEmpty {
            if take("</") {
                guard self.name() == name else { return nil }
                bytes = bytes.drop(while: XMLReader.isSpace)
                guard take(">"), element.finish(text) else { return nil }
                return element
            } else if take("<!--") {
                guard skip(past: "-->") else { return nil }
            } else if take("<![CDATA[") {
                let start = bytes
                guard skip(past: "]]>") else { return nil }
                text += start[..<(bytes.startIndex - 3)]
            } else if take("<") {
                guard let child = self.element(depth: depth + 1) else { return nil }
                element.append(child)
            } else if take("&") {
                guard let character = reference() else { return nil }
                text += Array(String(character).utf8)
            } else {
                let run = bytes.prefix { $0 != UInt8(ascii: "<") && $0 != UInt8(ascii: "&") }
                text += run
                bytes = bytes.dropFirst(run.count)
            }
        }
        return nil
    }

    /// Letters, digits and `_-.:`; a prefix stays part of the name.
    private mutating func name() -> String? {
        let name = bytes.prefix {
            PercentEncoding.isUnreserved($0) && $0 != UInt8(ascii: "~") || $0 == UInt8(ascii: ":")
        }
        guard !name.isEmpty, name.count <= 64 else { return nil }
        bytes = bytes.dropFirst(name.count)
        return String(decoding: name, as: UTF8.self)
    }

    /// Passes the attributes up to the end of a tag; returns whether the element ends there as well.
    private mutating func attributes() -> Bool? {
        while true {
            let spaces = bytes.prefix(while: XMLReader.isSpace)
            bytes = bytes.dropFirst(spaces.count)
            if take("/>") { return true }
            if take(">") { return false }
            guard !spaces.isEmpty, name() != nil, take("="), let quote = bytes.first,
                quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'")
            else { return nil }
            bytes.removeFirst()
            guard let end = bytes.firstIndex(where: { $0 == quote || $0 == UInt8(ascii: "<") }), bytes[end] == quote
            else {
                return nil
            }
            bytes = bytes[(end + 1)...]
        }
    }

    /// Reads a reference whose `&` has been taken.
    private mutating func reference() -> Unicode.Scalar? {
        // The longest is `#x10FFFF;`.
        guard let end = bytes.prefix(10).firstIndex(of: UInt8(ascii: ";")) else { return nil }
        let text = String(decoding: bytes[..<end], as: UTF8.self)
        bytes = bytes[(end + 1)...]
        switch text {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            let digits = text.dropping(prefix: "#x") ?? text.dropping(prefix: "#")
            guard let digits, digits.utf8.allSatisfy({ PercentEncoding.isUnreserved($0) && $0 != UInt8(ascii: "-") })
            else {
                return nil
            }
            return UInt32(digits, radix: text.hasPrefix("#x") ? 16 : 10).flatMap { Unicode.Scalar($0) }
        }
    }

    private mutating func take(_ text: StaticString) -> Bool {
        let wanted = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard bytes.starts(with: wanted) else { return false }
        bytes = bytes.dropFirst(wanted.count)
        return true
    }

    private mutating func skip(past text: StaticString) -> Bool {
        while !bytes.isEmpty {
            if take(text) { return true }
            bytes.removeFirst()
        }
        return false
    }
}
