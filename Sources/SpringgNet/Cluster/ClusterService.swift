package import Logging
package import SpringgCluster
package import SpringgLog
import SpringgProjections
import Synchronization

/// What a node decides by what gossip tells it: who counts as a member, whether it archives, whether its clock is right,
/// whether all show the same.
///
/// The rules are pure and elsewhere; this holds their inputs, and says what they decided. It looks once a second, from the
/// thread that puts together what the node says of itself, which may block.
package final class ClusterService: Sendable {
    private struct State {
        var gossip: GossipService?
        /// What the disk knew of the members at the start, while this node has no name yet.
        var known: Roster
        /// Nil while this node has no name.
        var standing: Standing?
        var replication = ReplicationFacts()
        /// Has everything that was taken from others before on disk; nil before the database is open.
        var settleEvents: (@Sendable () -> Void)?
        /// Origins of which an event was refused for being older than what was dropped.
        var refusedOrigins: Set<OriginID> = []
        var clock: ClockRule
        var refusal: String?
        /// Members that hold what we hold and do not show what we show.
        var divergences = DivergenceRule()
        /// Looks for the rows that make the difference; returns at once.
        var locate: (@Sendable (Divergence, APIAddress) -> Void)?
        /// Told who has answered a ping.
        var heard: (@Sendable (String) -> Void)?
        /// When this node archived last, in Unix milliseconds, 0 for never; nil without an archive.
        var lastArchivedAt: (@Sendable () -> UInt64)?
        var hasLeft = false
    }

    /// What the loop of replication says of itself.
    package struct ReplicationFacts: Sendable {
        /// Events that others send are taken.
        package var takesEvents = false
        /// Commands are taken.
        package var isOriginating = false
        /// This node was forgotten, and has what no member has.
        package var hasUnsharedEvents = false
        /// The highest clock reading that a peer has told.
        package var clock = HLC(0)

        package init() {}
    }

    private let state: Mutex<State>
    /// One at a time writes the list of members.
    private let keeping = Mutex(())
    private let expectsOthers: Bool
    private let acks: AckTracker
    private let sizeSetting: Int
    private let file: RosterFile
    private let logger: Logger
    private let began = ClusterService.milliseconds()

    /// Reads who the members were.
    ///
    /// - Parameters:
    ///   - acks: Told how many members there are.
    ///   - size: How many members there are to be; 0 for those that were seen.
    ///   - expectsOthers: Others are looked for: until one was seen, no majority is claimed.
    ///   - maxClockOffsetMilliseconds: See `ClockRule`.
    ///   - file: Where the members are kept.
    ///   - logger: Hears of what operators should know.
    package init(
        acks: AckTracker,
        size: Int,
        expectsOthers: Bool,
        maxClockOffsetMilliseconds: Double,
        file: RosterFile,
        logger: Logger
    ) {
        var roster = Roster()
        do throws(FileSystemError) {
            if let known = try file.read() {
                roster = known
            } else {
                logger.error("The list of members is damaged and begun anew: majorities are of those seen from now on")
            }
        } catch {
            logger.error("The list of members cannot be read, majorities are of those seen from now on: \(error)")
        }
        self.acks = acks
        sizeSetting = size
        self.expectsOthers = expectsOthers
        self.file = file
        self.logger = logger
        state = Mutex(
            State(known: roster, clock: ClockRule(boundMilliseconds: maxClockOffsetMilliseconds))
        )
        acks.expectPeers()
        acks.setMembers(self.size)
    }

    /// Gossip runs.
    package func begin(_ gossip: GossipService) {
        self.state.withLock { state in
            state.gossip = gossip
            state.standing = Standing(
                name: gossip.nodeName,
                kept: state.known,
                now: Self.milliseconds(),
                chance: .random(in: 0 ... .max)
            )
        }
    }

    /// The database is open: the list of members may be written, and `settleEvents` returns when everything that was taken from
    /// others before is on disk.
    ///
    /// Blocking.
    package func begin(settleEvents: @escaping @Sendable () -> Void) {
        state.withLock { $0.settleEvents = settleEvents }
        keep()
    }

    fileprivate static func milliseconds() -> UInt64 { UInt64(max(0, CivilTime.now() * 1000)) }

    // MARK: Once a second

    /// Adds to what the node says of itself, and takes in what the others say.
    ///
    /// Blocking: the list of members is written when it has changed.
    package func look(_ own: inout NodeState) {
        let members = self.state.withLock { $0.gossip }?.members ?? []
        let now = ContinuousClock.now.duration
        let isUnhealthy = own.writeState == .unhealthy
        let size = self.state.withLock { state in
            for member in members where !member.isSelf {
                guard let said = member.member.state else { continue }
                if member.member.isLive, said.joined > 0 {
                    state.standing?.saw(.init(name: member.member.name, joined: said.joined, life: said.life))
                }
                for (name, moment) in member.member.longState?.forgotten ?? [:] {
                    state.standing?.heardForgotten(name, at: moment)
                }
            }
            // Who was forgotten fills no archive either: it would hold what no member does.
            let isMember = state.standing.map { !$0.isForgotten } ?? false
            own.archives = state.lastArchivedAt != nil && isMember
            own.lastArchivedAt = state.lastArchivedAt?() ?? 0
            if let standing = state.standing, standing.unkept == nil {
                own.forgotten = standing.roster.forgotten
                (own.joined, own.life) = (standing.claim.joined, standing.claim.life)
            }
            checkClock(&state, now)
            if state.refusal != nil || !isMember, !isUnhealthy { own.writeState = .readOnly }
            return self.size(state)
        }
        acks.setMembers(size)
        keep()
        compare(own, members)
    }

    private func size(_ state: State) -> Int {
        if sizeSetting > 0 { return sizeSetting }
        let roster = state.standing?.roster ?? state.known
        // Where others are looked for and nobody has ever been seen, one is no majority.
        return max(expectsOthers && roster.count <= 1 ? 2 : 1, roster.members.count)
    }

    /// Writes the list of members when it has changed; only then is it announced.
    ///
    /// Blocking.
    private func keep() {
        keeping.withLock { _ in
            let (roster, gone, settle): (Roster?, [String], (@Sendable () -> Void)?) = self.state.withLock { state in
                // Nothing is written into a directory that may still be filled by a peer.
                guard let standing = state.standing, let roster = standing.unkept, let settle = state.settleEvents
                else { return (nil, [], nil) }
                return (roster, standing.kept.members.filter { !roster.contains($0) }, settle)
            }
            guard let roster else { return }
            do throws(FileSystemError) {
                try file.write(roster)
            } catch {
                logger.error("The list of members cannot be written: \(error)")
                return
            }
            if !gone.isEmpty {
                for name in gone { acks.forget(name) }
                // From now on nothing is taken from them; what was taken before has to be within the heads that are announced
                // together with this roster.
                settle?()
            }
            self.state.withLock { $0.standing?.keep(roster) }
        }
    }

    private func keepOrRefuse() throws(Refusal) {
        keep()
        guard state.withLock({ $0.standing?.unkept == nil }) else { throw .notKept }
    }

    private func checkClock(_ state: inout State, _ now: Duration) {
        let wasRefused = state.refusal != nil
        switch state.clock.verdict(now: now) {
        case .fine:
            state.refusal = nil
            if wasRefused { logger.notice("This node's clock agrees with the others again: it takes writes") }
        case .off(let milliseconds):
            let side = milliseconds > 0 ? "behind" : "ahead of"
            let text =
                "this node's clock is \(Int(clamping: Int64(milliseconds.magnitude))) ms \(side) the others', and it takes no "
                + "writes until that is mended; write to another node"
            state.refusal = text
            if !wasRefused { logger.error("No writes are taken: \(text)") }
        }
    }

    /// Says once of each member that it diverges, and once that it does no more.
    private func compare(_ own: NodeState, _ members: [ClusterMember]) {
        // What both have announced: what we would say now, nobody can have compared itself with.
        guard let ours = members.first(where: { $0.isSelf })?.member.state else { return }
        for member in members where !member.isSelf && member.member.isLive {
            guard let theirs = member.member.state else { continue }
            let name = member.member.name
            let agreement = Agreement(ours: ours, theirs: theirs, theirLong: member.member.longState)
            guard agreement.digests != .unknown else { continue }
            let differs = agreement.digests == .differ
            let isNews = self.state.withLock { state in
                differs
                    ? state.divergences.differ(Divergence(peer: name, ours: ours.digest, theirs: theirs.digest))
                    : state.divergences.agree(name)
            }
            guard isNews else { continue }
            if differs {
                let indexes = member.member.longState.map { Agreement.differing(own, $0) } ?? []
                logger.critical(
                    "Two nodes hold the same events and do not show the same: run springg cluster diff",
                    metadata: ["node": "\(name)", "indexes": "\(indexes.prefix(20).joined(separator: ", "))"]
                )
            } else {
                logger.notice("Two nodes show the same again", metadata: ["node": "\(name)"])
            }
        }
        lookForRows(members)
    }

    /// Has somebody look where the next one differs.
    private func lookForRows(_ members: [ClusterMember]) {
        let now = ContinuousClock.now.duration
        let (divergence, locate) = self.state.withLock { state in
            state.divergences.keep(only: Set(members.map(\.member.name)))
            return (state.locate == nil ? nil : state.divergences.next(now), state.locate)
        }
        guard let divergence, let locate else { return }
        let member = members.first { $0.member.name == divergence.peer }?.member
        guard let member, let state = member.state, state.apiPort > 0 else {
            return located(nil, divergence)
        }
        let node = NodeAddress(member.endpoint.address, port: state.apiPort)
        locate(divergence, APIAddress(node, isSecure: state.apiIsSecure))
    }

    /// From now on `locate` is called when a member diverges, and at most once until `located` is called.
    ///
    /// It must not block.
    package func locateDivergences(by locate: @escaping @Sendable (Divergence, APIAddress) -> Void) {
        state.withLock { $0.locate = locate }
    }

    /// Where a divergence is; nil when that could not be told of one moment.
    package func located(_ places: [DivergentIndex]?, _ divergence: Divergence) {
        let now = ContinuousClock.now.duration
        let isNews = state.withLock { $0.divergences.located(places, divergence, now) }
        guard isNews, let places else { return }
        let (peer, own) = (divergence.peer, sender(withRoster: false).name)
        // Rows may be the same and the index another.
        let named =
            places.isEmpty
            ? "none: the creations of an index differ"
            : places.prefix(DivergentIndex.indexesMax).map { $0.text(peer: peer) }.joined(separator: "; ")
        let more = places.count - DivergentIndex.indexesMax
        logger.critical(
            "Where two nodes do not show the same: springg cluster diff \(own) \(peer) lists the rows",
            metadata: ["node": "\(peer)", "indexes": "\(named)\(more > 0 ? " and \(more) more" : "")"]
        )
    }

    // MARK: What others ask

    /// Why this node takes no writes of clients; nil when it does.
    package var writeRefusal: String? {
        state.withLock { $0.refusal ?? ($0.standing?.isForgotten == true ? Self.forgottenText($0) : nil) }
    }

    /// What there is to say of a node that was forgotten.
    private static func forgottenText(_ state: State) -> String {
        guard state.replication.hasUnsharedEvents else {
            return
                "this node was forgotten (springg cluster forget), and joins again once the members have told it that they hold all "
                + "that it holds; try again in some seconds, or another node"
        }
        return
            "this node was forgotten (springg cluster forget) and holds writes that no member has, so it takes no more and ships "
            + "none: springg cluster readmit makes it a member again with them; or start it on an empty directory without them"
    }

    /// Why no client should be sent here; nil when there is no such reason.
    package var unready: Unready? {
        self.state.withLock { state in
            guard state.standing?.isForgotten == true else { return nil }
            return Unready(code: "forgotten", text: Self.forgottenText(state))
        }
    }

    /// Who holds the same events as this node and does not show the same, in order.
    package var diverging: [String] { state.withLock { $0.divergences.peers } }

    /// What there is to say of such a member.
    static func divergenceAdvice(_ own: String, _ peer: String) -> String {
        "this node and \(peer) hold the same events and do not show the same: springg cluster diff \(own) \(peer) lists the rows"
    }

    /// Where a member shows something else, empty while that is not known; nil when it is not known to do so.
    func divergence(of name: String) -> [DivergentIndex]? { state.withLock { $0.divergences.places(name) } }

    /// The members, whether there or not, in order.
    package var roster: [String] { state.withLock { ($0.standing?.roster ?? $0.known).members } }

    /// Whether the node was forgotten and has not joined again.
    package func isForgotten(_ name: String) -> Bool {
        state.withLock { $0.standing?.roster.isForgotten(name) ?? false }
    }

    /// Below what nothing new can come, and which members keep that where it is.
    package var stable: (below: HLC, waitingFor: [String]) {
        state.withLock { ($0.standing?.horizon ?? HLC(0), $0.standing?.waitingFor ?? []) }
    }

    /// Members that a majority is counted of.
    package var size: Int { state.withLock { self.size($0) } }

    /// A peer has answered a ping, and said what its clock shows.
    package func heardClock(_ peer: String, ahead milliseconds: Double, uncertainty: Double) {
        let now = ContinuousClock.now.duration
        let heard = state.withLock { state in
            state.clock.sample(peer, ahead: milliseconds, uncertainty: uncertainty, now: now)
            return state.heard
        }
        heard?(peer)
    }

    /// From now on `heard` is called, with its name, whenever a peer has answered a ping; it must not block.
    package func whenHeard(_ heard: @escaping @Sendable (String) -> Void) { state.withLock { $0.heard = heard } }

    // MARK: Archiving

    /// This node has an archive, and archived last at the Unix time in milliseconds that `last` tells; 0 for never.
    package func archives(last: @escaping @Sendable () -> UInt64) {
        state.withLock { $0.lastArchivedAt = last }
    }

    /// Whether this node archives now; `interval` is the time between two archivings, in milliseconds.
    package func isElected(intervalMilliseconds interval: UInt64) -> Bool {
        let (gossip, last) = self.state.withLock { ($0.gossip, $0.lastArchivedAt) }
        guard self.state.withLock({ $0.standing?.isForgotten != true }) else { return false }
        let own = last?() ?? 0
        guard let gossip else { return true }
        let candidates = gossip.members.compactMap { member -> ArchiverElection.Candidate? in
            if member.isSelf { return .init(nodeID: member.member.name, lastArchivedAt: own) }
            guard member.member.isLive, let state = member.member.state, state.archives else { return nil }
            return .init(nodeID: member.member.name, lastArchivedAt: state.lastArchivedAt)
        }
        return ArchiverElection.isElected(
            gossip.nodeName,
            among: candidates,
            now: Self.milliseconds(),
            began: began,
            interval: interval
        )
    }

    // MARK: Operators

    /// Why an operator's wish was not granted.
    package enum Refusal: Error, Equatable {
        case unknownMember
        case stillAlive
        case noAddress
        case notForgotten
        case hasLeft
        /// The list of members could not be written, which the log says more about: nobody else hears of the change before it is.
        case notKept
    }

    /// A member will not come back: majorities are counted without it, and tombstones do not wait for it.
    ///
    /// Blocking.
    package func forget(_ name: String) throws(Refusal) {
        let gossip = state.withLock { $0.gossip }
        let member = gossip?.members.first { $0.member.name == name }
        guard member?.member.isLive != true else { throw .stillAlive }
        // What it said last was said before this, whatever its clock.
        let moment = max(Self.milliseconds(), member?.member.state?.composedAt ?? 0)
        guard state.withLock({ $0.standing?.forget(name, now: moment) ?? false }) else { throw .unknownMember }
        acks.forget(name)
        try keepOrRefuse()
    }

    /// Looks for nodes there too, until this one is stopped.
    ///
    /// Blocking: a name is looked up.
    package func join(_ seed: NamedSeed) throws(Refusal) {
        let endpoints = try? seed.endpoints()
        guard let endpoints, !endpoints.isEmpty else { throw .noAddress }
        state.withLock { $0.gossip }?.join(endpoints)
    }

    /// This node was forgotten by mistake: it is a member again, with what only it has.
    ///
    /// What of that is older than deletions that the others have dropped, they refuse by name.
    ///
    /// Blocking.
    package func readmit() throws(Refusal) {
        let refusal = state.withLock { state -> Refusal? in
            guard state.standing?.isForgotten == true else { return .notForgotten }
            guard !state.hasLeft else { return .hasLeft }
            state.standing?.rejoin(now: Self.milliseconds())
            return nil
        }
        if let refusal { throw refusal }
        try keepOrRefuse()
        logger.notice("This node had been forgotten, and is a member again: an operator has said so")
    }

    /// Leaves for good: the others hear it, and are told by the caller to forget this node.
    package func leave() {
        self.state.withLock { state in
            state.hasLeft = true
            state.gossip?.leave()
        }
    }
}

