import Glibc
import SpringgLog
import SpringgTestKit
import Testing

/// A log that says what it is without: as docs/design/0013-salvage.md has it.
@Suite("Holes that the log names")
struct HoleTests {
    private static let copy = OriginID(high: 0xAAAA_BBBB_CCCC_DDDD, low: 0xEEEE_FFFF_0000_1111)

    /// Six events of one origin.
    private static func events() -> [EncodedEvent] {
        var chain: UInt64 = 0
        return (1...6).map { number in
            let event = LogHarness.event("e\(number)")
            chain = event.stamp(
                origin: LogHarness.origin,
                sequence: Sequence(UInt64(number)),
                hlc: HLC(milliseconds: 1_700_000_000_000, counter: UInt16(number)),
                seen: .none,
                previousChain: chain
            )
            return event
        }
    }

    /// A log of the events with these numbers, each at the LSN of its number.
    private static func write(_ numbers: [Int]) throws -> SimulatedFileSystem {
        let disk = SimulatedFileSystem()
        try disk.createDirectory(LogHarness.directory)
        let copier = LogCopier(directory: LogHarness.directory, origin: copy, segmentBytes: 2048, fileSystem: disk)
        let events = events()
        for number in numbers { try copier.append(events[number - 1].envelope, at: LSN(UInt64(number))) }
        try copier.finish()
        return disk
    }

    @Test("segment format 2 is written and read as it always was")
    func golden() throws {
        let disk = try HoleTests.write([1, 2, 5, 6])
        let path = LogHarness.directory + "/00000000000000000005.seg"
        let bytes = try #require(disk.contents(path))
        if let target = getenv("SPRINGG_WRITE_GOLDEN") {
            let file = try PosixFileSystem().open(String(cString: target) + "/segment-v2.seg", .create)
            try bytes.withUnsafeBytes { try file.write($0, at: 0) }
        }
        let known = try GoldenTests.golden("segment-v2.seg")
        #expect(bytes == known)
        disk.setContents(path, known)
        let (log, _, report, facts) = try LogHarness.open(disk)
        #expect(facts.map(\.id) == ["e1", "e2", "e5", "e6"])
        #expect(facts.map(\.lsn) == [1, 2, 5, 6])
        #expect(report.losses.map(\.description) == ["LSN 3 to 4 (\(LogHarness.origin):3 to 4)"])
        // Held without a gap; and nothing is written as an origin that may have been further.
        #expect(log.versionVector[LogHarness.origin].sequence == Sequence(2))
        #expect(log.origin == HoleTests.copy)
    }

    @Test("without the word of a header the same hole is damage")
    func unnamed() throws {
        let disk = try HoleTests.write([1, 2, 5, 6])
        let path = LogHarness.directory + "/00000000000000000005.seg"
        var bytes = try #require(disk.contents(path))
        let header = try bytes.withBytes { try SegmentHeader(decoding: $0) }
        #expect(header.missing == 2 && header.previousFirstLSN == LSN(1) && header.continuesFrom == LSN(2))
        for missing in [nil, 0, 1, 3, 4] as [UInt32?] {
            var changed = header
            changed.missing = missing
            bytes.withMutableBytes { changed.encode(into: UnsafeMutableRawBufferPointer(rebasing: $0[..<64])) }
            let copy = disk.copy()
            copy.setContents(path, bytes)
            do throws(LogError) {
                _ = try LogHarness.open(copy)
                Issue.record("opened with \(missing.map { "\($0)" } ?? "no") missing")
            } catch {
                guard case .corrupt = error else { throw error }
            }
        }
    }

    @Test("behind a hole each origin may jump once, forwards; then its chain holds again")
    func histories() throws {
        let events = HoleTests.events()
        var histories = OriginHistories()
        #expect(histories.follow(events[0].envelope) == .continues)
        #expect(histories.follow(events[2].envelope) == .breaks)
        histories.enterHole()
        let gap = LogLoss.Gap(origin: LogHarness.origin, first: Sequence(2), last: Sequence(3))
        #expect(histories.follow(events[3].envelope) == .jumps(gap))
        #expect(histories.follow(events[4].envelope) == .continues)
        #expect(histories.follow(events[4].envelope) == .breaks)
        #expect(histories.heads[LogHarness.origin].sequence == Sequence(1))
        // What was missing comes, from a peer that has it: the gap closes from below.
        #expect(histories.follow(events[1].envelope) == .continues)
        #expect(histories.follow(events[2].envelope) == .continues)
        #expect(histories.heads[LogHarness.origin].sequence == Sequence(3))
        histories.enterHole()
        #expect(histories.follow(events[0].envelope) == .breaks)
    }
}
