package import SpringgLog

/// Who is sent what next: replication as a state machine.
///
/// The log is the queue. For each peer this node knows what it holds (it says so in every answer), and ships what it
/// lacks: events of this node's own origin at once, as the one who knows of them first; events of others only when they
/// make no progress there by themselves, so that in a cluster where everybody sees everybody each event travels once.
/// What a peer has and this node does not get in the same way is pulled. So any two nodes converge that are connected by
/// any chain of nodes, in either direction.
///
/// Before it writes anything, a node that has written before asks all members what they hold of its origin: its disk may
/// be an older copy. What is missing comes back, if the histories agree. If they do not, or if somebody cannot be asked,
/// the node goes on under a new origin, so that no number is ever given twice.
///
/// A node that is new, or was forgotten, needs a member that has it in its roster on disk and tells it how far clocks have got:
/// so it writes nothing that others may have promised not to see any more (`Standing`). One that was forgotten ships
/// nothing, and joins again only when the members hold all that it holds.
///
/// Each call takes the time, a monotonic one since any beginning, and returns what is to be done. Nothing here reads a
/// clock, a socket, a disk or a random number of its own.
package struct Replication: Sendable {
    package enum Phase: Equatable, Sendable {
        /// Asks what the members hold of this node's origin, and goes on without those who have not answered by then.
        ///
        /// Nil for a node that was forgotten and has joined again: it waits for all of them.
        case asking(until: Duration?)
        /// It has been told to begin, and has not said yet that it has.
        case beginning
        case originating
        /// The members do not count it any more: it takes no commands and ships nothing.
        case expelled
    }

    package let options: ReplicationOptions
    /// Whose events this node writes.
    package private(set) var origin: OriginID
    /// What it holds, durably.
    package private(set) var vector: VersionVector
    package private(set) var phase: Phase
    /// Before this nothing is decided: the log could not begin an origin, or the disk not join again, a moment ago.
    private var decidesFrom = Duration.zero
    /// There are others, whether they can be found or not.
    private let expectsPeers: Bool
    /// What this node says of itself, for members to have in their rosters; nil where there are no rosters.
    private var claim: Roster.Claim?
    private var isForgotten = false
    /// No command is on its way into the log.
    private var isStill = false
    /// The highest clock reading that a peer has told.
    package private(set) var clock = HLC(0)
    private var peers: [String: ReplicationPeer] = [:]
    /// From whom events are being pulled: from one at a time, since all have the same.
    private var pullingFrom: String?
    private var bucket: TokenBucket
    private var random: any RandomNumberGenerator & Sendable
    private var nextNumber: UInt64 = 1
    /// Exchanges before this were begun before something that changes what their answers mean.
    private var firstThatCounts: UInt64 = 1
    /// Somebody waits for what was written last.
    private var isUrgent = false
    /// When own events became durable, for the lag of the peers: coarse, oldest first.
    private var written: [(at: Duration, sequence: Sequence)] = []
    private var directives: [ReplicationDirective] = []

    /// Moments kept in `written`, and the pause between two: a lag of up to a minute is told to a twentieth of a second.
    private static let writtenMax = 1200
    private static let writtenStep = Duration.milliseconds(50)
    /// Between two attempts to begin an origin on a log that does not take it.
    private static let retryPause = Duration.seconds(1)
    /// Between two pulls from a peer whose log did not reach back to what this node lacks.
    private static let beyondLogPause = Duration.seconds(30)
    /// A clock that says more, in Unix milliseconds, is none: that is in the year 9999.
    private static let clockMax: UInt64 = 253_370_764_800_000
    /// Peers that are asked every `askInterval`; more are asked less often, so that the cost stays.
    private static let peersAskedOften = 8

    package init(
        options: ReplicationOptions,
        origin: OriginID,
        vector: VersionVector,
        expectsPeers: Bool,
        claim: Roster.Claim? = nil,
        now: Duration,
        random: some RandomNumberGenerator & Sendable
    ) {
        self.claim = claim
        self.options = options
        self.origin = origin
        self.vector = vector
        self.expectsPeers = expectsPeers
        self.random = random
        phase = .asking(until: now + options.startWait)
        bucket = TokenBucket(bytesPerSecond: options.bytesPerSecond, now: now)
    }

    // MARK: - What is known

    /// All peers, in the order of their names.
    package var allPeers: [ReplicationPeer] { peers.values.sorted { $0.name < $1.name } }

    /// Events that this node holds and the peer does not, and for how long it has lacked the oldest of this node's own.
    package func lag(of peer: ReplicationPeer, _ now: Duration) -> (events: UInt64, time: Duration)? {
        guard let held = peer.held else { return nil }
        var events: UInt64 = 0
        for origin in vector.origins {
            let (ours, theirs) = (vector[origin].sequence.rawValue, held[origin].sequence.rawValue)
            if ours > theirs { events += ours - theirs }
        }
        let since = written.first { $0.sequence > held[origin].sequence }?.at
        return (events, since.map { now - $0 } ?? .zero)
    }

    /// This node lacks events that a peer holds, that its log no longer has, and that nobody else has brought since.
    package var isOutOfReach: Bool {
        peers.values.contains { peer in
            guard let ours = peer.beyondLog?.ours, let theirs = peer.held else { return false }
            return theirs.origins.contains { origin in
                theirs[origin].sequence > vector[origin].sequence && vector[origin] == ours[origin]
                    && !peer.diverged.contains(origin)
            }
        }
    }

    /// Whether events that others send are taken.
    ///
    /// Not at once after a start: an older disk may believe somebody a member who was forgotten, and would take from it what no
    /// member may hold. Who was forgotten, and does not know who was since, takes nothing before all members have answered.
    package func takesEvents(_ now: Duration) -> Bool {
        switch phase {
        case .asking(let until?): now >= until - options.startWait / 2 || haveAllAnswered
        case .asking(nil): haveAllAnswered && (claim == nil || peers.values.allSatisfy(\.knowsUs))
        case .expelled: haveAllAnswered
        case .beginning, .originating: true
        }
    }

    private var haveAllAnswered: Bool { peers.values.allSatisfy { $0.held != nil } }

    /// A node that was forgotten holds events that no member does, as all of them have answered.
    package var hasUnsharedEvents: Bool {
        phase == .expelled && isStill && haveAllAnswered
            && !vector.origins.allSatisfy { origin in peers.values.contains { isHeld(origin, by: $0) } }
    }

    // MARK: - What happens

    /// This is how the node stands with the members, and what it says of itself.
    package mutating func stand(
        isForgotten: Bool,
        as claim: Roster.Claim,
        _ now: Duration
    ) -> [ReplicationDirective] {
        if claim != self.claim {
            self.claim = claim
            for name in peers.keys {
                peers[name]?.knowsUs = false
                if phase != .originating { peers[name]?.askAt = now }
            }
        }
        self.isForgotten = isForgotten
        if isForgotten {
            expel(now)
        } else if phase == .expelled {
            phase = .asking(until: nil)
            askAnew(now)
        }
        return work(now)
    }

    /// The members of the cluster, self excluded, are these.
    package mutating func setPeers(_ members: [PeerAddress], _ now: Duration) -> [ReplicationDirective] {
        let names = Set(members.map(\.name))
        for name in peers.keys.sorted() where !names.contains(name) {
            peers[name] = nil
            if pullingFrom == name { pullingFrom = nil }
        }
        for member in members {
            if let known = peers[member.name] {
                guard known.address != member.address else { continue }
                // Where it moved, nothing is known of the attempts that failed.
                peers[member.name]?.address = member.address
                peers[member.name]?.breaker = CircuitBreaker()
            } else {
                peers[member.name] = ReplicationPeer(member, askAt: now)
            }
        }
        return work(now)
    }

    /// This node holds so much, durably.
    package mutating func advance(to vector: VersionVector, _ now: Duration) -> [ReplicationDirective] {
        self.vector = vector
        noteWritten(now)
        return work(now)
    }

    /// No commands are taken any more, and those that were are in the log: this node holds so much, durably.
    package mutating func held(at vector: VersionVector, _ now: Duration) -> [ReplicationDirective] {
        isStill = true
        return advance(to: vector, now)
    }

    /// Somebody waits for what this node holds now to be held elsewhere.
    package mutating func hurry(_ now: Duration) -> [ReplicationDirective] {
        isUrgent = true
        return work(now)
    }

    /// Time has passed.
    package mutating func tick(_ now: Duration) -> [ReplicationDirective] { work(now) }

    /// Commands are taken, under this origin; nil when the log could not begin it.
    package mutating func originated(_ origin: OriginID?, _ now: Duration) -> [ReplicationDirective] {
        if let origin {
            self.origin = origin
            written = []
            phase = .originating
        } else {
            phase = .asking(until: now + options.startWait)
            decidesFrom = now + Replication.retryPause
        }
        if isForgotten { expel(now) }
        return work(now)
    }

    /// When `tick` is to be called at the latest.
    package func nextTick(_ now: Duration) -> Duration {
        var next = now + options.askInterval
        if case .asking(let until?) = phase {
            // What lies behind must not keep it awake.
            for moment in [until - options.startWait / 2, until] where moment > now { next = min(next, moment) }
        }
        for peer in peers.values where peer.exchange == nil && peer.address != nil {
            var due = peer.askAt
            if !wanted(by: peer).isEmpty { due = min(due, max(gatherEnd(peer, now), bucket.next(now))) }
            if !peer.pulling.isEmpty, pullingFrom == nil, takesEvents(now) { due = now }
            next = min(next, max(due, peer.breaker.opensAt ?? due))
        }
        return max(now, next)
    }

    // MARK: - Outcomes

    /// An exchange has ended.
    package mutating func ended(
        _ exchange: Exchange,
        _ outcome: ExchangeOutcome,
        _ now: Duration
    ) -> [ReplicationDirective] {
        if pullingFrom == exchange.peer, exchange.kind == .pull { pullingFrom = nil }
        guard var peer = peers[exchange.peer], peer.exchange?.number == exchange.number else { return work(now) }
        peer.exchange = nil
        if case .ship(_, _, let bytesMax) = exchange.kind {
            var shipped = 0
            if case .answered(_, _, let bytes, _) = outcome { shipped = bytes }
            bucket.giveBack(bytesMax - shipped)
        }
        switch outcome {
        case .failed(let reason):
            if peer.breaker.failures == 0 { tell(.unreachable(peer: peer.name, reason: reason)) }
            peer.failure = reason
            peer.breaker.failed(now, using: &random)
            peer.pulling = []
        case .contradicted(let origin):
            diverge(origin, &peer)
        case .answered(let message, let events, let bytes, let gaps):
            noteSuccess(&peer)
            peer.requests += 1
            peer.events += UInt64(events)
            peer.bytes += UInt64(bytes)
            // A full batch has more behind it: gathering is for those who wait for company.
            if case .ship(_, _, let bytesMax) = exchange.kind, bytes >= bytesMax { peer.shippedAt = nil }
            // Where the log has nothing that it could take, there is no hurry to look again.
            if events == 0, !gaps.isEmpty { peer.shippedAt = now + options.askInterval }
            if exchange.number >= firstThatCounts {
                take(message, shipped: events, gaps: exchange.kind == .ask ? nil : gaps, from: &peer, now)
            }
        case .pulled(let appended, let refused, let isOutOfReach):
            noteSuccess(&peer)
            if appended > 0, case .asking = phase, peer.pulling.contains(origin) { tell(.restored(from: peer.name)) }
            // There is more where something came from; it will say what. What it is known to have is fetched at once.
            peer.askAt = now
            peer.pulling = appended > 0 && !isOutOfReach ? peer.pulling.filter { lacks($0, that: peer) } : []
            for refusal in refused { note(refusal, by: &peer) }
            peer.beyondLog = isOutOfReach ? (vector, now) : nil
            if isOutOfReach { tell(.outOfReach(peer: peer.name)) }
        }
        peers[exchange.peer] = peer
        return work(now)
    }

    private mutating func noteSuccess(_ peer: inout ReplicationPeer) {
        if peer.breaker.failures > 0 { tell(.reachable(peer: peer.name)) }
        peer.breaker.succeeded()
        peer.failure = nil
    }

    /// The peer has said what it holds.
    private mutating func take(
        _ message: VectorMessage,
        shipped: Int,
        gaps: Set<OriginID>?,
        from peer: inout ReplicationPeer,
        _ now: Duration
    ) {
        let theirs = message.vector
        if shipped > 0, message.appended == 0, theirs == peer.held {
            // It takes nothing at the moment, as a node does that has just started.
            peer.shippedAt = now + askInterval - options.gather
        }
        peer.held = theirs
        peer.origin = message.origin
        peer.isOriginating = message.isOriginating
        if let claim, let roster = message.sender.roster { peer.knowsUs = roster.knows(claim) }
        if message.clock.milliseconds < Replication.clockMax { clock = max(clock, message.clock) }
        peer.askAt = now + askInterval
        for refusal in message.refusals { note(refusal, by: &peer) }
        for origin in theirs.origins {
            let (mine, other) = (vector[origin], theirs[origin])
            if mine.sequence == other.sequence, mine.chain != other.chain { diverge(origin, &peer) }
        }
        // Of two histories under one name nobody can say which it is that the peer holds.
        if !peer.diverged.contains(origin) { tell(.holds(peer: peer.name, theirs)) }
        // A mere question says nothing about the log, unless it shows that nothing is lacking.
        if let gaps = gaps ?? (wanted(by: peer).isEmpty ? [] : nil) {
            if !gaps.isEmpty, !peer.isOutOfReach { tell(.peerOutOfReach(peer: peer.name)) }
            peer.isOutOfReach = !gaps.isEmpty
        }
        if phase == .originating, message.origin == origin || theirs[origin].sequence > vector[origin].sequence {
            // Somebody else writes under this origin, or this node did before its disk was replaced.
            begin(underNewOrigin: true)
        }
        if shipped > 0, message.appended == 0, !peer.helping.isEmpty {
            // Another helps with the same: let it, and look again after a while of chance.
            peer.helping = []
            peer.mark = (now + askInterval * Double.random(in: 0...1, using: &random), theirs, vector)
        }
        peer.helping = peer.helping.filter { vector[$0].sequence > theirs[$0].sequence }
        lookForStuck(&peer, theirs, now)
    }

    /// What has not moved since the last look, though the other side had it, does not get there by itself.
    private mutating func lookForStuck(_ peer: inout ReplicationPeer, _ theirs: VersionVector, _ now: Duration) {
        guard let mark = peer.mark else {
            peer.mark = (now, theirs, vector)
            return
        }
        guard now >= mark.at + askInterval else { return }
        for origin in mark.ours.origins
        where theirs[origin].sequence == mark.theirs[origin].sequence
            && mark.ours[origin].sequence > theirs[origin].sequence
        {
            peer.helping.insert(origin)
        }
        let stuck = mark.theirs.origins.filter { origin in
            vector[origin].sequence == mark.ours[origin].sequence
                && mark.theirs[origin].sequence > vector[origin].sequence
                && !peer.diverged.contains(origin)
        }
        peer.pulling = Set(stuck)
        // Looking for what its log does not have makes the peer read all of it.
        if let beyond = peer.beyondLog, now < beyond.at + Replication.beyondLogPause { peer.pulling = [] }
        peer.mark = (now, theirs, vector)
    }

    private func lacks(_ origin: OriginID, that peer: ReplicationPeer) -> Bool {
        peer.held.map { $0[origin].sequence > vector[origin].sequence } ?? false && !peer.diverged.contains(origin)
    }

    private mutating func note(_ refusal: EventRefusal, by peer: inout ReplicationPeer) {
        switch refusal.reason {
        // Its vector, which came with the refusal, says where to go on.
        case .gap: break
        case .otherHistory, .ownOrigin, .malformed: diverge(refusal.origin, &peer)
        case .belowHorizon:
            guard !peer.diverged.contains(refusal.origin) else { break }
            tell(.belowHorizon(refusal.origin, refusal.sequence, peer: peer.name))
            stopShipping(refusal.origin, &peer)
        }
    }

    private mutating func diverge(_ origin: OriginID, _ peer: inout ReplicationPeer) {
        guard stopShipping(origin, &peer) else { return }
        tell(.diverged(origin, peer: peer.name))
    }

    /// Events of the origin cannot go there; false when that was known.
    ///
    /// What this node writes next shall: under another origin.
    @discardableResult
    private mutating func stopShipping(_ origin: OriginID, _ peer: inout ReplicationPeer) -> Bool {
        if origin == self.origin, phase != .beginning, phase != .expelled { begin(underNewOrigin: true) }
        return peer.diverged.insert(origin).inserted
    }

    // MARK: - Whose events are written

    private mutating func begin(underNewOrigin isNew: Bool) {
        phase = .beginning
        directives.append(.originate(underNewOrigin: isNew, after: clock))
    }

    private mutating func expel(_ now: Duration) {
        guard phase != .expelled, phase != .beginning else { return }
        phase = .expelled
        isStill = false
        directives.append(.hold)
        askAnew(now)
    }

    /// What the members have answered, and are about to, was said to another than this node is now.
    private mutating func askAnew(_ now: Duration) {
        firstThatCounts = nextNumber
        for name in peers.keys {
            peers[name]?.held = nil
            peers[name]?.pulling = []
            peers[name]?.askAt = now
        }
    }

    /// The member holds all of this origin that this node does.
    private func isHeld(_ origin: OriginID, by peer: ReplicationPeer) -> Bool {
        guard let held = peer.held?[origin], peer.isOriginating, !peer.diverged.contains(origin) else { return false }
        return held.sequence > vector[origin].sequence || held == vector[origin]
    }

    /// Whether this node may write, and as whom.
    private mutating func decide(_ now: Duration) {
        guard now >= decidesFrom else { return }
        // All have to answer, and to hold it: one that was forgotten too, and does not know it, is no member whose disk counts.
        if phase == .expelled, isStill, !peers.isEmpty, haveAllAnswered,
            peers.values.allSatisfy({ peer in vector.origins.allSatisfy { isHeld($0, by: peer) } })
        {
            decidesFrom = now + Replication.retryPause
            directives.append(.rejoin)
        }
        guard case .asking(let end) = phase else { return }
        let isOver = end.map { now >= $0 } ?? false
        let own = vector[origin]
        let answered = peers.values.filter { $0.held != nil }
        // Who has written nothing loses nothing by another name; but must not write below what others have promised.
        guard own.sequence > Sequence(0) else {
            let isKnown =
                claim == nil || peers.isEmpty || answered.contains { $0.knowsUs && $0.isOriginating }
                || (isOver || answered.count == peers.count) && answered.contains { $0.knowsUs }
            if isKnown { begin(underNewOrigin: expectsPeers || !peers.isEmpty) }
            return
        }
        if answered.contains(where: { $0.origin == origin }) { return begin(underNewOrigin: true) }
        if let ahead = answered.filter({ ($0.held?[origin].sequence ?? own.sequence) > own.sequence }).map(\.name).min()
        {
            guard !isOver else { return begin(underNewOrigin: true) }
            // Not from the first that says so: see `takesEvents`.
            if takesEvents(now) { peers[ahead]?.pulling = [origin] }
        } else if answered.count == peers.count, !peers.isEmpty || !expectsPeers,
            claim == nil || answered.allSatisfy(\.knowsUs)
        {
            begin(underNewOrigin: false)
        } else if isOver {
            begin(underNewOrigin: true)
        }
    }

    // MARK: - What is to be done

    private mutating func work(_ now: Duration) -> [ReplicationDirective] {
        decide(now)
        for name in peers.keys.sorted() {
            guard var peer = peers[name], let address = peer.address, peer.exchange == nil,
                let kind = next(for: peer, now)
            else { continue }
            if peer.breaker.admits(now) {
                if case .ship(_, _, let bytesMax) = kind {
                    guard bucket.take(bytesMax, now) else { continue }
                    peer.shippedAt = now
                }
                if kind == .pull { pullingFrom = name }
                peer.exchange = (nextNumber, kind)
                directives.append(
                    .exchange(Exchange(number: nextNumber, peer: name, address: address, kind: kind))
                )
                nextNumber += 1
            }
            peers[name] = peer
        }
        isUrgent = false
        defer { directives = [] }
        return directives
    }

    private func next(for peer: ReplicationPeer, _ now: Duration) -> Exchange.Kind? {
        guard let held = peer.held else { return now >= peer.askAt ? .ask : nil }
        if !peer.pulling.isEmpty, pullingFrom == nil, takesEvents(now) { return .pull }
        let wanted = wanted(by: peer)
        if !wanted.isEmpty, isUrgent || now >= gatherEnd(peer, now), bucket.next(now) <= now {
            return .ship(wanted, lacking: held, bytesMax: options.batchBytes)
        }
        return now >= peer.askAt ? .ask : nil
    }

    /// Origins of which the peer is to be sent something now.
    private func wanted(by peer: ReplicationPeer) -> Set<OriginID> {
        // Before it knows how it stands a node ships nothing: it may have been forgotten.
        guard let held = peer.held, phase == .originating else { return [] }
        return peer.helping.union([origin]).subtracting(peer.diverged)
            .filter { vector[$0].sequence > held[$0].sequence }
    }

    private func gatherEnd(_ peer: ReplicationPeer, _ now: Duration) -> Duration {
        peer.shippedAt.map { $0 + options.gather } ?? now
    }

    private var askInterval: Duration {
        options.askInterval * max(1, Double(peers.count) / Double(Replication.peersAskedOften))
    }

    private mutating func noteWritten(_ now: Duration) {
        let sequence = vector[origin].sequence
        guard sequence > written.last?.sequence ?? Sequence(0) else { return }
        if let last = written.last, now < last.at + Replication.writtenStep, written.count > 1 {
            // The older time stays: a lag is never told too small.
            written[written.count - 1].sequence = sequence
        } else {
            written.append((now, sequence))
        }
        if written.count > Replication.writtenMax { written.removeFirst(Replication.writtenMax / 2) }
    }

    private mutating func tell(_ event: ReplicationEvent) { directives.append(.event(event)) }
}
