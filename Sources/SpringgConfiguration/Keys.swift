/// Every setting there is.
///
/// File, environment, flags, help, `springg config` and docs/configuration.md follow from here.
public enum Keys {
    // MARK: Server

    /// Port of the HTTP API.
    public static let port = ConfigurationKey("port", 8080, "Port of the HTTP API, 1 to 65535.") {
        (1...65535).contains($0) ? nil : "invalid port: \($0)"
    }
    /// Address to listen on.
    public static let bindAddress = ConfigurationKey(
        "bind_address",
        "0.0.0.0",
        "Address to listen on; 127.0.0.1 serves this machine alone."
    ) { $0.isEmpty ? "bind_address is required" : nil }
    /// Certificate of the API.
    public static let tlsCertificate = ConfigurationKey(
        "tls_certificate",
        "",
        "File of the certificate in PEM, followed by those that signed it: the API then speaks HTTPS only, TLS 1.2 and 1.3. "
            + "Taken anew when it changes. Needs tls_key."
    )
    /// Its key.
    public static let tlsKey = ConfigurationKey(
        "tls_key",
        "",
        "File of the certificate's private key in PEM, without a password; nobody but its owner and group may read it."
    )
    /// Whom to trust.
    public static let tlsCACertificate = ConfigurationKey(
        "tls_ca_certificate",
        "",
        "File of the authorities in PEM whose certificates of other nodes are trusted, by this node and by commands that ask one; "
            + "empty = the system's."
    )
    /// The name in certificates.
    public static let tlsServerName = ConfigurationKey(
        "tls_server_name",
        "",
        "Name that the certificates of all nodes carry, since nodes reach each other by address; empty = each carries its address."
    )
    /// Key that signs and verifies tokens.
    public static let jwtSecret = ConfigurationKey(
        "jwt_secret",
        "",
        "Key that signs and verifies tokens (HS256), at least 32 bytes. Required while require_jwt is true.",
        isSecret: true
    )
    /// Further keys that verify tokens.
    public static let jwtSecrets = ConfigurationKey(
        "jwt_secrets",
        "",
        "Further keys that verify tokens, separated by commas: kid:secret for tokens whose header names kid, a secret alone "
            + "for tokens that name none. For changing jwt_secret without turning clients away.",
        isSecret: true
    )
    /// Whether the API needs a token.
    public static let requireJWT = ConfigurationKey(
        "require_jwt",
        true,
        "Whether every request under /api but /api/health needs a token."
    )

    // MARK: Data

    /// Directory of the database.
    public static let dataPath = ConfigurationKey(
        "data_path",
        "/tmp/springg_data",
        "Directory of the database. Set it: many systems empty /tmp when they start."
    ) { $0.isEmpty ? "data_path is required" : nil }
    /// Accepted for the Go program's files.
    public static let dimensions = ConfigurationKey(
        "dimensions",
        1024,
        "Accepted from older files; an index is created with the dimensions its request names."
    ) { $0 > 0 ? nil : "dimensions must be positive: \($0)" }
    /// What an acknowledgement of a write means.
    public static let durability = choice(
        "durability",
        "fsync",
        ["fsync", "interval"],
        "fsync: a write is answered when it is on disk. interval: it is answered when it is written, "
            + "and synced within durability_interval; a power cut may lose that much."
    )
    /// Time between two syncs with `durability: interval`.
    public static let durabilityInterval = duration(
        "durability_interval",
        .milliseconds(50),
        "Time between two syncs with durability interval, 1ms to 1m.",
        .milliseconds(1)...(.seconds(60))
    )
    /// Size of one file of the log.
    public static let logSegmentMB = integer(
        "log_segment_mb",
        64,
        "Size of one file of the log in MiB, 1 to 1024.",
        1...1024
    )
    /// Whether log files are filled with zeros ahead of the writes.
    public static let logWriteZerosAhead = ConfigurationKey(
        "log_write_zeros_ahead",
        false,
        "Fill log files with zeros ahead of the writes: a sync is faster, twice the bytes are written."
    )
    /// Time between two checkpoints.
    public static let persistenceInterval = ConfigurationKey(
        "persistence_interval",
        GoDuration.seconds(300),
        "Time between two checkpoints, which make a start short; 0 = one at each stop only."
    )
    /// Time for which the log is kept.
    public static let logRetention = duration(
        "log_retention",
        .seconds(7 * 86_400),
        "Time for which every event is kept in the log, for audit and restoring the past, up to 87600h; 0s = for ever.",
        .seconds(0)...(.seconds(87_600 * 3600))
    )
    /// Size up to which the log is kept.
    public static let logRetentionMB = limit(
        "log_retention_mb",
        4096,
        "Size in MiB up to which the log is kept: beyond it the oldest segments go, however young, once a checkpoint has them."
    )
    /// Space that log and checkpoints may take.
    public static let maxDiskMB = limit(
        "max_disk_mb",
        0,
        "Space that log and checkpoints may take, in MiB; at the bound writes are answered 507, and reads go on."
    )

