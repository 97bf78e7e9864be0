import Logging
import SpringgArchive
import SpringgCluster
import SpringgConfiguration
import SpringgLog
import SpringgNet
import SpringgProjections

/// The composition root: the one place that knows every part, puts them together and takes them apart.
struct Node {
    let database: Database
    let server: APIServer
    /// Nil when this node looks for no others.
    let gossip: GossipService?
    /// Nil when nothing is archived.
    let archiver: Archiver?
    /// Nil when this node is alone.
    let replication: ReplicationService?
    /// What is decided by gossip; nil without it.
    let cluster: ClusterService?
    /// Says where nodes differ that must not; nil without gossip.
    let divergences: DivergenceReporter?
    let logger: Logger
    let graceSeconds: Double
    private let bindAddress: String
    private let isSecure: Bool

    /// Listens, opens the database, then serves: whoever asks meanwhile is told how far it is.
    ///
    /// Blocks the calling thread, which must not belong to an event loop.
    /// - Throws: `CommandFailure` with the part's own description.
    static func start(_ settings: Configuration, logger: Logger, past: PastView? = nil) throws -> Node {
        announce(settings, logger: logger)
        var options = try serverOptions(settings)
        options.certificates = try certificates(settings, logger: logger)
        let acks = AckTracker()
        options.acks = acks
        let server = try listen(options, logger: logger)
        // Gossip comes before the database: a new node has to find others first.
        let opened = Late<Database>()
        var members: Members?
        do {
            // The past is nobody's peer.
            if past == nil { members = try startGossip(settings, of: opened, acks: acks, logger: logger) }
            if let members { try seed(settings, members.gossip, logger: logger) }
            if past == nil {
                try Bootstrap(settings: settings, logger: logger).run { done in
                    server.fetched(bytes: done.bytesDone, of: done.bytesTotal)
                }
            }
            let database =
                try past.map { try $0.open(settings, logger: logger) }
                ?? open(settings, logger: logger, progress: server.replayed)
            do {
                return try serve(database, opened, from: server, options, members, acks, settings, logger, past != nil)
            } catch {
                database.close()
                throw error
            }
        } catch {
            // Without a server the node is no member.
            let gossip = members?.gossip
            try? Blocking.wait {
                await gossip?.stop()
                await server.shutdown(gracePeriodSeconds: 0)
            }
            throw error
        }
    }

    typealias Members = (gossip: GossipService, cluster: ClusterService)

