import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

/// Every moment that an archive holds comes back as it was, or the restore names what is missing.
@Suite("Restore from an archive")
struct ArchiveRestoreTests {
    private static func restore(
        _ source: RestoreSource,
        _ target: RestoreTarget = .latest,
        excluding: Bool = false,
        on disk: SimulatedFileSystem
    ) throws -> RestoreReport {
        try RestoreTests.restore(source, target, excluding: excluding, on: disk)
    }

    @Test("200 moments: each is the state of the events up to there, whatever snapshots and segments it is made of")
    func moments() throws {
        var random = SeededRandom.fromEnvironment("archive moments")
        var (moments, fromSnapshot, fromNothing, refused) = (0, 0, 0, 0)
        while moments < 200 {
            let history = try History(
                using: &random,
                origins: Int.random(in: 1...4, using: &random),
                events: Int.random(in: 40...200, using: &random)
            )
            var archive = try ArchivedHistory(history)
            try archive.fill(using: &random, snapshots: Int.random(in: 0...4, using: &random))
            if random.oneIn(2), let base = archive.manifest.snapshots.randomElement(using: &random) {
                // What that snapshot holds is no longer kept as events.
                archive.expire { $0.last <= base.heads[$0.origin].sequence && random.oneIn(2) }
            }
            try archive.commit()
            for _ in 0..<8 {
                let (target, excluding, bound) = try history.target(using: &random)
                let disk = SimulatedFileSystem()
                let source = try archive.source()
                do {
                    let report = try ArchiveRestoreTests.restore(source, target, excluding: excluding, on: disk)
                    let model = try history.model(bound)
                    #expect(report.digest == model.digest, "\(target)")
                    #expect(try RestoreTests.started(disk) == model, "\(target)")
                    let included = history.items.filter { bound.holds($0.event.envelope.version) }
                    #expect(report.lastLSN == LSN(UInt64(included.count)))
                    #expect(disk.paths.allSatisfy { !$0.contains("/fetched") })
                    let view = try source.prospect(target, excluding: excluding, wantsHistory: false)
                    #expect(try History.look(source.load(view).materializer) == model, "\(target)")
                    moments += 1
                    if report.firstLSN == LSN(1) { fromNothing += 1 } else { fromSnapshot += 1 }
                } catch RestoreError.unreachable, RestoreError.unknownTarget {
                    // Then, and only then, an event up to there is in no segment and no snapshot holds it in time. Of one that
                    // is in none nobody knows when it was: so the first of each origin beyond the moment counts too.
                    let held = archive.manifest.segments
                    var ended: Set<OriginID> = []
                    let isWhole = history.items.allSatisfy { item in
                        let envelope = item.event.envelope
                        let isNeeded =
                            bound.holds(envelope.version) || ended.insert(envelope.origin).inserted
                        return !isNeeded
                            || held.contains {
                                $0.origin == envelope.origin && $0.first <= envelope.sequence
                                    && envelope.sequence <= $0.last
                            }
                    }
                    #expect(!isWhole, "\(target) was refused")
                    refused += 1
                }
            }
        }
        print("archive moments: \(fromNothing) from nothing, \(fromSnapshot) from snapshots, \(refused) refused")
        #expect(fromNothing > 20 && fromSnapshot > 40 && refused > 2)
    }

    @Test("the restored log has its events in the order of their versions")
    func order() throws {
        var random = SeededRandom.fromEnvironment("archive order")
        let history = try History(using: &random, origins: 3, events: 150)
        var archive = try ArchivedHistory(history)
        try archive.fill(using: &random, snapshots: 0)
        try archive.commit()
        let disk = SimulatedFileSystem()
        _ = try ArchiveRestoreTests.restore(archive.source(), on: disk)
        var versions: [EventVersion] = []
        _ = try LogScan(directory: RestoreTests.target + "/log", fileSystem: disk).run { record throws(LogError) in
            versions.append(record.envelope.version)
        }
        #expect(versions == history.items.map(\.event.envelope.version).sorted())
        var lsns: [UInt64] = []
        try ArchiveLog(of: archive.store).forEach { record in
            lsns.append(record.lsn.rawValue)
            return true
        }
        #expect(lsns == Array(1...UInt64(history.items.count)))
    }

    @Test("what would be read is known before: events, objects, and those next to the moment")
    func dryRun() throws {
        var random = SeededRandom.fromEnvironment("archive dryRun")
        let history = try History(using: &random, origins: 3, events: 150)
        var archive = try ArchivedHistory(history)
        try archive.fill(using: &random, snapshots: 0)
        try archive.commit()
        for _ in 0..<30 {
            let (target, excluding, bound) = try history.target(using: &random)
            let prospect = try archive.source().prospect(target, excluding: excluding)
            let versions = history.items.map(\.event.envelope.version)
            #expect(prospect.bound == bound)
            #expect(prospect.log?.lastIncluded?.version == versions.filter(bound.holds).max())
            #expect(prospect.log?.firstExcluded?.version == versions.filter { !bound.holds($0) }.min())
            #expect(prospect.log?.eventsIncluded == UInt64(versions.filter(bound.holds).count))
        }
    }

