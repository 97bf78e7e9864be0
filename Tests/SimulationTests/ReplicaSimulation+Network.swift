import SpringgCluster
import SpringgLog
import SpringgProjections
import SpringgTestKit

/// Messages, time, and what the state machines want done.
extension ReplicaSimulation {
    func schedule(_ event: Event, in time: Duration) {
        let at = now + time
        number += 1
        var (low, high) = (0, queue.count)
        while low < high {
            let middle = (low + high) / 2
            if queue[middle].at <= at { low = middle + 1 } else { high = middle }
        }
        queue.insert((at, number, event), at: low)
    }

    func happen(_ event: Event) throws {
        switch event {
        case .restart(let index, let life):
            if nodes[index].life == life, nodes[index].running == nil { start(index) }
        case .tick(let index, let life):
            guard nodes[index].life == life, nodes[index].running != nil, nodes[index].tickAt <= now else { return }
            advance(index)
            act(index) { $0.tick($1) }
            try look(index)
        case .archive(let event): try archive?.happen(event)
        case .request(let from, let life, let exchange, let bytes):
            try receive(from: from, life, exchange, bytes)
        case .answer(let index, let life, let exchange, let bytes):
            guard nodes[index].life == life, let running = nodes[index].running else { return }
            let outcome = outcome(of: exchange, bytes, index, running)
            guard nodes[index].running != nil, !crashedMeanwhile(index) else { return }
            advance(index)
            act(index) { $0.ended(exchange, outcome, $1) }
            try look(index)
        }
    }

    func start(_ index: Int) {
        do {
            if nodes[index].isNew {
                guard seed(index) else { throw ReplicaSimulation.Violation("power went while it was seeded") }
                nodes[index].isNew = false
            }
            nodes[index].running = try ReplicaNode.Running(
                nodes[index].disk,
                name: nodes[index].name,
                options: options,
                now: now,
                wall: wall(index),
                random: &random
            )
        } catch {
            // Power went again meanwhile.
            lastFailure = "; \(nodes[index].name): \(error)"
            nodes[index].disk.crash(using: &random)
            // A directory that was only begun to be filled is emptied by an operator.
            if nodes[index].isNew { empty(nodes[index].disk) }
            schedule(.restart(node: index, life: nodes[index].life), in: .milliseconds(500))
            return
        }
        if let log = nodes[index].running?.log {
            let cursor = LogCursor(log: log, from: log.watermarks.trimmed.next)
            while let record = try? cursor.next() { note(record.envelope) }
        }
        trace("\(nodes[index].name) starts: \(nodes[index].running.map(picture) ?? "")")
        settle(index)
        archive?.started(index)
    }

    func advance(_ index: Int) {
        guard let running = nodes[index].running else { return }
        act(index) { $0.advance(to: running.log.versionVector, $1) }
    }

    /// The roster may have changed: keeps it, and tells the state machine.
    func settle(_ index: Int) {
        guard let running = nodes[index].running else { return }
        // A disk that takes it not has lost power; else it is tried again.
        do { try running.keepRoster() } catch { lastFailure = "; \(nodes[index].name): \(error)" }
        guard !crashedMeanwhile(index) else { return }
        let roster = running.standing.roster
        let peers = nodes.indices.filter { $0 != index && !roster.isForgotten(ReplicaNode.name($0)) }
            .compactMap { other in
                IPAddress(bytes: [10, 0, 0, UInt8(other)]).map {
                    PeerAddress(name: ReplicaNode.name(other), address: APIAddress(NodeAddress($0, port: 1)))
                }
            }
        act(index) { $0.setPeers(peers, $1) }
        // It may just have joined again.
        let standing = running.standing
        act(index) { $0.stand(isForgotten: standing.isForgotten, as: standing.claim, $1) }
    }

    /// How far the horizon moves, and what goes below it.
    private func look(_ index: Int) throws {
        guard let running = nodes[index].running else { return }
        let floor = running.floor
        if running.core.phase == .originating {
            let peers = running.core.allPeers.map(\.name)
            running.standing.look(floor: floor, heads: running.log.versionVector, peers: peers)
        }
        let horizon = running.standing.horizon
        try checkHorizon(index, horizon)
        guard random.oneIn(4) else { return }
        let wall = wall(index)
        let young = HLC(milliseconds: wall - min(wall, grace), counter: 0)
        let before = running.state.tombstones.dropped
        while running.batch.forgetDeleted(below: min(horizon, young), limit: 3) {}
        tally.tombstonesDropped += running.state.tombstones.dropped - before
    }

