import Logging
import NIOCore
import NIOPosix
import SpringgLog
import SpringgProjections
import Synchronization

/// What all event loops of a server share.
final class ServerContext: Sendable {
    /// The options at the start.
    let limits: ServerOptions
    let logger: Logger
    /// True when every request is logged: asked once, since it cannot change and is asked for each of them.
    let logsRequests: Bool
    let threads: NIOThreadPool
    /// What waits for those threads.
    let queue: WorkQueue
    let limiter: RateLimiterBox?
    let bulkPermits: PermitPool?
    let bodyBudget: PermitPool?
    let connectionPermits: PermitPool?
    let cpu: CPUMeter
    let requests: RequestMeter
    /// Seconds since 1970 at which the server was started.
    let started: Double
    /// How far writes have got beyond this node.
    let acks: AckTracker

    /// Bytes of all bodies together that a server holds: four of the largest, and never less than this.
    private static let bodyBudgetMin = 256 << 20

    /// What there is once the database is open.
    private final class Opened: Sendable {
        let database: Database
        let options: ServerOptions
        /// What new nodes are seeded from; nil for a node that has no others.
        let shelf: SnapshotShelf?

        init(database: Database, options: ServerOptions) {
            self.database = database
            self.options = options
            shelf = options.gossip == nil ? nil : SnapshotShelf(database)
        }
    }

    private let opened = AtomicLazyReference<Opened>()
    /// How far the log has been read back; negative before anything is known.
    private let percentReplayed = Atomic<Int>(-1)
    private let percentFetched = Atomic<Int>(-1)
    let metrics = ServerMetrics()

    /// True once requests are served.
    var isOpen: Bool { opened.load() != nil }

    /// The database; for requests that were admitted, which they are not before it is open.
    var database: Database { parts.database }

    private var parts: Opened {
        guard let opened = self.opened.load() else {
            preconditionFailure("a request was admitted before the database was open")
        }
        return opened
    }

    /// What new nodes are seeded from, with the same condition; nil for a node that has no others.
    var shelf: SnapshotShelf? { parts.shelf }

    /// Ends what is being made for requests; blocking.
    func close() { opened.load()?.shelf?.close() }

    /// The options, with what the parts of the node have added since the start.
    var options: ServerOptions { opened.load()?.options ?? limits }

    /// What the node does while it starts.
    var startText: String {
        let percent = percentReplayed.load(ordering: .relaxed)
        let fetched = percentFetched.load(ordering: .relaxed)
        if percent >= 0 { return "replaying the log: \(percent)%" }
        return fetched < 0 ? "opening the database" : "taking the state from the archive: \(fetched)%"
    }

    func fetched(percent: Int) {
        percentFetched.store(percent, ordering: .relaxed)
    }

    func replayed(percent: Int) {
        percentReplayed.store(percent, ordering: .relaxed)
    }

    func open(_ database: Database, options: ServerOptions) {
        _ = opened.storeIfNil(Opened(database: database, options: options))
    }

    init(options: ServerOptions, logger: Logger, threads: NIOThreadPool) {
        let now = NIODeadline.now().uptimeNanoseconds
        limits = options
        self.logger = logger
        logsRequests = logger.logLevel <= .debug
        self.threads = threads
        queue = WorkQueue(threads: options.searchThreads > 0 ? options.searchThreads : System.coreCount)
        limiter =
            options.rateLimitPerSecond > 0
            ? RateLimiterBox(RateLimiter(perSecond: options.rateLimitPerSecond, burst: options.rateLimitBurst)) : nil
        bulkPermits = options.bulkConcurrencyMax > 0 ? PermitPool(options.bulkConcurrencyMax) : nil
        bodyBudget =
            options.bodyBytesMax > 0 ? PermitPool(max(4 * options.bodyBytesMax, Self.bodyBudgetMin)) : nil
        connectionPermits = options.connectionsMax > 0 ? PermitPool(options.connectionsMax) : nil
        cpu = CPUMeter(now: now)
        requests = RequestMeter(now: now)
        started = CivilTime.now()
        acks = options.acks ?? AckTracker()
    }
}

/// One event loop's share of the server: its connections, and what their requests need without a lock.
///
/// Touched on its event loop only.
final class Worker {
    let context: ServerContext
    let mailbox: Mailbox
    let scratch = DecodeScratch()
    var authenticator: Authenticator
    var heads: HeadEncoder
    var requestIDs = RequestID.Generator()
    let timeouts: Timeouts
    /// Requests that wait for an event.
    var heldRequests: [HeldRequest] = []
    var looksAtHeld = false
    let metrics: WorkerMetrics
    private var connections: [Int: HTTPConnection] = [:]
    private var nextConnection = 0
    private(set) var isDraining = false
    private var drained: EventLoopPromise<Void>?
    /// True for the one worker that measures for the whole server.
    private let measures: Bool
    private var lastMeasured = NIODeadline.now()

