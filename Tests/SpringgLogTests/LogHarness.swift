import SpringgLog
import SpringgTestKit
import Testing

/// A log on a simulated disk, with events small enough to try every byte of them.
struct LogHarness {
    static let directory = "/data/log"
    static let origin = OriginID(high: 0x1111_2222_3333_4444, low: 0x5555_6666_7777_8888)

    /// What is known of a record without the log's bytes.
    struct Fact: Equatable {
        var lsn: UInt64
        var id: String
        var hlc: UInt64
    }

    static func options(segmentBytes: Int = 4096, durability: Durability = .fsync) -> LogOptions {
        var options = LogOptions()
        options.segmentBytes = segmentBytes
        options.durability = durability
        return options
    }

    /// Opens the log; `facts` are what it holds.
    static func open(
        _ disk: SimulatedFileSystem,
        _ options: LogOptions = options()
    ) throws(LogError) -> (log: Log, writer: LogWriter, report: RecoveryReport, facts: [Fact]) {
        var facts: [Fact] = []
        let (log, writer, report) = try Log.open(
            directory: directory,
            options: options,
            fileSystem: disk,
            newOrigin: origin
        ) { record throws(LogError) in
            facts.append(fact(record))
        }
        return (log, writer, report, facts)
    }

    static func fact(_ record: LogRecord) -> Fact {
        var id = "?"
        if case .vectorPut(_, let bytes, _, _)? = record.envelope.event { id = String(decoding: bytes, as: UTF8.self) }
        return Fact(lsn: record.lsn.rawValue, id: id, hlc: record.envelope.version.hlc.rawValue)
    }

    static func event(_ id: String, dimensions: Int = 4, metadata: String = "") -> EncodedEvent {
        let vector = (0..<dimensions).map { Float($0) + 0.5 }
        return Array(id.utf8).withUnsafeBytes { id in
            vector.withUnsafeBufferPointer { vector in
                Array(metadata.utf8).withUnsafeBytes { metadata in
                    EncodedEvent.vectorPut(index: "docs", id: id, vector: vector, metadata: metadata)
                }
            }
        }
    }

    /// Appends one batch of events with these ids; returns what it should read back as.
    @discardableResult
    static func append(_ writer: LogWriter, _ ids: [String], dimensions: Int = 4) throws(LogError) -> [Fact] {
        var facts: [Fact] = []
        for id in ids {
            let event = event(id, dimensions: dimensions)
            if !writer.hasRoom(forRecordBytes: event.recordBytes) { try writer.commit() }
            let hlc = HLC(UInt64(id.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) }))
            let staged = try writer.stage(event, hlc: hlc, seen: .none)
            facts.append(Fact(lsn: staged.lsn.rawValue, id: id, hlc: hlc.rawValue))
        }
        try writer.commit()
        return facts
    }
}