    func act(_ index: Int, _ step: (inout Replication, Duration) -> [ReplicationDirective]) {
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
        case .event(.restored): tally.restored += 1
        case .event(.outOfReach): nodes[index].isOutOfReach = true
        case .event: break
        case .hold:
            running.isHolding = true
            trace("\(nodes[index].name) takes no commands")
            tally.expelled += 1
            act(index) { $0.held(at: running.log.versionVector, $1) }
        case .rejoin:
            tally.rejoined += 1
            trace("\(nodes[index].name) joins again")
            running.standing.rejoin(now: wall(index))
            settle(index)
            // Power may have gone before that was on its disk: then it has joined in no life that follows.
            if !running.standing.kept.isForgotten(running.standing.name) { forgotten.remove(index) }
        case .originate(let isNew, let reading):
            running.batch.observe(reading)
            if isNew {
                tally.newOrigins += 1
                do throws(LogError) {
                    try running.batch.begin(OriginID(using: &random))
                } catch {
                    guard !crashedMeanwhile(index) else { return }
                    lastFailure = "; \(nodes[index].name): \(error)"
                    return act(index) { $0.originated(nil, $1) }
                }
                guard !crashedMeanwhile(index) else { return }
            }
            running.isHolding = false
            trace("\(nodes[index].name) takes commands: \(picture(running))")
            unasked.remove(index)
            act(index) { $0.originated(running.log.origin, $1) }
        case .exchange(let exchange):
            tally.exchanges += 1
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
        let sender = Sender(name: running.standing.name, roster: running.standing.kept)
        switch exchange.kind {
        case .ask:
            return Shipment.empty(from: running.log.origin, sender).message
        case .ship(let origins, let held, let bytesMax):
            return try? running.reader(for: exchange.peer).read(origins, lacking: held, bytesMax: bytesMax).message
        case .pull:
            var question = VectorMessage(origin: running.log.origin, vector: running.log.versionVector)
            question.sender = sender
            return question.encoded
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
                try? ShipmentReader(running.log, from: running.standing.name).readAll(
                    lacking: question.vector,
                    bytesMax: options.batchBytes
                ).message
        } else {
            let message = try bytes.withBytes { bytes throws(ReplicationWireError) in try EventsMessage(bytes) }
            answer = try take(message, to, running)
        }
        guard let answer, Double.random(in: 0..<1, using: &random) >= weather.loss else { return }
        schedule(.answer(to: from, life: life, exchange, answer), in: delay())
    }

    /// Events come, or a question; nil when the disk has gone away.
    private func take(_ message: EventsMessage, _ to: Int, _ running: ReplicaNode.Running) throws -> [UInt8]? {
        if let roster = message.sender.roster {
            running.standing.merge(roster)
            settle(to)
            guard nodes[to].running != nil else { return nil }
        }
        let isForgotten = running.standing.roster.isForgotten(message.sender.name)
        var reply = VectorMessage(origin: running.log.origin, vector: running.log.versionVector)
        if message.events.count > 0, !isForgotten, running.core.takesEvents(now) {
            let slot = Slot<ReceiveOutcome>()
            running.batch.receive(message.events, restoringOwn: running.isHolding) { slot.value = $0 }
            running.batch.flush()
            guard !crashedMeanwhile(to), let outcome = slot.value, outcome.failure == nil else { return nil }
            trace("\(message.sender.name) ships to \(nodes[to].name)", message, outcome)
            // What was refused is nowhere: the disk that it came from may have been replaced meanwhile.
            for place in 0..<message.events.count {
                let event = message.events[place]
                if event.sequence <= outcome.vector[event.origin].sequence { try note(event.origin, event.head) }
            }
            for refusal in outcome.refusals where refusal.reason == .belowHorizon { throw Violation("\(refusal)") }
            reply.vector = outcome.vector
            reply.appended = outcome.appended
            reply.refusals = outcome.refusals
            advance(to)
        }
        guard nodes[to].running != nil else { return nil }
        reply.floor = running.floor
        reply.clock = max(running.log.settled.hlc, running.core.clock)
        reply.rosterHash = running.standing.rosterHash
        reply.isOriginating = running.core.phase == .originating
        reply.sender = Sender(
            name: running.standing.name,
            roster: message.sender.roster != nil || isForgotten ? running.standing.kept : nil
        )
        return reply.encoded
    }

    private func outcome(
        of exchange: Exchange,
        _ bytes: [UInt8]?,
        _ index: Int,
        _ running: ReplicaNode.Running
    ) -> ExchangeOutcome {
        guard let bytes else { return .failed("no answer") }
        do {
            guard exchange.kind == .pull else {
                let message = try bytes.withBytes { bytes throws(ReplicationWireError) in try VectorMessage(bytes) }
                running.standing.heard(
                    .init(roster: message.rosterHash, floor: message.floor, heads: message.vector),
                    from: exchange.peer
                )
                if let roster = message.sender.roster {
                    running.standing.merge(roster)
                    settle(index)
                }
                return .answered(message, events: 1, bytes: 1, gaps: [])
            }
            let message = try bytes.withBytes { bytes throws(ReplicationWireError) in try EventsMessage(bytes) }
            // It may have been forgotten since it was asked.
            guard running.core.takesEvents(now), !running.standing.roster.isForgotten(exchange.peer) else {
                return .failed("nothing is taken from it at the moment")
            }
            let slot = Slot<ReceiveOutcome>()
            running.batch.receive(message.events, restoringOwn: running.isHolding) { slot.value = $0 }
            running.batch.flush()
            guard let outcome = slot.value, outcome.failure == nil else { return .failed("the log takes nothing") }
            trace("\(nodes[index].name) pulls from \(exchange.peer)", message, outcome)
            return .pulled(
                appended: outcome.appended,
                refused: outcome.refusals,
                isOutOfReach: message.isOutOfReach
            )
        } catch {
            return .failed("\(error)")
        }
    }

    private func delay() -> Duration {
        let (low, high) = (weather.delay.lowerBound, weather.delay.upperBound)
        return low + (high - low) * Double.random(in: 0...1, using: &random)
    }
}
