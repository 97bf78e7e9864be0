import SpringgArchive
import SpringgCluster
import SpringgLog
import SpringgProjections
import SpringgTestKit

/// A node of a simulated cluster: the real log, writer and projections on a simulated disk, the real state machines.
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
    /// It lacks what the others' logs no longer have.
    var isOutOfReach = false
    /// Its next start is on an empty disk.
    var isNew = true

    static let data = "/data"
    static let log = data + "/log"
    static let checkpoints = data + "/checkpoints"

    static func name(_ index: Int) -> String { "n\(index)" }

    final class Running {
        let log: Log
        let state: Materializer
        var batch: WriteBatch
        var core: Replication
        var standing: Standing
        var isHolding = true
        /// A disk that is replaced or a directory that is begun may hold less than the node once said.
        var readers: [String: ShipmentReader] = [:]
        private let file: RosterFile

        init(
            _ disk: SimulatedFileSystem,
            name: String,
            options: ReplicationOptions,
            now: Duration,
            wall: UInt64,
            random: inout SeededRandom
        ) throws {
            try Log.io { () throws(FileSystemError) in try disk.createDirectory(ReplicaNode.data) }
            file = RosterFile(directory: ReplicaNode.data, fileSystem: disk)
            // A roster is replaced as a whole: a crash leaves the one or the other.
            guard let kept = try file.read() else { throw ReplicaSimulation.Violation("a roster is damaged") }
            standing = Standing(name: name, kept: kept, now: wall, chance: .random(in: 0 ... .max, using: &random))

            var (state, base) = (Materializer(), LogBase.beginning)
            let files = CheckpointFiles(directory: ReplicaNode.checkpoints, fileSystem: disk)
            for lsn in try Log.io({ () throws(FileSystemError) in try files.all() }) {
                guard let found = try? Materializer.restore(lsn, from: ReplicaNode.checkpoints, disk) else { continue }
                (state, base) = (found.materializer, found.base)
                break
            }
            var logOptions = LogOptions()
            logOptions.segmentBytes = 4 << 10
            self.state = state
            let (log, writer, report) = try Log.open(
                directory: ReplicaNode.log,
                options: logOptions,
                fileSystem: disk,
                newOrigin: OriginID(using: &random),
                from: base
            ) { record throws(LogError) in try state.replay(record) }
            state.publish()
            log.markApplied(report.last)
            log.markCheckpointed(base.lsn)
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
                expectsPeers: true,
                claim: standing.claim,
                now: now,
                random: SeededRandom(seed: random.next())
            )
            try keepRoster()
        }

        /// Writes the roster to disk when it has changed; throws when the disk takes it not, and then nothing is announced of it.
        func keepRoster() throws(FileSystemError) {
            guard let roster = standing.unkept else { return }
            try file.write(roster)
            standing.keep(roster)
        }

        /// It will give out no reading below this.
        var floor: HLC { HLC(log.settled.hlc.rawValue &+ 1) }

        func reader(for peer: String) -> ShipmentReader {
            if let reader = readers[peer] { return reader }
            let made = ShipmentReader(log, from: standing.name)
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
