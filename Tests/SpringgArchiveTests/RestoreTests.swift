import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// Every moment of the past comes back as it was, or the restore says why it cannot.
@Suite("Point-in-time restore")
struct RestoreTests {
    static let target = "/restored"
    static let newOrigin = OriginID(high: 0xAAAA, low: 0xBBBB)

    static func restore(
        _ source: RestoreSource,
        _ target: RestoreTarget,
        excluding: Bool,
        on disk: SimulatedFileSystem
    ) throws -> RestoreReport {
        let prospect = try source.prospect(target, excluding: excluding)
        return try Restorer(fileSystem: disk, segmentBytes: 4096)
            .restore(prospect, from: source, into: RestoreTests.target, origin: newOrigin)
    }

    static func open(_ disk: SimulatedFileSystem) throws -> Database {
        var options = DatabaseOptions(dataPath: target)
        options.segmentBytes = 4096
        options.lastCheckpointSeconds = 0
        options.checkpointSeconds = 0
        return try Database.open(options, fileSystem: disk, wallClock: { 1_000_000 })
    }

    /// What a node that is started on the restored directory serves; its log is whole, and its origin new.
    static func started(_ disk: SimulatedFileSystem) throws -> History.Seen {
        _ = try LogScan(directory: target + "/log", fileSystem: disk).run { _ throws(LogError) in }
        let database = try open(disk)
        defer { database.close() }
        #expect(database.origin == newOrigin)
        #expect(database.recovery.torn == nil)
        #expect(database.checkpoint.damaged.isEmpty)
        return History.look(database.indexes(), database.digest)
    }

