import Glibc
import LogTools
import SpringgLog
import SpringgTestKit
import Testing

/// The readers of log bytes against a seeded mutator: no trap, no endless loop, no memory beyond the bytes.
///
/// `SPRINGG_FUZZ_CASES` sets the number of cases; `make fuzz` runs ten million.
@Suite("Log readers and arbitrary bytes")
struct FuzzTests {
    @Test("mutated segments, frames and payloads")
    func mutated() throws {
        var random = SeededRandom.fromEnvironment("fuzz")
        let cases = getenv("SPRINGG_FUZZ_CASES").flatMap { Int(String(cString: $0)) } ?? 100_000
        let seeds = try FuzzTests.seeds()
        let peak = FuzzTests.residentPeak()
        var tally = (records: 0, damages: 0)
        for number in 0..<cases {
            let bytes = FuzzTests.mutate(seeds, &random)
            let isStream = number % 2 == 0
            let found = try ScannerHarness.scan(bytes, isStream: isStream)
            tally.records += found.ids.count
            tally.damages += found.damages
            FuzzTests.readStrictly(bytes)
            if number % 4 == 0 { FuzzTests.decode(bytes) }
        }
        // The mutator must reach both sides, or it proves nothing.
        #expect(tally.records > cases / 10 && tally.damages > cases / 10, "\(tally) in \(cases) cases")
        let grown = FuzzTests.residentPeak() - peak
        #expect(grown < 128 << 20, "\(grown) bytes more were in use at the peak")
        print("fuzz: \(cases) cases, \(tally.records) records read, \(tally.damages) damaged places")
    }

    /// Small logs of each kind of event: whole segments, and bare frames.
    static func seeds() throws -> [[UInt8]] {
        let disk = SimulatedFileSystem()
        var options = LogOptions()
        options.segmentBytes = 1024
        let (_, writer, _) = try Log.open(
            directory: ScannerHarness.directory,
            options: options,
            fileSystem: disk,
            newOrigin: ScannerHarness.origin
        ) { _ throws(LogError) in }
        let events: [EncodedEvent] = [
            Array("{\"m\":16}".utf8).withUnsafeBytes { .indexCreated(name: "docs", dimensions: 4, options: $0) },
            ScannerHarness.event("a", metadata: "{\"k\":1}"),
            ScannerHarness.event("b", dimensions: 1),
            Array("a".utf8).withUnsafeBytes { .vectorDeleted(index: "docs", id: $0) },
            .mark(name: "noon"),
            .indexDeleted(name: "docs"),
        ]
        for (number, event) in events.enumerated() {
            if !writer.hasRoom(forRecordBytes: event.recordBytes) { try writer.commit() }
            _ = try writer.stage(event, hlc: HLC(UInt64(number + 1) << 20), seen: .none)
            if number % 2 == 1 { try writer.commit() }
        }
        try writer.commit()
        writer.close()
        let segments = ScannerHarness.segments(disk).compactMap { disk.contents($0) }
        return segments + segments.map { Array($0[SegmentHeader.bytes...]) }
    }

    /// One to four changes; often the checksums are made right again, so that what they guard is reached.
    static func mutate(_ seeds: [[UInt8]], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = seeds[Int.random(in: 0..<seeds.count, using: &random)]
        for _ in 0..<Int.random(in: 1...4, using: &random) where bytes.count > 8 {
            let at = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 2:
                // An extreme number where a length may stand.
                let word = [0, 1, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x8000_0000, 1 << 21].randomElement(using: &random) ?? 0
                for place in 0..<4 where at / 4 * 4 + place < bytes.count {
                    bytes[at / 4 * 4 + place] = UInt8(truncatingIfNeeded: word >> (8 * place))
                }
            case 3: bytes.removeLast(min(bytes.count - 1, Int.random(in: 1...200, using: &random)))
            case 4: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...64, using: &random)))
            case 5: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 128)], at: at / 8 * 8)
            case 6: for place in at..<min(bytes.count, at + 64) { bytes[place] = 0 }
            default: bytes += seeds[Int.random(in: 0..<seeds.count, using: &random)]
            }
        }
        if !random.oneIn(3) { mend(&bytes) }
        return bytes
    }

    /// Makes the checksums of headers, frames and envelopes right wherever they can be made out.
    private static func mend(_ bytes: inout [UInt8]) {
        bytes.withMutableBytes { bytes in
            let view = UnsafeRawBufferPointer(bytes)
            if view.count >= 64, SegmentHeader.isMagic(view) { bytes.store(Checksum.crc32c(view.part(0, 60)), at: 60) }
            var at = 0
            while at + Frame.headerBytes <= view.count {
                defer { at += 8 }
                guard view.integer(UInt32.self, at: at) == Frame.magic else { continue }
                bytes.store(Checksum.crc32c(view.part(at, 28)), at: at + 28)
                let length = Int(view.integer(UInt32.self, at: at + 4))
                let envelope = at + Frame.headerBytes
                guard length >= 80, length <= view.count - envelope else { continue }
                bytes.store(Checksum.crc32c(view.part(envelope, length - 8)), at: envelope + length - 8)
            }
        }
    }

    /// The reader of recovery, which stops at the first flaw.
    private static func readStrictly(_ bytes: [UInt8]) {
        guard let reader = try? SegmentReader(path: "/fuzz", file: MemoryFile(bytes)) else { return }
        var expected = reader.header.firstLSN
        var link = reader.header.link
        reading: while true {
            switch try? reader.next(expecting: expected, link: link) {
            case .record(let record)?:
                expected = record.lsn.next
                link = Frame.link(after: record.bytes)
                _ = record.envelope.event
            case .marker?: continue
            case .zeros?, .endOfFile?, .damaged?, nil: break reading
            }
        }
        _ = try? reader.intactFrame(from: reader.position + 8)
    }

    /// The bytes as payloads of every kind.
    private static func decode(_ bytes: [UInt8]) {
        bytes.withBytes { bytes in
            for kind in EventKind.allCases { _ = Event(kind: kind, payload: bytes) }
            for start in stride(from: 0, to: max(0, bytes.count - 200), by: 104) {
                for kind in EventKind.allCases { _ = Event(kind: kind, payload: bytes.part(start, 200)) }
            }
            _ = Envelope.flaw(in: bytes)
        }
    }

    /// Most bytes that this process has had resident.
    private static func residentPeak() -> Int {
        var usage = rusage()
        getrusage(0, &usage)  // RUSAGE_SELF
        return usage.ru_maxrss * 1024
    }
}

/// Bytes as a file of which nothing can be written.
private final class MemoryFile: File {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func size() -> Int { bytes.count }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let count = max(0, min(buffer.count, bytes.count - offset))
        guard count > 0 else { return 0 }
        buffer.copyBytes(from: bytes[offset..<offset + count])
        return count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileSystemError) { throw refusal("write") }
    func sync() throws(FileSystemError) { throw refusal("fdatasync") }
    func reserve(size: Int, writingZeros: Bool) throws(FileSystemError) { throw refusal("fallocate") }

    private func refusal(_ operation: String) -> FileSystemError {
        FileSystemError(operation: operation, path: "/fuzz", code: EROFS)
    }
}