    init(context: ServerContext, mailbox: Mailbox, measures: Bool) {
        self.measures = measures
        self.context = context
        self.mailbox = mailbox
        authenticator = Authenticator(
            keys: context.limits.tokenKeys,
            requiresToken: context.limits.requireJWT
        )
        heads = HeadEncoder(now: CivilTime.now())
        timeouts = Timeouts(context.limits)
        metrics = context.metrics.makeWorkerMetrics()
    }

    // MARK: Connections

    /// Takes a connection into the table; returns the number under which outcomes find it.
    func add(_ connection: HTTPConnection) -> Int {
        nextConnection += 1
        connections[nextConnection] = connection
        metrics.connected(1)
        return nextConnection
    }

    func remove(_ number: Int) {
        if connections.removeValue(forKey: number) != nil {
            metrics.connected(-1)
        }
        completeDrainingIfDone()
    }

    /// Hands outcomes to the connections that wait for them; those of connections that are gone are dropped.
    func deliver(_ deliveries: [Mailbox.Delivery]) {
        for (ticket, outcome) in deliveries {
            connections[ticket.connection]?.complete(request: ticket.request, outcome)
        }
    }

    /// Goes on with a request that has waited.
    func resume(_ ticket: Ticket, _ error: RequestError?) {
        connections[ticket.connection]?.resume(request: ticket.request, error)
    }

    /// Has work cancelled when the request that it is for is given up.
    func hold(_ cancellation: Cancellation, for ticket: Ticket) {
        connections[ticket.connection]?.hold(cancellation)
    }

    // MARK: Time

    /// Ends what has taken too long; called every `Timeouts.tick`.
    func tick() {
        heads.setDate(CivilTime.now())
        let now = NIODeadline.now()
        // A copy: a connection that is closed leaves the table at once.
        for connection in Array(connections.values) {
            connection.checkDeadlines(now)
        }
        if measures {
            context.acks.expire()
        }
        // A shorter interval than a second would measure noise.
        if measures, now - lastMeasured >= .seconds(1) {
            lastMeasured = now
            context.cpu.sample(now: now.uptimeNanoseconds)
            context.requests.tick(now: now.uptimeNanoseconds)
        }
    }

    // MARK: Shutdown

    /// Closes idle connections now and the others after their answer; the future says when none is left.
    func drain(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        isDraining = true
        drained = promise
        for connection in Array(connections.values) {
            connection.drain()
        }
        completeDrainingIfDone()
        return promise.futureResult
    }

    /// Closes what is left.
    func closeAll() {
        for connection in Array(connections.values) {
            connection.closeNow()
        }
    }

    private func completeDrainingIfDone() {
        guard isDraining, connections.isEmpty else {
            return
        }
        drained?.succeed()
        drained = nil
    }
}

/// The time-outs of a connection; those that are off never end.
struct Timeouts: Sendable {
    /// A client that was sent the last answer may take this long to hang up.
    static let linger = TimeAmount.seconds(2)
    /// The same once the server is to stop, which should not wait for clients that have nothing more to say.
    static let lingerWhenDraining = TimeAmount.milliseconds(250)

    let idle: TimeAmount?
    let read: TimeAmount?
    let write: TimeAmount?
    let request: TimeAmount?
    /// How often deadlines are looked at: often enough for the shortest of them to be late by a tenth at most.
    let tick: TimeAmount

    init(_ options: ServerOptions) {
        idle = Self.amount(options.idleTimeoutSeconds)
        read = Self.amount(options.readTimeoutSeconds)
        write = Self.amount(options.writeTimeoutSeconds)
        request = Self.amount(options.requestTimeoutSeconds)
        let shortest = [idle, read, write, request, Self.linger].compactMap { $0 }.min()
        let tenth = (shortest ?? Self.linger).nanoseconds / 10
        tick = .nanoseconds(max(10_000_000, min(500_000_000, tenth)))
    }

    private static func amount(_ seconds: Double) -> TimeAmount? {
        // A century is as good as never, and more would overflow.
        seconds > 0 ? .nanoseconds(Int64(min(seconds, 3e9) * 1e9)) : nil
    }
}

extension NIODeadline {
    /// The deadline that lies `amount` ahead; never for nil.
    func after(_ amount: TimeAmount?) -> NIODeadline {
        amount.map { self + $0 } ?? .distantFuture
    }
}
