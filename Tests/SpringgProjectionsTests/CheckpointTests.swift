import Glibc
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// A checkpoint shortens the start and changes nothing else: neither what is there, nor what damage is noticed.
@Suite("Checkpoints")
struct CheckpointTests {
    static let directory = "/data/checkpoints"

    @Test("state from a checkpoint and the events behind it is the state from all events, for any set and any place")
    func property() throws {
        var random = SeededRandom.fromEnvironment("checkpoint property")
        for _ in 0..<60 {
            let set = EventSet(using: &random, origins: 3, events: Int.random(in: 1...150, using: &random))
            let items = set.items.shuffled(using: &random)
            let cut = Int.random(in: 0...items.count, using: &random)
            let whole = ConvergenceTests.apply(items, publishEvery: 3)
            let disk = SimulatedFileSystem()
            let first = ConvergenceTests.apply(Array(items.prefix(cut)), publishEvery: 3)
            try first.checkpoint(heads: VersionVector(), to: CheckpointTests.directory, disk)
            let (second, base, _) = try Materializer.restore(LSN(UInt64(cut)), from: CheckpointTests.directory, disk)
            #expect(base.lsn == LSN(UInt64(cut)))
            #expect(ConvergenceTests.look(second) == ConvergenceTests.look(first))
            #expect(second.memoryBytes <= first.memoryBytes)
            for (number, item) in items.enumerated().dropFirst(cut) {
                let envelope = item.event.envelope
                guard let event = envelope.event else { continue }
                second.apply(event, of: envelope, recordBytes: 100, lsn: LSN(UInt64(number + 1)))
            }
            second.publish()
            #expect(ConvergenceTests.look(second) == ConvergenceTests.look(whole))
        }
    }

    static func fill(_ database: Database, _ ids: Range<Int>) throws {
        let commands = try ids.map { try DatabaseTests.put("a", "v\($0)", [Float($0), 1], metadata: "{\"n\":\($0)}") }
        #expect(DatabaseTests.write(database, commands).allSatisfy { DatabaseTests.error($0) == nil })
    }

