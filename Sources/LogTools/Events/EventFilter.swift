package import SpringgLog

/// Which events a command is about.
package struct EventFilter {
    /// A place in the log: an LSN, or an event by its origin and sequence.
    package enum Bound: Equatable, Sendable {
        case lsn(LSN)
        case event(OriginID, Sequence)

        /// Reads `1000` or `ORIGIN:SEQUENCE`.
        package init?(_ text: String) {
            if let lsn = UInt64(text) {
                self = .lsn(LSN(lsn))
                return
            }
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, let origin = OriginID(String(parts[0])), let sequence = UInt64(parts[1]) else {
                return nil
            }
            self = .event(origin, Sequence(sequence))
        }
    }

    /// First place, itself included; of an origin's event only that origin's events are compared.
    package var from: Bound?
    /// Last place, itself included.
    package var to: Bound?
    /// Earliest wall time in milliseconds.
    package var since: UInt64?
    /// Latest wall time in milliseconds.
    package var until: UInt64?
    /// Beginning of the origin's hexadecimal digits.
    package var origin: String?
    package var index: String?
    package var id: String?
    package var kinds: Set<UInt8> = []

    package init() {}

    /// The lowest LSN that can match.
    package var firstLSN: LSN { if case .lsn(let lsn)? = from { lsn } else { LSN(1) } }

    /// True when no record behind this one can match.
    package func isBehind(_ record: LogRecord) -> Bool {
        if case .lsn(let lsn)? = to { record.lsn > lsn } else { false }
    }

    /// Whether the record is wanted.
    package func matches(_ record: LogRecord) -> Bool {
        let envelope = record.envelope
        if let from, !isAtLeast(record, from) { return false }
        switch to {
        case .lsn(let lsn)? where record.lsn > lsn: return false
        case .event(let origin, let sequence)?
        where envelope.origin != origin || envelope.sequence > sequence: return false
        default: break
        }
        let time = envelope.version.hlc.milliseconds
        if let since, time < since { return false }
        if let until, time > until { return false }
        if !kinds.isEmpty, !kinds.contains(envelope.kindTag) { return false }
        if let origin, !envelope.origin.description.hasPrefix(origin) { return false }
        guard index != nil || id != nil else { return true }
        guard let event = envelope.event else { return false }
        if let index, event.index != index { return false }
        if let id, !(event.id.map { $0.elementsEqual(id.utf8) } ?? false) { return false }
        return true
    }

    private func isAtLeast(_ record: LogRecord, _ bound: Bound) -> Bool {
        switch bound {
        case .lsn(let lsn): record.lsn >= lsn
        case .event(let origin, let sequence):
            record.envelope.origin == origin && record.envelope.sequence >= sequence
        }
    }
}

extension Event {
    /// The id of the row that the event speaks of.
    package var id: UnsafeRawBufferPointer? {
        switch self {
        case .vectorPut(_, let id, _, _), .vectorDeleted(_, let id): id
        default: nil
        }
    }
}

extension EventKind {
    /// The name in output and in `--kind`.
    package var name: String { "\(self)" }

    /// The name of a tag, known or not.
    package static func name(tag: UInt8) -> String { EventKind(rawValue: tag)?.name ?? "unknown(\(tag))" }

    /// Reads a name.
    package init?(name: String) {
        guard let kind = EventKind.allCases.first(where: { $0.name == name }) else { return nil }
        self = kind
    }
}
