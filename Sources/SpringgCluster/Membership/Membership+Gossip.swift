import Glibc

// How news spreads, and how much that costs. What each node sends for probing is the same in every cluster. Gossip costs as
// much as there is news, and exchanges of states as much as there are members, so both are made rarer as the cluster
// grows: the bytes that a node sends stay about the same.

extension Membership {
    /// How often a message is sent by each node that has it.
    var transmitLimit: Int {
        // Two digits of members are enough of them: ceil(log10(n + 1)), without the rounding of the logarithm.
        var (magnitude, bound) = (1, 10)
        while bound < members.count + 1 {
            magnitude += 1
            bound *= 10
        }
        return options.retransmitMultiplier * magnitude
    }

    /// Every announcement is sent `transmitLimit` times by every node: with so many nodes, each may make so few.
    package var announceInterval: Duration {
        let transmissions = members.count * transmitLimit
        return max(options.announceInterval, .seconds(1) * (Double(transmissions) / Self.transmissionsPerSecond))
    }

    /// Messages a second that a node sends at most for what all of them have to announce; some 10 kB.
    private static let transmissionsPerSecond = 40.0

    /// An exchange takes as many bytes as there are members.
    package var pushPullInterval: Duration {
        options.pushPullInterval * max(1, Double(members.count) / Self.exchangedAtFullRate)
    }

    /// Members up to which exchanges are as frequent as memberlist's.
    private static let exchangedAtFullRate = 32.0

    // MARK: Sending

    /// Room in a packet for messages.
    private var room: Int { WireLimits.packetBytes - options.packetOverhead }

    /// Sends a message, and with it as much news as fits.
    mutating func send(_ message: [UInt8], to endpoint: NodeAddress) {
        let news = queue.take(
            bytesMax: room - Packet.compoundOverhead - Packet.partOverhead - message.count,
            overhead: Packet.partOverhead,
            countMax: WireLimits.compoundParts - 1,
            limit: transmitLimit
        )
        directives.append(.send(Packet.encode([message] + news), to: endpoint))
    }

    /// Sends news to a few members, the recently dead among them: who is wrongly taken for dead must hear of it.
    mutating func gossip(_ now: Duration) {
        due.gossip = now + options.gossipInterval
        guard !queue.isEmpty else { return }
        let horizon = now - options.gossipToTheDead
        let targets = randomMembers(options.gossipNodes) { member in
            member.isLive || (member.status == .dead && member.since > horizon)
        }
        for target in targets {
            let news = queue.take(
                bytesMax: room - Packet.compoundOverhead,
                overhead: Packet.partOverhead,
                countMax: WireLimits.compoundParts,
                limit: transmitLimit
            )
            guard !news.isEmpty else { return }
            directives.append(.send(Packet.encode(news), to: target.endpoint))
        }
    }

    /// Spreads what the node says of itself, if that has changed.
    mutating func announce(_ now: Duration) {
        guard ownMeta != me.meta, !isLeaving else { return }
        announceSelf(incarnation: me.incarnation, now)
    }

    // MARK: Receiving

    /// Takes a packet without label and encryption.
    /// - Returns: What to do, and how many parts of the packet could not be read.
    package mutating func receive(
        packet: ArraySlice<UInt8>,
        from sender: NodeAddress,
        now: Duration
    ) throws(WireError) -> (directives: [MembershipDirective], refusedParts: Int) {
        let content = try Packet.decode(packet)
        // Probes first: news may take a while, and somebody is waiting.
        for message in content.messages {
            switch message {
            case .ping(let ping): answer(ping, from: sender)
            case .indirectPing(let request): forward(request, from: sender, now)
            case .ack(let number, let payload): acceptAck(number, payload, now)
            case .nack(let number): acceptNack(number)
            case .alive, .suspect, .dead, .user, .error: ()
            }
        }
        for message in content.messages {
            switch message {
            case .alive(let alive): accept(alive: alive, now)
            case .suspect(let accusation): accept(suspect: accusation, now)
            case .dead(let accusation): accept(dead: accusation, now)
            // User messages belong to other applications: ours says everything in its state.
            case .ping, .indirectPing, .ack, .nack, .user, .error: ()
            }
        }
        return (takeDirectives(), content.refusedParts)
    }
}
