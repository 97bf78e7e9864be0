import Logging
import SpringgArchive
import SpringgConfiguration
import SpringgLog
import SpringgNet
import SpringgProjections

extension Node {
    /// What an archiver tells and is told.
    struct ArchiveHooks: Sendable {
        /// Whether rounds are for this node to do.
        var isElected: @Sendable () -> Bool = { true }
        /// The archive holds these events.
        var archived: @Sendable (VersionVector) -> Void = { _ in }
    }

    /// Makes the archiver that the settings want; nil when they want none.
    ///
    /// From now on the log is kept until it is archived. To be started when the node is complete. A store that cannot be
    /// reached is no reason not to start: what is written waits in the log.
    /// - Throws: `CommandFailure` for settings that cannot be.
    static func makeArchiver(
        _ settings: Configuration,
        database: Database,
        isClustered: Bool,
        hooks: ArchiveHooks = ArchiveHooks(),
        logger: Logger
    ) throws -> Archiver? {
        guard let place = try archivePlace(settings) else { return nil }
        let dataPath = settings[Keys.dataPath]
        let memory = try CommandFailure.wrap { try ArchiveMemory.read(in: dataPath, PosixFileSystem()) }
        let isKnown = memory?.place == "\(place)"
        let store = try CommandFailure.wrap {
            try place.open(S3Options(settings), createIfMissing: !isKnown, mustExist: !isKnown)
        }
        var options = ArchiveOptions()
        options.archive = store.location
        if isKnown { options.cluster = memory?.cluster }
        options.syncInterval = UInt64(settings[Keys.s3SyncInterval].milliseconds)
        options.snapshotInterval = UInt64(settings[Keys.s3SnapshotInterval].milliseconds)
        options.retention = UInt64(settings[Keys.s3Retention].milliseconds)
        options.waitingBytesMax = settings[Keys.logRetentionMB] << 20
        options.node = settings[Keys.nodeID]
        options.label = settings[Keys.clusterLabel]
        options.isClustered = isClustered
        if options.retention > 0, options.snapshotInterval == 0 {
            logger.warning("s3_retention has no effect without snapshots: s3_snapshot_interval is 0s")
        }
        var listeners = Archiver.Listeners()
        listeners.archived = hooks.archived
        listeners.floor = { [weak database] in database?.hold(archived: $0) }
        listeners.failed = { logger.error("Nothing is archived for now: \($0)") }
        listeners.recovered = { logger.info("Archiving goes on") }
        listeners.opened = { identity in
            let found = ArchiveMemory(place: "\(place)", cluster: identity.cluster)
            guard found != memory else { return }
            logger.info("Archiving to an archive that is new to this node", metadata: ["archive": "\(place)"])
            try found.write(in: dataPath, PosixFileSystem())
        }
        listeners.warning = { logger.warning("Archive: \($0)") }
        database.hold(archived: .zero)
        return Archiver(
            to: store,
            options: options,
            log: database.log,
            capture: { [weak database] in database?.captureState() },
            isElected: hooks.isElected,
            listeners: listeners
        )
    }

    /// What write concern and election have to do with archiving.
    static func archiveHooks(
        _ settings: Configuration,
        _ cluster: ClusterService?,
        _ acks: AckTracker
    ) -> ArchiveHooks {
        var hooks = ArchiveHooks()
        hooks.archived = { acks.archiveHolds($0) }
        if let cluster {
            let interval = UInt64(settings[Keys.s3SyncInterval].milliseconds)
            hooks.isElected = { cluster.isElected(intervalMilliseconds: interval) }
        }
        return hooks
    }

    /// Where the settings want the archive; nil when nowhere.
    static func archivePlace(_ settings: Configuration) throws -> ObjectStoreURL? {
        let bucket = settings[Keys.s3Bucket]
        guard !bucket.isEmpty else { return nil }
        return try CommandFailure.wrap {
            bucket.contains("://")
                ? try ObjectStoreURL(bucket) : try .checkedS3(bucket: bucket, prefix: settings[Keys.s3Prefix])
        }
    }
}

extension ArchiveFigures {
    init(_ status: ArchiveStatus) {
        self.init()
        place = status.place
        generation = status.generation
        lagEvents = status.lagEvents
        rpoSeconds = status.rpoSeconds
        lastSuccess = status.lastSuccess.map { Double($0) / 1000 }
        lastError = status.lastError
        waitingBytes = status.waitingBytes
        waitingLimitBytes = status.waitingBytesMax
    }
}