    @Test("restored to any time, clock reading, event or mark, the state is that of the events up to there")
    func wholeLog() throws {
        var random = SeededRandom.fromEnvironment("restore wholeLog")
        var moments = 0
        var excluded: UInt64 = 0
        var fromCheckpoint = 0
        for _ in 0..<15 {
            let history = try History(
                using: &random,
                origins: Int.random(in: 1...4, using: &random),
                events: Int.random(in: 20...160, using: &random)
            )
            try history.checkpoint(Int.random(in: 1...history.items.count, using: &random))
            for _ in 0..<16 {
                let (target, excluding, bound) = try history.target(using: &random)
                let disk = history.disk.copy()
                let source = try history.source(disk: disk)
                let prospect = try source.prospect(target, excluding: excluding)
                #expect(prospect.bound == bound)
                let included = history.items.filter { bound.holds($0.event.envelope.version) }
                #expect(prospect.log?.eventsIncluded == UInt64(included.count))
                #expect(
                    prospect.log?.lastIncluded?.version == included.map(\.event.envelope.version).max()
                )
                let beyond = history.items.map(\.event.envelope.version).filter { !bound.holds($0) }
                #expect(prospect.log?.firstExcluded?.version == beyond.min())
                excluded += UInt64(beyond.count)
                let report = try RestoreTests.restore(source, target, excluding: excluding, on: disk)
                let model = try history.model(bound)
                // The same for the state alone, which takes a checkpoint where there is a fitting one.
                let view = try source.prospect(target, excluding: excluding, wantsHistory: false)
                #expect(try History.look(source.load(view).materializer) == model, "\(target)")
                if case .checkpoint = view.plan.base { fromCheckpoint += 1 }
                #expect(report.digest == model.digest, "\(target)")
                #expect(report.lastLSN == LSN(UInt64(included.count)))
                #expect(try RestoreTests.started(disk) == model, "\(target)")
                moments += 1
            }
        }
        print("restore wholeLog: \(moments) moments")
        #expect(moments == 240 && excluded > 1000 && fromCheckpoint > 20)
    }

    @Test("where the log has been trimmed, a checkpoint or a snapshot takes its place, or the restore is refused")
    func trimmedLog() throws {
        var random = SeededRandom.fromEnvironment("restore trimmedLog")
        var (fromCheckpoint, fromSnapshot, refused) = (0, 0, 0)
        for _ in 0..<40 {
            let history = try History(
                using: &random,
                origins: Int.random(in: 1...3, using: &random),
                events: Int.random(in: 60...160, using: &random)
            )
            let cut = Int.random(in: history.items.count / 4..<history.items.count, using: &random)
            let usesSnapshot = random.oneIn(2)
            try usesSnapshot ? _ = history.snapshot(cut) : history.checkpoint(cut)
            try history.trim(upTo: cut)
            for _ in 0..<4 {
                let (target, excluding, bound) = try history.target(using: &random)
                let disk = history.disk.copy()
                let source = try history.source(snapshots: usesSnapshot ? History.store : nil, disk: disk)
                do {
                    let report = try RestoreTests.restore(source, target, excluding: excluding, on: disk)
                    let model = try history.model(bound)
                    #expect(report.digest == model.digest, "\(target)")
                    #expect(try RestoreTests.started(disk) == model, "\(target)")
                    if report.firstLSN == LSN(1) { continue }
                    if usesSnapshot { fromSnapshot += 1 } else { fromCheckpoint += 1 }
                } catch RestoreError.unreachable {
                    // Then, and only then, what the base holds goes beyond the moment.
                    let bounds =
                        usesSnapshot
                        ? history.newest(cut)
                        : LogBase(
                            lsn: .zero,
                            heads: history.heads(cut),
                            highestHLC: history.newest(cut).hlc
                        ).newestBound
                    #expect(!bound.holds(bounds), "\(target)")
                    refused += 1
                } catch RestoreError.unknownTarget {
                    refused += 1
                }
            }
        }
        print(
            "restore trimmedLog: \(fromCheckpoint) from checkpoints, \(fromSnapshot) from snapshots, \(refused) refused"
        )
        #expect(fromCheckpoint > 5 && fromSnapshot > 5 && refused > 5)
    }

    @Test("a snapshot alone is restored as it is, and to no other moment")
    func snapshotAlone() throws {
        var random = SeededRandom.fromEnvironment("restore snapshotAlone")
        let history = try History(using: &random, origins: 2, events: 120)
        let first = try history.snapshot(60)
        try history.snapshot(120)
        let source = try history.source(log: false, snapshots: History.store + "#" + first.id)
        _ = try RestoreTests.restore(source, .latest, excluding: false, on: history.disk)
        let model = History.look(try History.state(Array(history.items.prefix(60))))
        #expect(try RestoreTests.started(history.disk) == model)
        #expect(throws: RestoreError.self) { try source.prospect(.time(milliseconds: 1), excluding: false) }
    }

    @Test("a restored directory is written on, closed and opened again, and restored from in its turn")
    func lifeAfter() throws {
        var random = SeededRandom.fromEnvironment("restore lifeAfter")
        for _ in 0..<5 {
            let history = try History(using: &random, origins: 2, events: 100)
            let item = history.items[50].event.envelope
            let source = try history.source()
            _ = try RestoreTests.restore(source, .event(item.origin, item.sequence), excluding: false, on: history.disk)
            let first = try RestoreTests.open(history.disk)
            let name = try #require(IndexName("after"))
            let id = try #require(VectorID("x"))
            let row = [Float(1), 2].withUnsafeBufferPointer {
                PreparedVector(index: name, id: id, vector: $0, metadata: .empty)
            }
            let results = try write(first, [.createIndex(name: name, dimensions: 2), .put(row, mustExist: false)])
            #expect(results.map(\.sequence) == [Sequence(1), Sequence(2)])
            #expect(results.allSatisfy { $0.hlc > item.version.hlc })
            let digest = first.digest
            first.close()
            let second = try RestoreTests.open(history.disk)
            #expect(second.digest == digest)
            second.close()
            var again = RestoreSource()
            try again.add(RestoreTests.target, fileSystem: history.disk) { throw RestoreError.noSource($0) }
            let prospect = try again.prospect(.event(RestoreTests.newOrigin, Sequence(2)), excluding: false)
            #expect(try again.load(prospect).materializer.digest == digest)
        }
    }

    private func write(_ database: Database, _ commands: [Command]) throws -> [Receipt] {
        let results = Mutex<[Result<Receipt, CommandError>]>([])
        let done = Semaphore()
        database.submit(commands) { answer in
            results.withLock { $0 = answer }
            done.signal()
        }
        done.wait()
        return try results.withLock { $0 }.map { try $0.get() }
    }

    @Test("a directory that holds something is not restored into, and an unfinished one is not started")
    func refusals() throws {
        var random = SeededRandom.fromEnvironment("restore refusals")
        let history = try History(using: &random, origins: 1, events: 30)
        let source = try history.source()
        history.disk.setContents(RestoreTests.target + "/notes.txt", [1])
        #expect(throws: RestoreError.self) {
            try RestoreTests.restore(source, .latest, excluding: false, on: history.disk)
        }
        #expect(history.disk.contents(RestoreTests.target + "/log/00000000000000000001.seg") == nil)
        try history.disk.remove(RestoreTests.target + "/notes.txt")
        history.disk.setContents(RestoreTests.target + "/RESTORING", [1])
        #expect(throws: LogError.self) { try RestoreTests.open(history.disk) }
        #expect(throws: LogError.self) { try HeldFiles(RestoreTests.target, fileSystem: history.disk) }
        _ = try RestoreTests.restore(source, .latest, excluding: false, on: history.disk)
        #expect(try RestoreTests.started(history.disk) == history.model(.everything))
    }

    @Test("a restore that ends after any call is not taken for a complete one, and succeeds when it is run again")
    func crashPoints() throws {
        var random = SeededRandom.fromEnvironment("restore crashPoints")
        let history = try History(using: &random, origins: 2, events: 60)
        try history.snapshot(30)
        try history.trim(upTo: 30)
        let model = try history.model(.everything)
        var (points, complete, unfinished) = (0, 0, 0)
        for call in 1... {
            var reachedEnd = false
            for variant in 0..<4 {
                let disk = history.disk.copy()
                let source = try history.source(snapshots: History.store, disk: disk)
                let prospect = try source.prospect(.latest, excluding: false)
                let restorer = Restorer(fileSystem: disk, segmentBytes: 4096)
                disk.fail(callFromNow: call, .stop)
                _ = try? restorer.restore(
                    prospect,
                    from: source,
                    into: RestoreTests.target,
                    origin: RestoreTests.newOrigin
                )
                reachedEnd = !disk.isStopped
                variant == 0 ? disk.kill() : disk.crash(using: &random)
                points += 1
                let names = disk.paths.filter { $0.hasPrefix(RestoreTests.target + "/") }
                if names.contains(RestoreTests.target + "/RESTORING") {
                    #expect(throws: LogError.self) { try RestoreTests.open(disk) }
                    unfinished += 1
                } else if !names.allSatisfy({ $0.hasSuffix("/LOCK") }) {
                    #expect(try RestoreTests.started(disk) == model, "call \(call)")
                    complete += 1
                    continue
                }
                let again = try history.source(snapshots: History.store, disk: disk)
                _ = try RestoreTests.restore(again, .latest, excluding: false, on: disk)
                #expect(try RestoreTests.started(disk) == model, "call \(call)")
            }
            if reachedEnd { break }
        }
        print("restore crashPoints: \(points), unfinished \(unfinished), complete \(complete)")
        #expect(points > 100 && unfinished > 50 && complete >= 4)
    }

    @Test("a damaged checkpoint is passed over where the log has everything, and named where it has not")
    func damagedCheckpoint() throws {
        var random = SeededRandom.fromEnvironment("restore damagedCheckpoint")
        let history = try History(using: &random, origins: 2, events: 80)
        try history.checkpoint(70)
        let path = try #require(history.disk.paths.first { $0.hasSuffix(".index") })
        var bytes = try #require(history.disk.contents(path))
        bytes[bytes.count / 2] ^= 1
        history.disk.setContents(path, bytes)
        let whole = try history.source()
        let view = try whole.prospect(.latest, excluding: false, wantsHistory: false)
        #expect(try History.look(whole.load(view).materializer) == history.model(.everything))
        try history.trim(upTo: 60)
        let source = try history.source()
        let prospect = try source.prospect(.latest, excluding: false)
        do {
            _ = try source.load(prospect)
            Issue.record("it was restored from a damaged checkpoint")
        } catch {
            #expect("\(error)".contains(path))
        }
    }

    @Test("a snapshot of another history, and a checkpoint of one, are noticed")
    func otherHistory() throws {
        var random = SeededRandom.fromEnvironment("restore otherHistory")
        let disk = SimulatedFileSystem()
        let other = try History(using: &random, origins: 1, events: 100, disk: disk)
        try other.snapshot(50)
        let history = try History(using: &random, origins: 1, events: 100)
        for path in disk.paths where path.hasPrefix(History.store) {
            history.disk.setContents(path, try #require(disk.contents(path)))
        }
        try history.trim(upTo: 50)
        let source = try history.source(snapshots: History.store)
        let prospect = try source.prospect(.latest, excluding: false)
        #expect(throws: RestoreError.self) { try source.load(prospect) }
    }
}