    // MARK: Limits

    /// Vectors that one index may hold.
    public static let maxVectorsPerIndex = limit("max_vectors_per_index", 100_000, "Vectors that one index may hold.")
    /// Vectors of an index that may wait to be linked into its graph.
    public static let maxUnindexedRows = limit(
        "max_unindexed_rows",
        50_000,
        "Vectors of one index that may wait to be linked into its graph, a sixteenth of it while searches meet them; beyond "
            + "it writes are slowed, never refused."
    )
    /// Memory that the data may take.
    public static let maxMemoryMB = limit("max_memory_mb", 2048, "Memory that all data may take, in MiB.")
    /// Bulk requests that may run at once.
    public static let maxConcurrentBulkRequests = limit(
        "max_concurrent_bulk_requests",
        2,
        "Bulk requests that may run at once; more are answered 429."
    )
    /// CPU use above which bulk requests are turned away.
    public static let bulkCPUThresholdPercent = ConfigurationKey(
        "bulk_cpu_threshold_percent",
        80.0,
        "CPU use in percent above which bulk requests are answered 429, 0 to 100; 0 = off."
    ) { (0...100).contains($0) ? nil : "invalid bulk_cpu_threshold_percent: \($0) (must be 0 to 100)" }
    /// Processor time of the probe of live queries.
    public static let recallProbe = ConfigurationKey(
        "recall_probe",
        1.0,
        "Share of one core, in percent, for comparing a few live queries with every vector, so that the stats show "
            + "their recall, 0 to 100; 0 = off."
    ) { (0...100).contains($0) ? nil : "invalid recall_probe: \($0) (must be 0 to 100)" }
    /// How long work may be expected to wait for a thread.
    public static let maxSearchWait = timeout(
        "max_search_wait",
        1,
        "Time that a search or a large bulk request may have to wait for a thread, by an estimate; beyond it, it is answered 503 "
            + "at once."
    )
    /// Requests a second that one address may make.
    public static let rateLimitPerSecond = limit(
        "rate_limit_per_second",
        100,
        "Requests a second that one address may make; more are answered 429."
    )
    /// Requests that one address may make at once.
    public static let rateLimitBurst = integer(
        "rate_limit_burst",
        100,
        "Requests that one address may make at once after a rest, up to 1000000; 0 = as rate_limit_per_second.",
        0...1_000_000
    )
    /// Largest body of a request.
    public static let maxBodyMB = integer(
        "max_body_mb",
        100,
        "Largest body of a request in MiB, 0 to 1024; 0 = off.",
        0...1024
    )
    /// Who may say on whose behalf a request comes.
    public static let trustedProxies = ConfigurationKey(
        "trusted_proxies",
        "",
        "Addresses and networks (10.0.0.0/8), separated by commas, of proxies whose X-Forwarded-For is believed: "
            + "rate_limit_per_second then counts the clients behind them."
    )
    /// Size of a request's head.
    public static let maxHeaderKB = ConfigurationKey(
        "max_header_kb",
        64,
        "Largest head of a request, its target and headers, in KiB, 0 to 1024; larger ones are answered 431. 0 = off."
    ) { (0...1024).contains($0) ? nil : "invalid max_header_kb: \($0) (must be 0 to 1024)" }
    /// Connections open at once.
    public static let maxConnections = limit("max_connections", 4096, "Connections open at once.")

    // MARK: Time-outs

