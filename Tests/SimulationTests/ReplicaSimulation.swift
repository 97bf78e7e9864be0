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

    private enum Event {
        case tick(node: Int, life: Int)
        case request(from: Int, life: Int, Exchange, [UInt8])
        case answer(to: Int, life: Int, Exchange, [UInt8]?)
        case restart(node: Int, life: Int)
    }

    private(set) var nodes: [ReplicaNode]
    private(set) var now = Duration.zero
    var weather = Weather()
    var random: SeededRandom
    private(set) var options = ReplicationOptions()
    private var queue: [(at: Duration, number: UInt64, event: Event)] = []
    private var number: UInt64 = 0
    /// Pairs (from, to) that no request gets through.
    private var cuts: Set<Int> = []
    /// Names that each node does not count among the members.
    private var forgotten: Set<Int> = []
    /// Nodes that were given an older disk and have not begun to write again.
    private var unasked: Set<Int> = []
    /// The chain of every event that was ever answered or shipped: no number stands for two.
    private var chains: [OriginID: [UInt64: UInt64]] = [:]
    /// What was acknowledged and must be there in the end.
    private(set) var promised: [OriginID: Set<UInt64>] = [:]

    private(set) var writes = 0
    private(set) var crashes = 0
    private(set) var rollbacks = 0
    private(set) var newOrigins = 0
    private(set) var restored = 0
    private(set) var exchanges = 0

    /// How long a sender waits for an answer.
    private static let patience = Duration.seconds(3)

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        nodes = (0..<Int.random(in: 3...5, using: &random)).map { ReplicaNode(index: $0, disk: SimulatedFileSystem()) }
        // Batches of one event as well as of many.
        options.batchBytes = [200, 1000, 5000, 50_000].randomElement(using: &random) ?? 1000
        for node in nodes.indices { start(node) }
    }

    // MARK: - Fate

    /// Lets so much time pass.
    func run(for time: Duration) throws {
        let end = now + time
        while let next = queue.first, next.at <= end {
            queue.removeFirst()
            now = max(now, next.at)
            try happen(next.event)
        }
        now = end
    }

    /// Nothing gets from one to the other any more; answers in the other direction do.
    func cut(_ from: Int, _ to: Int) { cuts.insert(from * 8 + to) }

    /// The network is whole, and does what it should.
    func heal() {
        cuts = []
        forgotten = []
        weather = Weather()
        for index in nodes.indices {
            nodes[index].clockOffset = 0
            setPeers(index)
        }
    }

    /// Power goes at a node; it is back after a while.
    func crash(_ index: Int, for time: Duration) {
        guard let running = nodes[index].running else { return }
        crashes += 1
        if !nodes[index].disk.isStopped { nodes[index].durable = running.log.versionVector }
        nodes[index].running = nil
        nodes[index].life += 1
        nodes[index].disk.crash(using: &random)
        schedule(.restart(node: index, life: nodes[index].life), in: time)
    }

    /// Power goes in the middle of one of the next calls of the disk.
    func crashSoon(_ index: Int) {
        nodes[index].disk.fail(callFromNow: Int.random(in: 1...30, using: &random), .stop)
    }

    /// The log as it is, to be put back later.
    func copyOfDisk(_ index: Int) -> [(path: String, bytes: [UInt8])] {
        ((try? nodes[index].disk.list("/log")) ?? []).sorted().compactMap { name in
            nodes[index].disk.contents("/log/" + name).map { ("/log/" + name, $0) }
        }
    }

    /// The node's disk is replaced by an old copy, as after a failure and a restore of the machine.
    func rollBack(_ index: Int, to copy: [(path: String, bytes: [UInt8])], for time: Duration) {
        if nodes[index].running != nil {
            crash(index, for: time)
        } else {
            // It was down, and stays so until the disk is in place.
            nodes[index].life += 1
            schedule(.restart(node: index, life: nodes[index].life), in: time)
        }
        // A power loss that was due belonged to the old disk.
        nodes[index].disk.kill()
        rollbacks += 1
        unasked.insert(index)
        let disk = nodes[index].disk
        for name in (try? disk.list("/log")) ?? [] { try? disk.remove("/log/" + name) }
        for (path, bytes) in copy { disk.setContents(path, bytes) }
        try? disk.syncDirectory("/log")
        // An acknowledgement at level `local` is no more than this disk was: what nobody else has is gone.
        var copied = VersionVector()
        _ = try? LogScan(directory: "/log", fileSystem: disk).run { record throws(LogError) in
            copied[record.envelope.origin] = record.envelope.head
        }
        nodes[index].durable = copied
        let others = nodes.map { $0.running?.log.versionVector ?? $0.durable }
        for (origin, sequences) in promised {
            let held = others.map { $0[origin].sequence.rawValue }.max() ?? 0
            promised[origin] = sequences.filter { $0 <= held }
        }
        // Of what no disk has any more nobody can tell that its number was given.
        for (origin, known) in chains {
            let held = others.map { $0[origin].sequence.rawValue }.max() ?? 0
            chains[origin] = known.filter { $0.key <= held }
        }
    }

    /// The others do not count it among the members, or do again.
    ///
    /// Nobody is forgotten while a node with an older disk has yet to ask: it does not ask who was forgotten, and here, unlike
    /// what forgetting says, that one's disk is not gone and may be the only one to hold what the other's has lost.
    func setForgotten(_ index: Int, _ isForgotten: Bool) {
        guard !isForgotten || unasked.isEmpty else { return }
        if isForgotten { forgotten.insert(index) } else { forgotten.remove(index) }
        for other in nodes.indices where other != index { setPeers(other) }
    }

    var someoneIsForgotten: Bool { !forgotten.isEmpty }

    func setClock(_ index: Int, offsetMilliseconds: Int64) { nodes[index].clockOffset = offsetMilliseconds }

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
            writes += 1
            promised[receipt.origin, default: []].insert(receipt.sequence.rawValue)
        }
        try noteOwn(running)
        // A loop that is busy hears of it later than a shipment may read it from the log.
        if Bool.random(using: &random) { advance(index) }
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
            for b in running[(place + 1)...] where a.log.versionVector == b.log.versionVector {
                guard a.state.digest == b.state.digest else {
                    throw Violation("equal vectors, and digests \(a.state.digest) and \(b.state.digest)")
                }
            }
        }
    }

    /// True when all nodes hold the same, and that is all that was promised.
    func hasConverged() throws -> Bool {
        let running = nodes.compactMap(\.running)
        guard running.count == nodes.count, running.allSatisfy({ !$0.isHolding }) else { return false }
        let vector = running[0].log.versionVector
        guard running.allSatisfy({ $0.log.versionVector == vector }) else { return false }
        for (origin, sequences) in promised {
            if let lost = sequences.filter({ $0 > vector[origin].sequence.rawValue }).min() {
                throw Violation("\(origin):\(lost) was acknowledged and is gone")
            }
        }
        return true
    }

    /// True when the state is the rule's over all events, whatever their order: no row is there that a later event has
    /// removed; false when the disk went away under the reader.
    func isRule() throws -> Bool {
        guard let running = nodes[0].running else { return false }
        var bytes: [[UInt8]] = []
        let cursor = LogCursor(log: running.log, from: LSN(1))
        do throws(LogError) {
            while let record = try cursor.next() { bytes.append(Array(record.envelope.bytes)) }
        } catch {
            guard crashedMeanwhile(0) else { throw error }
            return false
        }
        let batches = try bytes.map {
            try $0.withBytes { bytes throws(EnvelopeBatch.Flaw) in try EnvelopeBatch(bytes) }
        }
        let anew = Materializer()
        for (place, batch) in batches.sorted(by: { $0[0].version > $1[0].version }).enumerated() {
            guard let event = batch[0].event else { continue }
            anew.apply(event, of: batch[0], recordBytes: 1, lsn: LSN(UInt64(place + 1)))
        }
        anew.publish()
        guard anew.digest == running.state.digest else { throw Violation("the state is not that of the events") }
        return true
    }

    /// Every number that was given stands for one event.
    private func noteOwn(_ running: ReplicaNode.Running) throws {
        let head = running.log.versionVector[running.log.origin]
        guard head.sequence > Sequence(0) else { return }
        try note(running.log.origin, head)
    }

    private func note(_ origin: OriginID, _ head: VersionVector.Head) throws {
        let known = chains[origin, default: [:]].updateValue(head.chain, forKey: head.sequence.rawValue)
        if let known, known != head.chain { throw Violation("\(origin):\(head.sequence) was given twice") }
    }

    // MARK: - Events

    private func schedule(_ event: Event, in time: Duration) {
        let at = now + time
        number += 1
        var (low, high) = (0, queue.count)
        while low < high {
            let middle = (low + high) / 2
            if queue[middle].at <= at { low = middle + 1 } else { high = middle }
        }
        queue.insert((at, number, event), at: low)
    }

    private func happen(_ event: Event) throws {
        switch event {
        case .restart(let index, let life):
            if nodes[index].life == life, nodes[index].running == nil { start(index) }
        case .tick(let index, let life):
            guard nodes[index].life == life, nodes[index].running != nil, nodes[index].tickAt <= now else { return }
            advance(index)
            act(index) { $0.tick($1) }
        case .request(let from, let life, let exchange, let bytes):
            try receive(from: from, life, exchange, bytes)
        case .answer(let index, let life, let exchange, let bytes):
            guard nodes[index].life == life, let running = nodes[index].running else { return }
            let outcome = outcome(of: exchange, bytes, running)
            guard !crashedMeanwhile(index), nodes[index].running != nil else { return }
            advance(index)
            act(index) { $0.ended(exchange, outcome, $1) }
        }
    }

    private func start(_ index: Int) {
        do throws(LogError) {
            let running = try ReplicaNode.Running(
                nodes[index].disk,
                options: options,
                expectsPeers: true,
                now: now,
                random: &random
            )
            nodes[index].running = running
        } catch {
            // Power went again while the log was opened.
            nodes[index].disk.crash(using: &random)
            schedule(.restart(node: index, life: nodes[index].life), in: .milliseconds(500))
            return
        }
        setPeers(index)
    }

    private func setPeers(_ index: Int) {
        let peers = nodes.indices.filter { $0 != index && !forgotten.contains($0) }.compactMap { other in
            IPAddress(bytes: [10, 0, 0, UInt8(other)]).map {
                PeerAddress(name: ReplicaNode.name(other), address: NodeAddress($0, port: 1))
            }
        }
        act(index) { $0.setPeers(peers, $1) }
    }

    private func advance(_ index: Int) {
        guard let running = nodes[index].running else { return }
        act(index) { $0.advance(to: running.log.versionVector, $1) }
    }

    private func act(_ index: Int, _ step: (inout Replication, Duration) -> [ReplicationDirective]) {
        guard let running = nodes[index].running else { return }
        let directives = step(&running.core, now)
        for directive in directives { perform(directive, index, running) }
        guard nodes[index].running != nil else { return }
        nodes[index].tickAt = running.core.nextTick(now)
        // A clock that stands still would be asked for ever.
        let pause = max(nodes[index].tickAt - now, .milliseconds(1))
        nodes[index].tickAt = now + pause
        schedule(.tick(node: index, life: nodes[index].life), in: pause)
    }

    private func perform(_ directive: ReplicationDirective, _ index: Int, _ running: ReplicaNode.Running) {
        switch directive {
        case .event(.restored): restored += 1
        case .event: break
        case .originate(let isNew):
            if isNew {
                newOrigins += 1
                do throws(LogError) {
                    try running.batch.begin(OriginID(using: &random))
                } catch {
                    guard !crashedMeanwhile(index) else { return }
                    return act(index) { $0.originated(nil, $1) }
                }
                guard !crashedMeanwhile(index) else { return }
            }
            running.isHolding = false
            unasked.remove(index)
            act(index) { $0.originated(running.log.origin, $1) }
        case .exchange(let exchange):
            exchanges += 1
            let life = nodes[index].life
            schedule(.answer(to: index, life: life, exchange, nil), in: Self.patience)
            guard let bytes = message(exchange, running) else { return }
            for _ in 0..<(Double.random(in: 0..<1, using: &random) < weather.repetition ? 2 : 1) {
                guard Double.random(in: 0..<1, using: &random) >= weather.loss else { continue }
                schedule(.request(from: index, life: life, exchange, bytes), in: delay())
            }
        }
    }

    private func message(_ exchange: Exchange, _ running: ReplicaNode.Running) -> [UInt8]? {
        switch exchange.kind {
        case .ask:
            return Shipment.empty(from: running.log.origin).message
        case .ship(let origins, let held, let bytesMax):
            return try? running.reader(for: exchange.peer).read(origins, lacking: held, bytesMax: bytesMax).message
        case .pull:
            return VectorMessage(origin: running.log.origin, vector: running.log.versionVector).encoded
        }
    }

    /// A request arrives.
    private func receive(from: Int, _ life: Int, _ exchange: Exchange, _ bytes: [UInt8]) throws {
        guard let to = nodes.indices.first(where: { ReplicaNode.name($0) == exchange.peer }),
            !cuts.contains(from * 8 + to), let running = nodes[to].running
        else { return }
        var answer: [UInt8]?
        if exchange.kind == .pull {
            let question = try bytes.withBytes { bytes throws(ReplicationWireError) in try VectorMessage(bytes) }
            answer =
                try? ShipmentReader(running.log).readAll(
                    lacking: question.vector,
                    bytesMax: options.batchBytes
                ).message
        } else {
            let message = try bytes.withBytes { bytes throws(ReplicationWireError) in try EventsMessage(bytes) }
            let slot = Slot<ReceiveOutcome>()
            running.batch.receive(message.events, restoringOwn: running.isHolding) { slot.value = $0 }
            running.batch.flush()
            guard !crashedMeanwhile(to), let outcome = slot.value, outcome.failure == nil else { return }
            // What was refused is nowhere: the disk that it came from may have been replaced meanwhile.
            for place in 0..<message.events.count {
                let event = message.events[place]
                if event.sequence <= outcome.vector[event.origin].sequence { try note(event.origin, event.head) }
            }
            var reply = VectorMessage(origin: running.log.origin, vector: outcome.vector)
            reply.appended = outcome.appended
            reply.refusals = outcome.refusals
            answer = reply.encoded
            advance(to)
        }
        guard let answer, Double.random(in: 0..<1, using: &random) >= weather.loss else { return }
        schedule(.answer(to: from, life: life, exchange, answer), in: delay())
    }

    private func outcome(
        of exchange: Exchange,
        _ bytes: [UInt8]?,
        _ running: ReplicaNode.Running
    ) -> ExchangeOutcome {
        guard let bytes else { return .failed("no answer") }
        do {
            guard exchange.kind == .pull else {
                let message = try bytes.withBytes { bytes throws(ReplicationWireError) in try VectorMessage(bytes) }
                return .answered(message, events: 1, bytes: 1, gaps: [])
            }
            let message = try bytes.withBytes { bytes throws(ReplicationWireError) in try EventsMessage(bytes) }
            let slot = Slot<ReceiveOutcome>()
            running.batch.receive(message.events, restoringOwn: running.isHolding) { slot.value = $0 }
            running.batch.flush()
            guard let outcome = slot.value, outcome.failure == nil else { return .failed("the log takes nothing") }
            return .pulled(
                appended: outcome.appended,
                refused: outcome.refusals,
                isOutOfReach: message.isOutOfReach
            )
        } catch {
            return .failed("\(error)")
        }
    }

    /// The process may have ended in the middle of what it was just doing.
    private func crashedMeanwhile(_ index: Int) -> Bool {
        guard nodes[index].disk.isStopped else { return false }
        crash(index, for: .milliseconds(Int64.random(in: 200...5000, using: &random)))
        return true
    }

    private func delay() -> Duration {
        let (low, high) = (weather.delay.lowerBound, weather.delay.upperBound)
        return low + (high - low) * Double.random(in: 0...1, using: &random)
    }

    private func wall(_ index: Int) -> UInt64 {
        UInt64(max(0, 1_700_000_000_000 + Int64(now / .milliseconds(1)) + nodes[index].clockOffset))
    }
}
