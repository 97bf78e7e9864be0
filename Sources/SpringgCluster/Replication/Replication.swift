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
        /// Nil for a node that was forgotten and has joined again: it waits for all of them, while there are any.
        case asking(until: Duration?)
        /// It has been told to begin, and has not said yet that it has.
        case beginning
        case originating
        /// The members do not count it any more: it takes no commands and ships nothing.
        case expelled
    }

    package let options: ReplicationOptions
    /// Whose events this node writes.
    package internal(set) var origin: OriginID
    /// What it holds, durably.
    package private(set) var vector: VersionVector
    package internal(set) var phase: Phase
    /// Before this nothing is decided: the log could not begin an origin, or the disk not join again, a moment ago.
    var decidesFrom = Duration.zero
    /// There are others, whether they can be found or not.
    let expectsPeers: Bool
    /// What this node says of itself, for members to have in their rosters; nil where there are no rosters.
    var claim: Roster.Claim?
    var isForgotten = false
    /// No command is on its way into the log.
    var isStill = false
    /// The highest clock reading that a peer has told.
    package internal(set) var clock = HLC(0)
    var peers: [String: ReplicationPeer] = [:]
    /// From whom events are being pulled: from one at a time, since all have the same.
    var pullingFrom: String?
    var bucket: TokenBucket
    var random: any RandomNumberGenerator & Sendable
    var nextNumber: UInt64 = 1
    /// Exchanges before this were begun before something that changes what their answers mean.
    var firstThatCounts: UInt64 = 1
    /// Somebody waits for what was written last.
    var isUrgent = false
    var written = WriteTimes()
    var directives: [ReplicationDirective] = []

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
        return (events, written.first(after: held[origin].sequence).map { now - $0 } ?? .zero)
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

    // MARK: - What happens

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
        written.note(vector[origin].sequence, now)
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

    /// A peer was heard of by another way than by an exchange.
    package mutating func heard(of name: String, _ now: Duration) -> [ReplicationDirective] {
        peers[name]?.breaker.heard(now)
        return work(now)
    }

    /// Time has passed.
    package mutating func tick(_ now: Duration) -> [ReplicationDirective] { work(now) }

    /// So many bytes went to others that the machine has not shipped: they count within the same bound.
    package mutating func spent(_ bytes: Int) { bucket.giveBack(-bytes) }

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

    // MARK: - What is to be done

    mutating func work(_ now: Duration) -> [ReplicationDirective] {
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
    func wanted(by peer: ReplicationPeer) -> Set<OriginID> {
        // Before it knows how it stands a node ships nothing: it may have been forgotten.
        guard let held = peer.held, phase == .originating else { return [] }
        return peer.helping.union([origin]).subtracting(peer.diverged)
            .filter { vector[$0].sequence > held[$0].sequence }
    }

    private func gatherEnd(_ peer: ReplicationPeer, _ now: Duration) -> Duration {
        peer.shippedAt.map { $0 + options.gather } ?? now
    }

    var askInterval: Duration {
        options.askInterval * max(1, Double(peers.count) / Double(Replication.peersAskedOften))
    }

    mutating func tell(_ event: ReplicationEvent) { directives.append(.event(event)) }
}
