import Glibc
import LogTools
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

/// A salvaged log: what a node makes of it, and what it says is missing.
@Suite("Salvage")
struct SalvageTests {
    private static let origin = OriginID(high: 7, low: 7)

    /// Salvages the log on `disk` into /new, on the same disk.
    private static func salvage(
        _ disk: SimulatedFileSystem,
        segmentBytes: Int = 2048
    ) throws -> SalvageReport {
        var salvager = Salvager(log: ScannerHarness.directory, data: "/data", fileSystem: disk)
        return try salvager.run(to: "/new", origin: origin, segmentBytes: segmentBytes) { _ in }
    }

    /// Opens the salvaged log as a node does.
    private static func open(
        _ disk: SimulatedFileSystem
    ) throws(LogError) -> (log: Log, writer: LogWriter, report: RecoveryReport, facts: [ScannerHarness.Fact]) {
        var facts: [ScannerHarness.Fact] = []
        var options = LogOptions()
        options.segmentBytes = 2048
        let (log, writer, report) = try Log.open(
            directory: "/new/log",
            options: options,
            fileSystem: disk,
            newOrigin: OriginID(high: 9, low: 9)
        ) { record throws(LogError) in
            if case .vectorPut(_, let id, _, _)? = record.envelope.event {
                facts.append(.init(lsn: record.lsn.rawValue, id: String(decoding: id, as: UTF8.self)))
            }
        }
        return (log, writer, report, facts)
    }

    @Test("an undamaged log is copied whole: same events, same LSNs, another origin to write as")
    func whole() throws {
        let disk = try ScannerHarness.log(events: 24)
        let report = try SalvageTests.salvage(disk)
        #expect(report.isComplete && report.records == 24)
        let (log, writer, recovery, facts) = try SalvageTests.open(disk)
        #expect(facts == (0..<24).map { .init(lsn: UInt64($0 + 1), id: "v\($0)") })
        #expect(recovery.losses.isEmpty)
        #expect(log.origin == SalvageTests.origin)
        #expect(log.versionVector[ScannerHarness.origin].sequence == Sequence(24))
        let staged = try writer.stage(ScannerHarness.event("new"), hlc: HLC(1 << 60), seen: .none)
        #expect(staged.sequence == Sequence(1) && staged.lsn == LSN(25))
        try writer.commit()
    }

    /// What somebody else still has.
    private struct Archive: MissingEvents {
        var items: [EventSet.Item]
        func envelopes(of origin: OriginID, from first: Sequence, upTo last: Sequence?) -> [[UInt8]] {
            items.map(\.event.envelope).filter { envelope in
                envelope.origin == origin && envelope.sequence >= first && last.map { envelope.sequence <= $0 } ?? true
            }.map { Array($0.bytes) }
        }
    }

