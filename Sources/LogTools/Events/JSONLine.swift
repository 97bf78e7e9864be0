import CSpringg
package import SpringgLog

/// One JSON object, built member by member.
package struct JSONLine {
    private var bytes: [UInt8] = [UInt8(ascii: "{")]

    package init() {}

    /// The finished object, without a line end.
    package var text: String { String(decoding: bytes + [UInt8(ascii: "}")], as: UTF8.self) }

    /// Adds a value that is JSON already.
    package mutating func raw(_ name: String, _ value: some StringProtocol) {
        begin(name)
        bytes.append(contentsOf: value.utf8)
    }

    package mutating func number(_ name: String, _ value: some BinaryInteger) { raw(name, "\(value)") }

    package mutating func lsn(_ name: String, _ value: LSN) { raw(name, "\(value)") }

    package mutating func flag(_ name: String, _ value: Bool) { raw(name, value ? "true" : "false") }

    package mutating func string(_ name: String, _ value: String) {
        begin(name)
        bytes.append(contentsOf: JSONLine.quoted(value).utf8)
    }

    package mutating func string(_ name: String, _ value: UnsafeRawBufferPointer) {
        string(name, String(decoding: value, as: UTF8.self))
    }

    package mutating func array(_ name: String, _ values: [String]) {
        raw(name, "[" + values.joined(separator: ",") + "]")
    }

    /// Adds JSON text as it is, or as a string if it is none.
    package mutating func json(_ name: String, _ value: UnsafeRawBufferPointer) {
        guard JSONLine.isValid(value) else { return string(name, value) }
        begin(name)
        bytes.append(contentsOf: value)
    }

    /// Adds little-endian floats as numbers; what JSON has no number for as null.
    package mutating func floats(_ name: String, _ value: UnsafeRawBufferPointer, limit: Int = .max) {
        begin(name)
        bytes.append(UInt8(ascii: "["))
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(SPRINGG_NUMBER_MAX)) { out in
            guard let start = out.baseAddress else { return }
            for place in 0..<min(limit, value.count / 4) {
                if place > 0 { bytes.append(UInt8(ascii: ",")) }
                let number = Float(bitPattern: value.integer(UInt32.self, at: place * 4))
                if number.isFinite {
                    let count = springg_format_float(number, start)
                    bytes.append(contentsOf: UnsafeRawBufferPointer(start: start, count: count))
                } else {
                    bytes.append(contentsOf: "null".utf8)
                }
            }
        }
        bytes.append(UInt8(ascii: "]"))
    }

    private mutating func begin(_ name: String) {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        bytes.append(contentsOf: JSONLine.quoted(name).utf8)
        bytes.append(UInt8(ascii: ":"))
    }

    /// A JSON string.
    package static func quoted(_ text: String) -> String {
        let bytes = Array(text.utf8)
        return "\""
            + String(unsafeUninitializedCapacity: bytes.count * 6) { out in
                out.withMemoryRebound(to: CChar.self) { out in
                    guard let start = out.baseAddress else { return 0 }
                    return springg_json_escape(bytes, bytes.count, start)
                }
            } + "\""
    }

    /// True for exactly one JSON value in one line.
    private static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard !bytes.isEmpty, !bytes.contains(UInt8(ascii: "\n")) else { return false }
        var reader = springg_json()
        springg_json_start(&reader, bytes.baseAddress, bytes.count)
        var value = springg_json_slice()
        return springg_json_skip(&reader, &value) == SPRINGG_JSON_OK && springg_json_finish(&reader) == SPRINGG_JSON_OK
    }
}
