import NIOCore
import NIOHTTP1
import SpringgLog
import SpringgProjections

/// `/api/events`: the newest events of the log, for people who look.
extension Worker {
    /// Events of one answer.
    static let eventsMax = 1000
    private static let eventsUsual = 50

    func events(from connection: HTTPConnection) throws(RequestError) -> Answer? {
        let limit = try connection.query().integer("limit") ?? Self.eventsUsual
        guard (1...Self.eventsMax).contains(limit) else {
            throw .badRequest("limit must be 1 to \(Self.eventsMax), got \(limit)")
        }
        let log = context.database.log
        // The log is read from the beginning of a segment: nothing for an event loop.
        offload(connection.ticket) { () throws(RequestError) in
            do throws(LogError) {
                return try EventList(log, limit: limit).answer
            } catch {
                throw RequestError(.internalServerError, "the log cannot be read; see the node's log")
            }
        }
        return nil
    }
}

/// The last events of a log, newest first.
private struct EventList {
    private var entries: [ResponseWriter] = []

    init(_ log: Log, limit: Int) throws(LogError) {
        let marks = log.watermarks
        let last = marks.durable.rawValue
        let first = max(last >= UInt64(limit) ? last - UInt64(limit) + 1 : 1, marks.trimmed.next.rawValue)
        let cursor = LogCursor(log: log, from: LSN(first))
        while cursor.position.rawValue <= last, let record = try cursor.next() {
            var entry = ResponseWriter(capacity: 256)
            entry.event(record)
            entries.append(entry)
        }
    }

    var answer: Answer {
        .success(capacity: 64 + entries.count * 256) { body in
            body.raw("[")
            for (place, entry) in entries.reversed().enumerated() {
                if place > 0 {
                    body.raw(",")
                }
                entry.buffer.withUnsafeReadableBytes { body.raw($0) }
            }
            body.raw("]")
        }
    }
}

extension ResponseWriter {
    fileprivate mutating func event(_ record: LogRecord) {
        let envelope = record.envelope
        raw(#"{"lsn":"#)
        integer(Int(clamping: record.lsn.rawValue))
        raw(#","time":"#)
        string(envelope.version.hlc.utc)
        raw(#","origin":"#)
        string(envelope.origin.description)
        raw(#","sequence":"#)
        integer(Int(clamping: envelope.sequence.rawValue))
        if let trace = envelope.trace {
            raw(#","traceparent":"#)
            string(trace.description)
        }
        switch envelope.event {
        case .indexCreated(let name, let dimensions, _)?:
            raw(#","kind":"index_created","index":"#)
            string(name)
            raw(#","dimensions":"#)
            integer(dimensions)
        case .indexDeleted(let name)?:
            raw(#","kind":"index_deleted","index":"#)
            string(name)
        case .vectorPut(let index, let id, let vector, _)?:
            raw(#","kind":"vector_put","index":"#)
            string(index)
            raw(#","id":"#)
            string(id)
            raw(#","dimensions":"#)
            integer(vector.count / 4)
        case .vectorDeleted(let index, let id)?:
            raw(#","kind":"vector_deleted","index":"#)
            string(index)
            raw(#","id":"#)
            string(id)
        case .mark(let name)?:
            raw(#","kind":"mark","name":"#)
            string(name)
        case nil:
            raw(#","kind":"unknown""#)
        }
        raw("}")
    }
}
