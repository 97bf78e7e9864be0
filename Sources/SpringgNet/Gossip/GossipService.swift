package import Logging
import NIOCore
import NIOPosix
package import SpringgCluster
import Synchronization

/// A member as the status shows it.
package struct ClusterMember: Sendable {
    package let member: Member
    package let isSelf: Bool
    /// Seconds since 1970.
    package let firstSeen: Double
    /// Seconds since 1970 at which it was last known to live; nil while it does.
    package let lastSeen: Double?
}

/// Membership on real sockets: UDP and TCP on one port, one event loop of its own.
///
/// It only tells: who is there, and what each says of itself. Whoever acts on that reads `members`.
package final class GossipService: Sendable {
    /// The name under which others know this node.
    package let nodeName: String
    /// Where others reach it.
    package let endpoint: NodeAddress

    private let group: MultiThreadedEventLoopGroup
    private let threads: NIOThreadPool
    private let loop: NIOLoopBound<GossipLoop>
    private let channels: [any Channel]
    private let board: MemberBoard
    private let isStopped = Atomic(false)

    private init(
        endpoint: NodeAddress,
        nodeName: String,
        group: MultiThreadedEventLoopGroup,
        threads: NIOThreadPool,
        loop: NIOLoopBound<GossipLoop>,
        channels: [any Channel],
        board: MemberBoard
    ) {
        self.endpoint = endpoint
        self.nodeName = nodeName
        self.group = group
        self.threads = threads
        self.loop = loop
        self.channels = channels
        self.board = board
    }

    // MARK: Start

    /// Listens, and begins to look for others.
    ///
    /// - Parameters:
    ///   - options: Addresses, seeds, keys.
    ///   - logger: Gets a line for each member that comes and goes.
    ///   - state: What the node has to say of itself; asked every second, on a thread that may block.
    /// - Returns: The running service.
    /// - Throws: `GossipError`.
    package static func start(
        _ options: GossipOptions,
        logger: Logger,
        state: @escaping @Sendable () -> NodeState
    ) async throws -> GossipService {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        // One for look-ups, which may take long, one for the node's state.
        let threads = NIOThreadPool(numberOfThreads: 2)
        threads.start()
        do {
            return try await start(options, logger: logger, state: state, group, threads)
        } catch {
            try? await threads.shutdownGracefully()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private static func start(
        _ options: GossipOptions,
        logger: Logger,
        state: @escaping @Sendable () -> NodeState,
        _ group: MultiThreadedEventLoopGroup,
        _ threads: NIOThreadPool
    ) async throws -> GossipService {
        let eventLoop = group.next()
        let board = MemberBoard()
        let sources = GossipSources(
            seeds: options.seeds,
            state: state,
            heardClock: options.heardClock,
            threads: threads
        )
        let loop = try await eventLoop.submit {
            let unbound = GossipLoop(
                eventLoop: eventLoop,
                security: options.security,
                sources: sources,
                board: board,
                logger: logger
            )
            return NIOLoopBound(unbound, eventLoop: eventLoop)
        }.get()
        let channels: (datagrams: any Channel, listener: any Channel)
        do {
            channels = try await listen(options, loop, on: eventLoop)
        } catch {
            throw GossipError.cannotListen(host: options.host, port: options.port, reason: "\(error)")
        }
        do {
            let endpoint = try self.endpoint(options, port: channels.listener.localAddress?.port ?? options.port)
            let name = options.nodeName.isEmpty ? self.name(for: endpoint) : options.nodeName
            var membership = MembershipOptions(name: name, endpoint: endpoint)
            membership.packetOverhead = options.security.packetOverhead
            let core = membership
            // The source of what is dialled is the address that is listened on, if that is one and not all.
            let source = IPAddress(options.host).flatMap { $0.isUnspecified ? nil : $0 }
            try await eventLoop.submit {
                loop.value.begin(core, datagrams: channels.datagrams, source: source)
            }.get()
            return GossipService(
                endpoint: endpoint,
                nodeName: name,
                group: group,
                threads: threads,
                loop: loop,
                channels: [channels.datagrams, channels.listener],
                board: board
            )
        } catch {
            try? await channels.datagrams.close()
            try? await channels.listener.close()
            throw error
        }
    }

    /// Attempts to find a port that is free for TCP and UDP, when any will do.
    private static let portAttemptsMax = 10

    private static func listen(
        _ options: GossipOptions,
        _ loop: NIOLoopBound<GossipLoop>,
        on eventLoop: any EventLoop
    ) async throws -> (datagrams: any Channel, listener: any Channel) {
        for _ in 1..<portAttemptsMax where options.port == 0 {
            if let channels = try? await listenOnce(options, loop, on: eventLoop) { return channels }
        }
        return try await listenOnce(options, loop, on: eventLoop)
    }

    private static func listenOnce(
        _ options: GossipOptions,
        _ loop: NIOLoopBound<GossipLoop>,
        on eventLoop: any EventLoop
    ) async throws -> (datagrams: any Channel, listener: any Channel) {
        let listener = try await ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 128)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(try loop.value.accept(channel))
                }
            }
            .bind(host: options.host, port: options.port)
            .get()
        do {
            let datagrams = try await DatagramBootstrap(group: eventLoop)
                .channelOption(
                    .recvAllocator,
                    value: FixedSizeRecvByteBufferAllocator(capacity: WireLimits.receivedPacketBytes)
                )
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(PacketHandler(loop.value))
                    }
                }
                .bind(host: options.host, port: listener.localAddress?.port ?? options.port)
                .get()
            return (datagrams, listener)
        } catch {
            try? await listener.close()
            throw error
        }
    }

    private static func endpoint(_ options: GossipOptions, port: Int) throws -> NodeAddress {
        let port = UInt16(truncatingIfNeeded: port)
        guard options.advertisedAddress.isEmpty else {
            guard let address = IPAddress(options.advertisedAddress), !address.isUnspecified else {
                throw GossipError.noAddress(options.advertisedAddress)
            }
            return NodeAddress(address, port: port)
        }
        if let address = IPAddress(options.host), !address.isUnspecified { return NodeAddress(address, port: port) }
        guard let address = IPAddress.ofThisMachine() else { throw GossipError.noAddress("") }
        return NodeAddress(address, port: port)
    }

    /// What a node is called that nobody has named: by its address, and by its port if that is unusual.
    private static func name(for endpoint: NodeAddress) -> String {
        Int(endpoint.port) == GossipOptions.defaultPort
            ? "local-\(endpoint.address)" : "local-\(endpoint.address)-\(endpoint.port)"
    }

    // MARK: What is known

    /// Everybody who is known, self included, in order of name.
    package var members: [ClusterMember] { board.members }

    /// Calls `listener` whenever members may have changed, on the event loop: it must not block.
    package func whenMembersChange(_ listener: @escaping @Sendable () -> Void) { board.setListener(listener) }

    /// What the node has to say of itself is new: it is asked for at once.
    package func renewState() {
        self.loop.eventLoop.execute { [loop] in loop.value.askForState() }
    }

    /// Looks for nodes there too, from now on.
    package func join(_ endpoints: [NodeAddress]) {
        self.loop.eventLoop.execute { [loop] in loop.value.join(endpoints) }
    }

    // MARK: Stop

    /// Begins to say goodbye; the node goes on answering until `stop`.
    package func leave() {
        self.loop.eventLoop.execute { [loop] in loop.value.leave() }
    }

    /// Says goodbye, unless that is done, and stops.
    package func stop() async {
        guard !isStopped.exchange(true, ordering: .acquiringAndReleasing) else { return }
        let eventLoop = self.loop.eventLoop
        try? await eventLoop.flatSubmit { [loop] in loop.value.end() }.get()
        for channel in channels { try? await channel.close() }
        try? await threads.shutdownGracefully()
        try? await group.shutdownGracefully()
    }
}

/// Where the event loop leaves what it knows, for everybody to read.
final class MemberBoard: Sendable {
    private let content = Mutex<[ClusterMember]>([])
    private let listener = Mutex<(@Sendable () -> Void)?>(nil)

    var members: [ClusterMember] { content.withLock { $0 } }

    func post(_ members: [ClusterMember]) {
        content.withLock { $0 = members }
        listener.withLock { $0 }?()
    }

    func setListener(_ listener: @escaping @Sendable () -> Void) { self.listener.withLock { $0 = listener } }
}

/// What gossip asks others for, on threads that may block.
struct GossipSources: Sendable {
    let seeds: [any SeedSource]
    let state: @Sendable () -> NodeState
    let heardClock: (@Sendable (String, Double, Double) -> Void)?
    let threads: NIOThreadPool
}
