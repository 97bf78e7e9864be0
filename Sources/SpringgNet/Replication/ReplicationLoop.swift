import Logging
import SpringgCluster
import SpringgLog
import SpringgProjections

/// Asks the state machine what to do and has it done.
///
/// Lives on one thread.
final class ReplicationLoop {
    private let database: Database
    private let options: ReplicationOptions
    private let access: PeerAccess
    private let cluster: ClusterService
    private let logger: Logger
    private let inbox: ReplicationInbox
    private let board: StatusBoard
    private let members: @Sendable () -> [PeerAddress]
    private let holds: @Sendable (String, VersionVector) -> Void
    private let bandwidth: ServedBandwidth
    private var core: Replication
    private var links: [String: (link: PeerLink, thread: WriterThread)] = [:]
    /// Whether the log will tell of its next durable record.
    private var isListening = false
    private var shippedAt = Duration.zero
    private var postedAt = Duration.zero
    private var forgotAt = Duration.zero
    private var heardAt: [String: Duration] = [:]
    /// Who has not been heard of since counts, for the log's retention, as heard of then.
    private let startedAt: Duration
    private var isOutOfReach = false
    private var saidUnshared = false
    private var isStopped = false

    /// How often members are looked up and the status is renewed.
    private static let lookInterval = Duration.milliseconds(200)
    /// Between two looks for what may be forgotten.
    private static let forgetInterval = Duration.seconds(1)
    /// A peer that has not answered for so long no longer keeps segments of the log: it will be seeded.
    private static let keptFor = Duration.seconds(24 * 3600)

    init(
        _ database: Database,
        _ options: ReplicationOptions,
        access: PeerAccess,
        cluster: ClusterService,
        bandwidth: ServedBandwidth,
        expectsPeers: Bool,
        _ logger: Logger,
        _ inbox: ReplicationInbox,
        _ board: StatusBoard,
        _ members: @escaping @Sendable () -> [PeerAddress],
        _ holds: @escaping @Sendable (String, VersionVector) -> Void
    ) {
        self.database = database
        self.options = options
        self.access = access
        self.cluster = cluster
        self.logger = logger
        self.inbox = inbox
        self.board = board
        self.members = members
        self.holds = holds
        self.bandwidth = bandwidth
        startedAt = Self.now
        core = Replication(
            options: options,
            origin: database.origin,
            vector: database.versionVector,
            expectsPeers: expectsPeers,
            claim: cluster.standing?.claim,
            now: Self.now,
            random: SystemRandomNumberGenerator()
        )
    }

    private static var now: Duration { .nanoseconds(Int64(clamping: monotonicNanoseconds())) }

    func run() {
        let database = self.database
        cluster.begin { database.settle() }
        while !isStopped {
            core.spent(bandwidth.takeSent())
            // First whom there is to ask.
            perform(core.setPeers(members(), Self.now))
            stand()
            perform(core.advance(to: self.database.versionVector, Self.now))
            listen()
            postStatus()
            let now = Self.now
            var pause = min(core.nextTick(now) - now, Self.lookInterval)
            if !isListening { pause = min(pause, shippedAt + options.gather - now) }
            for item in inbox.take(nanoseconds: UInt64(max(0, pause / .nanoseconds(1)))) { take(item) }
        }
        for (link, _) in links.values { link.close() }
        for (_, thread) in links.values { thread.join() }
    }

    private func take(_ item: ReplicationInbox.Item) {
        switch item {
        case .ended(let exchange, let outcome):
            // What a peer holds of this node's own events is compared with what this node holds, and that as it is after
            // the answer: else events that were shipped meanwhile look as if this disk had lost them.
            perform(core.advance(to: database.versionVector, Self.now))
            if case .answered(let message, _, let bytes, _) = outcome {
                bandwidth.shipped(bytes)
                cluster.heard(message, from: exchange.peer)
                stand()
            }
            if case .pulled(_, let refused, _) = outcome { cluster.note(refused, from: exchange.peer) }
            perform(core.ended(exchange, outcome, Self.now))
        case .originated(let origin): perform(core.originated(origin, Self.now))
        case .held: perform(core.held(at: database.versionVector, Self.now))
        case .durable: isListening = false
        case .hurry: hurry()
        case .look: ()
        case .heard(let peer): perform(core.heard(of: peer, Self.now))
        case .stop: isStopped = true
        }
    }

    /// Tells the state machine how this node stands, and others how the state machine does.
    private func stand() {
        if let standing = cluster.standing {
            perform(core.stand(isForgotten: standing.isForgotten, as: standing.claim, Self.now))
        }
        var facts = ClusterService.ReplicationFacts()
        facts.takesEvents = core.takesEvents(Self.now)
        facts.isOriginating = core.phase == .originating
        facts.hasUnsharedEvents = core.hasUnsharedEvents
        facts.clock = core.clock
        cluster.note(facts)
        if facts.hasUnsharedEvents, !saidUnshared, let text = cluster.writeRefusal {
            logger.error("No writes are taken: \(text)")
        }
        saidUnshared = facts.hasUnsharedEvents
    }

    private func hurry() {
        perform(core.advance(to: database.versionVector, Self.now))
        perform(core.hurry(Self.now))
    }

    /// Wakes with the next durable record, unless a shipment has just gone: then the end of the gathering wakes it.
    private func listen() {
        guard !isListening, Self.now >= shippedAt + options.gather else { return }
        isListening = true
        database.log.notify(whenDurable: database.log.watermarks.durable.next) { [inbox] in
            inbox.post(.durable)
        }
    }

