import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// The log's length is bounded, and nothing that a start needs is ever removed.
@Suite("Retention")
struct RetentionTests {
    private static let dimensions = 64

    private static func vector(_ number: Int) -> [Float] {
        (0..<dimensions).map { Float(number + $0 + 1) }
    }

    private static func put(_ number: Int, over ids: Int) throws -> Command {
        try DatabaseTests.put("a", "v\(number % ids)", vector(number))
    }

    /// Segments of a few records each.
    private static func open(
        _ disk: SimulatedFileSystem,
        _ change: (inout DatabaseOptions) -> Void
    ) throws -> Database {
        try DatabaseTests.open(disk) {
            $0.segmentBytes = 4096
            $0.checkpointSeconds = 0
            $0.lastCheckpointSeconds = 0
            change(&$0)
        }
    }

    private static func logBytes(_ disk: SimulatedFileSystem) -> Int {
        disk.paths.filter { $0.hasSuffix(".seg") }.reduce(0) { $0 + (disk.contents($1)?.count ?? 0) }
    }

    @Test("by age: segments go when their newest event is older than the time, by size: when there is more than that")
    func policy() {
        let segments = [(1, 0), (11, 100), (21, 200), (31, 300)].map { first, previous in
            LogSegment(firstLSN: LSN(UInt64(first)), path: "", bytes: 10, previousSeconds: UInt32(previous))
        }
        func floor(_ seconds: UInt64?, _ bytes: Int?, now: UInt64) -> UInt64 {
            RetentionPolicy(seconds: seconds, bytes: bytes).floor(of: segments, now: now).rawValue
        }
        #expect(floor(nil, nil, now: 1 << 40) == 0)
        #expect(floor(50, nil, now: 150) == 0)
        #expect(floor(50, nil, now: 151) == 10)
        #expect(floor(50, nil, now: 251) == 20)
        // The last one stays, whatever its age.
        #expect(floor(50, nil, now: 1 << 40) == 30)
        #expect(floor(nil, 40, now: 0) == 0)
        #expect(floor(nil, 39, now: 0) == 10)
        #expect(floor(nil, 20, now: 0) == 20)
        #expect(floor(nil, 1, now: 0) == 30)
        #expect(floor(1 << 40, 20, now: 500) == 20)
        #expect(RetentionPolicy(seconds: 1, bytes: 1).floor(of: [], now: 9) == .zero)
    }

