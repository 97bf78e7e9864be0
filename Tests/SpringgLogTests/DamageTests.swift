import Glibc
import SpringgLog
import SpringgTestKit
import Testing

/// Every cut, every flipped bit, every crash: the verdict is right, nothing traps, nothing is skipped silently.
@Suite("The log tells a torn end from damage")
struct DamageTests {
    /// Two closed segments and a last one, a few batches each.
    static func smallLog(closed: Bool) throws -> (disk: SimulatedFileSystem, facts: [LogHarness.Fact], path: String) {
        let disk = SimulatedFileSystem()
        let (_, writer, _, _) = try LogHarness.open(disk, LogHarness.options(segmentBytes: 1024))
        var facts: [LogHarness.Fact] = []
        for batch in 0..<5 { facts += try LogHarness.append(writer, ["a\(batch)", "b\(batch)", "c\(batch)"]) }
        if closed { writer.close() }
        disk.kill()
        let path = try #require(disk.paths.last { $0.hasSuffix(".seg") })
        return (disk, facts, path)
    }

    /// Opens a damaged log.
    ///
    /// Either it serves all facts, or it refuses and names the place.
    private static func openExpectingAllOrRefusal(
        _ disk: SimulatedFileSystem,
        _ facts: [LogHarness.Fact],
        _ what: String
    ) -> LogError? {
        do throws(LogError) {
            let opened = try LogHarness.open(disk, LogHarness.options(segmentBytes: 1024))
            #expect(opened.facts == facts, "\(what): opened with something else than was acknowledged")
            return nil
        } catch {
            switch error {
            case .corrupt(let damage):
                #expect(damage.segment.hasPrefix(LogHarness.directory), "\(what)")
            case .newerFormat:
                Issue.record("\(what): damage taken for a newer version: \(error)")
            default:
                Issue.record("\(what): \(error)")
            }
            return error
        }
    }

    @Test(
        "every bit of every segment flipped: all that was acknowledged, or a refusal that names the place",
        arguments: [true, false]
    )
    func everyBit(closed: Bool) throws {
        let (disk, facts, _) = try DamageTests.smallLog(closed: closed)
        var served = 0
        var refused = 0
        for path in disk.paths where path.hasSuffix(".seg") {
            let bytes = try #require(disk.contents(path))
            for bit in 0..<bytes.count * 8 {
                var damaged = bytes
                damaged[bit / 8] ^= 1 << (bit % 8)
                let copy = disk.copy()
                copy.setContents(path, damaged)
                let error = DamageTests.openExpectingAllOrRefusal(copy, facts, "\(path) bit \(bit)")
                if case .corrupt(let damage)? = error {
                    refused += 1
                    #expect(damage.segment == path, "bit \(bit) of \(path) blamed on \(damage.segment)")
                    #expect(damage.offset <= bit / 8, "bit \(bit) of \(path) blamed on offset \(damage.offset)")
                    #expect(bit / 8 < damage.offset + 256, "bit \(bit) of \(path) blamed on offset \(damage.offset)")
                } else {
                    served += 1
                }
            }
        }
        // Only the zeros behind the records and the marker may change without being missed.
        #expect(refused > served / 4)
    }