    /// Time that one request may take.
    public static let requestTimeout = timeout("request_timeout", 60, "Time that one request may take.")
    /// Time in which a request must have arrived.
    public static let readTimeout = timeout("read_timeout", 15, "Time in which a request must have arrived whole.")
    /// Time that a client may take to read.
    public static let writeTimeout = timeout("write_timeout", 15, "Time that a client may take to read an answer.")
    /// Time that a connection may rest.
    public static let idleTimeout = timeout("idle_timeout", 60, "Time that a connection may rest between requests.")
    /// Time that running requests have at a stop.
    public static let shutdownGrace = duration(
        "shutdown_grace",
        .seconds(8),
        "Time that running requests have to finish when the server is stopped, up to 5m.",
        .seconds(0)...(.seconds(300))
    )

    // MARK: Threads and logging

    /// Threads that serve connections.
    public static let ioThreads = integer(
        "io_threads",
        0,
        "Threads that serve connections, up to 256; 0 = one for each core.",
        0...256
    )
    /// Threads that search.
    public static let searchThreads = integer(
        "search_threads",
        0,
        "Threads that search, up to 256; 0 = one for each core.",
        0...256
    )
    /// Threads that link vectors into graphs.
    public static let indexingThreads = integer(
        "indexing_threads",
        0,
        "Threads that link vectors into graphs, at a low priority, up to 64; 0 = one for each core.",
        0...64
    )
    /// Whether the processor time of requests is divided.
    public static let measureStages = ConfigurationKey(
        "measure_stages",
        false,
        "Show at /metrics how much processor time requests take for reading and writing bodies and for their work; costs "
            + "them one or two microseconds each."
    )
    /// Least important log lines that are written.
    public static let logLevel = choice(
        "log_level",
        "info",
        ["debug", "info", "warn", "error"],
        "Least important lines to log: debug (each request too), info, warn or error."
    )
    /// Form of the log lines.
    public static let logFormat = choice(
        "log_format",
        "text",
        ["text", "json"],
        "Form of the log on standard error: text for people, json for collectors."
    )

    // MARK: Archive

    /// Bucket of the archive.
    public static let s3Bucket = ConfigurationKey(
        "s3_bucket",
        "",
        "Bucket to which every event and snapshots are archived, or file:///DIRECTORY; empty = no archive."
    )
    /// Region of the bucket.
    public static let s3Region = ConfigurationKey("s3_region", "us-east-1", "Region of s3_bucket.")
    /// Endpoint of a service that is not AWS.
    public static let s3Endpoint = ConfigurationKey(
        "s3_endpoint",
        "",
        "http://HOST:PORT or https://HOST:PORT of an S3 service that is not AWS."
    )
    /// What the keys of all objects begin with.
    public static let s3Prefix = ConfigurationKey(
        "s3_prefix",
        "",
        "What the keys of all objects in the bucket begin with; each cluster has its own."
    )
    /// Whether the bucket stands in the path.
    public static let s3ForcePathStyle = ConfigurationKey(
        "s3_force_path_style",
        false,
        "Whether the bucket stands in the path of a request instead of the host's name, as some services need it."
    )
    /// Encryption by the store.
    public static let s3SSE = choice(
        "s3_sse",
        "bucket",
        ["bucket", "AES256", "aws:kms"],
        "Encryption that is asked for with each object: AES256 or aws:kms; bucket = as the bucket is set."
    )
    /// Key of the encryption.
    public static let s3SSEKMSKeyID = ConfigurationKey(
        "s3_sse_kms_key_id",
        "",
        "Key for s3_sse aws:kms; empty = the account's default key."
    )
    /// Whether an empty node takes the state from the archive.
    public static let s3Bootstrap = ConfigurationKey(
        "s3_bootstrap",
        true,
        "Whether a node whose data directory is empty begins with what the archive has; false = begin empty."
    )
    /// Time between two archive runs.
    public static let s3SyncInterval = duration(
        "s3_sync_interval",
        .seconds(300),
        "Time between two rounds of archiving, 1s to 24h; a full segment of the log begins one earlier.",
        .seconds(1)...(.seconds(86_400))
    )
    /// Time between two snapshots.
    public static let s3SnapshotInterval = duration(
        "s3_snapshot_interval",
        .seconds(86_400),
        "Time between two snapshots in the archive, up to 8760h: a restore reads the events behind one. 0s = none but "
            + "where the log no longer reaches back.",
        .seconds(0)...(.seconds(8760 * 3600))
    )
    /// Time for which the archive keeps every moment.
    public static let s3Retention = duration(
        "s3_retention",
        .seconds(0),
        "Time for which every moment can be restored from the archive, up to 87600h; 0s = for ever.",
        .seconds(0)...(.seconds(87_600 * 3600))
    )

