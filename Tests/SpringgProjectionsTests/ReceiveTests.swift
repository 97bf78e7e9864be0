import Glibc
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// Events that other nodes have written, on their way into a log.
@Suite("Events from elsewhere")
struct ReceiveTests {
    static func batch(_ items: some Swift.Sequence<EncodedEvent>) throws -> EnvelopeBatch {
        var bytes: [UInt8] = []
        for item in items { bytes += item.envelope.bytes }
        return try bytes.withBytes { bytes throws(EnvelopeBatch.Flaw) in try EnvelopeBatch(bytes) }
    }

    static func receive(_ database: Database, _ events: some Swift.Sequence<EncodedEvent>) throws -> ReceiveOutcome {
        let outcome = Mutex(ReceiveOutcome())
        let done = Semaphore()
        database.receive(try batch(events)) { answer in
            outcome.withLock { $0 = answer }
            done.signal()
        }
        done.wait()
        return outcome.withLock { $0 }
    }

    static func originate(_ database: Database, underNewOrigin isNew: Bool) -> LogError? {
        let failure = Mutex<LogError?>(nil)
        let done = Semaphore()
        database.originate(underNewOrigin: isNew) { error in
            failure.withLock { $0 = error }
            done.signal()
        }
        done.wait()
        return failure.withLock { $0 }
    }

    /// One origin's events with given chain, for histories that contradict each other.
    static func history(_ origin: OriginID, _ events: [EncodedEvent], at milliseconds: UInt64 = 5) -> [EncodedEvent] {
        var head = VersionVector.Head.start
        for (number, event) in events.enumerated() {
            let chain = event.stamp(
                origin: origin,
                sequence: head.sequence.next,
                hlc: HLC(milliseconds: milliseconds + UInt64(number), counter: 0),
                seen: .none,
                previousChain: head.chain
            )
            head = .init(sequence: head.sequence.next, chain: chain)
        }
        return events
    }

    static let foreign = OriginID(high: 0xF0, low: 1)

    @Test("any order of batches, with repetitions, beside own writes, gives the rule's state, and so does a restart")
    func anyOrder() throws {
        var random = SeededRandom.fromEnvironment("receive")
        for _ in 0..<40 {
            let set = EventSet(using: &random, origins: 3, events: 120)
            let disk = SimulatedFileSystem()
            let database = try DatabaseTests.open(disk)
            var queues = (0..<3).map { origin in set.items.filter { $0.origin == origin }.map(\.event)[...] }
            while queues.contains(where: { !$0.isEmpty }) {
                var batch: [EncodedEvent] = []
                for place in queues.indices {
                    let count = min(queues[place].count, Int.random(in: 0...8, using: &random))
                    batch += queues[place].prefix(count)
                    queues[place] = queues[place].dropFirst(count)
                }
                let outcome = try ReceiveTests.receive(database, batch)
                #expect(outcome.appended == batch.count && outcome.refusals.isEmpty && outcome.failure == nil)
                if random.oneIn(3) {
                    let again = try ReceiveTests.receive(database, batch)
                    #expect(again.held == batch.count && again.appended == 0 && again.vector == outcome.vector)
                }
            }
            #expect(DatabaseTests.rows(database) == EventSet.visible(after: set.items).rows)
            let (digest, vector) = (database.digest, database.versionVector)
            database.close()
            let again = try DatabaseTests.open(disk)
            #expect(again.digest == digest && again.versionVector == vector)
            again.close()
        }
    }

    @Test("what this node writes afterwards is later than all it has heard of, whatever its wall clock says")
    func clocks() throws {
        let database = try DatabaseTests.open(SimulatedFileSystem())
        let create = EncodedEvent.indexCreated(name: "a", dimensions: 1, options: .empty)
        let ahead = ReceiveTests.history(ReceiveTests.foreign, [create, EventSet.put("a", "v", [1])], at: 1 << 45)
        #expect(try ReceiveTests.receive(database, ahead).appended == 2)
        let receipt = try DatabaseTests.write(database, [DatabaseTests.put("a", "v", [2])])[0].get()
        #expect(receipt.hlc > ahead[1].envelope.version.hlc)
        #expect(DatabaseTests.rows(database) == ["a/v": [2]])
        database.close()
    }

