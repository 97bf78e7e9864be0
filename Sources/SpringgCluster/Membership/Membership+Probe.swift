/// One round of probing one member.
struct Probe: Sendable {
    let target: String
    let endpoint: NodeAddress
    let number: UInt32
    /// When the direct ping has had its time, nil once others have been asked.
    var directDeadline: Duration?
    /// When the member is suspected unless it answered.
    let deadline: Duration
    /// Of those that were asked, how many would say that they heard nothing either.
    var nacksExpected = 0
    var nacks = 0

    var nextDeadline: Duration { min(deadline, directDeadline ?? deadline) }
}

/// A ping that we sent on somebody's behalf.
struct Forward: Sendable {
    let asker: NodeAddress
    let number: UInt32
    let wantsNack: Bool
    let deadline: Duration
}

extension Membership {
    private var source: MessageSource { MessageSource(endpoint: options.endpoint, name: options.name) }

    // MARK: Probing

    /// Begins the next round, when there is somebody to probe.
    mutating func beginProbe(_ now: Duration) {
        guard probe == nil else { return }
        due.probe = now + options.probeInterval
        guard !isLeaving, let target = nextTarget(now) else { return }
        let number = newNumber()
        probe = Probe(
            target: target.name,
            endpoint: target.endpoint,
            number: number,
            directDeadline: now + options.probeTimeout,
            deadline: now + options.probeInterval * health.factor
        )
        let ping = Message.ping(Ping(number: number, node: target.name, source: source)).encoded
        guard target.status == .suspect else { return send(ping, to: target.endpoint) }
        // It hears what it is accused of, and can deny it at once.
        let accusation = Accusation(incarnation: target.incarnation, node: target.name, accuser: options.name)
        directives.append(.send(Packet.encode([ping, Message.suspect(accusation).encoded]), to: target.endpoint))
    }

    /// The next living member of the roster; at its end the long dead are forgotten and the order is drawn anew.
    private mutating func nextTarget(_ now: Duration) -> Member? {
        for _ in 0...roster.count {
            if nextInRoster >= roster.count {
                forgetLongDead(now)
                roster.shuffle(using: &random)
                nextInRoster = 0
            }
            guard nextInRoster < roster.count else { return nil }
            defer { nextInRoster += 1 }
            if let member = members[roster[nextInRoster]], member.isLive { return member }
        }
        return nil
    }

    private mutating func forgetLongDead(_ now: Duration) {
        let horizon = now - options.gossipToTheDead
        for member in members.values where !member.isLive && member.since < horizon && !isMe(member.name) {
            members[member.name] = nil
        }
        let known = members
        roster.removeAll { known[$0] == nil }
    }

    /// Asks others when the target has been silent for too long, and accuses it when they have been, too.
    mutating func continueProbe(_ now: Duration) {
        guard let current = probe else { return }
        if now >= current.deadline {
            probe = nil
            due.probe = now
            health.add(current.nacksExpected > 0 ? current.nacksExpected - current.nacks : 1)
            guard let member = members[current.target] else { return }
            let accusation = Accusation(
                incarnation: member.incarnation,
                node: current.target,
                accuser: options.name
            )
            accept(suspect: accusation, now)
        } else if let directDeadline = current.directDeadline, now >= directDeadline {
            askOthers(current)
        }
    }

    private mutating func askOthers(_ current: Probe) {
        let helpers = randomMembers(options.indirectProbes) { $0.status == .alive && $0.name != current.target }
        probe?.directDeadline = nil
        for helper in helpers {
            let wantsNack = helper.versions?.sendsNacks ?? false
            if wantsNack { probe?.nacksExpected += 1 }
            let request = IndirectPing(
                number: current.number,
                target: current.endpoint,
                node: current.target,
                wantsNack: wantsNack,
                source: source
            )
            send(Message.indirectPing(request).encoded, to: helper.endpoint)
        }
        // A network that loses or forbids UDP only should not make anybody dead.
        if members[current.target]?.versions?.understandsStreamPing ?? false {
            let ping = Ping(number: current.number, node: current.target, source: source)
            dial(.probe(number: current.number), to: current.endpoint, Message.ping(ping).encoded)
        }
    }

    /// - Parameters:
    ///   - number: Of the ping that is answered.
    ///   - payload: What the other node says with it.
    ///   - now: The time.
    mutating func acceptAck(_ number: UInt32, _ payload: [UInt8]?, _ now: Duration) {
        if let probe, probe.number == number {
            health.add(-1)
            // Before others were asked there is one way that the answer can have taken, and its time is known.
            if let payload, let directDeadline = probe.directDeadline {
                let sent = directDeadline - options.probeTimeout
                emit(.answered(node: probe.target, payload: payload, after: now - sent))
            }
            self.probe = nil
        } else if let forward = forwards.removeValue(forKey: number) {
            send(Message.ack(number: forward.number, payload: nil).encoded, to: forward.asker)
        }
    }

    mutating func acceptNack(_ number: UInt32) {
        if probe?.number == number { probe?.nacks += 1 }
    }

    // MARK: Answering

    mutating func answer(_ ping: Ping, from sender: NodeAddress) {
        guard ping.node.isEmpty || isMe(ping.node) else { return }
        let payload = ackPayload.isEmpty ? nil : ackPayload
        send(Message.ack(number: ping.number, payload: payload).encoded, to: ping.source?.endpoint ?? sender)
    }

    mutating func forward(_ request: IndirectPing, from sender: NodeAddress, _ now: Duration) {
        guard forwards.count < options.forwardsMax else { return }
        var target = request.target
        if target.port == 0 { target.port = options.endpoint.port }
        let number = newNumber()
        forwards[number] = Forward(
            asker: request.source?.endpoint ?? sender,
            number: request.number,
            wantsNack: request.wantsNack,
            deadline: now + options.probeTimeout
        )
        send(Message.ping(Ping(number: number, node: request.node, source: source)).encoded, to: target)
    }

    mutating func expireForwards(_ now: Duration) {
        for (number, forward) in forwards.filter({ $0.value.deadline <= now }).sorted(by: { $0.key < $1.key }) {
            forwards[number] = nil
            if forward.wantsNack { send(Message.nack(number: forward.number).encoded, to: forward.asker) }
        }
    }
}