/// What nodes tell each other with their questions and answers.
extension ClusterService {
    /// Who this node is, to be sent along; with its roster in questions.
    package func sender(withRoster: Bool) -> Sender {
        self.state.withLock { state in
            Sender(name: state.standing?.name ?? "", roster: withRoster ? state.standing?.kept : nil)
        }
    }

    /// Where this node stands, for the state machine of replication.
    package var standing: (isForgotten: Bool, claim: Roster.Claim)? {
        state.withLock { $0.standing.map { ($0.isForgotten, $0.claim) } }
    }

    /// The loop of replication says how it is.
    package func note(_ facts: ReplicationFacts) { state.withLock { $0.replication = facts } }

    /// Another node asks, and says whom it knows; on return that is on this node's disk.
    ///
    /// Blocking.
    func merge(_ roster: Roster) {
        state.withLock { $0.standing?.merge(roster) }
        keep()
    }

    /// Hands events on, unless their sender was forgotten or this node does not know yet who was; false then.
    ///
    /// Within the same lock as the roster, so that whoever is forgotten has nothing on the way behind it. `take` must not block.
    func admit(from name: String, _ take: () -> Void) -> Bool {
        self.state.withLock { state in
            guard state.replication.takesEvents, let standing = state.standing, !standing.roster.isForgotten(name)
            else { return false }
            take()
            return true
        }
    }

