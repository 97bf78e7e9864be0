package import SpringgLog

/// A record as a line of a table or as JSON.
package struct RecordText {
    /// How much of a vector is shown.
    package enum Vectors: String, Sendable, CaseIterable { case none, head, full }

    /// Components that `head` shows.
    private static let headCount = 4

    package var vectors = Vectors.none
    package var showsMetadata = false

    package init() {}

    /// The heads of the columns of `row`.
    package static let columns = "LSN\tORIGIN\tSEQUENCE\tTIME (UTC)\tKIND\tINDEX\tID\tDIMENSIONS\tBYTES"

    /// A line of the table; control characters of an id are escaped.
    package func row(_ record: LogRecord) -> String {
        let envelope = record.envelope
        let event = envelope.event
        var columns = [
            "\(record.lsn)", String(envelope.origin.description.prefix(8)), "\(envelope.sequence)",
            envelope.version.hlc.utc, EventKind.name(tag: envelope.kindTag), event?.index ?? "", "", "",
            "\(record.recordBytes)",
        ]
        switch event {
        case .indexCreated(_, let dimensions, _)?: columns[7] = "\(dimensions)"
        case .vectorPut(_, let id, let vector, let metadata)?:
            columns[6] = RecordText.plain(id)
            columns[7] = "\(vector.count / 4)"
            if vectors != .none { columns.append(floats(vector)) }
            if showsMetadata { columns.append(RecordText.plain(metadata)) }
        case .vectorDeleted(_, let id)?: columns[6] = RecordText.plain(id)
        case .mark(let name)?: columns[6] = name
        case .indexDeleted?, nil: break
        }
        return columns.joined(separator: "\t")
    }

    /// A JSON object.
    package func json(_ record: LogRecord) -> JSONLine {
        let envelope = record.envelope
        var line = JSONLine()
        line.lsn("lsn", record.lsn)
        line.string("origin", "\(envelope.origin)")
        line.number("sequence", envelope.sequence.rawValue)
        line.string("hlc", "\(envelope.version.hlc)")
        line.string("time", envelope.version.hlc.utc)
        line.string("kind", EventKind.name(tag: envelope.kindTag))
        switch envelope.event {
        case .indexCreated(let name, let dimensions, let options)?:
            line.string("index", name)
            line.number("dimensions", dimensions)
            if !options.isEmpty { line.json("options", options) }
        case .indexDeleted(let name)?: line.string("index", name)
        case .vectorPut(let index, let id, let vector, let metadata)?:
            line.string("index", index)
            line.string("id", id)
            line.number("dimensions", vector.count / 4)
            if vectors != .none {
                line.floats("vector", vector, limit: vectors == .full ? .max : RecordText.headCount)
            }
            if showsMetadata, !metadata.isEmpty { line.json("metadata", metadata) }
        case .vectorDeleted(let index, let id)?:
            line.string("index", index)
            line.string("id", id)
        case .mark(let name)?: line.string("name", name)
        case nil: break
        }
        if envelope.seen != .none { line.string("seen", "\(envelope.seen)") }
        if let trace = envelope.trace { line.string("traceparent", "\(trace)") }
        line.number("bytes", record.recordBytes)
        return line
    }

    private func floats(_ vector: UnsafeRawBufferPointer) -> String {
        let count = vectors == .full ? vector.count / 4 : min(RecordText.headCount, vector.count / 4)
        let shown = (0..<count).map { "\(Float(bitPattern: vector.integer(UInt32.self, at: $0 * 4)))" }
        return "[" + shown.joined(separator: " ") + (count < vector.count / 4 ? " …]" : "]")
    }

    /// Text that stays in its column.
    package static func plain(_ bytes: UnsafeRawBufferPointer) -> String {
        String(decoding: bytes, as: UTF8.self).unicodeScalars.map { scalar in
            scalar.value < 0x20 || scalar.value == 0x7F ? scalar.escaped(asASCII: true) : String(scalar)
        }.joined()
    }
}
