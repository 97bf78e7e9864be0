import SpringgLog
import SpringgTestKit
import Testing

/// What replication and archiving rely on: a receiver gets exactly what it lacks, in order, or hears what is not there.
@Suite("Shipping what a receiver lacks")
struct LogShipperTests {
    /// An event of some origin, by its number there.
    private struct Name: Hashable {
        var origin: OriginID
        var sequence: UInt64
    }

    /// A log of the events in the order in which one node may have heard of them.
    private static func log(
        _ set: EventSet,
        on disk: SimulatedFileSystem,
        segmentBytes: Int = 2048
    ) throws -> (log: Log, writer: LogWriter) {
        let (log, writer, _, _) = try LogHarness.open(disk, LogHarness.options(segmentBytes: segmentBytes))
        try append(set.items, to: writer)
        return (log, writer)
    }

    private static func append(_ items: [EventSet.Item], to writer: LogWriter) throws {
        for item in items {
            if !writer.hasRoom(forRecordBytes: item.event.recordBytes) { try writer.commit() }
            _ = try writer.stage(item.event.envelope)
        }
        try writer.commit()
    }

    /// Delivers everything, in batches of at most so many bytes and one event.
    private static func ship(_ shipper: LogShipper, bytesMax: Int) throws -> [Name] {
        var names: [Name] = []
        var batch = LogShipper.Batch()
        while !batch.isCaughtUp {
            var largest = 0
            batch = try shipper.next(bytesMax: bytesMax) { record in
                names.append(Name(origin: record.envelope.origin, sequence: record.envelope.sequence.rawValue))
                largest = max(largest, record.envelope.bytes.count)
            }
            #expect(batch.bytes < bytesMax + max(largest, 1))
        }
        return names
    }

    /// What somebody holds who has heard the first events of each origin.
    private static func vector(_ set: EventSet, _ held: [OriginID: UInt64]) -> VersionVector {
        var vector = VersionVector()
        for item in set.items {
            let envelope = item.event.envelope
            if envelope.sequence.rawValue <= held[envelope.origin] ?? 0 { vector[envelope.origin] = envelope.head }
        }
        return vector
    }

    @Test("any receiver gets exactly what it lacks, once, in the order of the log, and again after a restart")
    func property() throws {
        var random = SeededRandom.fromEnvironment("LogShipperTests.property")
        for _ in 0..<60 {
            let set = EventSet(using: &random, origins: 4, events: 120)
            let disk = SimulatedFileSystem()
            var (log, writer) = try LogShipperTests.log(set, on: disk)
            for round in 0..<6 {
                if round == 3 {
                    writer.close()
                    (log, writer, _, _) = try LogHarness.open(disk, LogHarness.options(segmentBytes: 2048))
                }
                var held: [OriginID: UInt64] = [:]
                for origin in log.versionVector.origins {
                    held[origin] = UInt64.random(in: 0...log.versionVector[origin].sequence.rawValue, using: &random)
                }
                let shipper = LogShipper(log: log, lacking: LogShipperTests.vector(set, held))
                let names = try LogShipperTests.ship(shipper, bytesMax: Int.random(in: 1...4096, using: &random))
                let lacked = set.items.map(\.event.envelope)
                    .filter { $0.sequence.rawValue > held[$0.origin] ?? 0 }
                    .map { Name(origin: $0.origin, sequence: $0.sequence.rawValue) }
                #expect(names == lacked)
                #expect(shipper.held == log.versionVector && shipper.gaps.isEmpty)
            }
            // The same reader goes on with what is written later.
            let shipper = LogShipper(log: log, lacking: VersionVector())
            _ = try LogShipperTests.ship(shipper, bytesMax: 1 << 20)
            try LogHarness.append(writer, ["later", "still later"])
            #expect(try LogShipperTests.ship(shipper, bytesMax: 1 << 20).count == 2)
        }
    }

    @Test("a receiver that lacks little has little read for it")
    func nearlyCaughtUp() throws {
        var random = SeededRandom.fromEnvironment("LogShipperTests.nearlyCaughtUp")
        let set = EventSet(using: &random, origins: 2, events: 400)
        let disk = SimulatedFileSystem()
        var (log, writer) = try LogShipperTests.log(set, on: disk)
        let segments = log.segments
        try #require(segments.count > 8)
        var held = log.versionVector
        let base = LogBase(lsn: log.watermarks.durable, heads: held, highestHLC: HLC(0))
        try LogHarness.append(writer, ["a", "b"])
        for _ in 0..<2 {
            let start = log.start(lacking: held).lsn
            #expect(start > segments[segments.count - 2].firstLSN)
            #expect(log.start(lacking: log.versionVector).lsn == log.watermarks.durable.next)
            #expect(try LogShipperTests.ship(LogShipper(log: log, lacking: held), bytesMax: 1 << 20).count == 2)
            // Nor after a start from a checkpoint, of which the segments before it were not read.
            writer.close()
            (log, writer, _) = try Log.open(
                directory: LogHarness.directory,
                options: LogHarness.options(segmentBytes: 2048),
                fileSystem: disk,
                newOrigin: LogHarness.origin,
                from: base
            ) { _ in }
        }
        held[OriginID(high: 1, low: 7)] = .start
        #expect(log.start(lacking: held).lsn == LSN(1))
    }

