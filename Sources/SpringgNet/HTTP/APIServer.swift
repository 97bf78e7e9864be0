import CSpringg
public import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
public import SpringgProjections
import Synchronization

/// The REST API of one database, on a TCP port.
///
/// Requests are served on event loops; a write is answered once the log has it, a search that reads much runs on a
/// thread of its own pool.
public final class APIServer: Sendable {
    /// The port that is listened on.
    public let port: Int

    private let context: ServerContext
    private let group: MultiThreadedEventLoopGroup
    private let listener: any Channel
    private let workers: [WorkerHandle]
    private let isStopped = Atomic(false)

    /// A worker and what may be touched of it from elsewhere.
    private struct WorkerHandle: Sendable {
        let eventLoop: any EventLoop
        let worker: NIOLoopBound<Worker>
        let mailbox: Mailbox
        let ticker: RepeatedTask
    }

    private init(
        port: Int,
        context: ServerContext,
        group: MultiThreadedEventLoopGroup,
        listener: any Channel,
        workers: [WorkerHandle]
    ) {
        self.port = port
        self.context = context
        self.group = group
        self.listener = listener
        self.workers = workers
    }

    // MARK: Start

    /// Starts a server; it listens and serves when this returns.
    ///
    /// See `start(options:logger:)` and `open(_:options:)`.
    public static func start(database: Database, options: ServerOptions, logger: Logger) async throws -> APIServer {
        let server = try await start(options: options, logger: logger)
        server.open(database, options: options)
        return server
    }

    /// Starts a server; it listens when this returns, and says to everybody that it is starting until it is given a
    /// database.
    ///
    /// - Parameters:
    ///   - options: Address and limits.
    ///   - logger: Gets a line for each request at debug.
    /// - Returns: The running server.
    /// - Throws: `ServerError`.
    public static func start(options: ServerOptions, logger: Logger) async throws -> APIServer {
        guard !options.requireJWT || !options.tokenKeys.isEmpty else {
            throw ServerError.secretMissing
        }
        let cores = System.coreCount
        let group = MultiThreadedEventLoopGroup(numberOfThreads: options.ioThreads > 0 ? options.ioThreads : cores)
        let threads = NIOThreadPool(numberOfThreads: options.searchThreads > 0 ? options.searchThreads : cores)
        threads.start()
        if options.measuresStages {
            springg_stages_measure()
        }
        let context = ServerContext(options: options, logger: logger, threads: threads)
        do {
            let workers = try await makeWorkers(group, context)
            let listener = try await listen(group, context, workers)
            return APIServer(
                port: listener.localAddress?.port ?? options.port,
                context: context,
                group: group,
                listener: listener,
                workers: workers
            )
        } catch {
            try? await threads.shutdownGracefully()
            try? await group.shutdownGracefully()
            throw ServerError.cannotListen(host: options.host, port: options.port, reason: "\(error)")
        }
    }

    /// Says how far the opening of the database has come.
    public func replayed(_ progress: ReplayProgress) {
        let part = progress.bytesTotal == 0 ? 1 : Double(progress.bytesDone) / Double(progress.bytesTotal)
        context.replayed(percent: Int(min(part, 1) * 100))
    }

    /// Says how much of the state has come from the archive, before the database is opened.
    public func fetched(bytes: Int, of total: Int) {
        context.fetched(percent: total == 0 ? 100 : bytes * 100 / total)
    }

    /// Begins to serve; only the first call counts.
    ///
    /// - Parameters:
    ///   - database: Open; the caller closes it after the server has been shut down.
    ///   - options: Those of the start, with what the parts of the node have to add; limits stay as they were.
    public func open(_ database: Database, options: ServerOptions) {
        context.open(database, options: options)
    }

    private static func makeWorkers(
        _ group: MultiThreadedEventLoopGroup,
        _ context: ServerContext
    ) async throws -> [WorkerHandle] {
        var workers: [WorkerHandle] = []
        for eventLoop in group.makeIterator() {
            let isFirst = workers.isEmpty
            let handle = eventLoop.submit {
                let mailbox = Mailbox(eventLoop: eventLoop)
                let unbound = Worker(context: context, mailbox: mailbox, measures: isFirst)
                let tick = unbound.timeouts.tick
                let worker = NIOLoopBound(unbound, eventLoop: eventLoop)
                mailbox.connect(worker)
                let ticker = eventLoop.scheduleRepeatedTask(initialDelay: tick, delay: tick) { _ in
                    worker.value.tick()
                }
                return WorkerHandle(eventLoop: eventLoop, worker: worker, mailbox: mailbox, ticker: ticker)
            }
            workers.append(try await handle.get())
        }
        return workers
    }

