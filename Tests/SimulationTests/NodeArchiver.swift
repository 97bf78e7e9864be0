import SpringgArchive
import SpringgCluster
import SpringgLog
import SpringgProjections
import SpringgTestKit

/// The real archiver of one life of a node, and who waits there for the archive.
final class NodeArchiver: @unchecked Sendable {
    // Why @unchecked: it is used by threads of which one runs at a time.
    let node: Int
    let life: Int
    let loop: ArchiverLoop
    let coroutine = Coroutine()
    /// Whether the turn that is under way waits for answers, or gets them at once.
    var isSlow = false
    var isRequested = false
    /// Of the turns that were scheduled the one that counts.
    var turn: UInt64 = 0
    /// Until when the last turn said that there is nothing to do.
    var waitsUntil: UInt64?
    /// The log may be removed up to here.
    var floor = LSN.zero
    var concern = WriteConcern()
    /// What those who wait have written, by their numbers.
    var waiting: [UInt64: (origin: OriginID, sequence: SpringgLog.Sequence)] = [:]

    init(
        _ node: Int,
        life: Int,
        _ running: ReplicaNode.Running,
        disk: SimulatedFileSystem,
        in archive: SimulatedArchive
    ) throws(ArchiveError) {
        self.node = node
        self.life = life
        var options = archive.options
        options.node = ReplicaNode.name(node)
        options.cluster = try ArchiveMemory.read(in: ReplicaNode.data, disk)?.cluster
        let (known, interval) = (options.cluster, options.syncInterval)
        let store = ReachedStore(archive)
        var listeners = Archiver.Listeners()
        listeners.archived = { if let archiver = store.archiver { store.archive.holds($0, archiver) } }
        listeners.floor = { store.archiver?.floor = $0 }
        listeners.opened = { identity in
            guard identity.cluster != known else { return }
            try ArchiveMemory(place: "memory", cluster: identity.cluster).write(in: ReplicaNode.data, disk)
        }
        let began = archive.cluster.wall(node)
        loop = ArchiverLoop(
            to: store,
            options: options,
            log: running.log,
            capture: {
                running.batch.flush()
                return disk.isStopped ? nil : running.state.captureState(heads: running.log.versionVector)
            },
            isElected: {
                guard let archiver = store.archiver, !running.standing.isForgotten else { return false }
                return ArchiverElection.isElected(
                    ReplicaNode.name(node),
                    among: archive.candidates(archiver),
                    now: archive.cluster.wall(node),
                    began: began,
                    interval: interval
                )
            },
            listeners: listeners,
            wallClock: { archive.cluster.wall(node) }
        )
        concern.hasArchive = true
        store.archiver = self
    }
}