    @Test("gaps, other histories, own numbers and nameless things are refused by name; the rest of the batch is taken")
    func refusals() throws {
        let database = try DatabaseTests.open(SimulatedFileSystem())
        func events(_ count: Int, _ value: Float) -> [EncodedEvent] {
            [.indexCreated(name: "a", dimensions: 1, options: .empty)]
                + (1..<count).map { EventSet.put("a", "v\($0)", [value]) }
        }
        let true1 = ReceiveTests.history(ReceiveTests.foreign, events(6, 1))
        let false1 = ReceiveTests.history(ReceiveTests.foreign, events(6, 2))
        let other = ReceiveTests.history(OriginID(high: 0xF1, low: 1), events(3, 3))
        #expect(try ReceiveTests.receive(database, true1.prefix(3)).appended == 3)

        let gap = try ReceiveTests.receive(database, Array(true1.suffix(2)) + other)
        #expect(gap.appended == 3)
        #expect(gap.refusals.map(\.reason) == [.gap] && gap.refusals[0].held == Sequence(3))

        for suffix in [false1[2...2], false1[3...3]] {
            let outcome = try ReceiveTests.receive(database, suffix)
            #expect(outcome.appended == 0 && outcome.refusals.map(\.reason) == [.otherHistory])
        }
        let own = ReceiveTests.history(database.origin, events(2, 4))
        #expect(try ReceiveTests.receive(database, own).refusals.map(\.reason) == [.ownOrigin])
        let nameless = ReceiveTests.history(OriginID(high: 0xF2, low: 1), [.indexDeleted(name: "../../x")])
        #expect(try ReceiveTests.receive(database, nameless).refusals.map(\.reason) == [.malformed])
        #expect(try ReceiveTests.receive(database, true1).appended == 3)
        #expect(database.vectorCount == 5)
        database.close()
    }

    @Test("limits refuse commands and no events")
    func limits() throws {
        let database = try DatabaseTests.open(SimulatedFileSystem()) {
            $0.maxVectorsPerIndex = 1
            $0.maxMemoryBytes = 1
        }
        let create = EncodedEvent.indexCreated(name: "a", dimensions: 1, options: .empty)
        let events = ReceiveTests.history(
            ReceiveTests.foreign,
            [create] + (0..<5).map { EventSet.put("a", "v\($0)", [1]) }
        )
        #expect(try ReceiveTests.receive(database, events).appended == 6)
        #expect(database.vectorCount == 5)
        #expect(DatabaseTests.error(DatabaseTests.write(database, [try DatabaseTests.put("a", "w", [1])])[0]) != nil)
        database.close()
    }