    @Test("a log that may have so many bytes has no more, and every row is there after a start")
    func bySize() throws {
        let disk = SimulatedFileSystem()
        let trims = Semaphore()
        let bound = 10 * 4096
        let database = try RetentionTests.open(disk) {
            $0.retention = RetentionPolicy(bytes: bound)
            $0.maxDiskBytes = 30 * 4096
            $0.trimmed = { if $0.segments > 0 { trims.signal() } }
        }
        DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 64)])
        var written = 0
        // The bound on the disk is met before the next look at the log's size, and asks for it.
        while written < 500 {
            let result = DatabaseTests.write(database, [try RetentionTests.put(written, over: 40)])
            if case .diskFull? = DatabaseTests.error(result.first) { trims.wait() } else { written += 1 }
            #expect(RetentionTests.logBytes(disk) <= 30 * 4096)
        }
        let (digest, trimmed) = (database.digest, database.log.watermarks.trimmed)
        #expect(trimmed > LSN(200))
        database.close()
        disk.kill()
        let second = try RetentionTests.open(disk) { _ in }
        #expect(second.digest == digest)
        #expect(second.log.watermarks.trimmed >= trimmed)
        second.close()
    }

    @Test("at the bound of the disk writes are refused, reads go on, and with more room the node recovers by itself")
    func bound() throws {
        let disk = SimulatedFileSystem()
        let database = try RetentionTests.open(disk) { $0.maxDiskBytes = 8 * 4096 }
        DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 64)])
        var stored = 0
        var refusal: CommandError?
        while refusal == nil, stored < 1000 {
            refusal = DatabaseTests.error(
                DatabaseTests.write(database, [try RetentionTests.put(stored, over: .max)]).first
            )
            if refusal == nil { stored += 1 }
        }
        guard case .diskFull(let reason)? = refusal else {
            Issue.record("not refused: \(String(describing: refusal))")
            return
        }
        #expect(reason.contains("Nothing was written"))
        #expect(database.disk.logBytes <= 8 * 4096)
        guard case .full = database.health else {
            Issue.record("health: \(database.health)")
            return
        }
        #expect(database.vectorCount == stored)
        let digest = database.digest
        database.close()
        disk.kill()
        // The bound is a setting: the next start may have another.
        let second = try RetentionTests.open(disk) { $0.maxDiskBytes = 100 * 4096 }
        #expect(second.digest == digest)
        #expect(DatabaseTests.error(DatabaseTests.write(second, [try RetentionTests.put(0, over: 1)]).first) == nil)
        #expect(second.health == .healthy)
        second.close()
    }

    @Test("a full disk: the node is full until there is room, and then healthy without a write or a restart")
    func fullDisk() throws {
        let disk = SimulatedFileSystem()
        let room = Semaphore()
        let database = try RetentionTests.open(disk) { $0.roomFound = { room.signal() } }
        DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 64)])
        disk.setCapacity(8 * 4096)
        var stored = 0
        while DatabaseTests.error(
            DatabaseTests.write(database, [try RetentionTests.put(stored, over: .max)]).first
        ) == nil { stored += 1 }
        #expect(database.health != .healthy)
        #expect(database.vectorCount == stored)
        disk.setCapacity(nil)
        // The node looks every few seconds.
        room.wait()
        #expect(database.health == .healthy)
        #expect(
            DatabaseTests.error(DatabaseTests.write(database, [try RetentionTests.put(stored, over: .max)]).first)
                == nil
        )
        database.close()
    }

    @Test("a crash at any call, with segments removed all the time: every acknowledged write is there")
    func crashPoints() throws {
        var random = SeededRandom.fromEnvironment("retention crashPoints")
        var (points, trims) = (0, 0)
        for round in 0..<300 {
            let disk = SimulatedFileSystem()
            var acknowledged: [String: [Float]] = [:]
            let removed = Mutex(0)
            let trimmed = Semaphore()
            let database = try RetentionTests.open(disk) {
                $0.retention = RetentionPolicy(bytes: 4 * 4096)
                $0.maxDiskBytes = 16 * 4096
                $0.trimmed = { report in
                    removed.withLock { $0 += report.segments }
                    trimmed.signal()
                }
                $0.checkpointed = { _ in trimmed.signal() }
            }
            DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 64)])
            disk.fail(callFromNow: Int.random(in: 1...600, using: &random), .stop)
            // The write that was under way when the disk stopped may be there or not.
            var open: (id: String, vector: [Float])?
            var number = 0
            while !disk.isStopped, number < 400 {
                let (id, vector) = ("v\(number % 12)", RetentionTests.vector(number))
                let error = DatabaseTests.error(
                    DatabaseTests.write(database, [try DatabaseTests.put("a", id, vector)]).first
                )
                switch error {
                case nil:
                    acknowledged[id] = vector
                    number += 1
                case .diskFull? where !disk.isStopped:
                    trimmed.wait()
                default:
                    open = (id, vector)
                }
                if open != nil { break }
            }
            round.isMultiple(of: 3) ? disk.kill() : disk.crash(using: &random)
            database.close()
            points += 1
            trims += removed.withLock { $0 }
            let second = try RetentionTests.open(disk) { _ in }
            let index = try #require(second.index(try DatabaseTests.name("a")), "round \(round): the index is gone")
            for (id, vector) in acknowledged {
                let found = index.withRow(try DatabaseTests.id(id)) { Array($0.vector) }
                #expect(
                    found == vector || open?.id == id && found == open?.vector,
                    "round \(round): \(id) is lost or old"
                )
            }
            #expect(index.count - acknowledged.count <= (open == nil ? 0 : 1))
            second.close()
        }
        print("retention crashPoints: \(points), segments removed: \(trims)")
        #expect(trims > 500, "only \(trims) segments were removed")
    }
}
