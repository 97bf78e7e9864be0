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
        self.journal = GossipJournal(logger: logger)
        self.seedsOfSources = Array(repeating: [], count: sources.seeds.count)
    }

    private var now: Duration { .nanoseconds(Int64(NIODeadline.now().uptimeNanoseconds)) }

    // MARK: Life

    func begin(_ options: MembershipOptions, datagrams: any Channel, source: IPAddress?) {
        self.datagrams = datagrams
        self.source = source
        self.core = Membership(options: options, now: self.now, random: SystemRandomNumberGenerator())
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.repeated = [
            self.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(GossipLimits.stateSeconds)) { _ in
                bound.value.askForState()
            },
            self.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(GossipLimits.seedSeconds)) { _ in
                bound.value.lookUpSeeds()
            },
        ]
        self.publish()
        self.schedule()
    }

    func leave() {
        self.run { core, now in core.leave(now: now) }
    }

    /// Says goodbye and completes when everybody has been told, or the time for that is over.
    func end() -> EventLoopFuture<Void> {
        let promise = self.eventLoop.makePromise(of: Void.self)
        self.farewell = promise
        self.leave()
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.eventLoop.scheduleTask(in: .seconds(GossipLimits.leaveSeconds)) { bound.value.finish() }
        self.finishIfDone()
        return promise.futureResult
    }

    private func finishIfDone() {
        if self.core?.hasLeft ?? true { self.finish() }
    }

    private func finish() {
        guard let farewell = self.farewell else { return }
        self.farewell = nil
        self.core = nil
        self.timer?.cancel()
        for task in self.repeated { task.cancel() }
        farewell.succeed()
    }

    // MARK: Core

    /// Gives the core an input and does what it says.
    private func run(_ input: (inout Membership, Duration) -> [MembershipDirective]) {
        guard var core = self.core else { return }
        // Taken out, lest the collections in it be copied.
        self.core = nil
        let directives = input(&core, self.now)
        self.core = core
        self.perform(directives)
        self.schedule()
        if self.farewell != nil { self.finishIfDone() }
    }

    private func schedule() {
        self.timer?.cancel()
        guard let next = self.core?.nextTick else { return }
        let nanoseconds = next.components.seconds * 1_000_000_000 + next.components.attoseconds / 1_000_000_000
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.timer = self.eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(max(0, nanoseconds)))) {
            bound.value.run { core, now in core.tick(now: now) }
        }
    }

    private func perform(_ directives: [MembershipDirective]) {
        var (isChanged, hasJoined) = (false, false)
        for directive in directives {
            switch directive {
            case .send(let packet, let endpoint): self.send(packet, to: endpoint)
            case .dial(let stream, let endpoint, let request): self.dial(stream, endpoint, request)
            case .event(.answered(let node, let payload, let roundTrip)):
                self.heard(node, payload, after: roundTrip)
            case .event(let event):
                self.journal.note(event)
                isChanged = true
                if case .joined = event { hasJoined = true }
            }
        }
        if isChanged { self.publish() }
        // Who counts as a member is kept on disk, and events of the new one may come at once.
        if hasJoined { self.askForState() }
    }

    private func publish() {
        guard let core = self.core else { return }
        let (now, wall) = (self.now, CivilTime.now())
        func time(_ moment: Duration) -> Double {
            let age = (now - moment).components
            return wall - Double(age.seconds) - Double(age.attoseconds) / 1e18
        }
        self.board.post(
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
            let sealed = self.security.sealPacket(packet, using: &self.random)
        else { return }
        // What cannot be sent is lost, as any packet may be: probes will tell.
        let envelope = AddressedEnvelope(remoteAddress: address, data: ByteBuffer(bytes: sealed))
        datagrams.writeAndFlush(envelope, promise: nil)
    }

    func receive(_ packet: ByteBuffer, from address: SocketAddress) {
        guard let sender = NodeAddress(address) else { return }
        let bytes = Array(packet.readableBytesView)
        self.run { core, now in
            do throws(WireError) {
                let plain = try self.security.openPacket(bytes[...])
                core.ackPayload = ClockPayload.encode(milliseconds: UInt64(max(0, CivilTime.now() * 1000)))
                let (directives, refused) = try core.receive(packet: plain, from: sender, now: now)
                if refused > 0 { self.journal.refused("\(refused) parts of a packet", from: sender) }
                return directives
            } catch {
                self.journal.refused("a packet: \(error)", from: sender)
                return []
            }
        }
    }

    /// Half of the time that asking took is what the answer was under way, give or take as much.
    private func heard(_ node: String, _ payload: [UInt8], after roundTrip: Duration) {
        guard let milliseconds = ClockPayload.decode(payload), let heardClock = self.sources.heardClock else { return }
        let half = roundTrip / .milliseconds(2)
        heardClock(node, Double(milliseconds) + half - CivilTime.now() * 1000, half)
    }

    // MARK: Streams

    /// The handler for a stream of somebody else's.
    func accept(_ channel: any Channel) throws -> StreamHandler {
        guard self.core != nil, self.acceptedStreams < GossipLimits.acceptedStreams else {
            // The bootstrap closes a channel whose set-up fails.
            throw ChannelError.operationUnsupported
        }
        self.acceptedStreams += 1
        return StreamHandler(self, security: self.security, role: .accepted)
    }

    private func dial(_ stream: StreamID, _ endpoint: NodeAddress, _ request: [UInt8]) {
        guard self.dialledStreams < GossipLimits.dialledStreams, let address = SocketAddress(endpoint),
            let sealed = self.security.sealStream(request, isDialling: true, using: &self.random)
        else { return self.later { $0.answered(stream, nil) } }
        self.dialledStreams += 1
        var bootstrap = ClientBootstrap(group: self.eventLoop).connectTimeout(.seconds(GossipLimits.connectSeconds))
        if let source = self.source, let local = SocketAddress(NodeAddress(source, port: 0)) {
            bootstrap = bootstrap.bind(to: local)
        }
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
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
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.eventLoop.execute { body(bound.value) }
    }

    /// True when a stream may hold so many more bytes.
    func reserve(_ bytes: Int) -> Bool {
        guard self.streamBytes + bytes <= GossipLimits.streamBytes else { return false }
        self.streamBytes += bytes
        return true
    }

    func streamEnded(isDialled: Bool, bytes: Int) {
        self.streamBytes -= bytes
        if isDialled { self.dialledStreams -= 1 } else { self.acceptedStreams -= 1 }
    }

    /// What is to be answered to a message of somebody who dialled us, sealed.
    func answer(to message: StreamMessage, from sender: NodeAddress) -> [UInt8]? {
        var answer: [UInt8]?
        self.run { core, now in
            let result = core.receive(stream: message, from: sender, now: now)
            answer = result.answer
            return result.directives
        }
        return answer.flatMap { self.security.sealStream($0, isDialling: false, using: &self.random) }
    }

    func answered(_ stream: StreamID, _ message: StreamMessage?) {
        self.run { core, now in core.streamAnswered(stream, message, now: now) }
    }

    func streamRefused(_ error: WireError, from sender: NodeAddress?) {
        if let sender { self.journal.refused("a stream: \(error)", from: sender) }
    }

    // MARK: State and seeds

    /// One question at a time: who is asked writes files.
    func askForState() {
        guard !self.isAskingForState else {
            self.asksForStateAgain = true
            return
        }
        self.isAskingForState = true
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        let state = self.sources.state
        self.sources.threads.runIfActive(eventLoop: self.eventLoop, state).whenComplete { result in
            bound.value.isAskingForState = false
            if case .success(let state) = result { bound.value.take(state) }
            guard bound.value.asksForStateAgain else { return }
            bound.value.asksForStateAgain = false
            if case .success = result { bound.value.askForState() }
        }
    }

    private func take(_ state: NodeState) {
        // Also without news: the long dead are forgotten without a word.
        defer { self.publish() }
        var timeless = state
        timeless.composedAt = self.lastState?.composedAt ?? 0
        guard timeless != self.lastState else { return }
        let forgetsMore = self.lastState.map { $0.forgotten != state.forgotten } ?? false
        // Others send nothing to a node before they know of its API.
        let hasOpened = self.lastState?.apiPort == 0 && state.apiPort > 0
        self.lastState = state
        defer { if forgetsMore || hasOpened { self.run { core, _ in core.exchangeNow() } } }
        self.run { core, now in
            core.setState(
                meta: state.shortForm(),
                userState: state.longForm(name: core.options.name),
                now: now
            )
        }
    }

    private func lookUpSeeds() {
        guard !self.isLookingUp, !self.sources.seeds.isEmpty else { return }
        self.isLookingUp = true
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        let sources = self.sources.seeds
        self.sources.threads.runIfActive(eventLoop: self.eventLoop) {
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
        let pause = Int64(1) << min(self.failedLookups, 16)
        guard self.failedLookups > 0, pause < GossipLimits.seedSeconds else { return }
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.eventLoop.scheduleTask(in: .seconds(pause)) { bound.value.lookUpSeeds() }
    }

    private func take(_ answers: [Result<[NodeAddress], any Error>]) {
        var failures: Set<String> = []
        for (position, answer) in answers.enumerated() {
            switch answer {
            case .success(let endpoints): self.seedsOfSources[position] = endpoints
            case .failure(let error): failures.insert("\(error)")
            }
        }
        for failure in failures.subtracting(self.lookupFailures).sorted() {
            self.journal.seedsNotFound(failure)
        }
        self.lookupFailures = failures
        self.failedLookups = failures.isEmpty ? 0 : self.failedLookups + 1
        self.lookUpSooner()
        self.setSeeds()
    }

    func join(_ endpoints: [NodeAddress]) {
        let new = endpoints.filter { !self.namedSeeds.contains($0) }
        self.namedSeeds = (self.namedSeeds + new).suffix(GossipLimits.namedSeeds)
        self.setSeeds()
    }

    private func setSeeds() {
        let seeds = self.seedsOfSources.flatMap { $0 } + self.namedSeeds
        self.run { core, now in core.setSeeds(seeds, now: now) }
    }
}