    @Test("a start reads the checkpoint and only the log behind it")
    func start() throws {
        let disk = SimulatedFileSystem()
        let first = try DatabaseTests.open(disk)
        DatabaseTests.write(first, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 2)])
        try CheckpointTests.fill(first, 0..<200)
        #expect(first.indexes().first?.stats.dirty == true)
        first.close()
        let second = try DatabaseTests.open(disk)
        #expect(second.checkpoint.lsn == LSN(201))
        #expect(second.indexes().first?.stats.dirty == false)
        #expect(second.digest == first.digest)
        try CheckpointTests.fill(second, 150..<250)
        let digest = second.digest
        disk.kill()
        let third = try DatabaseTests.open(disk)
        #expect(third.checkpoint.lsn == LSN(201))
        #expect(third.digest == digest)
        #expect(third.vectorCount == 250)
        #expect(third.indexes().first?.stats.diskBytes == second.indexes().first?.stats.diskBytes)
        second.close()
    }

    @Test(
        "checkpoints at full speed beside a writer, killed or powered off at any moment: nothing acknowledged is lost"
    )
    func underLoad() throws {
        var random = SeededRandom.fromEnvironment("checkpoint underLoad")
        let disk = SimulatedFileSystem()
        var rows: [String: [Float]] = [:]
        var written = 0
        for round in 0..<25 {
            let reports = Mutex<[CheckpointReport]>([])
            let database = try DatabaseTests.open(disk) {
                $0.checkpointSeconds = 0.0005
                $0.checkpointed = { report in reports.withLock { $0.append(report) } }
            }
            #expect(database.checkpoint.damaged.isEmpty)
            #expect(DatabaseTests.rows(database) == rows)
            if round == 0 {
                DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 2)])
            }
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                var commands: [Command] = []
                for _ in 0..<20 {
                    let id = "v\(Int.random(in: 0..<300, using: &random))"
                    if random.oneIn(4) {
                        commands.append(
                            .delete(index: try DatabaseTests.name("a"), id: try DatabaseTests.id(id))
                        )
                        rows["a/" + id] = nil
                    } else {
                        let vector = random.floats(2)
                        commands.append(try DatabaseTests.put("a", id, vector))
                        rows["a/" + id] = vector
                    }
                }
                DatabaseTests.write(database, commands)
            }
            if random.oneIn(3) { database.close() }
            // The old one still runs, on a dead disk: it ends without harm, and before the next begins.
            disk.fail(callFromNow: 1, .stop)
            database.close()
            random.oneIn(2) ? disk.kill() : disk.crash(using: &random)
            written += reports.withLock { $0.filter { $0.failure == nil }.count }
        }
        #expect(written > 25, "only \(written) checkpoints were written")
    }

    @Test("a checkpoint that finds no room leaves the room to the log")
    func diskFull() throws {
        let disk = SimulatedFileSystem()
        let failures = Mutex<[String?]>([])
        let database = try DatabaseTests.open(disk) {
            $0.segmentBytes = 64 << 10
            $0.checkpointSeconds = 0
            $0.checkpointed = { report in failures.withLock { $0.append(report.failure) } }
        }
        DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 256)])
        let vector = [Float](repeating: 1, count: 256)
        for number in 0..<80 {
            DatabaseTests.write(database, [try DatabaseTests.put("a", "v\(number)", vector)])
        }
        // Room for what the log has, not for a copy of it.
        disk.setCapacity(200 << 10)
        let digest = database.digest
        database.close()
        #expect(failures.withLock { $0.count == 1 && $0[0]?.contains("No space left") == true })
        #expect(
            disk.paths.allSatisfy { !$0.hasPrefix(CheckpointTests.directory) },
            "a failed checkpoint is still there"
        )
        disk.kill()
        #expect(try DatabaseTests.open(disk).digest == digest)
    }

    @Test("a crash after any call of a checkpoint leaves the one before or the new one, and the state either way")
    func crashPoints() throws {
        var random = SeededRandom.fromEnvironment("checkpoint crashPoints")
        let prepared = SimulatedFileSystem()
        let first = try DatabaseTests.open(prepared)
        DatabaseTests.write(first, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 2)])
        try CheckpointTests.fill(first, 0..<30)
        first.close()
        var points = 0
        for call in 1... {
            var reachedEnd = false
            for variant in 0..<4 {
                let disk = prepared.copy()
                let second = try DatabaseTests.open(disk) { $0.lastCheckpointSeconds = 10 }
                try CheckpointTests.fill(second, 20..<50)
                let digest = second.digest
                disk.fail(callFromNow: call, .stop)
                second.close()
                reachedEnd = !disk.isStopped
                variant == 0 ? disk.kill() : disk.crash(using: &random)
                points += 1
                let third = try DatabaseTests.open(disk)
                let files = disk.paths.filter { $0.hasPrefix(CheckpointTests.directory) }
                let manifests = files.filter { $0.hasSuffix(".manifest") }
                #expect(files.count == 2 * manifests.count, "call \(call): what was interrupted is still there")
                #expect(third.digest == digest, "call \(call)")
                #expect(third.checkpoint.damaged.isEmpty, "call \(call)")
                third.close()
            }
            if reachedEnd { break }
        }
        print("checkpoint crashPoints: \(points)")
        #expect(points > 20)
    }

    @Test("every byte of a checkpoint damaged: the older one or the log gives the same state, and the damage is named")
    func everyByte() throws {
        let disk = SimulatedFileSystem()
        let first = try DatabaseTests.open(disk)
        DatabaseTests.write(first, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 2)])
        try CheckpointTests.fill(first, 0..<4)
        DatabaseTests.write(first, [.delete(index: try DatabaseTests.name("a"), id: try DatabaseTests.id("v1"))])
        let digest = first.digest
        first.close()
        let paths = disk.paths.filter { $0.hasPrefix(CheckpointTests.directory) }
        #expect(paths.count == 2)
        for path in paths {
            let bytes = try #require(disk.contents(path))
            for place in bytes.indices {
                var damaged = bytes
                damaged[place] ^= 0x10
                let copy = disk.copy()
                copy.setContents(path, damaged)
                let second = try DatabaseTests.open(copy) { $0.lastCheckpointSeconds = 0 }
                #expect(second.digest == digest)
                #expect(second.checkpoint.damaged.count == 1, "byte \(place) of \(path)")
                #expect(second.checkpoint.damaged.allSatisfy { $0.hasPrefix(path) }, "byte \(place) of \(path)")
                second.close()
            }
            for length in stride(from: 0, to: bytes.count, by: 3) {
                let copy = disk.copy()
                copy.setContents(path, Array(bytes.prefix(length)))
                let second = try DatabaseTests.open(copy) { $0.lastCheckpointSeconds = 0 }
                #expect(second.digest == digest)
                #expect(!second.checkpoint.damaged.isEmpty, "\(path) cut at \(length)")
                second.close()
            }
        }
    }

    @Test("without the log's beginning and without a whole checkpoint the start is refused: the state would be less")
    func trimmedWithoutCheckpoint() throws {
        let disk = SimulatedFileSystem()
        let first = try DatabaseTests.open(disk) { $0.segmentBytes = 4096 }
        DatabaseTests.write(first, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 2)])
        for start in 0..<20 { try CheckpointTests.fill(first, start * 10..<start * 10 + 10) }
        let digest = first.digest
        first.close()
        let second = try DatabaseTests.open(disk) { $0.segmentBytes = 4096 }
        #expect(try !second.log.trim().isEmpty)
        second.close()
        let third = try DatabaseTests.open(disk)
        #expect(third.digest == digest)
        third.close()
        for path in disk.paths where path.hasSuffix(".manifest") { try disk.remove(path) }
        do {
            _ = try DatabaseTests.open(disk)
            Issue.record("it opened")
        } catch LogError.corrupt(let damage) {
            #expect(damage.reason.contains("no checkpoint"))
        }
    }

    @Test("a segment that is missing is noticed although a checkpoint holds what was in it")
    func missingSegment() throws {
        let disk = SimulatedFileSystem()
        let first = try DatabaseTests.open(disk) { $0.segmentBytes = 4096 }
        DatabaseTests.write(first, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 2)])
        for start in 0..<20 { try CheckpointTests.fill(first, start * 10..<start * 10 + 10) }
        first.close()
        let segments = disk.paths.filter { $0.hasSuffix(".seg") }
        for missing in segments.dropFirst() {
            let copy = disk.copy()
            try copy.remove(missing)
            #expect(throws: LogError.self) { try DatabaseTests.open(copy) }
        }
    }

    @Test("a checkpoint of another history is not taken for this log's")
    func otherHistory() throws {
        let disks = try (0..<2).map { number in
            let disk = SimulatedFileSystem()
            let database = try DatabaseTests.open(disk)
            DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 2)])
            try CheckpointTests.fill(database, number..<10 + number)
            database.close()
            return disk
        }
        for path in disks[0].paths where path.hasPrefix(CheckpointTests.directory) {
            disks[1].setContents(path, try #require(disks[0].contents(path)))
        }
        do {
            _ = try DatabaseTests.open(disks[1])
            Issue.record("it opened")
        } catch LogError.corrupt(let damage) {
            #expect(damage.reason.contains("checkpoint"))
        }
    }

    /// `Fixtures/golden`, beside `Tests`.
    static var golden: String {
        #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/Fixtures/golden"
    }

    /// A row, a tombstone and a row of other dimensions, under one name; another name was deleted.
    private static func goldenState() throws -> (Materializer, VersionVector) {
        let state = Materializer()
        var writer = LoneOrigin(OriginID(high: 0x1111_2222_3333_4444, low: 0x5555_6666_7777_8888))
        let events: [EncodedEvent] = [
            Array("{}".utf8).withUnsafeBytes { .indexCreated(name: "docs", dimensions: 2, options: $0) },
            EventSet.put("docs", "é/1", [1, -0.5], metadata: "{\"custom\":{}}"),
            EventSet.put("docs", "gone", [2, 3]),
            Array("gone".utf8).withUnsafeBytes { .vectorDeleted(index: "docs", id: $0) },
            EventSet.put("docs", "three", [1, 2, 3]),
            .indexCreated(name: "old", dimensions: 1, options: .empty),
            .indexDeleted(name: "old"),
        ]
        for (number, event) in events.enumerated() {
            let lsn = writer.stamp(event, at: HLC(milliseconds: 1_700_000_000_000, counter: UInt16(number)))
            state.apply(try #require(event.envelope.event), of: event.envelope, recordBytes: 100, lsn: lsn)
        }
        state.publish()
        return (state, writer.heads)
    }

    private static let goldenFiles = [
        ("checkpoint-v3.manifest", "00000000000000000007.manifest"),
        ("checkpoint-v1.index", "00000000000000000007-000000.index"),
        ("checkpoint-v1-deleted.index", "00000000000000000007-000001.index"),
    ]

    static func contents(_ path: String) throws -> [UInt8] {
        let file = try PosixFileSystem().open(path, .read)
        var bytes = [UInt8](repeating: 0, count: try file.size())
        _ = try bytes.withMutableBytes { buffer in try file.read(at: 0, into: buffer) }
        return bytes
    }

    @Test(
        "a manifest of a version that knew no graphs, or dropped no tombstones, is read as it was",
        arguments: [1, 2]
    )
    func goldenManifest(_ version: Int) throws {
        let kept = SimulatedFileSystem()
        for (golden, name) in CheckpointTests.goldenFiles {
            let known = golden.hasSuffix(".manifest") ? "checkpoint-v\(version).manifest" : golden
            let bytes = try CheckpointTests.contents(CheckpointTests.golden + "/" + known)
            kept.setContents(CheckpointTests.directory + "/" + name, bytes)
        }
        let (restored, _, damaged) = try Materializer.restore(LSN(7), from: CheckpointTests.directory, kept)
        #expect(damaged == [] && restored.dropped == .none)
        #expect(ConvergenceTests.look(restored) == ConvergenceTests.look(try CheckpointTests.goldenState().0))
    }

    @Test("the checkpoint's format is written and read as it was")
    func goldenFormat() throws {
        let (state, heads) = try CheckpointTests.goldenState()
        let written = SimulatedFileSystem()
        try state.checkpoint(heads: heads, to: CheckpointTests.directory, written)
        let kept = SimulatedFileSystem()
        for (golden, name) in CheckpointTests.goldenFiles {
            let bytes = try #require(written.contents(CheckpointTests.directory + "/" + name))
            if let target = getenv("SPRINGG_WRITE_GOLDEN") {
                let file = try PosixFileSystem().open(String(cString: target) + "/" + golden, .create)
                try bytes.withBytes { try file.write($0, at: 0) }
            }
            let known = try CheckpointTests.contents(CheckpointTests.golden + "/" + golden)
            #expect(bytes == known, "\(golden)")
            kept.setContents(CheckpointTests.directory + "/" + name, known)
        }
        let (restored, base, _) = try Materializer.restore(LSN(7), from: CheckpointTests.directory, kept)
        #expect(ConvergenceTests.look(restored) == ConvergenceTests.look(state))
        #expect(
            base == LogBase(lsn: LSN(7), heads: heads, highestHLC: HLC(milliseconds: 1_700_000_000_000, counter: 6))
        )
        #expect(ConvergenceTests.look(restored).conflicts == ["docs": 1])
    }
}