    private static func listen(_ options: ServerOptions, logger: Logger) throws -> APIServer {
        do {
            return try Blocking.wait { try await APIServer.start(options: options, logger: logger) }
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    /// Begins to serve, to archive and to replicate.
    private static func serve(
        _ database: Database,
        _ opened: Late<Database>,
        from server: APIServer,
        _ options: ServerOptions,
        _ members: Members?,
        _ acks: AckTracker,
        _ settings: Configuration,
        _ logger: Logger,
        _ isPast: Bool
    ) throws -> Node {
        var options = options
        options.gossip = members?.gossip
        options.cluster = members?.cluster
        options.bandwidth = ServedBandwidth(replicationOptions(settings))
        if let cluster = members?.cluster {
            options.writeRefusal = { cluster.writeRefusal }
            options.unready.append { cluster.unready.map { [$0] } ?? [] }
        }
        // What the past shows is archived, or gone.
        let archiver =
            try isPast
            ? nil
            : makeArchiver(
                settings,
                database: database,
                isClustered: members != nil,
                hooks: archiveHooks(settings, members?.cluster, acks),
                logger: logger
            )
        if let archiver {
            acks.expectArchive { archiver.requestRound() }
            members?.cluster.archives { archiver.status.lastSuccess ?? 0 }
            options.archive = { ArchiveFigures(archiver.status) }
        }
        let replication = Late<ReplicationService>()
        if members != nil {
            options.replication = { replication.value?.status }
            options.unready.append { replication.value?.status.unready ?? [] }
        }
        server.open(database, options: options)
        // From now on the others know where this node's API is.
        opened.set(database)
        members?.gossip.renewState()
        archiver?.start()
        if let members {
            replication.set(
                startReplication(
                    settings,
                    database: database,
                    members,
                    bandwidth: options.bandwidth,
                    acks: acks,
                    logger: logger
                )
            )
        }
        return Node(
            database: database,
            server: server,
            gossip: members?.gossip,
            archiver: archiver,
            replication: replication.value,
            cluster: members?.cluster,
            divergences: members.map { DivergenceReporter(database, settings, $0.cluster) },
            logger: logger,
            graceSeconds: settings[Keys.shutdownGrace].seconds,
            bindAddress: options.host,
            isSecure: options.certificates != nil
        )
    }

    /// Where a client on this machine reaches the server.
    var url: String {
        let scheme = isSecure ? "https" : "http"
        return switch bindAddress {
        case "0.0.0.0", "::": "\(scheme)://127.0.0.1:\(server.port)"
        case let address where address.contains(":"): "\(scheme)://[\(address)]:\(server.port)"
        default: "\(scheme)://\(bindAddress):\(server.port)"
        }
    }

    /// Lets running requests finish, then syncs and closes the log.
    ///
    /// Blocks the calling thread.
    func stop() {
        let (server, gossip, grace) = (server, gossip, graceSeconds)
        // First of all the others hear of it, while running requests are finished.
        gossip?.leave()
        // The closure cannot throw; the bridge is written for both cases.
        try? Blocking.wait {
            await server.shutdown(gracePeriodSeconds: grace)
        }
        // What has not been archived by now stays in the log until the next start.
        archiver?.close()
        divergences?.close()
        // What was acknowledged last is still on its way to the others.
        replication?.stop(afterShippingFor: Node.shippingSeconds)
        try? Blocking.wait { await gossip?.stop() }
        database.close()
    }

    /// How long a node that is to stop goes on shipping.
    private static let shippingSeconds = 2.0

    // MARK: - Parts

    private static func open(
        _ settings: Configuration,
        logger: Logger,
        progress: @escaping @Sendable (ReplayProgress) -> Void
    ) throws -> Database {
        let reporter = ReplayReporter(logger: logger)
        var options = databaseOptions(settings) {
            reporter.report($0)
            progress($0)
            ServiceManager.notify("STATUS=Reading back the log: \($0.events) events")
        }
        options.checkpointed = { report in
            let metadata: Logger.Metadata = [
                "lsn": "\(report.lsn)", "seconds": "\((report.seconds * 1000).rounded() / 1000)",
            ]
            if let failure = report.failure {
                logger.warning("No checkpoint was written: \(failure)", metadata: metadata)
            } else {
                logger.info("Checkpoint written", metadata: metadata)
            }
        }
        options.trimmed = { report in
            if report.segments > 0 {
                logger.info(
                    "Old segments of the log removed",
                    metadata: ["segments": "\(report.segments)", "first_lsn": "\(report.first)"]
                )
            }
            if let failure = report.failure { logger.warning("Old segments of the log stay: \(failure)") }
        }
        options.roomFound = { logger.info("There is room on the disk again: writes go on") }
        options.catchesUp = { report in
            var metadata: Logger.Metadata = ["index": "\(report.index)", "rows": "\(report.rows)"]
            if let seconds = report.seconds {
                metadata["seconds"] = "\((seconds * 1000).rounded() / 1000)"
                logger.info("Graph has caught up with its rows", metadata: metadata)
            } else {
                logger.info("Graph is behind its rows and catches up", metadata: metadata)
            }
        }
        if isMember(settings) {
            options.holdsCommands = asksPeers
            options.sharesHistory = true
        }
        options.writesFail = { error in logger.error("Writes fail: \(error)") }
        let database: Database
        do {
            defer { reporter.finish() }
            database = try Database.open(options)
        } catch {
            throw CommandFailure("\(error)", advice: archiveAdvice(for: error, settings))
        }
        for damage in database.checkpoint.damaged {
            logger.warning("A checkpoint cannot be used, an older one or the log was read instead: \(damage)")
        }
        for damage in database.checkpoint.damagedGraphs {
            logger.warning("A graph cannot be used, it is built anew from its rows: \(damage)")
        }
        let recovery = database.recovery
        if let torn = recovery.torn {
            logger.warning(
                "Cut off a torn end of the log: the last writes had not been synced when the node went down",
                metadata: [
                    "lsn": "\(torn.lsn)", "segment": "\(torn.segment)", "copy": "\(recovery.tornCopy ?? "none")",
                ]
            )
        }
        for loss in recovery.losses {
            logger.warning("The log was salvaged from a damaged one, and events are missing in it: \(loss)")
        }
        logger.info(
            "Opened database",
            metadata: [
                "data_path": "\(options.dataPath)",
                "origin": "\(database.origin)",
                "checkpoint_lsn": "\(database.checkpoint.lsn)",
                "events": "\(recovery.records)",
                "indexes": "\(database.indexes().count)",
                "vectors": "\(database.vectorCount)",
                "seconds": "\(reporter.elapsedSeconds)",
            ]
        )
        return database
    }

    /// How the settings want the database kept.
    static func databaseOptions(
        _ settings: Configuration,
        progress: @escaping @Sendable (ReplayProgress) -> Void
    ) -> DatabaseOptions {
        var options = DatabaseOptions(dataPath: settings[Keys.dataPath])
        let isInterval = settings[Keys.durability] == "interval"
        options.durability =
            isInterval ? .interval(milliseconds: settings[Keys.durabilityInterval].milliseconds) : .fsync
        options.segmentBytes = settings[Keys.logSegmentMB] << 20
        options.maxVectorsPerIndex = settings[Keys.maxVectorsPerIndex]
        options.maxUnindexedRows = settings[Keys.maxUnindexedRows]
        options.indexingThreads = settings[Keys.indexingThreads]
        options.maxMemoryBytes = settings[Keys.maxMemoryMB] << 20
        options.recallProbePercent = settings[Keys.recallProbe]
        options.writeZerosAhead = settings[Keys.logWriteZerosAhead]
        options.maxDiskBytes = settings[Keys.maxDiskMB] << 20
        let (seconds, megabytes) = (settings[Keys.logRetention].seconds, settings[Keys.logRetentionMB])
        options.retention = RetentionPolicy(
            seconds: seconds > 0 ? UInt64(seconds.rounded(.up)) : nil,
            bytes: megabytes > 0 ? megabytes << 20 : nil
        )
        options.checkpointSeconds = settings[Keys.persistenceInterval].seconds
        options.tombstoneGraceSeconds = settings[Keys.tombstoneGrace].seconds
        options.progress = progress
        return options
    }

    private static func serverOptions(_ settings: Configuration) throws -> ServerOptions {
        var options = ServerOptions()
        let secret = settings[Keys.jwtSecret]
        options.host = settings[Keys.bindAddress]
        options.port = settings[Keys.port]
        options.ioThreads = settings[Keys.ioThreads]
        options.searchThreads = settings[Keys.searchThreads]
        options.jwtSecret = secret.isEmpty ? nil : secret
        options.jwtSecrets = try settings.namedSecrets().map { TokenKey(id: $0.id, secret: $0.secret) }
        guard let proxies = TrustedProxies(settings[Keys.trustedProxies]) else {
            throw CommandFailure(
                "invalid trusted_proxies: \(settings[Keys.trustedProxies]) (must be addresses or networks, such as "
                    + "10.0.0.0/8, separated by commas)"
            )
        }
        options.trustedProxies = proxies
        options.requireJWT = settings[Keys.requireJWT]
        options.defaultDimensions = settings[Keys.dimensions]
        options.rateLimitPerSecond = settings[Keys.rateLimitPerSecond]
        options.rateLimitBurst = settings[Keys.rateLimitBurst]
        options.bodyBytesMax = settings[Keys.maxBodyMB] << 20
        options.headBytesMax = settings[Keys.maxHeaderKB] << 10
        options.requestTimeoutSeconds = settings[Keys.requestTimeout].seconds
        options.readTimeoutSeconds = settings[Keys.readTimeout].seconds
        options.writeTimeoutSeconds = settings[Keys.writeTimeout].seconds
        options.idleTimeoutSeconds = settings[Keys.idleTimeout].seconds
        options.connectionsMax = settings[Keys.maxConnections]
        options.bulkConcurrencyMax = settings[Keys.maxConcurrentBulkRequests]
        options.searchWaitSeconds = settings[Keys.maxSearchWait].seconds
        options.measuresStages = settings[Keys.measureStages]
        options.bulkCPUThresholdPercent = settings[Keys.bulkCPUThresholdPercent]
        options.ackTimeoutSeconds = settings[Keys.ackTimeout].seconds
        options.defaultAck = AckLevel(rawValue: settings[Keys.defaultAck]) ?? .local
        options.version = BuildInformation.version
        options.clusterEnabled = settings[Keys.clusterEnabled]
        return options
    }

    /// What the API shows to its clients; nil without TLS.
    private static func certificates(_ settings: Configuration, logger: Logger) throws -> TLSCertificates? {
        let (certificate, key) = (settings[Keys.tlsCertificate], settings[Keys.tlsKey])
        guard !certificate.isEmpty || !key.isEmpty else { return nil }
        guard !certificate.isEmpty, !key.isEmpty else {
            throw CommandFailure(
                key.isEmpty ? "tls_certificate is set and tls_key is not" : "tls_key is set and tls_certificate is not",
                advice: "set both for HTTPS, or neither"
            )
        }
        let certificates = try CommandFailure.wrap {
            try TLSCertificates(certificate: certificate, key: key, logger: logger)
        }
        certificates.watch()
        return certificates
    }

    /// The start-up lines, and a warning for whatever was asked for and is not there.
    private static func announce(_ settings: Configuration, logger: Logger) {
        logger.info("Starting Springg server on port \(settings[Keys.port])")
        logger.info("JWT authentication: \(settings[Keys.requireJWT])")
        for warning in settings.warnings { logger.warning("Configuration: \(warning)") }
        if !settings[Keys.requireJWT] {
            logger.warning("Everyone who reaches this port can read and write: require_jwt is false")
        }
        if !settings.isSet(Keys.dataPath) {
            logger.warning("data_path is not set: the data lies in a directory that many systems empty when they start")
        }
        if settings[Keys.durability] == "interval" {
            logger.warning("A power cut may lose the writes of the last \(settings[Keys.durabilityInterval])")
        }
    }
}