    // MARK: - Directives

    private func perform(_ directives: [ReplicationDirective]) {
        for directive in directives {
            switch directive {
            case .exchange(let exchange):
                if case .ship = exchange.kind { shippedAt = Self.now }
                link(exchange.peer).submit(exchange)
            case .originate(let isNew, let reading):
                self.database.originate(underNewOrigin: isNew, after: reading) { [inbox, database] failure in
                    inbox.post(.originated(failure == nil ? database.origin : nil))
                }
            case .hold:
                let text = cluster.writeRefusal ?? "this node was forgotten (springg cluster forget)"
                self.database.holdCommands(text) { [inbox] in inbox.post(.held) }
                logger.warning("No writes are taken: \(text)")
            case .rejoin:
                cluster.rejoin()
                stand()
            case .event(let event):
                note(event)
            }
        }
    }

    private func link(_ peer: String) -> PeerLink {
        if let link = links[peer]?.link { return link }
        let mayRun = options.bytesPerSecond == nil
        let link = PeerLink(database, access: access, mayRun: mayRun, cluster, peer: peer) {
            [inbox] exchange, outcome in
            inbox.post(.ended(exchange, outcome))
        }
        links[peer] = (link, WriterThread(name: "springg-peer") { link.run() })
        return link
    }

    private func note(_ event: ReplicationEvent) {
        switch event {
        case .holds(let peer, let vector):
            heardAt[peer] = Self.now
            holds(peer, vector)
        case .reachable(let peer):
            logger.info("Peer answers again", metadata: ["peer": "\(peer)"])
        case .unreachable(let peer, let reason):
            logger.warning("Peer does not answer: \(reason)", metadata: ["peer": "\(peer)"])
        case .diverged(let origin, let peer):
            logger.error(
                """
                Two histories of one origin: a data directory was copied and both copies were used. \
                Events of this origin no longer go between the two nodes; remove the data of one of them and start it anew
                """,
                metadata: ["peer": "\(peer)", "origin": "\(origin)"]
            )
        case .belowHorizon(let origin, let sequence, let peer):
            logger.error(
                """
                A peer does not take events of this node's log, which are older than deletions that it has dropped: they could bring \
                back what was deleted. Nothing of that origin goes there any more; export what only this node has, and import it there
                """,
                metadata: ["peer": "\(peer)", "origin": "\(origin)", "sequence": "\(sequence)"]
            )
        case .peerOutOfReach(let peer):
            logger.warning(
                "Peer lacks events that are no longer in this log: it has to be seeded anew",
                metadata: ["peer": "\(peer)"]
            )
        case .outOfReach(let peer):
            guard !isOutOfReach else { return }
            isOutOfReach = true
            logger.error("\(ReplicationStatus.outOfReachAdvice)", metadata: ["peer": "\(peer)"])
        case .restored(let peer):
            logger.warning(
                "Events that this node had written and its disk had lost came back from a peer",
                metadata: ["peer": "\(peer)"]
            )
        }
    }

    // MARK: - Status

    private func postStatus() {
        let now = Self.now
        let (isOriginating, isExpelled) = (core.phase == .originating, core.phase == .expelled)
        // What is decided when the time for answers is over has been decided a look later.
        var isAwaitingOthers = false
        if case .asking(let until?) = core.phase { isAwaitingOthers = now > until + Self.lookInterval }
        let said = board.status
        let isNews = said.isOriginating != isOriginating || said.isExpelled != isExpelled
        guard now >= postedAt + Self.lookInterval || isNews else {
            return
        }
        postedAt = now
        let peers = core.allPeers
        let known = Set(peers.map(\.name))
        for (name, entry) in links where !known.contains(name) {
            // Its thread ends by itself.
            entry.link.close()
            links[name] = nil
        }
        var status = ReplicationStatus()
        status.isOriginating = isOriginating
        status.isExpelled = isExpelled
        status.isAwaitingOthers = isAwaitingOthers
        isOutOfReach = core.isOutOfReach
        status.isOutOfReach = isOutOfReach
        let horizon = cluster.lookForHorizon(database, peers: peers.map(\.name))
        if now >= forgotAt + Self.forgetInterval {
            forgotAt = now
            database.forgetDeleted(below: horizon)
        }
        status.peers = peers.map { peer in
            let lag = core.lag(of: peer, now)
            return ReplicationStatus.Peer(
                name: peer.name,
                address: peer.address,
                lagEvents: lag?.events,
                lagSeconds: lag.map { $0.time / .seconds(1) } ?? 0,
                breaker: peer.breaker.state,
                failure: peer.failure,
                requests: peer.requests,
                events: peer.events,
                bytes: peer.bytes,
                diverged: peer.diverged.sorted(),
                isOutOfReach: peer.isOutOfReach
            )
        }
        status.shipped = shippedFloor(peers, now)
        database.hold(shipped: status.shipped)
        board.post(status)
    }

    /// What every peer holds that was heard of lately: the log may be shortened up to there.
    private func shippedFloor(_ peers: [ReplicationPeer], _ now: Duration) -> LSN? {
        peers.filter { now < (heardAt[$0.name] ?? startedAt) + Self.keptFor }
            .map { peer in peer.held.map { database.log.floor(heldBy: $0) } ?? .zero }
            .min()
    }
}