    private static func listen(
        _ group: MultiThreadedEventLoopGroup,
        _ context: ServerContext,
        _ workers: [WorkerHandle]
    ) async throws -> any Channel {
        let table = Dictionary(uniqueKeysWithValues: workers.map { (ObjectIdentifier($0.eventLoop), $0.worker) })
        return try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A client may say that it sends no more and still wait for its answers.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let worker = table[ObjectIdentifier(channel.eventLoop)] else {
                        throw ChannelError.inappropriateOperationForState
                    }
                    try configure(channel, worker.value, context)
                }
            }
            .bind(host: context.limits.host, port: context.limits.port)
            .get()
    }

    /// Bytes of a request's head when there is no limit: the decoder counts in 32 bits.
    private static let headBytesCeiling = 1 << 30

    private static func configure(_ channel: any Channel, _ worker: Worker, _ context: ServerContext) throws {
        var permit: Permit?
        if let permits = context.connectionPermits {
            permit = permits.take()
            guard permit != nil else {
                context.metrics.refusedConnections.wrappingAdd(1, ordering: .relaxed)
                // The bootstrap closes a channel whose set-up fails.
                throw ChannelError.operationUnsupported
            }
        }
        let peer = RemotePeer(channel.remoteAddress)
        let connection = HTTPConnection(
            worker: worker,
            peer: peer,
            permit: permit,
            isSecure: context.limits.certificates != nil
        )
        var limits = NIOHTTPDecoderLimitConfiguration()
        let headBytesMax = context.limits.headBytesMax
        limits.maxHeaderListSize = headBytesMax > 0 ? headBytesMax : headBytesCeiling
        limits.maxHeaderFieldSize = limits.maxHeaderListSize
        limits.maxHeaderFieldCount = 100
        if let certificates = context.limits.certificates {
            try secure(channel, certificates, worker, peer)
        }
        try channel.pipeline.syncOperations.addHandlers(
            InputObserver(connection),
            ByteToMessageHandler(HTTPRequestDecoder(limitConfiguration: limits)),
            connection
        )
    }

    /// Puts TLS below what is to come; a handshake costs more than most requests, and counts as one.
    private static func secure(
        _ channel: any Channel,
        _ certificates: TLSCertificates,
        _ worker: Worker,
        _ peer: RemotePeer
    ) throws {
        let context = worker.context
        if let limiter = context.limiter, let key = peer.key, !context.limits.trustedProxies.trusts(peer),
            !limiter.admit(key, now: NIODeadline.now().uptimeNanoseconds)
        {
            worker.metrics.hit(.rate)
            throw ChannelError.operationUnsupported
        }
        guard let session = TLSSession(certificates.identity) else {
            throw ChannelError.operationUnsupported
        }
        let handler = TLSHandler(session) { failure in
            worker.metrics.shookHands(failed: failure != nil)
            if let failure {
                context.logger.debug("TLS handshake failed: \(failure)")
            }
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    /// Returns once every event loop has done what it had to do before: never, while one hangs.
    public func touch() async {
        for handle in workers {
            try? await handle.eventLoop.submit {}.get()
        }
    }

    // MARK: Stop

    /// Stops accepting connections, lets running requests finish, then closes what is left.
    ///
    /// Only the first call does that; a further one returns at once.
    /// - Parameter gracePeriodSeconds: How long running requests may take.
    public func shutdown(gracePeriodSeconds: Double) async {
        guard !isStopped.exchange(true, ordering: .acquiringAndReleasing) else {
            return
        }
        try? await listener.close()
        let drained = workers.map { handle in
            handle.eventLoop.flatSubmit { handle.worker.value.drain(on: handle.eventLoop) }
        }
        let closers = workers.map { handle in
            handle.eventLoop.scheduleTask(in: .nanoseconds(Int64(max(0, gracePeriodSeconds) * 1e9))) {
                handle.worker.value.closeAll()
            }
        }
        // Writes that wait for others hear in time that they are stored, and how far they have got.
        let end = group.next().scheduleTask(in: .nanoseconds(Int64(max(0, gracePeriodSeconds) * 0.75e9))) {
            self.context.acks.end()
        }
        for future in drained {
            try? await future.get()
        }
        end.cancel()
        for closer in closers {
            closer.cancel()
        }
        for handle in workers {
            handle.ticker.cancel()
            handle.mailbox.close()
        }
        context.close()
        try? await context.threads.shutdownGracefully()
        try? await group.shutdownGracefully()
    }
}
