import SpringgCluster
import SpringgLog
import SpringgProjections
import SpringgTestKit

/// A cluster in one thread, in virtual time, whose every accident is decided by one seed.
final class ReplicaSimulation {
    /// A promise that was broken, in words.
    struct Violation: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// How badly the network behaves: shares of messages.
    struct Weather {
        var loss = 0.0
        var repetition = 0.0
        var delay = Duration.milliseconds(1)...Duration.milliseconds(20)
    }

    /// What a run saw; a run in which nothing happened would prove nothing.
    struct Tally {
        var writes = 0, crashes = 0, rollbacks = 0, newOrigins = 0, restored = 0, exchanges = 0
        var forgotten = 0, rejoined = 0, expelled = 0, replaced = 0, seeded = 0, trimmed = 0, checkpoints = 0
        var tombstonesDropped = 0, horizonMoves = 0, givenUp = 0
        var simulated = Duration.zero
        var archive = ArchiveTally()

        mutating func add(_ other: Tally) {
            writes += other.writes
            crashes += other.crashes
            rollbacks += other.rollbacks
            newOrigins += other.newOrigins
            restored += other.restored
            exchanges += other.exchanges
            forgotten += other.forgotten
            rejoined += other.rejoined
            expelled += other.expelled
            replaced += other.replaced
            seeded += other.seeded
            trimmed += other.trimmed
            checkpoints += other.checkpoints
            tombstonesDropped += other.tombstonesDropped
            horizonMoves += other.horizonMoves
            givenUp += other.givenUp
            simulated += other.simulated
            archive.add(other.archive)
        }
    }

    enum Event {
        case tick(node: Int, life: Int)
        case request(from: Int, life: Int, Exchange, [UInt8])
        case answer(to: Int, life: Int, Exchange, [UInt8]?)
        case restart(node: Int, life: Int)
        case archive(SimulatedArchive.Event)
    }

    /// An event as its writer acknowledged it.
    struct Written {
        var version: EventVersion
        var bytes: [UInt8]
    }

    var nodes: [ReplicaNode]
    var now = Duration.zero
    var weather = Weather()
    var random: SeededRandom
    var options = ReplicationOptions()
    var tally = Tally()
    var queue: [(at: Duration, number: UInt64, event: Event)] = []
    var number: UInt64 = 0
    /// Pairs (from, to) that no request gets through.
    var cuts: Set<Int> = []
    /// Who an operator has said is gone, as far as it has not joined again.
    var forgotten: Set<Int> = []
    /// Nodes that were given an older disk and have not begun to write again.
    var unasked: Set<Int> = []
    /// The chain of every event that was ever answered or shipped: no number stands for two.
    var chains: [OriginID: [UInt64: UInt64]] = [:]
    /// What was acknowledged and must be there in the end.
    var promised: [OriginID: Set<UInt64>] = [:]
    /// Every event that was ever written, by whom it was acknowledged.
    var written: [OriginID: [UInt64: Written]] = [:]
    /// The highest horizon of each node, ever.
    var horizons: [HLC]
    /// Why a node was not seeded, for whoever looks into a seed.
    var lastFailure = ""
    /// What is younger stays, in milliseconds.
    var grace: UInt64 = 0
    /// In a share of the seeds.
    private(set) var archive: SimulatedArchive?

