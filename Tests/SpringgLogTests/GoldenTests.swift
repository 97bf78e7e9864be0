import Glibc
import SpringgLog
import SpringgTestKit
import Testing

/// The formats of docs/design/formats.md, held by files: what was written once must be read for ever, and written the
/// same way again.
@Suite("Golden files")
struct GoldenTests {
    /// `Fixtures/golden`, beside `Tests`.
    static var directory: String {
        #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/Fixtures/golden"
    }

    static let segmentName = "/data/log/00000000000000000001.seg"

    /// One event of each kind, two batches, closed in order.
    static func write(_ disk: SimulatedFileSystem) throws {
        let (_, writer, _, _) = try LogHarness.open(disk, LogHarness.options(segmentBytes: 2048))
        let events: [EncodedEvent] = [
            Array("{\"m\":16}".utf8).withUnsafeBytes { .indexCreated(name: "docs", dimensions: 3, options: $0) },
            Array("é/1".utf8).withUnsafeBytes { id in
                [Float(1), -0.5, Float(bitPattern: 0x0020_AAC8)].withUnsafeBufferPointer { vector in
                    Array("{\"custom\":{\"a\":1}}".utf8).withUnsafeBytes { metadata in
                        .vectorPut(index: "docs", id: id, vector: vector, metadata: metadata)
                    }
                }
            },
            Array("é/1".utf8).withUnsafeBytes { .vectorDeleted(index: "docs", id: $0) },
            .indexDeleted(name: "docs"),
        ]
        var seen = EventVersion.none
        for (number, event) in events.enumerated() {
            let hlc = HLC(milliseconds: 1_700_000_000_000, counter: UInt16(number))
            _ = try writer.stage(event, hlc: hlc, seen: seen)
            seen = EventVersion(hlc: hlc, origin: LogHarness.origin)
            if number == 1 { try writer.commit() }
        }
        try writer.commit()
        writer.close()
    }

    static func golden(_ name: String) throws -> [UInt8] {
        let path = directory + "/" + name
        let file = try PosixFileSystem().open(path, .read)
        var bytes = [UInt8](repeating: 0, count: try file.size())
        let count = try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
        return Array(bytes.prefix(count))
    }

    @Test("segment format 1 is written as it always was")
    func written() throws {
        let disk = SimulatedFileSystem()
        try GoldenTests.write(disk)
        let bytes = try #require(disk.contents(GoldenTests.segmentName))
        if let target = getenv("SPRINGG_WRITE_GOLDEN") {
            let file = try PosixFileSystem().open(String(cString: target) + "/segment-v1.seg", .create)
            try bytes.withUnsafeBytes { try file.write($0, at: 0) }
        }
        #expect(try bytes == GoldenTests.golden("segment-v1.seg"))
    }

    @Test("segment format 1 is read as it always was")
    func read() throws {
        let disk = SimulatedFileSystem()
        disk.setContents(GoldenTests.segmentName, try GoldenTests.golden("segment-v1.seg"))
        var lines: [String] = []
        let (log, _, report) = try Log.open(
            directory: LogHarness.directory,
            fileSystem: disk,
            newOrigin: .none
        ) { record throws(LogError) in
            let envelope = record.envelope
            let what =
                switch envelope.event {
                case .indexCreated(let name, let dimensions, let options)?:
                    "created \(name) \(dimensions) \(String(decoding: options, as: UTF8.self))"
                case .indexDeleted(let name)?: "deleted \(name)"
                case .vectorPut(let index, let id, let vector, let metadata)?:
                    "put \(index) \(String(decoding: id, as: UTF8.self)) \(Array(vector.bindMemory(to: Float.self))) "
                        + String(decoding: metadata, as: UTF8.self)
                case .vectorDeleted(let index, let id)?: "removed \(index) \(String(decoding: id, as: UTF8.self))"
                case .mark(let name)?: "mark \(name)"
                case nil: "?"
                }
            lines.append(
                "\(record.lsn) \(envelope.sequence) \(envelope.version.hlc) after \(envelope.seen.hlc) \(what)"
            )
        }
        #expect(
            lines == [
                "1 1 1700000000000.0 after 0.0 created docs 3 {\"m\":16}",
                "2 2 1700000000000.1 after 1700000000000.0 put docs é/1 [1.0, -0.5, 3e-39] {\"custom\":{\"a\":1}}",
                "3 3 1700000000000.2 after 1700000000000.1 removed docs é/1",
                "4 4 1700000000000.3 after 1700000000000.2 deleted docs",
            ]
        )
        #expect(log.origin == LogHarness.origin)
        #expect(report.last == LSN(4))
        #expect(log.versionVector[LogHarness.origin].chain == 0xA0C6_5D33_F67A_3FCD)
    }

    @Test("a mark is written and read as it always was")
    func mark() throws {
        let disk = SimulatedFileSystem()
        let (_, writer, _, _) = try LogHarness.open(disk, LogHarness.options(segmentBytes: 1024))
        _ = try writer.stage(
            .mark(name: "before-migration"),
            hlc: HLC(milliseconds: 1_700_000_000_000, counter: 7),
            seen: .none
        )
        try writer.commit()
        writer.close()
        let bytes = try #require(disk.contents(GoldenTests.segmentName))
        if let target = getenv("SPRINGG_WRITE_GOLDEN") {
            let file = try PosixFileSystem().open(String(cString: target) + "/segment-v1-mark.seg", .create)
            try bytes.withUnsafeBytes { try file.write($0, at: 0) }
        }
        let known = try GoldenTests.golden("segment-v1-mark.seg")
        #expect(bytes == known)
        let kept = SimulatedFileSystem()
        kept.setContents(GoldenTests.segmentName, known)
        var names: [String] = []
        _ = try LogScan(directory: LogHarness.directory, fileSystem: kept).run { record throws(LogError) in
            if case .mark(let name)? = record.envelope.event { names.append(name) }
            #expect(record.envelope.event?.index == nil)
        }
        #expect(names == ["before-migration"])
    }

    @Test("an event of a trace is written and read as it always was")
    func trace() throws {
        let disk = SimulatedFileSystem()
        let (_, writer, _, _) = try LogHarness.open(disk, LogHarness.options(segmentBytes: 1024))
        let trace = try #require(TraceContext(traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
        for (number, name) in ["one", "four"].enumerated() {
            // Payloads of which one needs padding behind the trace, and one none.
            _ = try writer.stage(
                EncodedEvent.mark(name: name).traced(by: trace),
                hlc: HLC(milliseconds: 1_700_000_000_000, counter: UInt16(number)),
                seen: .none
            )
        }
        try writer.commit()
        writer.close()
        let bytes = try #require(disk.contents(GoldenTests.segmentName))
        if let target = getenv("SPRINGG_WRITE_GOLDEN") {
            let file = try PosixFileSystem().open(String(cString: target) + "/segment-v1-trace.seg", .create)
            try bytes.withUnsafeBytes { try file.write($0, at: 0) }
        }
        let known = try GoldenTests.golden("segment-v1-trace.seg")
        #expect(bytes == known)
        let kept = SimulatedFileSystem()
        kept.setContents(GoldenTests.segmentName, known)
        var lines: [String] = []
        _ = try LogScan(directory: LogHarness.directory, fileSystem: kept).run { record throws(LogError) in
            guard case .mark(let name)? = record.envelope.event else { return }
            lines.append("\(name) \(record.envelope.trace.map { "\($0)" } ?? "none")")
        }
        #expect(lines == ["one \(trace)", "four \(trace)"])
    }
}
