import SpringgLog

/// What came of exchanges, and what peers say.
extension Replication {
    /// Between two pulls from a peer whose log did not reach back to what this node lacks.
    private static let beyondLogPause = Duration.seconds(30)
    /// A clock that says more, in Unix milliseconds, is none: that is in the year 9999.
    private static let clockMax: UInt64 = 253_370_764_800_000

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
}
