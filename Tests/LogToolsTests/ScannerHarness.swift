import LogTools
import SpringgLog
import SpringgTestKit

/// Logs on a simulated disk, and what a tolerant reader makes of their bytes.
enum ScannerHarness {
    static let origin = OriginID(high: 0x1111_2222_3333_4444, low: 0x5555_6666_7777_8888)
    static let directory = "/data/log"

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

    /// A log of `count` events in batches of three, closed in order.
    static func log(events count: Int, segmentBytes: Int = 2048, dimensions: Int = 4) throws -> SimulatedFileSystem {
        let disk = SimulatedFileSystem()
        var options = LogOptions()
        options.segmentBytes = segmentBytes
        let (_, writer, _) = try Log.open(
            directory: directory,
            options: options,
            fileSystem: disk,
            newOrigin: origin
        ) { _ throws(LogError) in }
        for number in 0..<count {
            let event = event("v\(number)", dimensions: dimensions)
            if number % 3 == 0 || !writer.hasRoom(forRecordBytes: event.recordBytes) { try writer.commit() }
            _ = try writer.stage(event, hlc: HLC(milliseconds: 1_700_000_000_000, counter: UInt16(number)), seen: .none)
        }
        try writer.commit()
        writer.close()
        disk.kill()
        return disk
    }

    static func segments(_ disk: SimulatedFileSystem) -> [String] { disk.paths.filter { $0.hasSuffix(".seg") } }

    /// What a record says, without the bytes.
    struct Fact: Equatable {
        var lsn: UInt64
        var id: String
    }

    /// What a walk met.
    struct Walked {
        var facts: [Fact] = []
        var damages: [LogDamage] = []
        var missing: [ClosedRange<UInt64>] = []
        var known: [ClosedRange<UInt64>] = []
    }

    static func walk(_ disk: SimulatedFileSystem, directory: String = directory) throws -> Walked {
        let walked = Box(Walked())
        try LogWalk(.directory(log: directory, data: nil), fileSystem: disk).run { step in
            walked.value.take(step)
            return .more
        }
        return walked.value
    }

    /// Lets an escaping closure write to it.
    final class Box<Value> {
        var value: Value
        init(_ value: Value) { self.value = value }
    }

    /// Runs a scanner over bytes to the end; checks the promises that hold for any bytes.
    ///
    /// - Returns: Ids of the records, and the number of damaged places.
    static func scan(_ bytes: [UInt8], pieceBytes: Int = .max, isStream: Bool) throws -> (ids: [String], damages: Int) {
        let scanner = FrameScanner(MemorySource(bytes, pieceBytes: pieceBytes), isStream: isStream)
        var ids: [String] = []
        var damages = 0
        var steps = 0
        while true {
            steps += 1
            let before = scanner.place.offset
            switch try scanner.next() {
            case .segment, .marker: break
            case .record(let record):
                guard record.envelope.event != nil || record.envelope.kind == nil else { break }
                if case .vectorPut(_, let id, _, _)? = record.envelope.event {
                    ids.append(String(decoding: id, as: UTF8.self))
                }
            case .damage: damages += 1
            case .end: return (ids, damages)
            }
            // Nothing may be read twice, or for ever.
            if scanner.place.offset < before { throw ScanError.wentBack }
            if steps > bytes.count + 16 { throw ScanError.endless }
        }
    }

    enum ScanError: Error { case wentBack, endless }
}

extension ScannerHarness.Walked {
    mutating func take(_ step: LogWalk.Step) {
        switch step {
        case .record(let record):
            var id = "?"
            if case .vectorPut(_, let bytes, _, _)? = record.envelope.event {
                id = String(decoding: bytes, as: UTF8.self)
            }
            facts.append(.init(lsn: record.lsn.rawValue, id: id))
        case .damage(let damage, _): damages.append(damage)
        case .missing(let after, let before, let isKnown):
            let range = after.next.rawValue...before.previous.rawValue
            if isKnown { known.append(range) } else { missing.append(range) }
        case .segment, .caughtUp: break
        }
    }
}