    @Test("bytes that are no events are refused whole, wherever they are cut or changed")
    func damagedBytes() throws {
        let create = EncodedEvent.indexCreated(name: "a", dimensions: 1, options: .empty)
        var bytes: [UInt8] = []
        for event in ReceiveTests.history(ReceiveTests.foreign, [create, EventSet.put("a", "v", [1])]) {
            bytes += event.envelope.bytes
        }
        func read(_ bytes: [UInt8]) -> Int? {
            try? bytes.withBytes { bytes throws(EnvelopeBatch.Flaw) in try EnvelopeBatch(bytes).count }
        }
        let first = create.envelope.bytes.count
        #expect(read(bytes) == 2)
        for count in bytes.indices {
            #expect(read(Array(bytes[..<count])) == (count == 0 ? 0 : count == first ? 1 : nil))
        }
        for place in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[place] ^= 1 << bit
                #expect(read(changed) == nil)
            }
        }
    }

    @Test(
        "commands are refused until the node may originate; lost events of its own come back first, or it gets a new origin"
    )
    func ownOrigin() throws {
        let disk = SimulatedFileSystem()
        let database = try DatabaseTests.open(disk)
        DatabaseTests.write(database, [.createIndex(name: try DatabaseTests.name("a"), dimensions: 1)])
        database.close()
        let copy = disk.copy()
        // What the node wrote after the copy, as its peers have it.
        let first = try DatabaseTests.open(disk)
        let origin = first.origin
        DatabaseTests.write(first, try (0..<3).map { try DatabaseTests.put("a", "v\($0)", [1]) })
        var lost: [UInt8] = []
        let shipped = LogCursor(log: first.log, from: LSN(2))
        while let record = try shipped.next() { lost += record.envelope.bytes }
        let events = try lost.withBytes { bytes throws(EnvelopeBatch.Flaw) in try EnvelopeBatch(bytes) }

        let second = try DatabaseTests.open(copy) { $0.holdsCommands = "not yet" }
        let put = try DatabaseTests.put("a", "w", [2])
        #expect(DatabaseTests.error(DatabaseTests.write(second, [put])[0]) == .readOnly("not yet"))
        let appended = Mutex(0)
        let done = Semaphore()
        second.receive(events) { outcome in
            appended.withLock { $0 = outcome.appended }
            done.signal()
        }
        done.wait()
        #expect(appended.withLock { $0 } == 3 && second.origin == origin)
        #expect(ReceiveTests.originate(second, underNewOrigin: false) == nil)
        #expect(try DatabaseTests.write(second, [put])[0].get().sequence == Sequence(5))

        #expect(ReceiveTests.originate(second, underNewOrigin: true) == nil)
        let anew = try DatabaseTests.write(second, [put])[0].get()
        #expect(anew.sequence == Sequence(1) && anew.origin == second.origin && anew.origin != origin)
        second.close()
        let again = try DatabaseTests.open(copy)
        #expect(again.origin == anew.origin && again.vectorCount == 4)
        again.close()
        first.close()
    }

    /// The writer's work on a disk that may end at any call, without a thread.
    private struct Life {
        let writer: LogWriter
        let state = Materializer()
        var batch: WriteBatch

        init(_ disk: SimulatedFileSystem) throws(LogError) {
            var options = LogOptions()
            options.segmentBytes = 2048
            let state = state
            let (_, writer, report) = try Log.open(
                directory: "/log",
                options: options,
                fileSystem: disk,
                newOrigin: OriginID(high: 1, low: 1)
            ) { record throws(LogError) in try state.replay(record) }
            state.publish()
            writer.log.markApplied(report.last)
            self.writer = writer
            batch = WriteBatch(
                writer: writer,
                materializer: state,
                limits: WriteLimits(),
                highestHLC: report.highestHLC,
                writesFail: { _ in }
            )
        }
    }

    @Test("a crash at any call loses nothing that was answered, and brings nothing that was not sent")
    func crashPoints() throws {
        var random = SeededRandom.fromEnvironment("receive, crash")
        let create = EncodedEvent.indexCreated(name: "a", dimensions: 2, options: .empty)
        let events = ReceiveTests.history(
            ReceiveTests.foreign,
            [create] + (0..<24).map { EventSet.put("a", "f\($0)", [Float($0), 1]) }
        )
        let batches = try stride(from: 0, to: 25, by: 5).map { try ReceiveTests.batch(events[$0..<$0 + 5]) }
        var crashes = 0
        for call in 1... {
            let disk = SimulatedFileSystem()
            disk.fail(callFromNow: call, .stop)
            let answered = Mutex((VersionVector(), [String]()))
            do throws(LogError) {
                var life = try Life(disk)
                for (number, events) in batches.enumerated() {
                    life.batch.receive(events) { outcome in
                        if outcome.failure == nil { answered.withLock { $0.0 = outcome.vector } }
                    }
                    if number > 0, let put = try? DatabaseTests.put("a", "own\(number)", [2, 2]) {
                        life.batch.add([put], wall: 1000) { results in
                            if case .success? = results.first { answered.withLock { $0.1.append("a/own\(number)") } }
                        }
                    }
                    life.batch.flush()
                    if number == 2 { try life.batch.begin(OriginID(high: 2, low: 2)) }
                }
                life.writer.close()
            } catch {}
            guard disk.isStopped else { break }
            crashes += 1
            for _ in 0..<3 {
                let survivor = disk.copy()
                survivor.crash(using: &random)
                var life = try Life(survivor)
                let (vector, own) = answered.withLock { $0 }
                #expect(life.writer.log.versionVector.covers(vector))
                for batch in batches { life.batch.receive(batch) { _ in } }
                life.batch.flush()
                #expect(life.writer.head(of: ReceiveTests.foreign).chain == events[24].envelope.chain)
                let rows = ConvergenceTests.look(life.state).rows
                #expect(own.allSatisfy { rows[$0] == [2, 2] })
                #expect(rows.keys.filter { $0.hasPrefix("a/f") }.count == 24)
            }
        }
        print("crash points: \(crashes)")
        #expect(crashes > 30)
    }
}