    @Test("what retention has removed is named, at once or at the end, and all else is delivered")
    func trimmed() throws {
        var random = SeededRandom.fromEnvironment("LogShipperTests.trimmed")
        for isReopened in [false, true] {
            let set = EventSet(using: &random, origins: 3, events: 300)
            let disk = SimulatedFileSystem()
            var (log, writer) = try LogShipperTests.log(set, on: disk)
            let middle = log.segments[log.segments.count / 2].firstLSN
            let heads = set.items.prefix(Int(middle.rawValue) - 1).reduce(into: VersionVector()) {
                $0[$1.event.envelope.origin] = $1.event.envelope.head
            }
            log.markApplied(log.watermarks.durable)
            log.markCheckpointed(middle.previous)
            let slow = LogShipper(log: log, lacking: VersionVector())
            _ = try slow.next(bytesMax: 1) { _ in }
            try log.trim()
            if isReopened {
                writer.close()
                (log, writer, _) = try Log.open(
                    directory: LogHarness.directory,
                    options: LogHarness.options(segmentBytes: 2048),
                    fileSystem: disk,
                    newOrigin: LogHarness.origin,
                    from: LogBase(
                        lsn: log.watermarks.durable,
                        heads: log.versionVector,
                        highestHLC: HLC(0)
                    )
                ) { _ in }
            }
            // Who had everything before the cut gets all that is behind it.
            let reached = LogShipper(log: log, lacking: heads)
            #expect(
                try LogShipperTests.ship(reached, bytesMax: 512).count == set.items.count - Int(middle.rawValue) + 1
            )
            #expect(reached.gaps.isEmpty)
            // Who had nothing hears what is missing of each origin.
            let empty = LogShipper(log: log, lacking: VersionVector())
            #expect(isReopened || empty.gaps.count == heads.origins.count)
            #expect(try LogShipperTests.ship(empty, bytesMax: 512).isEmpty)
            #expect(
                empty.gaps.map(\.description)
                    == heads.origins.map { origin in
                        LogLoss.Gap(origin: origin, first: Sequence(1), last: heads[origin].sequence).description
                    }
            )
            // Who was reading where it was cut is told so.
            #expect(throws: LogError.self) { _ = try LogShipperTests.ship(slow, bytesMax: 1 << 20) }
        }
    }

    @Test("a salvaged log delivers what stands before its hole, and what stands behind to whoever holds the rest")
    func salvaged() throws {
        var random = SeededRandom.fromEnvironment("LogShipperTests.salvaged")
        let set = EventSet(using: &random, origins: 1, events: 60)
        let origin = OriginID(high: 1, low: 7)
        let disk = SimulatedFileSystem()
        try disk.createDirectory(LogHarness.directory)
        let copier = LogCopier(
            directory: LogHarness.directory,
            origin: LogHarness.origin,
            segmentBytes: 2048,
            fileSystem: disk
        )
        for (number, item) in set.items.enumerated() where !(20..<30).contains(number) {
            try copier.append(item.event.envelope, at: LSN(UInt64(number + 1)))
        }
        try copier.finish()
        let (log, writer, _, _) = try LogHarness.open(disk, LogHarness.options(segmentBytes: 2048))
        let shipper = LogShipper(log: log, lacking: VersionVector())
        #expect(try LogShipperTests.ship(shipper, bytesMax: 512).map(\.sequence) == Array(1...20))
        #expect(shipper.gaps.map(\.description) == ["\(origin):21 to 30"])
        for held in [30, 31, 45] as [UInt64] {
            let other = LogShipper(log: log, lacking: LogShipperTests.vector(set, [origin: held]))
            #expect(try LogShipperTests.ship(other, bytesMax: 512).map(\.sequence) == Array((held + 1)...60))
            #expect(other.gaps.isEmpty)
        }
        // What was missing comes back: the gap closes.
        try LogShipperTests.append(Array(set.items[20...]), to: writer)
        #expect(try LogShipperTests.ship(shipper, bytesMax: 512).map(\.sequence) == Array(21...60))
        #expect(shipper.gaps.isEmpty)
    }

    @Test("a receiver of another history is refused, not given a mixture")
    func otherHistory() throws {
        var random = SeededRandom.fromEnvironment("LogShipperTests.otherHistory")
        let set = EventSet(using: &random, origins: 1, events: 40)
        let origin = OriginID(high: 1, low: 7)
        let (log, writer) = try LogShipperTests.log(set, on: SimulatedFileSystem())
        defer { writer.close() }
        for sequence in [10, 40] as [UInt64] {
            var held = VersionVector()
            held[origin] = .init(sequence: Sequence(sequence), chain: 1)
            let shipper = LogShipper(log: log, lacking: held)
            #expect(throws: LogError.self) { _ = try LogShipperTests.ship(shipper, bytesMax: 512) }
        }
    }
}
