import Logging
import NIOCore
import NIOPosix
import SpringgCluster
import SpringgLog

/// The shell around the membership core: gives it packets, streams and the time, and does what it says.
///
/// Touched on its event loop only.
final class GossipLoop {
    let eventLoop: any EventLoop
    private let security: WireSecurity
    private let sources: GossipSources
    private let board: MemberBoard
    private var journal: GossipJournal

    /// Nil before `begin` and after `end`.
    private var core: Membership?
    private var datagrams: (any Channel)?
    private var source: IPAddress?
    private var random = SystemRandomNumberGenerator()
    private var timer: Scheduled<Void>?
    private var repeated: [RepeatedTask] = []
    private var farewell: EventLoopPromise<Void>?

    private var acceptedStreams = 0
    private var dialledStreams = 0
    private var streamBytes = 0

    private var lastState: NodeState?
    private var isAskingForState = false
    private var asksForStateAgain = false
    private var seedsOfSources: [[NodeAddress]]
    /// Where an operator has told this node to look.
    private var namedSeeds: [NodeAddress] = []
    private var isLookingUp = false
    private var lookupFailures: Set<String> = []
    /// Look-ups in a row in which some source failed.
    private var failedLookups = 0

    init(
        eventLoop: any EventLoop,
        security: WireSecurity,
        sources: GossipSources,
        board: MemberBoard,
        logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.security = security
        self.sources = sources
        self.board = board
        journal = GossipJournal(logger: logger)
        seedsOfSources = Array(repeating: [], count: sources.seeds.count)
    }

    private var now: Duration { .nanoseconds(Int64(NIODeadline.now().uptimeNanoseconds)) }

    // MARK: Life

