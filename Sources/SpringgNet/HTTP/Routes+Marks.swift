import NIOCore
import SpringgLog
import SpringgProjections

/// `/api/marks`: names for moments, to restore to.
extension Worker {
    func listMarks() -> Answer {
        let marks = context.database.marks
        return .success(capacity: 64 + marks.count * 160) { body in
            body.raw("[")
            for (position, mark) in marks.enumerated() {
                if position > 0 {
                    body.raw(",")
                }
                body.mark(mark.name, mark.version)
                body.raw("}")
            }
            body.raw("]")
        }
    }

    func setMark(_ body: ByteBuffer, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let request = try body.withBytes { bytes throws(RequestError) in try MarkRequest(bytes) }
        guard let name = MarkName(request.name) else {
            throw .badRequest("invalid name of a mark: it must be \(MarkName.rule)")
        }
        submit([.mark(name, moving: request.moves)], as: .mark(name), ticket)
        return nil
    }
}

/// The body of `POST /api/marks`.
private struct MarkRequest {
    var name = ""
    var moves = false

    init(_ bytes: UnsafeRawBufferPointer) throws(RequestError) {
        self = try decodeBody(bytes) { reader throws(JSONError) in try MarkRequest(&reader) }
    }

    private init(_ reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        while let key = try reader.nextKey() {
            if key.isNamed("name") {
                name = try reader.shortString()
            } else if key.isNamed("move") {
                moves = try reader.takeNull() ? false : reader.bool()
            } else {
                try reader.skip()
            }
        }
    }
}

extension Receipt {
    /// What was written, in the form in which a restore takes it.
    func answer(forMark name: MarkName) -> Answer {
        .success { body in
            body.mark(name.description, EventVersion(hlc: hlc, origin: origin))
            body.raw(#","event":"#)
            body.string("\(origin):\(sequence)")
            body.raw("}")
        }
    }
}

extension ResponseWriter {
    /// An object that is left open.
    fileprivate mutating func mark(_ name: String, _ version: EventVersion) {
        raw(#"{"name":"#)
        string(name)
        raw(#","time":"#)
        string(version.hlc.utc)
        raw(#","hlc":"#)
        string(version.hlc.description)
        raw(#","origin":"#)
        string(version.origin.description)
    }
}
