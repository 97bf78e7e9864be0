import SpringgCluster
import SpringgLog
import SpringgProjections
import SpringgTestKit

/// A node of a simulated cluster: the real log, writer and projections on a simulated disk, the real state machine.
struct ReplicaNode {
    let index: Int
    var name: String { ReplicaNode.name(index) }
    let disk: SimulatedFileSystem
    /// Nil while it is down.
    var running: Running?
    /// Which life of the process this is: what belongs to an earlier one comes to nothing.
    var life = 0
    /// Milliseconds by which its wall clock is off.
    var clockOffset: Int64 = 0
    /// When the next tick is scheduled.
    var tickAt = Duration.zero
    /// What its disk held, durably, when it was last asked.
    var durable = VersionVector()

    static func name(_ index: Int) -> String { "n\(index)" }

    final class Running {
        let log: Log
        let state = Materializer()
        var batch: WriteBatch
        var core: Replication
        var isHolding = true
        var readers: [String: ShipmentReader] = [:]

        init(
            _ disk: SimulatedFileSystem,
            options: ReplicationOptions,
            expectsPeers: Bool,
            now: Duration,
            random: inout SeededRandom
        ) throws(LogError) {
            var logOptions = LogOptions()
            logOptions.segmentBytes = 8 << 10
            let state = state
            let (log, writer, report) = try Log.open(
                directory: "/log",
                options: logOptions,
                fileSystem: disk,
                newOrigin: OriginID(using: &random)
            ) { record throws(LogError) in try state.replay(record) }
            state.publish()
            log.markApplied(report.last)
            self.log = log
            batch = WriteBatch(
                writer: writer,
                materializer: state,
                limits: WriteLimits(),
                highestHLC: report.highestHLC,
                writesFail: { _ in }
            )
            core = Replication(
                options: options,
                origin: log.origin,
                vector: log.versionVector,
                expectsPeers: expectsPeers,
                now: now,
                random: SeededRandom(seed: random.next())
            )
        }

        func reader(for peer: String) -> ShipmentReader {
            if let reader = readers[peer] { return reader }
            let made = ShipmentReader(log)
            readers[peer] = made
            return made
        }
    }
}

/// A value that a completion leaves for the caller who has just flushed.
final class Slot<Value>: @unchecked Sendable {
    // Why @unchecked: everything here happens on one thread.
    var value: Value?
}
