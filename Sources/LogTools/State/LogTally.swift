package import SpringgLog

/// Events and bytes of a log, counted in several ways; its size depends on the numbers of indexes, origins and hours only.
package struct LogTally {
    /// What is counted.
    package struct Count: Equatable, Sendable {
        package var events: UInt64 = 0
        /// Bytes of the records, frames included.
        package var bytes: UInt64 = 0

        fileprivate mutating func add(_ record: LogRecord) {
            events += 1
            bytes += UInt64(record.recordBytes)
        }
    }

    package private(set) var total = Count()
    /// Bytes that clients sent: vectors, ids, metadata, names, options.
    package private(set) var payloadBytes: UInt64 = 0
    package private(set) var byKind: [UInt8: Count] = [:]
    package private(set) var byIndex: [String: Count] = [:]
    package private(set) var byOrigin: [OriginID: Count] = [:]
    /// By hours since 1970, UTC.
    package private(set) var byHour: [UInt64: Count] = [:]
    package private(set) var firstLSN: LSN?
    package private(set) var lastLSN: LSN?
    package private(set) var firstTime: HLC?
    package private(set) var lastTime: HLC?

    package init() {}

    /// Counts a record.
    package mutating func add(_ record: LogRecord) {
        let envelope = record.envelope
        let hlc = envelope.version.hlc
        total.add(record)
        byKind[envelope.kindTag, default: Count()].add(record)
        byOrigin[envelope.origin, default: Count()].add(record)
        byHour[hlc.milliseconds / 3_600_000, default: Count()].add(record)
        if firstLSN == nil { firstLSN = record.lsn }
        lastLSN = record.lsn
        firstTime = min(firstTime ?? hlc, hlc)
        lastTime = max(lastTime ?? hlc, hlc)
        guard let event = envelope.event else { return }
        if let index = event.index { byIndex[index, default: Count()].add(record) }
        payloadBytes += LogTally.payloadBytes(event)
    }

    /// Bytes in the log for a byte that clients sent; nil for none.
    package var amplification: Double? {
        payloadBytes == 0 ? nil : Double(total.bytes) / Double(payloadBytes)
    }

    private static func payloadBytes(_ event: Event) -> UInt64 {
        let bytes =
            switch event {
            case .indexCreated(let name, _, let options): name.utf8.count + options.count
            case .indexDeleted(let name), .mark(let name): name.utf8.count
            case .vectorPut(let index, let id, let vector, let metadata):
                index.utf8.count + id.count + vector.count + metadata.count
            case .vectorDeleted(let index, let id): index.utf8.count + id.count
            }
        return UInt64(bytes)
    }
}
