package import Logging
package import SpringgCluster
package import SpringgLog
import Synchronization

/// What a node decides by what gossip tells it: who counts as a member, whether it archives, whether its clock is right,
/// whether all show the same.
///
/// The rules are pure and elsewhere; this holds their inputs, and says what they decided. It looks once a second, from the
/// thread that puts together what the node says of itself, which may block.
package final class ClusterService: Sendable {
    private struct State {
        var gossip: GossipService?
        var roster: Roster
        /// The list of members that is on disk.
        var kept: Roster
        var clock: ClockRule
        var stability = CausalStability()
        var waitingFor: [String] = []
        var refusal: String?
        /// Members that hold what we hold and do not show what we show.
        var diverging: Set<String> = []
        /// When this node archived last, in Unix milliseconds, 0 for never; nil without an archive.
        var lastArchivedAt: (@Sendable () -> UInt64)?
        var hasLeft = false
    }

    private let state: Mutex<State>
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
    ///   - maxClockOffsetMilliseconds: See `ClockRule`.
    ///   - file: Where the members are kept.
    ///   - logger: Hears of what operators should know.
    package init(
        acks: AckTracker,
        size: Int,
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
        self.sizeSetting = size
        self.file = file
        self.logger = logger
        self.state = Mutex(
            State(roster: roster, kept: roster, clock: ClockRule(boundMilliseconds: maxClockOffsetMilliseconds))
        )
        acks.expectPeers()
        acks.setMembers(size > 0 ? size : max(1, roster.members.count))
    }

    /// Gossip runs.
    package func begin(_ gossip: GossipService) {
        self.state.withLock { $0.gossip = gossip }
    }

    private static func milliseconds() -> UInt64 { UInt64(max(0, CivilTime.now() * 1000)) }

    // MARK: Once a second

    /// Adds to what the node says of itself, and takes in what the others say.
    ///
    /// Blocking: the list of members is written when it has changed.
    package func look(_ own: inout NodeState) {
        let members = self.state.withLock { $0.gossip }?.members ?? []
        let now = ContinuousClock.now.duration
        let isUnhealthy = own.writeState == .unhealthy
        var (size, unkept): (Int, Roster?) = (1, nil)
        self.state.withLock { state in
            for member in members {
                guard let said = member.member.state, !(member.isSelf && state.hasLeft) else { continue }
                if member.member.isLive { state.roster.saw(member.member.name, at: max(1, said.composedAt)) }
                for (name, moment) in member.member.longState?.forgotten ?? [:] {
                    state.roster.forget(name, at: moment)
                }
            }
            own.archives = state.lastArchivedAt != nil
            own.lastArchivedAt = state.lastArchivedAt?() ?? 0
            own.forgotten = state.roster.forgotten
            let announced = Self.announcements(of: state.roster.members, own, members)
            state.waitingFor = state.stability.observe(announced)
            self.checkClock(&state, now)
            if state.refusal != nil, !isUnhealthy { own.writeState = .readOnly }
            if state.roster != state.kept { unkept = state.roster }
            size = self.size(state)
        }
        self.acks.setMembers(size)
        if let unkept { self.keep(unkept) }
        self.compare(own, members)
    }

    /// What each member said last, of one moment; nil for one that has said nothing that is whole.
    private static func announcements(
        of names: [String],
        _ own: NodeState,
        _ members: [ClusterMember]
    ) -> [String: CausalStability.Announcement?] {
        var announced: [String: CausalStability.Announcement?] = [:]
        for name in names { announced[name] = .some(nil) }
        for member in members where announced[member.member.name] != nil {
            let said = [member.isSelf ? own : member.member.state, member.member.longState].compactMap { $0 }
            guard let whole = said.first(where: { $0.omittedHeads == 0 }) else { continue }
            announced[member.member.name] = .some(.init(floor: whole.hlcFloor, heads: whole.heads))
        }
        return announced
    }

    private func size(_ state: State) -> Int {
        self.sizeSetting > 0 ? self.sizeSetting : max(1, state.roster.members.count)
    }

    private func keep(_ roster: Roster) {
        do throws(FileSystemError) {
            try self.file.write(roster)
            self.state.withLock { $0.kept = roster }
        } catch {
            self.logger.error("The list of members cannot be written: \(error)")
        }
    }

    private func checkClock(_ state: inout State, _ now: Duration) {
        let wasRefused = state.refusal != nil
        switch state.clock.verdict(now: now) {
        case .fine:
            state.refusal = nil
            if wasRefused { self.logger.notice("This node's clock agrees with the others again: it takes writes") }
        case .off(let milliseconds):
            let side = milliseconds > 0 ? "behind" : "ahead of"
            let text =
                "this node's clock is \(Int(clamping: Int64(milliseconds.magnitude))) ms \(side) the others', and it takes no "
                + "writes until that is mended; write to another node"
            state.refusal = text
            if !wasRefused { self.logger.error("No writes are taken: \(text)") }
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
                differs ? state.diverging.insert(name).inserted : state.diverging.remove(name) != nil
            }
            guard isNews else { continue }
            if differs {
                let indexes = member.member.longState.map { Agreement.differing(own, $0) } ?? []
                self.logger.critical(
                    "Two nodes hold the same events and do not show the same: run springg cluster diff",
                    metadata: ["node": "\(name)", "indexes": "\(indexes.prefix(20).joined(separator: ", "))"]
                )
            } else {
                self.logger.notice("Two nodes show the same again", metadata: ["node": "\(name)"])
            }
        }
    }

    // MARK: What others ask

    /// Why this node takes no writes of clients; nil when it does.
    package var writeRefusal: String? { self.state.withLock { $0.refusal } }

    /// The members, whether there or not, in order.
    package var roster: [String] { self.state.withLock { $0.roster.members } }

    /// Below what nothing new can come, and which members keep that where it is.
    package var stable: (below: HLC, waitingFor: [String]) {
        self.state.withLock { ($0.stability.horizon, $0.waitingFor) }
    }

    /// Members that a majority is counted of.
    package var size: Int { self.state.withLock { self.size($0) } }

    /// A peer's clock was heard of.
    package func heardClock(_ peer: String, ahead milliseconds: Double, uncertainty: Double) {
        let now = ContinuousClock.now.duration
        self.state.withLock { $0.clock.sample(peer, ahead: milliseconds, uncertainty: uncertainty, now: now) }
    }

    // MARK: Archiving

    /// This node has an archive, and archived last at the Unix time in milliseconds that `last` tells; 0 for never.
    package func archives(last: @escaping @Sendable () -> UInt64) {
        self.state.withLock { $0.lastArchivedAt = last }
    }

    /// Whether this node archives now; `interval` is the time between two archivings, in milliseconds.
    package func isElected(intervalMilliseconds interval: UInt64) -> Bool {
        let (gossip, last) = self.state.withLock { ($0.gossip, $0.lastArchivedAt) }
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
            began: self.began,
            interval: interval
        )
    }

    // MARK: Operators

    /// Why an operator's wish was not granted.
    package enum Refusal: Error, Equatable {
        case unknownMember
        case stillAlive
        case noAddress
    }

    /// A member will not come back: majorities are counted without it, and tombstones do not wait for it.
    ///
    /// Blocking.
    package func forget(_ name: String) throws(Refusal) {
        let gossip = self.state.withLock { $0.gossip }
        let member = gossip?.members.first { $0.member.name == name }
        guard member?.member.isLive != true else { throw .stillAlive }
        let roster: Roster? = self.state.withLock { state in
            guard state.roster.contains(name) else { return nil }
            // What it said last was said before this, whatever its clock.
            let moment = max(Self.milliseconds(), member?.member.state?.composedAt ?? 0)
            state.roster.forget(name, at: moment)
            return state.roster
        }
        guard let roster else { throw .unknownMember }
        self.acks.forget(name)
        self.keep(roster)
    }

    /// Looks for nodes there too, until this one is stopped.
    ///
    /// Blocking: a name is looked up.
    package func join(_ seed: NamedSeed) throws(Refusal) {
        let endpoints = try? seed.endpoints()
        guard let endpoints, !endpoints.isEmpty else { throw .noAddress }
        self.state.withLock { $0.gossip }?.join(endpoints)
    }

    /// Leaves for good: the others hear it, and are told by the caller to forget this node.
    package func leave() {
        self.state.withLock { state in
            state.hasLeft = true
            state.gossip?.leave()
        }
    }
}

extension ContinuousClock.Instant {
    /// Time since any beginning.
    fileprivate var duration: Duration { Self.beginning.duration(to: self) }
    private static let beginning = ContinuousClock.now
}
