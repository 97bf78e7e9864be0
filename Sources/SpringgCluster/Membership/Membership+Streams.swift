// Exchanges of all states over TCP, and the attempts to reach those that gossip has lost.

extension Membership {
    /// Dials somebody; `streamAnswered` gets what comes of it.
    mutating func dial(_ purpose: StreamPurpose, to endpoint: NodeAddress, _ request: [UInt8]) {
        nextStream += 1
        streams[StreamID(nextStream)] = purpose
        directives.append(.dial(StreamID(nextStream), to: endpoint, request: request))
    }

    // MARK: Exchanging states

    mutating func beginPushPull(_ now: Duration) {
        due.pushPull = now + pushPullInterval
        guard !isLeaving, let partner = randomMembers(1, where: { $0.status == .alive }).first else { return }
        exchange(with: partner.endpoint, isJoin: false)
    }

    /// Exchanges states with a few others now: the long form has something that should not wait for its turn.
    ///
    /// Whoever hears it for the first time does the same, so that everybody has it within a few rounds.
    package mutating func exchangeNow() -> [MembershipDirective] {
        guard !isLeaving else { return [] }
        for partner in randomMembers(options.gossipNodes, where: { $0.status == .alive }) {
            exchange(with: partner.endpoint, isJoin: false)
        }
        return takeDirectives()
    }

    private mutating func exchange(with endpoint: NodeAddress, isJoin: Bool) {
        dial(.pushPull(with: endpoint), to: endpoint, ownStates(isJoin: isJoin))
    }

    private func ownStates(isJoin: Bool) -> [UInt8] {
        let entries = allMembers.map { PushPull.Entry(alive: $0.alive, status: $0.status) }
        return PushPull(isJoin: isJoin, entries: entries, userState: userState).encoded
    }

    /// Tries one contact where nobody alive is known: a seed, or where somebody died.
    mutating func rejoin(_ now: Duration) {
        let living = members.values.filter(\.isLive).map(\.endpoint)
        // Alone there is nothing else to do; the contacts' own pauses bound the attempts.
        let pause = living.count > 1 ? options.rejoinInterval : options.probeInterval
        due.rejoin = now + pause * Double.random(in: 0.5..<1.5, using: &random)
        guard !isLeaving, let endpoint = contacts.next(now: now, excluding: Set(living)) else { return }
        exchange(with: endpoint, isJoin: true)
    }

    private mutating func merge(_ remote: PushPull, from endpoint: NodeAddress, _ now: Duration) {
        if let reason = mismatch(remote) { return emit(.refused(endpoint, reason: reason)) }
        for entry in remote.entries {
            let alive = entry.alive
            switch entry.status {
            case .alive:
                accept(alive: alive, now)
            case .left:
                accept(dead: Accusation(incarnation: alive.incarnation, node: alive.node, accuser: alive.node), now)
            case .suspect, .dead:
                // Never dead at once: it may live on our side of a split, and gets its time to say so.
                accept(
                    suspect: Accusation(incarnation: alive.incarnation, node: alive.node, accuser: options.name),
                    now
                )
            }
        }
        acceptUserState(remote.userState)
    }

    /// Takes the long form of a member's state; a foreign agent's bytes say nothing to us.
    private mutating func acceptUserState(_ bytes: [UInt8]) {
        guard let decoded = try? NodeState.decode(bytes), let name = decoded.name, !isMe(name),
            var member = members[name], (member.longState?.composedAt ?? 0) <= decoded.state.composedAt
        else { return }
        member.longState = decoded.state
        members[name] = member
        emit(.updated(member))
    }

    /// Why two sides must not become one cluster; nil when every version is understood by all.
    private func mismatch(_ remote: PushPull) -> String? {
        let theirs = remote.entries.filter { $0.status == .alive }.compactMap(\.alive.versions)
        let ours = members.values.filter { $0.status == .alive }.compactMap(\.versions)
        let all = theirs + ours
        let minimum = all.map(\.minimum).max() ?? 0
        let maximum = all.map(\.maximum).min() ?? .max
        let applicationMinimum = all.map(\.applicationMinimum).max() ?? 0
        let applicationMaximum = all.map(\.applicationMaximum).min() ?? .max
        for versions in remote.entries.compactMap(\.alive.versions) + members.values.compactMap(\.versions) {
            guard minimum <= versions.current, versions.current <= maximum else {
                return "protocol \(versions.current) is not within \(minimum) to \(maximum)"
            }
            guard applicationMinimum <= versions.applicationCurrent, versions.applicationCurrent <= applicationMaximum
            else {
                return "application protocol \(versions.applicationCurrent) is not within "
                    + "\(applicationMinimum) to \(applicationMaximum)"
            }
        }
        return nil
    }

    // MARK: What comes over streams

    /// Takes what somebody who dialled us says.
    /// - Returns: What to answer before the stream is closed, if anything, and what else to do.
    package mutating func receive(
        stream message: StreamMessage,
        from sender: NodeAddress,
        now: Duration
    ) -> (answer: [UInt8]?, directives: [MembershipDirective]) {
        switch message {
        case .message(.ping(let ping)):
            guard ping.node.isEmpty || isMe(ping.node) else { return (nil, []) }
            return (Message.ack(number: ping.number, payload: nil).encoded, [])
        case .pushPull(let remote):
            let answer = ownStates(isJoin: remote.isJoin)
            merge(remote, from: sender, now)
            return (answer, takeDirectives())
        case .message:
            return (nil, [])
        }
    }

    /// Takes what came of a stream that we dialled; nil when nothing did.
    package mutating func streamAnswered(
        _ stream: StreamID,
        _ message: StreamMessage?,
        now: Duration
    ) -> [MembershipDirective] {
        switch (streams.removeValue(forKey: stream), message) {
        case (.probe(let asked), .message(.ack(let number, _))) where asked == number:
            acceptAck(number, nil, now)
        case (.pushPull(let endpoint), .pushPull(let remote)):
            contacts.succeeded(endpoint, now: now)
            merge(remote, from: endpoint, now)
        case (.pushPull(let endpoint), .message(.error(let text))):
            emit(.refused(endpoint, reason: text))
        default: ()
        }
        return takeDirectives()
    }
}
