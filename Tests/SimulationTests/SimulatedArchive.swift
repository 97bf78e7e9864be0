import SpringgArchive
import SpringgCluster
import SpringgLog
import SpringgProjections
import SpringgTestKit

/// The archive of a simulated cluster: one store, and the real archiver on every node, which is elected by what it hears of the others.
///
/// Its accidents are decided by a generator of its own, so that the histories of clusters without an archive stay what they were.
final class SimulatedArchive: @unchecked Sendable {
    // Why @unchecked: it is used by threads of which one runs at a time.

    enum Event {
        /// An archiver has something to do, or looks whether it has.
        case turn(NodeArchiver, number: UInt64)
        /// What an archiver waits for has happened.
        case goOn(NodeArchiver)
        /// Nodes say of themselves when they archived last.
        case gossip
        /// The store's moods change.
        case mood
    }

    /// How the store behaves.
    struct Mood {
        /// Share of requests that fail.
        var faults = 0.0
        /// The longest that a request or its answer is under way, in milliseconds; 0 for no time at all.
        var delay: Int64 = 0
        /// Nobody reaches it before this moment.
        var isOutUntil = Duration.zero
        /// Nodes that do not reach it.
        var cutOff: Set<Int> = []
    }

    unowned let cluster: ReplicaSimulation
    let store = MemoryStore()
    var random: SeededRandom
    var options = ArchiveOptions()
    var mood = Mood()
    /// Whether the store has moods at all.
    var isMoody = true
    /// Hours that have passed at once, in milliseconds: what archives do once a day happens in a life of a minute.
    var shift: Int64 = 0
    /// By node; nil before its first start.
    var archivers: [NodeArchiver?]
    /// Those of earlier lives that wait for something.
    var dying: [NodeArchiver] = []
    /// By listener and speaker: when the speaker said that it archived, and when that was heard.
    private var heard: [Int: (last: UInt64, at: Duration)] = [:]
    private var isClosed = false
    /// The members do not take it for theirs.
    var isForeign = false
    private var numbers: UInt64 = 0
    /// What has been seen of the store.
    var record = ArchiveRecord()
    /// A promise that was broken, found where nothing can be thrown.
    var violation: ReplicaSimulation.Violation?
    var tally = ReplicaSimulation.ArchiveTally()

    /// Of whom nothing has been heard for so long is taken for dead.
    private static let silence = Duration.seconds(5)

    /// Archives are looked at by this share of the seeds.
    static func isSimulated(_ seed: UInt64) -> Bool { seed % 4 == 0 }

    init(_ cluster: ReplicaSimulation, seed: UInt64) {
        self.cluster = cluster
        random = SeededRandom(seed: seed ^ 0x6172_6368_6976_6573)
        archivers = cluster.nodes.map { _ in nil }
        options.isClustered = true
        // One call after the other, on the thread that runs.
        options.uploads = 1
        options.archive = "memory"
        options.syncInterval = UInt64.random(in: 500...2000, using: &random)
        options.requestPause = 100
        options.snapshotInterval = [0, 5000, 6 * 3_600_000, 24 * 3_600_000].randomElement(using: &random) ?? 0
        options.retention = [0, 0, 10_000, 12 * 3_600_000, 48 * 3_600_000].randomElement(using: &random) ?? 0
        cluster.schedule(.archive(.gossip), in: .milliseconds(200))
        cluster.schedule(.archive(.mood), in: .milliseconds(300))
    }

    /// The time, by a clock that is right.
    var wall: UInt64 { UInt64(1_700_000_000_000 + Int64(cluster.now / .milliseconds(1)) + shift) }

    /// Ends all threads.
    func close() {
        isClosed = true
        for archiver in archivers.compactMap({ $0 }) + dying {
            while archiver.coroutine.isBusy { _ = archiver.coroutine.resume() }
            archiver.coroutine.end()
        }
        archivers = []
        dying = []
    }

    // MARK: - Nodes

    /// A node has started.
    func started(_ node: Int) {
        guard let running = cluster.nodes[node].running else { return }
        if let before = archivers[node] {
            if before.coroutine.isBusy { dying.append(before) } else { before.coroutine.end() }
        }
        for speaker in 0..<8 { heard[node * 8 + speaker] = nil }
        let (life, disk) = (cluster.nodes[node].life, cluster.nodes[node].disk)
        archivers[node] = try? NodeArchiver(node, life: life, running, disk: disk, in: self)
        guard let archiver = archivers[node] else {
            if !disk.isStopped { violation = .init("archive.json of \(ReplicaNode.name(node)) cannot be read") }
            return
        }
        schedule(archiver, in: .milliseconds(1))
    }

    /// Whether the process that the archiver is part of has ended.
    func isOver(_ archiver: NodeArchiver) -> Bool { isClosed || cluster.nodes[archiver.node].life != archiver.life }

    /// A client has written, and may wait for the archive.
    func wrote(_ receipt: Receipt, by node: Int) {
        guard let archiver = archivers[node], !isOver(archiver), random.oneIn(4) else { return }
        let number = numbers
        numbers += 1
        let reached = archiver.concern.wait(
            number,
            for: receipt.origin,
            receipt.sequence,
            .s3,
            until: cluster.now + .seconds(10)
        )
        archiver.waiting[number] = (receipt.origin, receipt.sequence)
        if let reached { answer(archiver, [.init(waiter: number, reached: reached)]) }
        archiver.isRequested = true
        schedule(archiver, in: .milliseconds(Int64.random(in: 0...50, using: &random)))
    }

    /// Whether somebody else knows an origin that the archive knows: an operator whose last disk goes restores it from the archive.
    func isKnown(without node: Int) -> Bool {
        guard let archived = record.newest?.heads.origins, !archived.isEmpty else { return true }
        return cluster.nodes.contains { other in
            guard other.index != node, let held = other.running?.log.versionVector else { return false }
            return archived.contains { held[$0].sequence > SpringgLog.Sequence(0) }
        }
    }