    func begin(_ options: MembershipOptions, datagrams: any Channel, source: IPAddress?) {
        self.datagrams = datagrams
        self.source = source
        core = Membership(options: options, now: now, random: SystemRandomNumberGenerator())
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        repeated = [
            eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(GossipLimits.stateSeconds)) { _ in
                bound.value.askForState()
            },
            eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(GossipLimits.seedSeconds)) { _ in
                bound.value.lookUpSeeds()
            },
        ]
        publish()
        schedule()
    }

    func leave() {
        run { core, now in core.leave(now: now) }
    }

    /// Says goodbye and completes when everybody has been told, or the time for that is over.
    func end() -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        farewell = promise
        leave()
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: .seconds(GossipLimits.leaveSeconds)) { bound.value.finish() }
        finishIfDone()
        return promise.futureResult
    }

    private func finishIfDone() {
        if core?.hasLeft ?? true { finish() }
    }

    private func finish() {
        guard let farewell = self.farewell else { return }
        self.farewell = nil
        core = nil
        timer?.cancel()
        for task in repeated { task.cancel() }
        farewell.succeed()
    }

    // MARK: Core

    /// Gives the core an input and does what it says.
    private func run(_ input: (inout Membership, Duration) -> [MembershipDirective]) {
        guard var core = self.core else { return }
        // Taken out, lest the collections in it be copied.
        self.core = nil
        let directives = input(&core, now)
        self.core = core
        perform(directives)
        schedule()
        if farewell != nil { finishIfDone() }
    }

    private func schedule() {
        timer?.cancel()
        guard let next = self.core?.nextTick else { return }
        let nanoseconds = next.components.seconds * 1_000_000_000 + next.components.attoseconds / 1_000_000_000
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(max(0, nanoseconds)))) {
            bound.value.run { core, now in core.tick(now: now) }
        }
    }

    private func perform(_ directives: [MembershipDirective]) {
        var (isChanged, hasJoined) = (false, false)
        for directive in directives {
            switch directive {
            case .send(let packet, let endpoint): send(packet, to: endpoint)
            case .dial(let stream, let endpoint, let request): dial(stream, endpoint, request)
            case .event(.answered(let node, let payload, let roundTrip)):
                heard(node, payload, after: roundTrip)
            case .event(let event):
                journal.note(event)
                isChanged = true
                if case .joined = event { hasJoined = true }
            }
        }
        if isChanged { publish() }
        // Who counts as a member is kept on disk, and events of the new one may come at once.
        if hasJoined { askForState() }
    }

    private func publish() {
        guard let core = self.core else { return }
        let (now, wall) = (self.now, CivilTime.now())
        func time(_ moment: Duration) -> Double {
            let age = (now - moment).components
            return wall - Double(age.seconds) - Double(age.attoseconds) / 1e18
        }
        board.post(
            core.allMembers.map { member in
                ClusterMember(
                    member: member,
                    isSelf: member.name == core.options.name,
                    firstSeen: time(member.firstSeen),
                    lastSeen: member.status == .alive ? nil : time(member.since)
                )
            }
        )
    }

    // MARK: Packets

    private func send(_ packet: [UInt8], to endpoint: NodeAddress) {
        guard let datagrams = self.datagrams, let address = SocketAddress(endpoint),
            let sealed = security.sealPacket(packet, using: &random)
        else { return }
        // What cannot be sent is lost, as any packet may be: probes will tell.
        let envelope = AddressedEnvelope(remoteAddress: address, data: ByteBuffer(bytes: sealed))
        datagrams.writeAndFlush(envelope, promise: nil)
    }

    func receive(_ packet: ByteBuffer, from address: SocketAddress) {
        guard let sender = NodeAddress(address) else { return }
        let bytes = Array(packet.readableBytesView)
        run { core, now in
            do throws(WireError) {
                let plain = try security.openPacket(bytes[...])
                core.ackPayload = ClockPayload.encode(milliseconds: UInt64(max(0, CivilTime.now() * 1000)))
                let (directives, refused) = try core.receive(packet: plain, from: sender, now: now)
                if refused > 0 { journal.refused("\(refused) parts of a packet", from: sender) }
                return directives
            } catch {
                journal.refused("a packet: \(error)", from: sender)
                return []
            }
        }
    }

    /// Half of the time that asking took is what the answer was under way, give or take as much.
    private func heard(_ node: String, _ payload: [UInt8], after roundTrip: Duration) {
        guard let milliseconds = ClockPayload.decode(payload), let heardClock = sources.heardClock else { return }
        let half = roundTrip / .milliseconds(2)
        heardClock(node, Double(milliseconds) + half - CivilTime.now() * 1000, half)
    }

    // MARK: Streams

    /// The handler for a stream of somebody else's.
    func accept(_ channel: any Channel) throws -> StreamHandler {
        guard core != nil, acceptedStreams < GossipLimits.acceptedStreams else {
            // The bootstrap closes a channel whose set-up fails.
            throw ChannelError.operationUnsupported
        }
        acceptedStreams += 1
        return StreamHandler(self, security: security, role: .accepted)
    }

    private func dial(_ stream: StreamID, _ endpoint: NodeAddress, _ request: [UInt8]) {
        guard dialledStreams < GossipLimits.dialledStreams, let address = SocketAddress(endpoint),
            let sealed = self.security.sealStream(request, isDialling: true, using: &random)
        else { return later { $0.answered(stream, nil) } }
        dialledStreams += 1
        var bootstrap = ClientBootstrap(group: eventLoop).connectTimeout(.seconds(GossipLimits.connectSeconds))
        if let source = self.source, let local = SocketAddress(NodeAddress(source, port: 0)) {
            bootstrap = bootstrap.bind(to: local)
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let security = self.security
        bootstrap.channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let handler = StreamHandler(bound.value, security: security, role: .dialled(stream, request: sealed))
                try channel.pipeline.syncOperations.addHandler(handler)
            }
        }.connect(to: address).whenFailure { _ in
            // No handler saw this stream become active, so none will report its end.
            bound.value.dialledStreams -= 1
            bound.value.answered(stream, nil)
        }
    }

    /// Runs something after what is being done now.
    private func later(_ body: @escaping @Sendable (GossipLoop) -> Void) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { body(bound.value) }
    }

    /// True when a stream may hold so many more bytes.
    func reserve(_ bytes: Int) -> Bool {
        guard streamBytes + bytes <= GossipLimits.streamBytes else { return false }
        streamBytes += bytes
        return true
    }

    func streamEnded(isDialled: Bool, bytes: Int) {
        streamBytes -= bytes
        if isDialled { dialledStreams -= 1 } else { acceptedStreams -= 1 }
    }

    /// What is to be answered to a message of somebody who dialled us, sealed.
    func answer(to message: StreamMessage, from sender: NodeAddress) -> [UInt8]? {
        var answer: [UInt8]?
        run { core, now in
            let result = core.receive(stream: message, from: sender, now: now)
            answer = result.answer
            return result.directives
        }
        return answer.flatMap { security.sealStream($0, isDialling: false, using: &random) }
    }

    func answered(_ stream: StreamID, _ message: StreamMessage?) {
        run { core, now in core.streamAnswered(stream, message, now: now) }
    }

    func streamRefused(_ error: WireError, from sender: NodeAddress?) {
        if let sender { journal.refused("a stream: \(error)", from: sender) }
    }

    // MARK: State and seeds

    /// One question at a time: who is asked writes files.
    func askForState() {
        guard !isAskingForState else {
            asksForStateAgain = true
            return
        }
        isAskingForState = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let state = sources.state
        sources.threads.runIfActive(eventLoop: eventLoop, state).whenComplete { result in
            bound.value.isAskingForState = false
            if case .success(let state) = result { bound.value.take(state) }
            guard bound.value.asksForStateAgain else { return }
            bound.value.asksForStateAgain = false
            if case .success = result { bound.value.askForState() }
        }
    }

    private func take(_ state: NodeState) {
        // Also without news: the long dead are forgotten without a word.
        defer { publish() }
        var timeless = state
        timeless.composedAt = lastState?.composedAt ?? 0
        guard timeless != lastState else { return }
        let forgetsMore = lastState.map { $0.forgotten != state.forgotten } ?? false
        // Others send nothing to a node before they know of its API.
        let hasOpened = lastState?.apiPort == 0 && state.apiPort > 0
        lastState = state
        defer { if forgetsMore || hasOpened { run { core, _ in core.exchangeNow() } } }
        run { core, now in
            core.setState(
                meta: state.shortForm(),
                userState: state.longForm(name: core.options.name),
                now: now
            )
        }
    }

    private func lookUpSeeds() {
        guard !isLookingUp, !self.sources.seeds.isEmpty else { return }
        isLookingUp = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let sources = self.sources.seeds
        self.sources.threads.runIfActive(eventLoop: eventLoop) {
            sources.map { source in Result { try source.endpoints() } }
        }.whenComplete { result in
            bound.value.isLookingUp = false
            if case .success(let answers) = result { bound.value.take(answers) }
        }
    }

    /// What has just failed may work in a moment: a name service that starts, a role that arrives.
    ///
    /// After a few attempts, each twice as late, the usual rhythm is all.
    private func lookUpSooner() {
        let pause = Int64(1) << min(failedLookups, 16)
        guard failedLookups > 0, pause < GossipLimits.seedSeconds else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: .seconds(pause)) { bound.value.lookUpSeeds() }
    }

    private func take(_ answers: [Result<[NodeAddress], any Error>]) {
        var failures: Set<String> = []
        for (position, answer) in answers.enumerated() {
            switch answer {
            case .success(let endpoints): seedsOfSources[position] = endpoints
            case .failure(let error): failures.insert("\(error)")
            }
        }
        for failure in failures.subtracting(lookupFailures).sorted() {
            journal.seedsNotFound(failure)
        }
        lookupFailures = failures
        failedLookups = failures.isEmpty ? 0 : failedLookups + 1
        lookUpSooner()
        setSeeds()
    }

    func join(_ endpoints: [NodeAddress]) {
        let new = endpoints.filter { !namedSeeds.contains($0) }
        namedSeeds = (namedSeeds + new).suffix(GossipLimits.namedSeeds)
        setSeeds()
    }

    private func setSeeds() {
        let seeds = seedsOfSources.flatMap { $0 } + namedSeeds
        run { core, now in core.setSeeds(seeds, now: now) }
    }
}
