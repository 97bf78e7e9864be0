/// Any JSON value, for the files and claims that people write by hand; vectors never pass through here.
public enum JSONValue: Equatable, Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case boolean(Bool)
    /// A number without fraction or exponent that fits 64 bits.
    case integer(Int64)
    /// Any other number.
    case number(Double)
    /// A text.
    case string(String)
    /// A list.
    case array([JSONValue])
    /// Names and values; of a name given twice the last value counts.
    case object([String: JSONValue])

    /// The text of the value, names sorted, so that equal values have equal texts.
    ///
    /// With an indentation, in spaces a level, it stands on several lines, else on one.
    public func text(indentation: Int? = nil) -> String {
        text(indentation: indentation, level: 0)
    }

    private func text(indentation: Int?, level: Int) -> String {
        switch self {
        case .null: return "null"
        case .boolean(let value): return value ? "true" : "false"
        case .integer(let value): return String(value)
        case .number(let value): return String(value)
        case .string(let value): return JSONValue.quoted(value)
        case .array(let values):
            let items = values.map { $0.text(indentation: indentation, level: level + 1) }
            return JSONValue.joined(items, "[", "]", indentation: indentation, level: level)
        case .object(let members):
            let colon = indentation == nil ? ":" : ": "
            let items = members.sorted { $0.key < $1.key }.map { name, value in
                JSONValue.quoted(name) + colon + value.text(indentation: indentation, level: level + 1)
            }
            return JSONValue.joined(items, "{", "}", indentation: indentation, level: level)
        }
    }

    private static func joined(
        _ items: [String],
        _ open: String,
        _ close: String,
        indentation: Int?,
        level: Int
    ) -> String {
        guard let indentation, !items.isEmpty else { return open + items.joined(separator: ",") + close }
        let inner = "\n" + String(repeating: " ", count: indentation * (level + 1))
        let outer = "\n" + String(repeating: " ", count: indentation * level)
        return open + inner + items.joined(separator: "," + inner) + outer + close
    }

    /// A text as a JSON string (RFC 8259, section 7).
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// What the value is, with a short form of it, for error messages: `the text "abc"`.
    var summary: String {
        switch self {
        case .null: "null"
        case .boolean(let value): "the truth value \(value)"
        case .integer(let value): "the number \(value)"
        case .number(let value): "the number \(value)"
        case .string(let value): "the text \(SpringgConfiguration.quoted(value))"
        case .array: "a list"
        case .object: "an object"
        }
    }
}
