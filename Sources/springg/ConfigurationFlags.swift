import ArgumentParser
import SpringgConfiguration

/// `--config FILE`, on every command that needs settings.
struct ConfigurationFileOption: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "Read this file instead of ./springg.json or $HOME/springg.json.",
            valueName: "file"
        )
    )
    var file: String?
}

/// One flag for every key of the table.
///
/// Names, kinds and help come from there; only the list stands here, because the parser finds flags by looking at the
/// properties of a type.
struct ConfigurationFlags: ParsableArguments {
    @Option(Keys.port) var port: String?
    @Option(Keys.bindAddress) var bindAddress: String?
    @Option(Keys.tlsCertificate) var tlsCertificate: String?
    @Option(Keys.tlsKey) var tlsKey: String?
    @Option(Keys.tlsCACertificate) var tlsCACertificate: String?
    @Option(Keys.tlsServerName) var tlsServerName: String?
    @Option(Keys.jwtSecret) var jwtSecret: String?
    @Option(Keys.jwtSecrets) var jwtSecrets: String?
    @Option(Keys.requireJWT) var requireJWT: String?
    @Option(Keys.dataPath) var dataPath: String?
    @Option(Keys.dimensions) var dimensions: String?
    @Option(Keys.durability) var durability: String?
    @Option(Keys.durabilityInterval) var durabilityInterval: String?
    @Option(Keys.logSegmentMB) var logSegmentMB: String?
    @Option(Keys.logWriteZerosAhead) var logWriteZerosAhead: String?
    @Option(Keys.logRetention) var logRetention: String?
    @Option(Keys.logRetentionMB) var logRetentionMB: String?
    @Option(Keys.maxDiskMB) var maxDiskMB: String?
    @Option(Keys.persistenceInterval) var persistenceInterval: String?
    @Option(Keys.maxVectorsPerIndex) var maxVectorsPerIndex: String?
    @Option(Keys.maxUnindexedRows) var maxUnindexedRows: String?
    @Option(Keys.maxMemoryMB) var maxMemoryMB: String?
    @Option(Keys.recallProbe) var recallProbe: String?
    @Option(Keys.maxConcurrentBulkRequests) var maxConcurrentBulkRequests: String?
    @Option(Keys.bulkCPUThresholdPercent) var bulkCPUThresholdPercent: String?
    @Option(Keys.maxSearchWait) var maxSearchWait: String?
    @Option(Keys.rateLimitPerSecond) var rateLimitPerSecond: String?
    @Option(Keys.rateLimitBurst) var rateLimitBurst: String?
    @Option(Keys.trustedProxies) var trustedProxies: String?
    @Option(Keys.maxBodyMB) var maxBodyMB: String?
    @Option(Keys.maxHeaderKB) var maxHeaderKB: String?
    @Option(Keys.maxConnections) var maxConnections: String?
    @Option(Keys.requestTimeout) var requestTimeout: String?
    @Option(Keys.readTimeout) var readTimeout: String?
    @Option(Keys.writeTimeout) var writeTimeout: String?
    @Option(Keys.idleTimeout) var idleTimeout: String?
    @Option(Keys.shutdownGrace) var shutdownGrace: String?
    @Option(Keys.ioThreads) var ioThreads: String?
    @Option(Keys.searchThreads) var searchThreads: String?
    @Option(Keys.indexingThreads) var indexingThreads: String?
    @Option(Keys.measureStages) var measureStages: String?
    @Option(Keys.logLevel) var logLevel: String?
    @Option(Keys.logFormat) var logFormat: String?
    @Option(Keys.s3Bucket) var s3Bucket: String?
    @Option(Keys.s3Region) var s3Region: String?
    @Option(Keys.s3Endpoint) var s3Endpoint: String?
    @Option(Keys.s3Prefix) var s3Prefix: String?
    @Option(Keys.s3ForcePathStyle) var s3ForcePathStyle: String?
    @Option(Keys.s3SSE) var s3SSE: String?
    @Option(Keys.s3SSEKMSKeyID) var s3SSEKMSKeyID: String?
    @Option(Keys.s3Bootstrap) var s3Bootstrap: String?
    @Option(Keys.s3SyncInterval) var s3SyncInterval: String?
    @Option(Keys.s3SnapshotInterval) var s3SnapshotInterval: String?
    @Option(Keys.s3Retention) var s3Retention: String?
    @Option(Keys.clusterEnabled) var clusterEnabled: String?
    @Option(Keys.clusterBindPort) var clusterBindPort: String?
    @Option(Keys.clusterBindAddress) var clusterBindAddress: String?
    @Option(Keys.clusterAdvertiseAddress) var clusterAdvertiseAddress: String?
    @Option(Keys.clusterSeeds) var clusterSeeds: String?
    @Option(Keys.nodeID) var nodeID: String?
    @Option(Keys.clusterLabel) var clusterLabel: String?
    @Option(Keys.clusterKeys) var clusterKeys: String?
    @Option(Keys.clusterDiscovery) var clusterDiscovery: String?
    @Option(Keys.clusterSize) var clusterSize: String?
    @Option(Keys.defaultAck) var defaultAck: String?
    @Option(Keys.ackTimeout) var ackTimeout: String?
    @Option(Keys.replicationBandwidth) var replicationBandwidthMbps: String?
    @Option(Keys.maxClockOffset) var maxClockOffset: String?
    @Option(Keys.tombstoneGrace) var tombstoneGrace: String?

    /// Key name → text, of the flags that were given.
    func given() -> [String: String] {
        var texts: [String: String] = [:]
        var flagCount = 0
        for child in Mirror(reflecting: self).children {
            guard let option = child.value as? Option<String?>, let label = child.label else { continue }
            flagCount += 1
            let key = Keys.all.first { ConfigurationFlags.squeezed($0.name) == ConfigurationFlags.squeezed(label) }
            guard let key else { preconditionFailure("the flag \(label) belongs to no key") }
            texts[key.name] = option.wrappedValue
        }
        precondition(flagCount == Keys.all.count, "\(flagCount) flags for \(Keys.all.count) keys")
        // For the Go program --port 0 meant "as configured"; unit files may still say so.
        if texts[Keys.port.name] == "0" { texts[Keys.port.name] = nil }
        return texts
    }

    /// `_requireJWT` and `require_jwt` alike become `requirejwt`.
    private static func squeezed(_ name: String) -> String { name.lowercased().filter { $0 != "_" } }
}

extension Option where Value == String? {
    /// The flag of a key.
    ///
    /// A true/false key may stand without a value, which means true.
    init(_ key: some AnyConfigurationKey) {
        let defaultText = key.defaultValue.text
        let help = ArgumentHelp(
            "\(key.meaning)" + (defaultText.isEmpty ? "" : " (default: \(defaultText))"),
            valueName: key.defaultValue is Bool ? "true|false" : key.kind
        )
        if key.defaultValue is Bool {
            self.init(wrappedValue: nil, name: .customLong(key.flagName), defaultAsFlag: "true", help: help)
        } else {
            self.init(name: .customLong(key.flagName), help: help)
        }
    }
}