    // MARK: Cluster

    /// Whether nodes form a cluster.
    public static let clusterEnabled = ConfigurationKey(
        "cluster_enabled",
        true,
        "Whether this node is of a cluster: it opens its gossip port when this is set to true, or when cluster_seeds are given. "
            + "Every write then goes to all nodes."
    )
    /// Port of the gossip.
    public static let clusterBindPort = ConfigurationKey(
        "cluster_bind_port",
        7946,
        "Port of the gossip, UDP and TCP, 1 to 65535."
    ) { (1...65535).contains($0) ? nil : "invalid cluster_bind_port: \($0) (must be 1 to 65535)" }
    /// Address of the gossip.
    public static let clusterBindAddress = ConfigurationKey(
        "cluster_bind_address",
        "",
        "Address on which gossip listens; empty = bind_address."
    )
    /// Address that others are told.
    public static let clusterAdvertiseAddress = ConfigurationKey(
        "cluster_advertise_address",
        "",
        "Numeric address under which other nodes reach this one; empty = cluster_bind_address, or this machine's own."
    )
    /// Where to find others.
    public static let clusterSeeds = ConfigurationKey(
        "cluster_seeds",
        "",
        "Some nodes of the cluster, separated by commas: name, address, name:port or [address]:port. "
            + "Names are looked up again and again."
    )
    /// Name of the node.
    public static let nodeID = ConfigurationKey(
        "node_id",
        "",
        "Name of this node, unlike that of any other; empty = local- and its address."
    ) { $0.utf8.count <= 128 ? nil : "invalid node_id: longer than 128 bytes" }
    /// Name of the cluster.
    public static let clusterLabel = ConfigurationKey(
        "cluster_label",
        "",
        "Name of the cluster; gossip of another is refused. Agents of memberlist before 0.3 know no labels."
    ) { $0.utf8.count <= 255 ? nil : "invalid cluster_label: longer than 255 bytes" }
    /// Keys of the gossip.
    public static let clusterKeys = ConfigurationKey(
        "cluster_keys",
        "",
        "AES keys of 16, 24 or 32 bytes in base64, separated by commas: the first encrypts gossip, each decrypts it.",
        isSecret: true
    )

    /// How nodes find each other beyond the seeds.
    public static let clusterDiscovery = choice(
        "cluster_discovery",
        "auto",
        ["auto", "ec2", "none"],
        "ec2: the other instances of this one's Auto Scaling group are seeds too, and its id is the node's name. auto: the "
            + "same on EC2 when cluster_enabled is set to true and no cluster_seeds are given. none: seeds alone."
    )
    /// How many members make a majority.
    public static let clusterSize = integer(
        "cluster_size",
        0,
        "Members that the cluster is to have, for majorities, up to 10000; 0 = all that were ever seen and not forgotten.",
        0...10_000
    )
    /// What a write has to reach.
    public static let defaultAck = choice(
        "default_ack",
        "local",
        ["local", "peer", "quorum", "s3"],
        "What a write has to reach before it is answered 200, when it does not say (?ack=): this disk, one more, those of a "
            + "majority of the members, or the archive."
    )
    /// How long a write waits.
    public static let ackTimeout = duration(
        "ack_timeout",
        .seconds(5),
        "Time that a write waits for what it has to reach before it is answered 202, and a request for the event of "
            + "X-Springg-After before it is answered 503, 1ms to 5m; at most half of request_timeout is waited.",
        .milliseconds(1)...(.seconds(300))
    )
    /// What replication may take of the network.
    public static let replicationBandwidth = integer(
        "replication_bandwidth_mbps",
        0,
        "Megabits a second of events that this node sends to all others together, up to 1000000; 0 = no bound. What others fetch "
            + "by themselves counts too, and so do snapshots for new nodes.",
        0...1_000_000
    )
    /// How long deleted ids are kept at least.
    public static let tombstoneGrace = duration(
        "tombstone_grace",
        .seconds(3600),
        "Time for which what is known of a deleted id or index is kept at least, so that nodes that wrote apart may still join, up "
            + "to 87600h; after it, it is dropped once every member has seen the deletion.",
        .seconds(0)...(.seconds(87_600 * 3600))
    )
    /// How wrong the clock may be.
    public static let maxClockOffset = duration(
        "max_clock_offset",
        .milliseconds(500),
        "A node whose clock is further than this from those of most of its peers takes no writes until it is right, up to 1h; "
            + "0s = off.",
        .seconds(0)...(.seconds(3600))
    )

