import CZstd
import LogTools
import SpringgLog
import SpringgTestKit
import Testing

/// Reading goes on past damage, loses nothing but what is damaged, and never trusts a byte.
@Suite("A reader that goes on past damage")
struct ScannerTests {
    @Test("every byte of every segment damaged: at most the record that holds it is lost, and the place is named")
    func everyByte() throws {
        let disk = try ScannerHarness.log(events: 24)
        let whole = try ScannerHarness.walk(disk)
        #expect(whole.facts.count == 24 && whole.damages.isEmpty && whole.missing.isEmpty)
        for path in ScannerHarness.segments(disk) {
            let bytes = try #require(disk.contents(path))
            let end = try #require(bytes.lastIndex { $0 != 0 }) + 5
            for offset in 0..<min(end, bytes.count) {
                var damaged = bytes
                damaged[offset] ^= 0xFF
                let copy = disk.copy()
                copy.setContents(path, damaged)
                let walked = try ScannerHarness.walk(copy)
                let lost = whole.facts.filter { !walked.facts.contains($0) }
                #expect(lost.count <= 1, "byte \(offset) of \(path) cost \(lost)")
                #expect(
                    walked.facts.allSatisfy { whole.facts.contains($0) },
                    "byte \(offset) of \(path) made events up"
                )
                #expect(walked.facts.count + lost.count == whole.facts.count, "byte \(offset) of \(path): repeated")
                #expect(!walked.damages.isEmpty, "byte \(offset) of \(path) went unnoticed")
                #expect(walked.damages.allSatisfy { $0.segment == path }, "byte \(offset) of \(path)")
                // A record at the very end leaves nothing behind it that would show the gap.
                if let fact = lost.first, fact.lsn < 24 { #expect(walked.missing == [fact.lsn...fact.lsn]) }
            }
        }
    }

    @Test("stretches overwritten, cut out and inserted at random: what stands outside them is still read")
    func stretches() throws {
        var random = SeededRandom.fromEnvironment("stretches")
        let disk = try ScannerHarness.log(events: 60, segmentBytes: 8192)
        let path = try #require(ScannerHarness.segments(disk).first)
        let bytes = try #require(disk.contents(path))
        let whole = try ScannerHarness.walk(disk)
        let places = try recordPlaces(bytes)
        for _ in 0..<400 {
            let start = Int.random(in: 64..<bytes.count - 900, using: &random)
            let length = Int.random(in: 1...800, using: &random)
            var damaged = bytes
            let isMoved = random.oneIn(3)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: for at in start..<start + length { damaged[at] = UInt8.random(in: 0...255, using: &random) }
            case 1: for at in start..<start + length { damaged[at] = 0 }
            default:
                // Whole words, as files lose sectors: what follows stays aligned.
                let words = start / 8 * 8..<(start + length) / 8 * 8
                if isMoved {
                    damaged.removeSubrange(words)
                } else {
                    damaged.insert(
                        contentsOf: words.map { _ in UInt8.random(in: 0...255, using: &random) },
                        at: words.lowerBound
                    )
                }
            }
            let copy = disk.copy()
            copy.setContents(path, damaged)
            let walked = try ScannerHarness.walk(copy)
            let hurt = Set(places.filter { $0.bytes.overlaps(start - 8..<start + length + 8) }.map(\.lsn))
            let lost = Set(whole.facts.map(\.lsn)).subtracting(walked.facts.map(\.lsn))
            #expect(
                lost.isSubset(of: hurt),
                "\(length) bytes at \(start) cost \(lost.subtracting(hurt)) besides \(hurt)"
            )
            // Where a stretch is gone and a frame with it, an event is there whose LSN nothing tells any more.
            let invented = walked.facts.filter { fact in
                !whole.facts.contains { $0.id == fact.id && fact.lsn <= $0.lsn && (fact.lsn == $0.lsn || isMoved) }
            }
            #expect(invented.isEmpty, "\(length) bytes at \(start): \(invented)")
        }
    }

    private func recordPlaces(_ bytes: [UInt8]) throws -> [(lsn: UInt64, bytes: Range<Int>)] {
        let scanner = FrameScanner(MemorySource(bytes), isStream: false)
        var places: [(UInt64, Range<Int>)] = []
        while true {
            switch try scanner.next() {
            case .record(let record):
                places.append((record.lsn.rawValue, record.offset..<record.offset + record.recordBytes))
            case .end: return places
            default: break
            }
        }
    }

    @Test(
        "segments that were joined read as one log, whatever the pieces they arrive in",
        arguments: [1, 7, 4096, Int.max]
    )
    func joined(pieceBytes: Int) throws {
        let disk = try ScannerHarness.log(events: 24)
        let bytes = ScannerHarness.segments(disk).flatMap { disk.contents($0) ?? [] }
        let found = try ScannerHarness.scan(bytes, pieceBytes: pieceBytes, isStream: true)
        #expect(found.ids == (0..<24).map { "v\($0)" })
        #expect(found.damages == 0)
    }

    @Test("zstd: read as the plain bytes; a damaged frame costs what it held")
    func compressed() throws {
        let disk = try ScannerHarness.log(events: 60)
        let parts = ScannerHarness.segments(disk).map { compress(disk.contents($0) ?? []) }
        #expect(parts.count >= 3)
        let whole = try read(parts.flatMap { $0 })
        #expect(whole.ids == (0..<60).map { "v\($0)" } && whole.damages == 0)
        for offset in stride(from: 0, to: parts[1].count, by: 3) {
            var damaged = parts[1]
            damaged[offset] ^= 0x55
            let found = try read(parts[0] + damaged + parts[2...].flatMap { $0 })
            #expect(found.ids.count < 60 ? found.damages > 0 : true, "byte \(offset) went unnoticed")
            #expect(Set(found.ids).isSubset(of: whole.ids))
            for path in [0, parts.count - 1] {
                let expected = try ScannerHarness.scan(
                    disk.contents(ScannerHarness.segments(disk)[path]) ?? [],
                    isStream: false
                )
                #expect(expected.ids.allSatisfy { found.ids.contains($0) }, "byte \(offset) cost a frame beside it")
            }
        }
        let cut = try read(Array(parts.flatMap { $0 }.dropLast(20)))
        #expect(cut.damages > 0)
    }

    private func compress(_ bytes: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
        let context = ZSTD_createCCtx()
        defer { ZSTD_freeCCtx(context) }
        _ = ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
        let count = ZSTD_compress2(context, &out, out.count, bytes, bytes.count)
        return Array(out.prefix(count))
    }

    private func read(_ compressed: [UInt8]) throws -> (ids: [String], damages: Int) {
        let scanner = FrameScanner(ZstdSource(MemorySource(compressed, pieceBytes: 100)), isStream: true)
        var found: (ids: [String], damages: Int) = ([], 0)
        while true {
            switch try scanner.next() {
            case .record(let record):
                if case .vectorPut(_, let id, _, _)? = record.envelope.event {
                    found.ids.append(String(decoding: id, as: UTF8.self))
                }
            case .damage: found.damages += 1
            case .end: return found
            case .segment, .marker: break
            }
        }
    }
}
