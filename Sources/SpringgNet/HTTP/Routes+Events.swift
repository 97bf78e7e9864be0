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
        let log = self.context.database.log
        // The log is read from the beginning of a segment: nothing for an event loop.
        self.offload(connection.ticket) { () throws(RequestError) in
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
            self.entries.append(entry)
        }
    }

    var answer: Answer {
        .success(capacity: 64 + self.entries.count * 256) { body in
            body.raw("[")
            for (place, entry) in self.entries.reversed().enumerated() {
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
        self.raw(#"{"lsn":"#)
        self.integer(Int(clamping: record.lsn.rawValue))
        self.raw(#","time":"#)
        self.string(envelope.version.hlc.utc)
        self.raw(#","origin":"#)
        self.string(envelope.origin.description)
        self.raw(#","sequence":"#)
        self.integer(Int(clamping: envelope.sequence.rawValue))
        if let trace = envelope.trace {
            self.raw(#","traceparent":"#)
            self.string(trace.description)
        }
        switch envelope.event {
        case .indexCreated(let name, let dimensions, _)?:
            self.raw(#","kind":"index_created","index":"#)
            self.string(name)
            self.raw(#","dimensions":"#)
            self.integer(dimensions)
        case .indexDeleted(let name)?:
            self.raw(#","kind":"index_deleted","index":"#)
            self.string(name)
        case .vectorPut(let index, let id, let vector, _)?:
            self.raw(#","kind":"vector_put","index":"#)
            self.string(index)
            self.raw(#","id":"#)
            self.string(id)
            self.raw(#","dimensions":"#)
            self.integer(vector.count / 4)
        case .vectorDeleted(let index, let id)?:
            self.raw(#","kind":"vector_deleted","index":"#)
            self.string(index)
            self.raw(#","id":"#)
            self.string(id)
        case .mark(let name)?:
            self.raw(#","kind":"mark","name":"#)
            self.string(name)
        case nil:
            self.raw(#","kind":"unknown""#)
        }
        self.raw("}")
    }
}