    /// Whether others hold all that is archived: an operator who puts an older copy of a disk in place else restores it from the archive, as
    /// one that had held more would give numbers again (note 15).
    func isHeld(without node: Int) -> Bool {
        guard let archived = record.newest?.heads else { return true }
        let others = cluster.nodes.filter { $0.index != node && !cluster.forgotten.contains($0.index) }
        return archived.origins.allSatisfy { origin in
            others.contains {
                ($0.running?.log.versionVector ?? $0.durable)[origin].sequence >= archived[origin].sequence
            }
        }
    }

    /// Up to where the log may be removed for the archive's sake.
    func floor(_ node: Int) -> LSN? { archivers[node].map { isOver($0) ? .zero : $0.floor } ?? .zero }

    /// An archiver has told that the archive holds these events.
    func holds(_ heads: VersionVector, _ archiver: NodeArchiver) {
        guard !isOver(archiver) else { return }
        answer(archiver, archiver.concern.archiveHolds(heads))
    }

    private func answer(_ archiver: NodeArchiver, _ verdicts: [WriteConcern.Verdict]) {
        for verdict in verdicts {
            guard let waiter = archiver.waiting.removeValue(forKey: verdict.waiter), verdict.reached == .s3 else {
                continue
            }
            tally.acknowledged += 1
            record.acknowledged[waiter.origin] = max(record.acknowledged[waiter.origin] ?? 0, waiter.sequence.rawValue)
            let held = record.newest?.heads[waiter.origin].sequence
            guard let held, held >= waiter.sequence else {
                violation = .init(
                    "\(ReplicaNode.name(archiver.node)): \(waiter.origin):\(waiter.sequence) was acknowledged as archived, and the "
                        + "archive holds \(held.map { "\($0)" } ?? "nothing")"
                )
                return
            }
        }
    }

    /// Who is alive and has an archive, as far as the archiver's node has heard.
    func candidates(_ archiver: NodeArchiver) -> [ArchiverElection.Candidate] {
        cluster.nodes.indices.compactMap { other in
            if other == archiver.node {
                return .init(nodeID: ReplicaNode.name(other), lastArchivedAt: archiver.loop.lastSuccess ?? 0)
            }
            guard let word = heard[archiver.node * 8 + other], cluster.now - word.at < Self.silence else { return nil }
            return .init(nodeID: ReplicaNode.name(other), lastArchivedAt: word.last)
        }
    }

    // MARK: - What happens

    func happen(_ event: Event) throws {
        switch event {
        case .turn(let archiver, let number):
            guard archiver.turn == number, !isOver(archiver), !archiver.coroutine.isBusy else { break }
            if archiver.isRequested, archiver.loop.request() { archiver.isRequested = false }
            answer(archiver, archiver.concern.expire(cluster.now))
            archiver.isSlow = mood.delay > 0
            if archiver.isSlow {
                _ = try archiver.coroutine.begin { archiver.waitsUntil = archiver.loop.turn() }
            } else {
                archiver.waitsUntil = archiver.loop.turn()
            }
            look(archiver)
        case .goOn(let archiver):
            guard archiver.coroutine.isBusy else { break }
            _ = archiver.coroutine.resume()
            look(archiver)
        case .gossip:
            gossip()
            cluster.schedule(.archive(.gossip), in: .milliseconds(Int64.random(in: 200...600, using: &random)))
        case .mood:
            guard isMoody else { break }
            changeMood()
            cluster.schedule(.archive(.mood), in: .milliseconds(Int64.random(in: 200...3000, using: &random)))
        }
        if let violation { throw violation }
    }

    /// A request is on its way for a while; called by an archiver.
    func pause(_ archiver: NodeArchiver) {
        guard archiver.isSlow, mood.delay > 0 else { return }
        let delay = Int64.random(in: 0...mood.delay, using: &random)
        guard delay > 0 else { return }
        cluster.schedule(.archive(.goOn(archiver)), in: .milliseconds(delay))
        archiver.coroutine.pause()
    }

    /// What is to be done next, after a turn or a part of one.
    private func look(_ archiver: NodeArchiver) {
        guard !archiver.coroutine.isBusy else { return }
        guard !isOver(archiver) else {
            dying.removeAll { $0 === archiver }
            // One of an earlier life is not needed any more.
            if archivers[archiver.node] !== archiver { archiver.coroutine.end() }
            return
        }
        guard !cluster.crashedMeanwhile(archiver.node) else { return }
        guard let until = archiver.waitsUntil else { return schedule(archiver, in: .zero) }
        let now = cluster.wall(archiver.node)
        let left = Int64(min(until - min(until, now), 1000))
        schedule(archiver, in: .milliseconds(max(1, left)))
    }

    private func schedule(_ archiver: NodeArchiver, in time: Duration) {
        numbers += 1
        archiver.turn = numbers
        cluster.schedule(.archive(.turn(archiver, number: numbers)), in: time)
    }

    /// Everybody alive says to somebody when it archived last.
    private func gossip() {
        for speaker in cluster.nodes.indices {
            guard let archiver = archivers[speaker], !isOver(archiver) else { continue }
            let listener = Int.random(in: cluster.nodes.indices, using: &random)
            guard listener != speaker, cluster.nodes[listener].running != nil,
                !cluster.cuts.contains(speaker * 8 + listener),
                Double.random(in: 0..<1, using: &random) >= cluster.weather.loss
            else { continue }
            heard[listener * 8 + speaker] = (archiver.loop.lastSuccess ?? 0, cluster.now)
        }
    }
}