    @Test("a restore that ends after any call is not taken for a complete one, and succeeds when it is run again")
    func crashPoints() throws {
        var random = SeededRandom.fromEnvironment("archive crashPoints")
        let history = try History(using: &random, origins: 2, events: 60)
        var archive = try ArchivedHistory(history)
        try archive.fill(using: &random, snapshots: 0)
        try archive.snapshot(30)
        try archive.commit()
        let model = try history.model(.everything)
        var (points, complete, unfinished, spared) = (0, 0, 0, 0)
        for call in 1... {
            var reachedEnd = false
            for variant in 0..<3 {
                let disk = SimulatedFileSystem()
                disk.fail(callFromNow: call, .stop)
                _ = try? ArchiveRestoreTests.restore(archive.source(), on: disk)
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
                let counting = FailingStore(archive.store)
                _ = try ArchiveRestoreTests.restore(archive.source(counting), on: disk)
                #expect(try RestoreTests.started(disk) == model, "call \(call)")
                let again = FailingStore(archive.store)
                _ = try ArchiveRestoreTests.restore(archive.source(again), on: SimulatedFileSystem())
                if counting.reads < again.reads { spared += 1 }
            }
            if reachedEnd { break }
        }
        print("archive crashPoints: \(points), unfinished \(unfinished), complete \(complete), spared \(spared)")
        #expect(points > 100 && unfinished > 50 && complete >= 3 && spared > 20)
    }

    @Test("a store that dies at any read leaves a restore that goes on with what it has")
    func dyingStore() throws {
        var random = SeededRandom.fromEnvironment("archive dyingStore")
        let history = try History(using: &random, origins: 2, events: 120)
        var archive = try ArchivedHistory(history)
        try archive.fill(using: &random, snapshots: 0)
        try archive.snapshot(60)
        try archive.commit()
        let model = try history.model(.everything)
        let whole = FailingStore(archive.store)
        _ = try ArchiveRestoreTests.restore(archive.source(whole), on: SimulatedFileSystem())
        var failures = 0
        for reads in 0..<whole.reads {
            let disk = SimulatedFileSystem()
            #expect(throws: (any Error).self) {
                try ArchiveRestoreTests.restore(
                    archive.source(FailingStore(archive.store, readsLeft: reads)),
                    on: disk
                )
            }
            failures += 1
            let second = FailingStore(archive.store)
            _ = try ArchiveRestoreTests.restore(archive.source(second), on: disk)
            #expect(try RestoreTests.started(disk) == model)
            // Manifests are read again; of the others those that had come are not.
            #expect(second.reads <= whole.reads)
        }
        #expect(failures > 8)
    }

    @Test("an object that is missing or has one wrong byte is named, by a restore and by the check")
    func damage() throws {
        var random = SeededRandom.fromEnvironment("archive damage")
        let history = try History(using: &random, origins: 2, events: 80)
        var archive = try ArchivedHistory(history)
        try archive.fill(using: &random, snapshots: 0)
        try archive.snapshot(40)
        try archive.commit()
        let clean = try ArchiveCheck(archive.store).run()
        #expect(clean.findings.isEmpty && clean.events == UInt64(history.items.count) && clean.blocks > 0)
        let needed = try archive.source().prospect(.latest, excluding: false)
        var (named, found) = (0, 0)
        for path in history.disk.paths.sorted() where path.hasPrefix(History.store + "/") {
            let key = String(path.dropFirst(History.store.utf8.count + 1))
            guard !key.hasPrefix("manifests/") else { continue }
            let bytes = try #require(history.disk.contents(path))
            for isMissing in [true, false] {
                if isMissing {
                    try history.disk.remove(path)
                } else {
                    var flipped = bytes
                    flipped[Int.random(in: 0..<bytes.count, using: &random)] ^=
                        1 << UInt8.random(in: 0..<8, using: &random)
                    history.disk.setContents(path, flipped)
                }
                let report = try ArchiveCheck(archive.store).run()
                #expect(report.findings.contains { $0.contains(key) }, "\(key)")
                found += 1
                let isNeeded =
                    needed.plan.segments.contains(key) || key.hasPrefix("blocks/") || key.hasPrefix("snapshots/")
                if isNeeded {
                    do {
                        _ = try ArchiveRestoreTests.restore(archive.source(), on: SimulatedFileSystem())
                        Issue.record("restored without \(key)")
                    } catch {
                        #expect("\(error)".contains(key), "\(error)")
                        named += 1
                    }
                }
                history.disk.setContents(path, bytes)
            }
        }
        print("archive damage: \(found) found, \(named) named by a restore")
        #expect(found > 10 && named > 6)
        #expect(try ArchiveCheck(archive.store).run().findings.isEmpty)
    }

    @Test("a mark is found in segments and in snapshots, and restores what it named")
    func marks() throws {
        var random = SeededRandom.fromEnvironment("archive marks")
        let history = try History(using: &random, origins: 2, events: 160)
        var archive = try ArchivedHistory(history)
        try archive.fill(using: &random, snapshots: 2)
        try archive.commit()
        var expected: [String: EventVersion] = [:]
        for item in history.items {
            guard case .mark(let name)? = item.event.envelope.event else { continue }
            expected[name] = max(expected[name] ?? .none, item.event.envelope.version)
        }
        let points = try RestorePoints(of: archive.store)
        #expect(Dictionary(uniqueKeysWithValues: points.marks.map { ($0.name, $0.version) }) == expected)
        #expect(!expected.isEmpty && points.events == UInt64(history.items.count))
        #expect(points.earliest == history.items.map(\.event.envelope.version).min()?.hlc)
    }
}
