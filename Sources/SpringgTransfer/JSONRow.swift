import CSpringg
import SpringgLog
import SpringgProjections

/// One row as a JSON object: `{"id": …, "vector": […], "metadata": {…}}`, in a line of its own or in a line of a journal.
///
/// Names as in the API: capitals do not matter, of one given twice the last counts, null is as good as absent, others are
/// not kept. `metadata_text` is `metadata` as a text, for metadata that holds line breaks; it wins.
struct JSONRow {
    /// Bytes of a line: a row with the most components, the longest id and the most metadata fits, twice over.
    static let lineBytesMax = 8 << 20
    /// Bytes of the text of metadata: as much as can be kept, with room for white space around its fields.
    static let metadataTextBytesMax = 2 << 20

    /// Bytes of the id, which lies in the scratch; nil when there is none.
    private(set) var idBytes: Int?
    /// Components, which lie in the scratch; nil when there are none.
    private(set) var components: Int?
    /// What is stored; lies in the scratch.
    private(set) var metadata = RowScratch.noMetadata
    /// What a journal says was done.
    private(set) var operation: Operation?
    /// Names that are not kept, as written.
    private(set) var dropped: [String] = []

    enum Operation {
        case put
        case delete
    }

    /// What an object may hold.
    struct Fields: OptionSet {
        let rawValue: Int
        static let vector = Fields(rawValue: 1)
        static let operation = Fields(rawValue: 2)
        /// A text instead of an object is the id alone.
        static let bareID = Fields(rawValue: 4)
    }

    /// Reads one line.
    ///
    /// The text of metadata goes into `text`, which is made when it is first needed.
    init(
        _ line: UnsafeRawBufferPointer,
        at place: SourcePlace,
        _ fields: Fields,
        into scratch: RowScratch,
        text: inout [UInt8]
    ) throws(SourceFlaw) {
        var reader = JSONReader(line)
        /// What was being read, for the message.
        var what = "the line is not a JSON object"
        func flaw(_ reason: String) -> SourceFlaw {
            SourcePlace(path: place.path, offset: place.offset + reader.offset, line: place.line).flaw(reason)
        }
        var kept = MetadataFields()
        var keptText: MetadataText?
        do throws(JSONError) {
            if fields.contains(.bareID), reader.peek() == SPRINGG_JSON_STRING {
                idBytes = try reader.string(into: scratch.idRoom)
            } else {
                try reader.beginObject()
                while let key = try reader.nextKey() {
                    if key.isNamed("id") {
                        what = "\"id\" is not a text"
                        idBytes = try reader.takeNull() ? nil : reader.string(into: scratch.idRoom)
                    } else if fields.contains(.vector), key.isNamed("vector") {
                        what = "\"vector\" is not a list of numbers"
                        components = try reader.takeNull() ? nil : reader.floats(into: scratch.vectorRoom)
                    } else if key.isNamed("metadata") {
                        what =
                            "\"metadata\" is not an object of \"published_date\", \"modified_date\" (texts) and "
                            + "\"custom\" (an object)"
                        kept = try MetadataFields(&reader)
                        if let name = kept.dropped { dropped.append("metadata." + Self.name(name)) }
                    } else if key.isNamed("metadata_text") {
                        what = "\"metadata_text\" is not a text"
                        keptText = try reader.takeNull() ? nil : MetadataText(&reader, into: &text)
                    } else if fields.contains(.operation), key.isNamed("op") {
                        what = "\"op\" is not a text"
                        operation = try Self.operation(&reader)
                    } else {
                        dropped.append(Self.name(key.text))
                        try reader.skip()
                    }
                    what = "the line is not a JSON object"
                }
            }
            try reader.finish()
        } catch .range {
            throw flaw("a number of \"vector\" is not a finite float32")
        } catch {
            throw flaw(what)
        }
        if let idBytes, idBytes > EventLimits.vectorIDBytesMax {
            throw place.flaw("the id has \(idBytes) bytes; at most \(EventLimits.vectorIDBytesMax) are allowed")
        }
        if let components, components > EventLimits.dimensionsMax {
            throw place.flaw("\(components) dimensions; at most \(EventLimits.dimensionsMax) are allowed")
        }
        if let keptText {
            let stored = try keptText.stored(text, at: place, scratch)
            metadata = stored
        } else if let stored = scratch.metadata(kept) {
            metadata = stored
        } else {
            throw place.flaw(Self.metadataTooLarge)
        }
    }

    static let metadataTooLarge = "the metadata is too large; at most \(EventLimits.metadataBytesMax) bytes are allowed"

    private static func name(_ bytes: UnsafeRawBufferPointer) -> String {
        // Names come from a file and go to a screen: so much is enough to recognise one.
        String(decoding: bytes.prefix(64), as: UTF8.self)
    }

    private static func operation(_ reader: inout JSONReader) throws(JSONError) -> Operation? {
        var name: [UInt8] = Array(repeating: 0, count: 16)
        let count = try name.withMutableBytes { room throws(JSONError) in try reader.string(into: room) }
        guard count <= name.count else { return nil }
        return switch String(decoding: name[..<count], as: UTF8.self) {
        case "add", "update": .put
        case "delete": .delete
        default: nil
        }
    }
}

/// Metadata that came as a text.
private struct MetadataText {
    private let bytes: Int

    init(_ reader: inout JSONReader, into text: inout [UInt8]) throws(JSONError) {
        if text.isEmpty { text = Array(repeating: 0, count: JSONRow.metadataTextBytesMax) }
        bytes = try text.withMutableBytes { room throws(JSONError) in try reader.string(into: room) }
    }

    func stored(
        _ text: [UInt8],
        at place: SourcePlace,
        _ scratch: RowScratch
    ) throws(SourceFlaw) -> UnsafeRawBufferPointer {
        guard bytes <= text.count else { throw place.flaw(JSONRow.metadataTooLarge) }
        return try text.withBytes { room throws(SourceFlaw) in
            try storedMetadata(room.part(0, bytes), at: place, what: "\"metadata_text\"", scratch)
        }
    }
}

/// What is stored of the text of a metadata object that stands alone.
func storedMetadata(
    _ text: UnsafeRawBufferPointer,
    at place: SourcePlace,
    what: String,
    _ scratch: RowScratch,
    dropped: (UnsafeRawBufferPointer) -> Void = { _ in }
) throws(SourceFlaw) -> UnsafeRawBufferPointer {
    var reader = JSONReader(text)
    let fields: MetadataFields
    do throws(JSONError) {
        fields = try MetadataFields(&reader)
        try reader.finish()
    } catch {
        throw place.flaw(
            "\(what) is not an object of \"published_date\", \"modified_date\" (texts) and \"custom\" (an object)"
        )
    }
    if let name = fields.dropped { dropped(name) }
    guard let stored = scratch.metadata(fields) else { throw place.flaw(JSONRow.metadataTooLarge) }
    return stored
}
