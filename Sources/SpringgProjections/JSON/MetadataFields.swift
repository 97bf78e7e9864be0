import CSpringg

/// The metadata of a vector as its sender wrote it: three fields, each optional, and nothing else.
///
/// The one rule of what is kept, for the API and for imports: the texts of the values are kept byte for byte, and put
/// together in one order, so that reading what was kept gives the same bytes again. What the texts point into must stay.
package struct MetadataFields {
    private var publishedDate: UnsafeRawBufferPointer?
    private var modifiedDate: UnsafeRawBufferPointer?
    private var custom: UnsafeRawBufferPointer?
    /// The last key that is none of the three, and so is not kept, as it was written.
    package private(set) var dropped: UnsafeRawBufferPointer?

    /// No field.
    package init() {}

    /// Reads a metadata object, or null; of a name that comes twice the last one counts.
    package init(_ reader: inout JSONReader) throws(JSONError) {
        if try reader.takeNull() { return }
        try reader.beginObject()
        while let key = try reader.nextKey() {
            if key.isNamed("published_date") {
                publishedDate = try Self.text(&reader, kind: SPRINGG_JSON_STRING)
            } else if key.isNamed("modified_date") {
                modifiedDate = try Self.text(&reader, kind: SPRINGG_JSON_STRING)
            } else if key.isNamed("custom") {
                custom = try Self.text(&reader, kind: SPRINGG_JSON_OBJECT)
            } else {
                dropped = key.text
                try reader.skip()
            }
        }
    }

    /// The text of a value that must be of one kind or null; nil for null.
    private static func text(
        _ reader: inout JSONReader,
        kind: springg_json_kind
    ) throws(JSONError) -> UnsafeRawBufferPointer? {
        if try reader.takeNull() { return nil }
        guard reader.peek() == kind else { throw .invalid }
        return try reader.skip()
    }

    /// Names and braces around the values; what is limited is what is stored.
    private static let overheadBytes = 64

    /// Whether a row may have so much of it.
    package var fits: Bool {
        let bytes = (publishedDate?.count ?? 0) + (modifiedDate?.count ?? 0) + (custom?.count ?? 0)
        return bytes + Self.overheadBytes <= PreparedVector.metadataBytesMax
    }

    /// One JSON object of the fields that are there; nothing at all when there is none.
    package func compose(into out: inout [UInt8]) {
        out.removeAll(keepingCapacity: true)
        Self.append(publishedDate, as: "\"published_date\":", to: &out)
        Self.append(modifiedDate, as: "\"modified_date\":", to: &out)
        Self.append(custom, as: "\"custom\":", to: &out)
        if !out.isEmpty { out.append(UInt8(ascii: "}")) }
    }

    private static func append(_ value: UnsafeRawBufferPointer?, as name: StaticString, to out: inout [UInt8]) {
        guard let value else { return }
        out.append(out.isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
        out.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        out.append(contentsOf: value)
    }
}
