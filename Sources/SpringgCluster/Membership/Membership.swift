/// Who is in the cluster: memberlist's protocol as a state machine.
///
/// SWIM (Das, Gupta, Motivala, 2002) with Lifeguard's refinements: each node probes the others in turn, directly, through
/// others and over TCP; who does not answer is suspected, and dead unless it denies that in time; every change spreads by
/// gossip, and exchanges of all states repair what gossip missed. Beyond memberlist, a node never stops trying to reach
/// those it lost (`Contacts`), and the cost of exchanges and announcements does not grow with the cluster.
///
/// Each call takes the time, a monotonic one since any beginning, and returns what is to be done. Nothing here reads a
/// clock, a socket or a random number of its own.
package struct Membership: Sendable {
    package let options: MembershipOptions
    var random: any RandomNumberGenerator & Sendable

    /// All that are known, by name: self, the living, and the dead that are not forgotten yet.
    var members: [String: Member] = [:]
    /// The names of all others, in the order in which they are probed.
    var roster: [String] = []
    var nextInRoster = 0
    var suspicions: [String: Suspicion] = [:]
    var queue = BroadcastQueue()
    var contacts: Contacts
    package internal(set) var health = HealthScore()

    var probe: Probe?
    var forwards: [UInt32: Forward] = [:]
    var nextNumber: UInt32
    var streams: [StreamID: StreamPurpose] = [:]
    var nextStream: UInt64 = 0

    var due: Due
    /// What the node says of itself: announced, and to be announced.
    var ownMeta: [UInt8] = []
    var userState: [UInt8] = []
    package internal(set) var isLeaving = false
    /// What goes with each answer to a ping; the node that asked gets it with the time that asking took.
    package var ackPayload: [UInt8] = []

    var directives: [MembershipDirective] = []

    /// When each thing is to be done next.
    struct Due: Sendable {
        var probe: Duration
        var gossip: Duration
        var pushPull: Duration
        var rejoin: Duration
        var announce: Duration
    }

    /// What a stream that we opened is for.
    enum StreamPurpose: Sendable {
        case probe(number: UInt32)
        case pushPull(with: NodeAddress)
    }

    /// Begins as the only member.
    package init(
        options: MembershipOptions,
        meta: [UInt8] = [],
        userState: [UInt8] = [],
        now: Duration,
        random: some RandomNumberGenerator & Sendable
    ) {
        precondition(!options.name.isEmpty && options.name.utf8.count <= WireLimits.nameBytes, "name \(options.name)")
        precondition(meta.count <= WireLimits.metaBytes, "meta of \(meta.count) bytes")
        self.options = options
        self.random = random
        contacts = Contacts(options: options)
        // Numbers of an earlier life may still be answered: begin anywhere.
        nextNumber = UInt32.random(in: 0 ... .max, using: &self.random)
        // Nodes that start together should not do everything together.
        func some(_ interval: Duration, _ random: inout any RandomNumberGenerator & Sendable) -> Duration {
            now + interval * Double.random(in: 0..<1, using: &random)
        }
        due = Due(
            probe: some(options.probeInterval, &self.random),
            gossip: some(options.gossipInterval, &self.random),
            pushPull: some(options.pushPullInterval, &self.random),
            rejoin: now,
            announce: now
        )
        ownMeta = meta
        self.userState = userState
        members[options.name] = Member(
            name: options.name,
            endpoint: options.endpoint,
            meta: meta,
            state: Self.state(meta),
            incarnation: 1,
            status: .alive,
            since: now,
            firstSeen: now,
            versions: options.versions
        )
    }

    // MARK: What is known

    /// Self.
    package var me: Member {
        guard let me = members[options.name] else { preconditionFailure("\(options.name) is not its own member") }
        return me
    }

    /// Everybody who is taken for alive, self included, in order of name.
    package var liveMembers: [Member] { members.values.filter(\.isLive).sorted { $0.name < $1.name } }

    /// Everybody who is known, the dead included, in order of name.
    package var allMembers: [Member] { members.values.sorted { $0.name < $1.name } }

    package subscript(name: String) -> Member? { members[name] }

    /// True when nothing that this node has to say of its leaving is left to be sent.
    package var hasLeft: Bool {
        guard isLeaving else { return false }
        return !queue.contains(subject: options.name) || !members.values.contains { $0.isLive && !isMe($0.name) }
    }

    func isMe(_ name: String) -> Bool { name == options.name }

    // MARK: Time

    /// When `tick` is to be called next.
    package var nextTick: Duration {
        // A round that has not ended puts off the next one.
        var next = min(probe?.nextDeadline ?? due.probe, due.pushPull)
        if !queue.isEmpty { next = min(next, due.gossip) }
        if !contacts.isEmpty { next = min(next, due.rejoin) }
        if ownMeta != me.meta, !isLeaving { next = min(next, due.announce) }
        for suspicion in suspicions.values { next = min(next, suspicion.deadline) }
        for forward in forwards.values { next = min(next, forward.deadline) }
        return next
    }

    /// Does what has become due.
    package mutating func tick(now: Duration) -> [MembershipDirective] {
        expireForwards(now)
        continueProbe(now)
        expireSuspicions(now)
        if now >= due.probe { beginProbe(now) }
        if now >= due.announce { announce(now) }
        if now >= due.gossip { gossip(now) }
        if now >= due.pushPull { beginPushPull(now) }
        if now >= due.rejoin { rejoin(now) }
        return takeDirectives()
    }

    mutating func takeDirectives() -> [MembershipDirective] {
        defer { directives = [] }
        return directives
    }

    mutating func emit(_ event: MembershipEvent) { directives.append(.event(event)) }

    // MARK: Wishes of the node

    /// Replaces the endpoints that are tried when nobody is known there.
    package mutating func setSeeds(_ seeds: [NodeAddress], now: Duration) -> [MembershipDirective] {
        contacts.setSeeds(seeds, now: now)
        due.rejoin = min(due.rejoin, now)
        return tick(now: now)
    }

    /// Replaces what the node says of itself; it is announced when the rate of announcements allows.
    ///
    /// `meta`, at most 512 bytes, goes to everybody, `userState` to whom we exchange states with.
    package mutating func setState(
        meta: [UInt8],
        userState: [UInt8],
        now: Duration
    ) -> [MembershipDirective] {
        precondition(meta.count <= WireLimits.metaBytes, "meta of \(meta.count) bytes")
        // Once in a node's life, and others wait for it: that it has an API now.
        if me.state?.apiPort == 0, Self.state(meta)?.apiPort ?? 0 > 0 { due.announce = min(due.announce, now) }
        ownMeta = meta
        self.userState = userState
        return tick(now: now)
    }

    /// Says goodbye; keep on calling until `hasLeft`, or as long as there is time.
    package mutating func leave(now: Duration) -> [MembershipDirective] {
        guard !isLeaving else { return [] }
        isLeaving = true
        probe = nil
        accept(dead: Accusation(incarnation: me.incarnation, node: options.name, accuser: options.name), now)
        return tick(now: now)
    }

    // MARK: Chance

    /// Up to `count` different members, others than self, that `isWanted` picks.
    mutating func randomMembers(_ count: Int, where isWanted: (Member) -> Bool) -> [Member] {
        guard !roster.isEmpty else { return [] }
        var found: [Member] = []
        func look(at position: Int) {
            let name = roster[position]
            guard let member = members[name], isWanted(member), !found.contains(where: { $0.name == name }) else {
                return
            }
            found.append(member)
        }
        // Drawing finds what is common quickly. The few that it may miss are looked for in order, from anywhere: in a
        // small cluster nobody may be overlooked who could answer for another.
        for _ in 0..<3 * count where found.count < count {
            look(at: Int.random(in: 0..<roster.count, using: &random))
        }
        let start = Int.random(in: 0..<roster.count, using: &random)
        for position in 0..<roster.count where found.count < count {
            look(at: (start + position) % roster.count)
        }
        return found
    }

    mutating func newNumber() -> UInt32 {
        nextNumber &+= 1
        return nextNumber
    }

    static func state(_ meta: [UInt8]) -> NodeState? {
        // Of somebody else's meta, or of damaged ours, nothing is known.
        (try? NodeState.decode(meta))?.state
    }
}