    /// How long a sender waits for an answer.
    static let patience = Duration.seconds(3)

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        nodes = (0..<Int.random(in: 3...5, using: &random)).map { ReplicaNode(index: $0, disk: SimulatedFileSystem()) }
        horizons = nodes.map { _ in HLC(0) }
        // Batches of one event as well as of many.
        options.batchBytes = [200, 1000, 5000, 50_000].randomElement(using: &random) ?? 1000
        if SimulatedArchive.isSimulated(seed) { archive = SimulatedArchive(self, seed: seed) }
        for node in nodes.indices { start(node) }
    }

    /// Lets so much time pass.
    func run(for time: Duration) throws {
        let end = now + time
        while let next = queue.first, next.at <= end {
            queue.removeFirst()
            now = max(now, next.at)
            try happen(next.event)
        }
        now = end
        tally.simulated = now
    }

    func wall(_ index: Int) -> UInt64 {
        let passed = Int64(now / .milliseconds(1)) + (archive?.shift ?? 0)
        return UInt64(max(0, 1_700_000_000_000 + passed + nodes[index].clockOffset))
    }

    // MARK: - Clients

    /// A client writes something to a node; what is acknowledged is promised.
    func write(_ index: Int) throws {
        guard let running = nodes[index].running, !running.isHolding else { return }
        let results = Slot<[Result<Receipt, CommandError>]>()
        let commands = (0..<Int.random(in: 1...4, using: &random)).compactMap { _ in command() }
        running.batch.add(commands, wall: wall(index)) { results.value = $0 }
        running.batch.flush()
        guard !crashedMeanwhile(index) else { return }
        for case .success(let receipt) in results.value ?? [] {
            tally.writes += 1
            promised[receipt.origin, default: []].insert(receipt.sequence.rawValue)
            try note(receipt, index, running)
            archive?.wrote(receipt, by: index)
            // What a member writes is news to all members.
            guard !forgotten.contains(index) else { continue }
            for other in nodes.indices where !forgotten.contains(other) && receipt.hlc < horizons[other] {
                throw Violation(
                    "\(ReplicaNode.name(index)) wrote \(receipt.hlc), below the horizon \(horizons[other]) of \(ReplicaNode.name(other))"
                )
            }
        }
        try noteOwn(running)
        // A loop that is busy hears of it later than a shipment may read it from the log.
        if Bool.random(using: &random) { advance(index) }
    }

    private func note(_ receipt: Receipt, _ index: Int, _ running: ReplicaNode.Running) throws {
        // A record is valid as long as its cursor.
        let cursor = LogCursor(log: running.log, from: receipt.lsn)
        defer { withExtendedLifetime(cursor) {} }
        guard let record = try? cursor.next() else {
            // Power has gone in the middle of reading: the disk is read without it.
            var isThere = false
            _ = try? LogScan(directory: ReplicaNode.log, fileSystem: nodes[index].disk.copy()).run {
                record throws(LogError) in
                guard record.lsn == receipt.lsn else { return }
                note(record.envelope)
                isThere = true
            }
            guard isThere else {
                throw Violation("\(receipt.origin):\(receipt.sequence) was acknowledged and is not in the log")
            }
            return
        }
        note(record.envelope)
    }

    /// What was written and not acknowledged may have survived all the same.
    func note(_ envelope: Envelope) {
        guard written[envelope.origin]?[envelope.sequence.rawValue]?.version != envelope.version else { return }
        written[envelope.origin, default: [:]][envelope.sequence.rawValue] = Written(
            version: envelope.version,
            bytes: Array(envelope.bytes)
        )
    }

    private func command() -> Command? {
        guard let index = IndexName(["a", "b"][Int.random(in: 0..<2, using: &random)]),
            let id = VectorID("v\(Int.random(in: 0..<9, using: &random))")
        else { return nil }
        switch Int.random(in: 0..<20, using: &random) {
        case 0: return .deleteIndex(name: index)
        case 1...4: return .createIndex(name: index, dimensions: random.oneIn(4) ? 3 : 2)
        case 5...9: return .delete(index: index, id: id)
        default:
            return random.floats(random.oneIn(6) ? 3 : 2).withUnsafeBufferPointer {
                .put(
                    PreparedVector(
                        index: index,
                        id: id,
                        vector: $0,
                        metadata: UnsafeRawBufferPointer(start: nil, count: 0)
                    ),
                    mustExist: false
                )
            }
        }
    }

    // MARK: - Promises

    /// What holds at every moment.
    func check() throws {
        let running = nodes.compactMap(\.running)
        for (place, a) in running.enumerated() {
            for b in running[(place + 1)...]
            where a.log.versionVector == b.log.versionVector {
                guard a.state.digest == b.state.digest else {
                    throw Violation("equal vectors, and digests \(a.state.digest) and \(b.state.digest)")
                }
            }
        }
    }

    /// A horizon has moved: nothing below it is on its way to any member.
    func checkHorizon(_ index: Int, _ horizon: HLC) throws {
        guard horizon > horizons[index] else { return }
        tally.horizonMoves += 1
        horizons[index] = horizon
        trace("\(nodes[index].name) moves its horizon to \(horizon)")
        guard !forgotten.contains(index), let own = nodes[index].running?.log.versionVector else { return }
        for other in nodes where other.index != index && !forgotten.contains(other.index) {
            let held = other.running?.log.versionVector ?? other.durable
            for origin in held.origins {
                let (mine, theirs) = (own[origin].sequence.rawValue, held[origin].sequence.rawValue)
                guard mine < theirs else { continue }
                for sequence in mine + 1...theirs {
                    guard let event = written[origin]?[sequence], event.version.hlc < horizon else { continue }
                    throw Violation(
                        "the horizon \(horizon) of \(ReplicaNode.name(index)) is above \(origin):\(sequence) (\(event.version.hlc)), which "
                            + "\(other.name) holds and it does not: \(picture)"
                    )
                }
            }
        }
    }

    /// Those who are members by what they themselves have on their disks.
    var members: [ReplicaNode.Running] { nodes.compactMap(\.running).filter { !$0.standing.isForgotten } }

    /// True when all members hold the same, and that is all that was promised; who was forgotten knows, and is again a member
    /// unless it has something that no member has.
    func hasConverged() throws -> Bool {
        let members = members
        guard
            nodes.allSatisfy({
                $0.running.map { $0.standing.isForgotten } ?? false || $0.running != nil && !$0.isOutOfReach
            }),
            let first = members.first
        else { return false }
        let vector = first.log.versionVector
        guard members.allSatisfy({ !$0.isHolding && $0.log.versionVector == vector }) else { return false }
        let strangers = nodes.compactMap(\.running).filter(\.standing.isForgotten)
        guard nodes.compactMap(\.running).allSatisfy({ $0.standing.kept == first.standing.kept }) else { return false }
        guard strangers.allSatisfy({ $0.core.hasUnsharedEvents && $0.isHolding }) else { return false }
        for (origin, sequences) in promised {
            let held =
                (strangers.map { $0.log.versionVector } + [vector]).map { $0[origin].sequence.rawValue }.max() ?? 0
            if let lost = sequences.filter({ $0 > held }).min() {
                throw Violation("\(origin):\(lost) was acknowledged and is gone")
            }
        }
        return true
    }

    /// True when the state is the rule's over all events, whatever their order: no row is there that a later event has removed.
    func isRule() throws -> Bool {
        guard let running = members.first else { return false }
        guard try rule(of: running.log.versionVector) == running.state.digest else {
            throw Violation("the state is not that of the events")
        }
        return true
    }

    /// The digest of the state that the rule makes of these events.
    func rule(of vector: VersionVector) throws -> StateDigest {
        var batches: [EnvelopeBatch] = []
        for origin in vector.origins {
            for sequence in 1...vector[origin].sequence.rawValue {
                guard let event = written[origin]?[sequence] else {
                    throw Violation("\(origin):\(sequence) was never acknowledged to anybody")
                }
                batches.append(
                    try event.bytes.withBytes { bytes throws(EnvelopeBatch.Flaw) in try EnvelopeBatch(bytes) }
                )
            }
        }
        let anew = Materializer()
        for (place, batch) in batches.sorted(by: { $0[0].version > $1[0].version }).enumerated() {
            guard let event = batch[0].event else { continue }
            anew.apply(event, of: batch[0], recordBytes: 1, lsn: LSN(UInt64(place + 1)))
        }
        anew.publish()
        return anew.digest
    }

    /// Every number that was given stands for one event.
    private func noteOwn(_ running: ReplicaNode.Running) throws {
        let head = running.log.versionVector[running.log.origin]
        guard head.sequence > Sequence(0) else { return }
        try note(running.log.origin, head)
    }

    func note(_ origin: OriginID, _ head: VersionVector.Head) throws {
        let known = chains[origin, default: [:]].updateValue(head.chain, forKey: head.sequence.rawValue)
        if let known, known != head.chain { throw Violation("\(origin):\(head.sequence) was given twice") }
    }
}