    /// All of them, in the order of the reference.
    public static let all: [any AnyConfigurationKey] = [
        port, bindAddress, tlsCertificate, tlsKey, tlsCACertificate, tlsServerName, jwtSecret, jwtSecrets, requireJWT,
        dataPath, dimensions, durability, durabilityInterval,
        logSegmentMB,
        logWriteZerosAhead, logRetention, logRetentionMB, maxDiskMB, persistenceInterval, maxVectorsPerIndex,
        maxUnindexedRows, maxMemoryMB, recallProbe, maxConcurrentBulkRequests,
        bulkCPUThresholdPercent, maxSearchWait, rateLimitPerSecond, rateLimitBurst, trustedProxies, maxBodyMB,
        maxHeaderKB,
        maxConnections,
        requestTimeout,
        readTimeout, writeTimeout, idleTimeout, shutdownGrace, ioThreads, searchThreads, indexingThreads, measureStages,
        logLevel,
        logFormat, s3Bucket, s3Region, s3Endpoint, s3Prefix, s3ForcePathStyle, s3SSE, s3SSEKMSKeyID, s3Bootstrap,
        s3SyncInterval, s3SnapshotInterval, s3Retention,
        clusterEnabled, clusterBindPort, clusterBindAddress, clusterAdvertiseAddress, clusterSeeds, nodeID,
        clusterLabel, clusterKeys,
        clusterDiscovery, clusterSize, defaultAck, ackTimeout, replicationBandwidth, maxClockOffset, tombstoneGrace,
    ]

    /// The setting of a name, or nil.
    public static func named(_ name: String) -> (any AnyConfigurationKey)? { all.first { $0.name == name } }
}

// MARK: - Kinds of settings that several keys share

/// An integer within bounds.
private func integer(
    _ name: String,
    _ defaultValue: Int,
    _ meaning: String,
    _ range: ClosedRange<Int>
) -> ConfigurationKey<Int> {
    ConfigurationKey(name, defaultValue, meaning) {
        range.contains($0) ? nil : "invalid \(name): \($0) (must be \(range.lowerBound) to \(range.upperBound))"
    }
}

/// A count that 0 turns off; a million millions is more than any machine holds and keeps products within 64 bits.
private func limit(_ name: String, _ defaultValue: Int, _ meaning: String) -> ConfigurationKey<Int> {
    integer(name, defaultValue, meaning + " 0 = off.", 0...1_000_000_000_000)
}

/// A duration within bounds.
private func duration(
    _ name: String,
    _ defaultValue: GoDuration,
    _ meaning: String,
    _ range: ClosedRange<GoDuration>
) -> ConfigurationKey<GoDuration> {
    ConfigurationKey(name, defaultValue, meaning) {
        range.contains($0) ? nil : "invalid \(name): \($0) (must be \(range.lowerBound) to \(range.upperBound))"
    }
}

/// A time-out that 0 turns off; a day is the longest.
private func timeout(_ name: String, _ seconds: Int64, _ meaning: String) -> ConfigurationKey<GoDuration> {
    duration(name, .seconds(seconds), meaning + " 0s = off.", .seconds(0)...(.seconds(86_400)))
}

/// One word of a list.
private func choice(
    _ name: String,
    _ defaultValue: String,
    _ words: [String],
    _ meaning: String
) -> ConfigurationKey<String> {
    // Go's text for four words is "a, b, c, or d"; for two it reads better as "a or b".
    let list =
        words.count == 2
        ? words.joined(separator: " or ")
        : words.dropLast().joined(separator: ", ") + ", or " + (words.last ?? "")
    return ConfigurationKey(name, defaultValue, meaning) {
        words.contains($0) ? nil : "invalid \(name): \($0) (must be \(list))"
    }
}
