// What messages about members change. Where the same thing is said twice, the higher incarnation counts, and of one
// incarnation the worse news; only the member itself raises its incarnation.

extension Membership {
    mutating func accept(alive message: Alive, _ now: Duration) {
        if let versions = message.versions, !versions.isUsable { return }
        var message = message
        if message.endpoint.port == 0 { message.endpoint.port = options.endpoint.port }
        if isMe(message.node) { return acceptAliveAboutMe(message, now) }

        let isNew = members[message.node] == nil
        guard !isNew || members.count < options.membersMax else { return }
        var member = members[message.node] ?? newcomer(message, now)
        let before = member
        if member.endpoint != message.endpoint {
            guard member.status == .left || (member.status == .dead && now - member.since >= options.nameReclaim) else {
                emit(.nameConflict(name: member.name, ours: member.endpoint, theirs: message.endpoint))
                return
            }
            // The node has moved: nobody is to be looked for where it was.
            contacts.forget(member.endpoint)
        } else if message.incarnation <= member.incarnation {
            return
        }
        if isNew {
            roster.insert(member.name, at: Int.random(in: 0...roster.count, using: &random))
        }
        suspicions[member.name] = nil
        member.incarnation = message.incarnation
        member.endpoint = message.endpoint
        member.versions = message.versions
        if member.meta != message.meta {
            member.meta = message.meta
            member.state = Self.state(message.meta)
        }
        if member.status != .alive {
            member.status = .alive
            member.since = now
        }
        members[member.name] = member
        queue.add(Message.alive(member.alive).encoded, about: member.name)
        if !before.isLive {
            emit(.joined(member))
        } else if before.meta != member.meta || before.versions != member.versions {
            emit(.updated(member))
        }
    }

    private func newcomer(_ message: Alive, _ now: Duration) -> Member {
        Member(
            name: message.node,
            endpoint: message.endpoint,
            meta: message.meta,
            state: Self.state(message.meta),
            incarnation: 0,
            status: .dead,
            since: now,
            firstSeen: now,
            versions: message.versions
        )
    }

    private mutating func acceptAliveAboutMe(_ message: Alive, _ now: Duration) {
        guard !isLeaving else { return }
        guard message.endpoint == me.endpoint else {
            emit(.nameConflict(name: options.name, ours: me.endpoint, theirs: message.endpoint))
            return
        }
        guard message.incarnation >= me.incarnation else { return }
        // What an earlier life of ours said must not outlive what this one says.
        if message.incarnation > me.incarnation || message.meta != me.meta || message.versions != me.versions {
            refute(message.incarnation, now)
        }
    }

    mutating func accept(suspect message: Accusation, _ now: Duration) {
        guard var member = members[message.node], message.incarnation >= member.incarnation else { return }
        if suspicions[message.node] != nil {
            if suspicions[message.node]?.confirm(message.accuser) == true {
                queue.add(Message.suspect(message).encoded, about: message.node)
            }
            return
        }
        guard member.status == .alive else { return }
        if isMe(message.node) { return refute(message.incarnation, now) }
        queue.add(Message.suspect(message).encoded, about: message.node)
        member.incarnation = message.incarnation
        member.status = .suspect
        member.since = now
        members[message.node] = member
        suspicions[message.node] = Suspicion(
            began: now,
            members: members.count,
            options: options,
            accuser: message.accuser
        )
    }

    mutating func accept(dead message: Accusation, _ now: Duration) {
        guard var member = members[message.node], message.incarnation >= member.incarnation else { return }
        suspicions[message.node] = nil
        guard member.isLive else { return }
        if isMe(message.node), !isLeaving { return refute(message.incarnation, now) }
        let hasLeft = message.accuser == message.node
        queue.add(Message.dead(message).encoded, about: message.node)
        member.incarnation = message.incarnation
        member.status = hasLeft ? .left : .dead
        member.since = now
        members[message.node] = member
        guard !isMe(message.node) else { return }
        if hasLeft {
            contacts.forget(member.endpoint)
            emit(.left(member))
        } else {
            contacts.remember(member.endpoint, now: now)
            emit(.failed(member))
        }
    }

    /// Denies an accusation: an alive message with a higher incarnation than the accuser knows.
    private mutating func refute(_ accused: UInt32, _ now: Duration) {
        guard !isLeaving else { return }
        health.add(1)
        announceSelf(incarnation: max(me.incarnation, accused), now)
        emit(.refuted(incarnation: me.incarnation))
    }

    /// Takes the next incarnation, with the newest meta, and spreads it.
    mutating func announceSelf(incarnation: UInt32, _ now: Duration) {
        var mine = me
        // At the end of the numbers, which only a liar reaches, there is no higher one to deny with.
        mine.incarnation = incarnation == .max ? .max : incarnation + 1
        mine.meta = ownMeta
        mine.state = Self.state(ownMeta)
        members[options.name] = mine
        due.announce = now + announceInterval
        queue.add(Message.alive(mine.alive).encoded, about: options.name)
    }

    /// Those whose time to deny is over are dead.
    mutating func expireSuspicions(_ now: Duration) {
        // In order of name, so that equal inputs give equal outputs.
        for (name, _) in suspicions.filter({ $0.value.deadline <= now }).sorted(by: { $0.key < $1.key }) {
            guard let member = members[name] else { continue }
            accept(
                dead: Accusation(incarnation: member.incarnation, node: name, accuser: options.name),
                now
            )
        }
    }
}
