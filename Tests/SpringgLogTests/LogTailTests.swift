import SpringgLog
import SpringgTestKit
import Testing

/// The newest records are read from memory, and nobody can tell.
@Suite("The tail of the log")
struct LogTailTests {
    /// About 8 KiB a record, so that a few hundred fill the chunks of the tail.
    private static let dimensions = 2000

    @Test("readers that keep up, fall behind and catch up again get every record once, in order")
    func readers() throws {
        var random = SeededRandom.fromEnvironment("LogTailTests.readers")
        let disk = SimulatedFileSystem()
        let (log, writer, _, _) = try LogHarness.open(disk, LogHarness.options(segmentBytes: 300_000))
        var facts = try LogHarness.append(writer, ["before"], dimensions: Self.dimensions)
        log.keepTail(bytesMax: 1 << 20)
        // One reads all that there is after each batch, the others as it pleases chance.
        var readers = (0..<4).map { _ in (cursor: LogCursor(log: log, from: LSN(1)), read: 0) }
        for round in 0..<250 {
            facts += try LogHarness.append(
                writer,
                (0..<Int.random(in: 1...4, using: &random)).map { "\(round)-\($0)" },
                dimensions: Self.dimensions
            )
            for place in readers.indices where place == 0 || random.oneIn(40 * place) {
                let wanted =
                    place == 0 ? facts.count : Int.random(in: readers[place].read...facts.count, using: &random)
                while readers[place].read < wanted {
                    let record = try #require(try readers[place].cursor.next())
                    #expect(LogHarness.fact(record) == facts[readers[place].read])
                    #expect(Envelope.flaw(in: record.envelope.bytes) == nil)
                    readers[place].read += 1
                }
            }
            #expect(try readers[0].cursor.next() == nil)
        }
        for place in readers.indices {
            while let record = try readers[place].cursor.next() {
                #expect(LogHarness.fact(record) == facts[readers[place].read])
                readers[place].read += 1
            }
            #expect(readers[place].read == facts.count)
        }
    }

    @Test("what is in memory is not read from the disk, and what is not is checked there")
    func memory() throws {
        let disk = SimulatedFileSystem()
        let (log, writer, _, _) = try LogHarness.open(disk)
        var facts = try LogHarness.append(writer, ["a"])
        log.keepTail(bytesMax: 1 << 20)
        facts += try LogHarness.append(writer, ["b", "c"])
        let path = try #require(log.segments.first).path
        var bytes = try #require(disk.contents(path))
        // Every record is damaged on the disk.
        for place in stride(from: SegmentHeader.bytes + 100, to: bytes.count, by: 64) { bytes[place] ^= 1 }
        disk.setContents(path, bytes)
        let near = LogCursor(log: log, from: LSN(2))
        #expect(try near.next().map(LogHarness.fact) == facts[1])
        #expect(try near.next().map(LogHarness.fact) == facts[2])
        #expect(try near.next() == nil)
        #expect(throws: LogError.self) { try LogCursor(log: log, from: LSN(1)).next() }
    }
}
