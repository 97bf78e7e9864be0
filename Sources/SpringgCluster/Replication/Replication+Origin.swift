package import SpringgLog

/// Whose events this node writes, and whether it may: what a start, and being forgotten, have to clear up first.
extension Replication {
    /// Between two attempts to begin an origin on a log that does not take it.
    private static let retryPause = Duration.seconds(1)

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

    /// Commands are taken, under this origin; nil when the log could not begin it.
    package mutating func originated(_ origin: OriginID?, _ now: Duration) -> [ReplicationDirective] {
        if let origin {
            self.origin = origin
            written = WriteTimes()
            phase = .originating
        } else {
            phase = .asking(until: now + options.startWait)
            decidesFrom = now + Replication.retryPause
        }
        if isForgotten { expel(now) }
        return work(now)
    }

    mutating func begin(underNewOrigin isNew: Bool) {
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
    mutating func decide(_ now: Duration) {
        guard now >= decidesFrom else { return }
        // All have to answer, and to hold it: one that was forgotten too, and does not know it, is no member whose disk counts.
        if phase == .expelled, isStill, !peers.isEmpty, haveAllAnswered,
            peers.values.allSatisfy({ peer in vector.origins.allSatisfy { isHeld($0, by: peer) } })
        {
            decidesFrom = now + Replication.retryPause
            directives.append(.rejoin)
        }
        guard case .asking(let end) = phase else { return }
        let isOver = end.map { now >= $0 } ?? peers.isEmpty
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
}