    @Test("the last segment cut at every byte: all that was acknowledged, or a refusal")
    func everyCut() throws {
        let (disk, facts, path) = try DamageTests.smallLog(closed: false)
        let bytes = try #require(disk.contents(path))
        let end = try #require(bytes.lastIndex { $0 != 0 }) + 1
        for length in 0..<bytes.count {
            let copy = disk.copy()
            copy.setContents(path, Array(bytes.prefix(length)))
            let error = DamageTests.openExpectingAllOrRefusal(copy, facts, "cut at \(length)")
            // A crash cannot shorten a file that was synced at its full size: records that are cut off are damage.
            // The last 4 bytes of a record are zeros, so the end of the last one lies a little behind `end`.
            if length < end { #expect(error != nil, "cut at \(length) went unnoticed") }
            if length > end + 8 { #expect(error == nil, "cut at \(length), behind the records, was refused") }
        }
    }

    @Test("an earlier segment cut, emptied or removed is always refused")
    func missingSegment() throws {
        let (disk, facts, _) = try DamageTests.smallLog(closed: true)
        let segments = disk.paths.filter { $0.hasSuffix(".seg") }
        #expect(segments.count >= 3)
        for path in segments.dropLast() {
            let bytes = try #require(disk.contents(path))
            let end = try #require(bytes.lastIndex { $0 != 0 }) + 1
            for length in stride(from: 0, to: end, by: 7) {
                let copy = disk.copy()
                copy.setContents(path, Array(bytes.prefix(length)))
                #expect(DamageTests.openExpectingAllOrRefusal(copy, facts, "\(path) cut at \(length)") != nil)
            }
        }
        let copy = disk.copy()
        try copy.remove(segments[1])
        #expect(DamageTests.openExpectingAllOrRefusal(copy, facts, "the second segment removed") != nil)
    }

    @Test("power loss at any call: every acknowledged batch is there, others whole or not at all, records in order")
    func powerLoss() throws {
        var random = SeededRandom.fromEnvironment("powerLoss")
        var points = 0
        var torn = 0
        // The number of calls the scenario makes; each is tried as the last one.
        var call = 1
        while true {
            var reachedEnd = false
            for variant in 0..<6 {
                let disk = SimulatedFileSystem()
                disk.fail(callFromNow: call, .stop)
                var acknowledged: [LogHarness.Fact] = []
                var attempted: [String] = []
                do throws(LogError) {
                    let (_, writer, _, _) = try LogHarness.open(disk, LogHarness.options(segmentBytes: 6000))
                    for batch in 0..<6 {
                        let ids = (0..<4).map { "b\(batch)-\($0)" }
                        attempted += ids
                        acknowledged += try LogHarness.append(writer, ids, dimensions: 120)
                        writer.prepareAhead()
                    }
                    reachedEnd = true
                } catch {}
                if variant == 0 { disk.kill() } else { disk.crash(using: &random) }
                points += 1
                let (log, writer, report, facts) = try LogHarness.open(disk, LogHarness.options(segmentBytes: 6000))
                torn += report.torn == nil ? 0 : 1
                #expect(Array(facts.prefix(acknowledged.count)) == acknowledged, "call \(call)")
                #expect(facts.map(\.id) == Array(attempted.prefix(facts.count)), "call \(call)")
                // And it goes on: what is written now survives the next crash too.
                let more = try LogHarness.append(writer, ["after"])
                disk.crash(using: &random)
                #expect(try LogHarness.open(disk, LogHarness.options(segmentBytes: 6000)).facts == facts + more)
                _ = log
            }
            if reachedEnd { break }
            call += 1
        }
        print("powerLoss: \(points) crash points, \(torn) torn ends cut off")
        #expect(torn > 0)
    }

    @Test(
        "an error from any call: the writer goes on or stops for good, and every acknowledged batch is there either way"
    )
    func anyCallFails() throws {
        var random = SeededRandom.fromEnvironment("anyCallFails")
        for call in 1... {
            var wasMet = false
            for variant in 0..<4 {
                let disk = SimulatedFileSystem()
                let options = LogHarness.options(segmentBytes: 3000)
                let (_, writer, _, _) = try LogHarness.open(disk, options)
                let calls = disk.calls
                disk.fail(callFromNow: call, .error(variant.isMultiple(of: 2) ? EIO : ENOSPC))
                var acknowledged: [LogHarness.Fact] = []
                // Large and small ones in turn: what finds no room in a new segment may find some in the old one.
                for batch in 0..<16 {
                    do throws(LogError) {
                        let dimensions = batch.isMultiple(of: 2) ? 240 : 4
                        acknowledged += try LogHarness.append(writer, ["b\(batch)"], dimensions: dimensions)
                    } catch {}
                }
                writer.close()
                wasMet = disk.calls - calls >= call
                variant < 2 ? disk.kill() : disk.crash(using: &random)
                let facts = try LogHarness.open(disk, options).facts
                #expect(Array(facts.prefix(acknowledged.count)) == acknowledged, "call \(call), variant \(variant)")
                // The batch whose sync failed may be there; after it nothing was taken.
                #expect(facts.count <= acknowledged.count + 1)
            }
            if !wasMet { break }
        }
    }

    @Test("a torn end is kept in a file before it is cut off")
    func tornCopy() throws {
        let disk = SimulatedFileSystem()
        let (_, writer, _, _) = try LogHarness.open(disk)
        let kept = try LogHarness.append(writer, ["kept"])
        let path = try #require(disk.paths.first { $0.hasSuffix(".seg") })
        let before = try #require(disk.contents(path))
        try LogHarness.append(writer, ["lost"], dimensions: 300)
        disk.kill()
        // Of the second record only the first sector reached the disk.
        let after = try #require(disk.contents(path))
        let start = try #require(before.lastIndex { $0 != 0 }) + 5
        let boundary = (start / 512 + 1) * 512
        disk.setContents(path, Array(after[..<boundary]) + Array(before[boundary...]))
        let (_, _, report, facts) = try LogHarness.open(disk)
        #expect(facts == kept)
        let torn = try #require(report.torn)
        #expect(torn.lsn == LSN(2))
        #expect(torn.offset == start)
        let copy = try #require(report.tornCopy.flatMap { disk.contents($0) })
        #expect(copy == Array(after[start..<start + copy.count]))
        #expect(disk.contents(path) == before)
    }

    @Test("every verdict on every kind of evidence")
    func verdicts() {
        func judge(_ change: (inout TailVerdict.Evidence) -> Void) -> TailVerdict {
            var evidence = TailVerdict.Evidence(lsn: LSN(10), durableUpTo: LSN(9))
            evidence.flaw = "checksum"
            evidence.writtenBytesFollow = true
            evidence.hasHole = true
            change(&evidence)
            return TailVerdict.judge(evidence)
        }
        func isCorrupt(_ verdict: TailVerdict) -> Bool { if case .corrupt = verdict { true } else { false } }
        #expect(judge { _ in } == .torn)
        #expect(isCorrupt(judge { $0.hasHole = false }))
        #expect(isCorrupt(judge { $0.durableUpTo = LSN(10) }))
        #expect(isCorrupt(judge { $0.isLastSegment = false }))
        #expect(isCorrupt(judge { $0.hasFullSize = false }))
        #expect(judge { $0.flaw = nil } == .torn)
        #expect(
            judge {
                $0.flaw = nil; $0.writtenBytesFollow = false
            } == .clean
        )
        #expect(
            judge {
                $0.flaw = nil; $0.writtenBytesFollow = false; $0.hasFullSize = false
            } == .clean
        )
        #expect(
            isCorrupt(
                judge {
                    $0.flaw = nil; $0.writtenBytesFollow = false; $0.bytesFollow = false; $0.hasFullSize = false
                }
            )
        )
    }
}