    /// Completes an answer with what this node announces: first the floor, then the roster, then the heads (`Standing`).
    func announce(in message: inout VectorMessage, withRoster: Bool, _ database: Database) {
        let settled = database.log.settled.hlc
        message.floor = HLC(settled.rawValue &+ 1)
        self.state.withLock { state in
            message.isOriginating = state.replication.isOriginating
            message.clock = max(settled, state.replication.clock)
            message.rosterHash = state.standing?.rosterHash ?? 0
            message.sender = Sender(
                name: state.standing?.name ?? "",
                roster: withRoster ? state.standing?.kept : nil
            )
        }
        message.vector = database.versionVector
    }

    /// A peer has answered.
    ///
    /// Blocking.
    func heard(_ message: VectorMessage, from peer: String) {
        self.state.withLock { state in
            state.standing?.heard(
                .init(roster: message.rosterHash, floor: message.floor, heads: message.vector),
                from: peer
            )
            if let roster = message.sender.roster { state.standing?.merge(roster) }
        }
        keep()
    }

    /// The members hold all that this node holds: it joins again.
    ///
    /// Blocking.
    func rejoin() {
        let isWanted = self.state.withLock { state in
            // Who has left did not want to be a member.
            guard !state.hasLeft else { return false }
            state.standing?.rejoin(now: Self.milliseconds())
            return true
        }
        guard isWanted else { return }
        keep()
        logger.notice("This node had been forgotten, and is a member again: the members hold all that it holds")
    }

    /// Looks how far the horizon may move, and returns it.
    func lookForHorizon(_ database: Database, peers: [String]) -> HLC {
        let floor = HLC(database.log.settled.hlc.rawValue &+ 1)
        let hash = self.state.withLock { $0.standing?.rosterHash }
        let heads = database.versionVector
        return self.state.withLock { state in
            // Announced are heads that were read under this roster.
            if hash == state.standing?.rosterHash, state.replication.isOriginating {
                state.standing?.look(floor: floor, heads: heads, peers: peers)
            }
            return state.standing?.horizon ?? HLC(0)
        }
    }

    /// Says once of each origin that events of it were refused.
    func note(_ refusals: [EventRefusal], from peer: String) {
        for refusal in refusals where refusal.reason == .belowHorizon {
            guard self.state.withLock({ $0.refusedOrigins.insert(refusal.origin).inserted }) else { continue }
            logger.error("Events were refused: \(refusal)", metadata: ["peer": "\(peer)"])
        }
    }
}

extension ContinuousClock.Instant {
    /// Time since any beginning.
    fileprivate var duration: Duration { Self.beginning.duration(to: self) }
    private static let beginning = ContinuousClock.now
}
