import SpringgConfiguration

/// A JSON object on one line, names sorted, that ends with the SHA-256 of everything before its own name: `,"sha256":"…"}`.
enum SealedDocument {
    private static let seal = ",\"sha256\":\""
    private static let sealBytes = seal.utf8.count + 64 + 3

    /// Why bytes are not the document that is looked for.
    enum Flaw: Error, Equatable {
        case damaged(String)
        case newerFormat(String)
    }

    /// The bytes to store.
    static func encode(_ members: [String: JSONValue], format: String, version: Int64) -> [UInt8] {
        var members = members
        members["format"] = .string(format)
        members["version"] = .integer(version)
        // Without the closing brace, which follows the seal.
        let text = Array(JSONValue.object(members).text().utf8.dropLast())
        return text + Array((seal + ContentHash(of: text).description + "\"}\n").utf8)
    }

    /// Reads what `encode` wrote; believes nothing that the seal does not cover.
    static func decode(
        _ bytes: [UInt8],
        format: String,
        version: Int64
    ) throws(Flaw) -> [String: JSONValue] { try decode(bytes, format: format, versions: version...version) }

    /// The same for a format of which several versions are read.
    static func decode(
        _ bytes: [UInt8],
        format: String,
        versions: ClosedRange<Int64>
    ) throws(Flaw) -> [String: JSONValue] {
        guard bytes.count > sealBytes else { throw .damaged("it is cut off") }
        let text = Array(bytes.dropLast(sealBytes))
        let expected = seal + ContentHash(of: text).description + "\"}\n"
        guard bytes.suffix(sealBytes).elementsEqual(expected.utf8) else {
            throw .damaged("its SHA-256 is not the one that it names")
        }
        guard case .object(let members)? = try? JSONValue(parsing: text + [UInt8(ascii: "}")]),
            members["format"] == .string(format)
        else { throw .damaged("it is no \(format)") }
        guard case .integer(let version)? = members["version"], versions.contains(version) else {
            throw .newerFormat("a \(format) of another format version")
        }
        return members
    }
}
