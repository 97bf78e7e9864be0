import CSpringg

/// Why a text is not JSON, with the place.
public struct JSONSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Line, counted from 1.
    public let line: Int
    /// Byte in the line, counted from 1.
    public let column: Int
    /// What is wrong there.
    public let reason: String

    /// `line 3, column 7: not JSON`.
    public var description: String { "line \(line), column \(column): \(reason)" }
}

extension JSONValue {
    /// Parses a whole document, strictly as RFC 8259 says, with the reader that reads requests.
    ///
    /// Foundation's decoder is not used: it takes trailing commas, and its errors name no place, which is what
    /// somebody who edits a file by hand needs to know.
    public init(parsing bytes: [UInt8]) throws(JSONSyntaxError) {
        let result = bytes.withUnsafeBytes { bytes in
            var reader = springg_json()
            // For no bytes at all any address will do, since none is read.
            springg_json_start(&reader, bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1), bytes.count)
            return Result { () throws(Failure) in
                let value = try JSONValue(reading: &reader)
                try Failure.check(springg_json_finish(&reader))
                return value
            }.mapError { JSONSyntaxError($0.status, at: reader.cursor - reader.begin, in: bytes) }
        }
        self = try result.get()
    }

    private struct Failure: Error {
        var status: springg_json_status

        static func check(_ status: springg_json_status) throws(Failure) {
            guard status == SPRINGG_JSON_OK else { throw Failure(status: status) }
        }
    }

    /// Nesting is bounded by the reader, hence so is this recursion.
    private init(reading reader: inout springg_json) throws(Failure) {
        switch springg_json_peek(&reader) {
        case SPRINGG_JSON_OBJECT:
            var members: [String: JSONValue] = [:]
            var more = false
            var key = springg_json_slice()
            try Failure.check(springg_json_object_begin(&reader))
            while true {
                try Failure.check(springg_json_object_next(&reader, &more, &key))
                guard more else { break }
                // The key with its quotes is a document of its own.
                var name = springg_json()
                springg_json_start(&name, key.start - 1, key.length + 2)
                members[try JSONValue.string(&name)] = try JSONValue(reading: &reader)
            }
            self = .object(members)
        case SPRINGG_JSON_ARRAY:
            var items: [JSONValue] = []
            var more = false
            try Failure.check(springg_json_array_begin(&reader))
            while true {
                try Failure.check(springg_json_array_next(&reader, &more))
                guard more else { break }
                items.append(try JSONValue(reading: &reader))
            }
            self = .array(items)
        case SPRINGG_JSON_STRING:
            self = .string(try JSONValue.string(&reader))
        case SPRINGG_JSON_BOOL:
            var value = false
            try Failure.check(springg_json_bool(&reader, &value))
            self = .boolean(value)
        case SPRINGG_JSON_NUMBER:
            let start = reader
            var integer: Int64 = 0
            if springg_json_integer(&reader, &integer) == SPRINGG_JSON_OK {
                self = .integer(integer)
                return
            }
            reader = start
            var number = 0.0
            try Failure.check(springg_json_double(&reader, &number))
            self = .number(number)
        default:
            var raw = springg_json_slice()
            try Failure.check(springg_json_skip(&reader, &raw))
            self = .null
        }
    }

    private static func string(_ reader: inout springg_json) throws(Failure) -> String {
        let start = reader
        var length = 0
        try Failure.check(springg_json_string(&reader, nil, 0, &length))
        reader = start
        var bytes = [UInt8](repeating: 0, count: length)
        try Failure.check(springg_json_string(&reader, &bytes, length, &length))
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension JSONSyntaxError {
    /// A byte as somebody sees it who looks at the file.
    private static func shown(_ byte: UInt8) -> String {
        (0x21..<0x7F).contains(byte) ? "\"\(Character(UnicodeScalar(byte)))\"" : "byte 0x\(String(byte, radix: 16))"
    }

    fileprivate init(_ status: springg_json_status, at offset: Int, in bytes: UnsafeRawBufferPointer) {
        let before = bytes[..<min(offset, bytes.count)]
        line = before.count { $0 == 0x0A } + 1
        column = before.count - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0) + 1
        reason =
            switch status {
            case SPRINGG_JSON_TRUNCATED: "the text ends within the value"
            case SPRINGG_JSON_UTF8: "the text is not UTF-8, or escapes half a surrogate pair"
            case SPRINGG_JSON_DEPTH: "nested deeper than \(SPRINGG_JSON_DEPTH_MAX) levels"
            case SPRINGG_JSON_RANGE: "the number is too large"
            case SPRINGG_JSON_TRAILING: "expected nothing after the value"
            default: offset < bytes.count ? "unexpected \(JSONSyntaxError.shown(bytes[offset]))" : "unexpected end"
            }
    }
}