    @Test("what an archive has goes back exactly where it was lost, of any number of origins")
    func refilled() throws {
        var random = SeededRandom.fromEnvironment("salvage refilled")
        var refetched: UInt64 = 0
        for _ in 0..<60 {
            let origins = Int.random(in: 1...4, using: &random)
            let set = EventSet(using: &random, origins: origins, events: 120)
            // Each origin's events in order, between origins as they come.
            var streams = (0..<origins).map { origin in set.items.filter { $0.origin == origin }[...] }
            var items: [EventSet.Item] = []
            while items.count < set.items.count {
                if let next = streams[Int.random(in: 0..<origins, using: &random)].popFirst() { items.append(next) }
            }
            let disk = SimulatedFileSystem()
            var options = LogOptions()
            options.segmentBytes = 4096
            let writer = try Log.begin(
                in: "/data/log",
                options: options,
                fileSystem: disk,
                origin: ScannerHarness.origin,
                behind: .beginning
            )
            for item in items {
                if !writer.hasRoom(forRecordBytes: item.event.recordBytes) { try writer.commit() }
                _ = try writer.stage(item.event.envelope)
            }
            try writer.commit()
            writer.close()
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let path = try #require(disk.paths.filter { $0.hasSuffix(".seg") }.randomElement(using: &random))
                var bytes = try #require(disk.contents(path))
                let start = Int.random(in: 64..<bytes.count, using: &random)
                for place in start..<min(bytes.count, start + Int.random(in: 1...600, using: &random)) {
                    bytes[place] ^= 0x55
                }
                disk.setContents(path, bytes)
            }
            var salvager = Salvager(log: "/data/log", data: "/data", missing: Archive(items: items), fileSystem: disk)
            let report = try salvager.run(to: "/new", origin: SalvageTests.origin, segmentBytes: 4096) { _ in }
            #expect(report.losses.isEmpty && report.misplaced.isEmpty && report.lostEnd == nil)
            refetched += report.refetched
            var found: [OriginID: [Sequence]] = [:]
            let outcome = try LogScan(directory: "/new/log", fileSystem: disk).run { record throws(LogError) in
                found[record.envelope.origin, default: []].append(record.envelope.sequence)
            }
            #expect(outcome.lastLSN == LSN(UInt64(items.count)) && outcome.losses.isEmpty)
            for (origin, sequences) in found {
                let expected = items.map(\.event.envelope).filter { $0.origin == origin }.map(\.sequence)
                #expect(sequences == expected)
            }
        }
        print("salvage refilled: \(refetched) events")
        #expect(refetched > 100)
    }

    @Test("an archive of another history gives nothing")
    func otherArchive() throws {
        let disk = try ScannerHarness.log(events: 24)
        let path = ScannerHarness.segments(disk)[0]
        var bytes = try #require(disk.contents(path))
        for place in 300..<700 { bytes[place] ^= 0x40 }
        disk.setContents(path, bytes)
        var random = SeededRandom.fromEnvironment("salvage otherArchive")
        let other = EventSet(using: &random, origins: 1, events: 40)
        var salvager = Salvager(
            log: ScannerHarness.directory,
            data: "/data",
            missing: Archive(items: other.items),
            fileSystem: disk
        )
        let report = try salvager.run(to: "/new", origin: SalvageTests.origin, segmentBytes: 2048) { _ in }
        #expect(!report.losses.isEmpty)
        let (_, _, recovery, facts) = try SalvageTests.open(disk)
        #expect(recovery.losses == report.losses && facts.count < 24)
    }

    @Test("a byte damaged in every record in turn: the node starts, knows what is missing, goes on, and starts again")
    func everyRecord() throws {
        let disk = try ScannerHarness.log(events: 24)
        var lost = 0
        for path in ScannerHarness.segments(disk) {
            let bytes = try #require(disk.contents(path))
            // Of what stood in the place of a damaged marker nobody can say that it was no event.
            let marker = path == ScannerHarness.segments(disk).last ? Frame.headerBytes : 0
            let end = try #require(bytes.lastIndex { $0 != 0 }) + 1 - marker
            for offset in stride(from: 3, to: end, by: 41) {
                let copy = disk.copy()
                var damaged = bytes
                damaged[offset] ^= 0x40
                copy.setContents(path, damaged)
                let report = try SalvageTests.salvage(copy)
                #expect(!report.damages.isEmpty)
                let walked = try ScannerHarness.walk(copy)
                let (log, writer, recovery, facts) = try SalvageTests.open(copy)
                #expect(facts == walked.facts, "\(path) byte \(offset)")
                #expect(recovery.losses == report.losses)
                let missing = Set(1...24).subtracting(facts.map { Int($0.lsn) })
                lost += missing.count
                #expect(report.isComplete == missing.isEmpty && report.isStateWhole == missing.isEmpty)
                if let gone = missing.first, gone < 24 {
                    #expect(missing.count == 1)
                    #expect(recovery.losses.map(\.after.rawValue) == [UInt64(gone - 1)])
                    #expect(recovery.losses.map(\.before.rawValue) == [UInt64(gone + 1)])
                    #expect(recovery.losses[0].gaps.map(\.first) == [Sequence(UInt64(gone))])
                    // Of the origin only what is held without a gap is claimed: a peer will be asked for the rest.
                    #expect(log.versionVector[ScannerHarness.origin].sequence == Sequence(UInt64(gone - 1)))
                }
                _ = try writer.stage(ScannerHarness.event("new"), hlc: HLC(1 << 60), seen: .none)
                try writer.commit()
                copy.kill()
                let again = try SalvageTests.open(copy)
                #expect(again.facts.map(\.id) == facts.map(\.id) + ["new"])
                #expect(again.report.losses == recovery.losses)
                #expect(again.log.versionVector[SalvageTests.origin].sequence == Sequence(1))
                // A cursor passes the hole too.
                let cursor = LogCursor(log: again.log, from: LSN(1))
                var read: [UInt64] = []
                while let record = try cursor.next() { read.append(record.lsn.rawValue) }
                #expect(read == again.facts.map(\.lsn))
            }
        }
        #expect(lost > 20)
    }

    @Test("a hole that no header names is damage, also in a salvaged log")
    func unnamedHole() throws {
        let disk = try ScannerHarness.log(events: 24)
        let path = try #require(ScannerHarness.segments(disk).first)
        var bytes = try #require(disk.contents(path))
        bytes[300] ^= 1
        disk.setContents(path, bytes)
        _ = try SalvageTests.salvage(disk, segmentBytes: 800)
        let segments = disk.paths.filter { $0.hasPrefix("/new/log/") }
        #expect(segments.count >= 4)
        for segment in segments.dropLast() {
            let copy = disk.copy()
            try copy.remove(segment)
            // Without the first segment the log begins later, as after retention; a database then wants a checkpoint.
            do throws(LogError) {
                let (_, _, report, _) = try SalvageTests.open(copy)
                #expect(segment == segments[0] && report.trimmed > .zero)
            } catch {
                guard case .corrupt = error else { throw error }
            }
        }
    }

    @Test("holes are counted in the header and survive being salvaged again")
    func twice() throws {
        let disk = try ScannerHarness.log(events: 24)
        let path = try #require(ScannerHarness.segments(disk).dropFirst().first)
        var bytes = try #require(disk.contents(path))
        for at in 100..<700 { bytes[at] = 0xEE }
        disk.setContents(path, bytes)
        let first = try SalvageTests.salvage(disk)
        let loss = try #require(first.losses.first)
        #expect(loss.before.rawValue - loss.after.rawValue > 2)
        var salvager = Salvager(log: "/new/log", data: "/new", fileSystem: disk)
        let second = try salvager.run(to: "/newer", origin: SalvageTests.origin, segmentBytes: 4096) { _ in }
        #expect(second.losses == first.losses && second.damages.isEmpty && second.records == first.records)
        let known = try ScannerHarness.walk(disk, directory: "/newer/log")
        #expect(known.known == [loss.after.next.rawValue...loss.before.previous.rawValue])
        #expect(known.missing.isEmpty && known.damages.isEmpty)
    }

    /// A database with `count` rows, checkpoints at some of them; returns its digest.
    private static func fill(_ disk: SimulatedFileSystem, rows: Int, checkpointAt: Int) throws -> StateDigest {
        var options = LogOptions()
        options.segmentBytes = 2048
        let materializer = Materializer()
        let (log, writer, _) = try Log.open(
            directory: ScannerHarness.directory,
            options: options,
            fileSystem: disk,
            newOrigin: ScannerHarness.origin
        ) { _ throws(LogError) in }
        for number in 0..<rows {
            let event: EncodedEvent =
                number == 0
                ? Array("{}".utf8).withUnsafeBytes { .indexCreated(name: "docs", dimensions: 4, options: $0) }
                : ScannerHarness.event("v\(number)")
            if !writer.hasRoom(forRecordBytes: event.recordBytes) { try writer.commit() }
            let hlc = HLC(UInt64(number + 1) << 20)
            let staged = try writer.stage(event, hlc: hlc, seen: .none)
            if let decoded = event.envelope.event {
                materializer.apply(decoded, of: event.envelope, recordBytes: event.recordBytes, lsn: staged.lsn)
            }
            try writer.commit()
            if number == checkpointAt {
                materializer.publish()
                try disk.createDirectory("/data/checkpoints")
                try materializer.checkpoint(heads: log.versionVector, to: "/data/checkpoints", disk)
            }
        }
        writer.close()
        materializer.publish()
        disk.kill()
        return materializer.digest
    }

    private static func database(_ disk: SimulatedFileSystem) throws -> Database {
        var options = DatabaseOptions(dataPath: "/new")
        options.checkpointSeconds = 0
        options.segmentBytes = 2048
        options.lastCheckpointSeconds = 0
        return try Database.open(options, fileSystem: disk) { 1 << 40 }
    }

    @Test(
        "damage below a checkpoint costs history only: the salvaged directory has the whole state",
        arguments: [5, 20, 25]
    )
    func checkpoint(damaged: Int) throws {
        let disk = SimulatedFileSystem()
        let digest = try SalvageTests.fill(disk, rows: 30, checkpointAt: 24)
        let whole = try ScannerHarness.walk(disk)
        #expect(whole.facts.count == 30)
        let path = try #require(
            ScannerHarness.segments(disk).last { path in
                (SegmentHeader.firstLSN(fileName: String(path.suffix(24))) ?? .zero) <= LSN(UInt64(damaged))
            }
        )
        let offset = try SalvageTests.place(of: UInt64(damaged), disk, path)
        var bytes = try #require(disk.contents(path))
        bytes[offset + 120] ^= 1
        disk.setContents(path, bytes)
        let report = try SalvageTests.salvage(disk)
        #expect(report.losses.map(\.after) == [LSN(UInt64(damaged - 1))])
        #expect(report.checkpoint == LSN(25) && report.isStateWhole && !report.isComplete)
        let database = try SalvageTests.database(disk)
        #expect(database.digest == digest)
        #expect(database.recovery.losses.map(\.after) == report.losses.map(\.after))
        database.close()
    }

    @Test("an error from any call: the salvage fails, or names what it left out, or has all of it")
    func anyCallFails() throws {
        let prepared = SimulatedFileSystem()
        let digest = try SalvageTests.fill(prepared, rows: 30, checkpointAt: 24)
        let first = try #require(ScannerHarness.segments(prepared).first)
        try prepared.remove(first)
        var failed = 0
        for call in 1... {
            let disk = prepared.copy()
            let calls = disk.calls
            disk.fail(callFromNow: call, .error(EIO))
            let report = try? SalvageTests.salvage(disk)
            if disk.calls - calls < call { break }
            guard let report else {
                failed += 1
                continue
            }
            if report.damagedCheckpoints.isEmpty, report.damages.isEmpty {
                let database = try SalvageTests.database(disk)
                #expect(database.digest == digest, "call \(call)")
                database.close()
            }
        }
        #expect(failed > 10)
    }

    @Test("a log whose beginning is gone is salvaged behind its checkpoint, or without one as a hole at the beginning")
    func beginningGone() throws {
        let disk = SimulatedFileSystem()
        let digest = try SalvageTests.fill(disk, rows: 30, checkpointAt: 24)
        let first = try #require(ScannerHarness.segments(disk).first)
        try disk.remove(first)
        let bare = disk.copy()
        for path in bare.paths where path.hasPrefix("/data/checkpoints") { try bare.remove(path) }
        let report = try SalvageTests.salvage(disk)
        #expect(report.losses.isEmpty && report.isComplete)
        let database = try SalvageTests.database(disk)
        #expect(database.digest == digest)
        database.close()

        let without = try SalvageTests.salvage(bare)
        #expect(without.losses.first?.after == .zero && !without.isStateWhole)
        let partial = try SalvageTests.database(bare)
        #expect(partial.recovery.losses.first?.after == .zero)
        #expect(partial.recovery.records == without.records)
        partial.close()
    }

    private static func place(of lsn: UInt64, _ disk: SimulatedFileSystem, _ path: String) throws -> Int {
        let scanner = FrameScanner(MemorySource(try #require(disk.contents(path))), isStream: false)
        while true {
            switch try scanner.next() {
            case .record(let record) where record.lsn.rawValue == lsn: return record.offset
            case .end: throw TestKitError("\(path) does not hold LSN \(lsn)")
            default: break
            }
        }
    }
}
