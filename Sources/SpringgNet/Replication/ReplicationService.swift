package import Logging
package import SpringgCluster
package import SpringgLog
package import SpringgProjections
import Synchronization

/// Replication on real sockets and threads: a loop that asks the state machine, and a link for each peer.
package final class ReplicationService: Sendable {
    private let inbox = ReplicationInbox()
    private let board: StatusBoard
    private let thread: WriterThread
    private let isStopped = Atomic(false)
    /// Newest events in memory, for the peers that keep up: what some gatherings of the fastest writers come to.
    private static let tailBytes = 16 << 20

    /// Begins to ship and to ask.
    ///
    /// - Parameters:
    ///   - database: Opened with `holdsCommands`: commands are taken once it is clear under which origin.
    ///   - options: Sizes and intervals.
    ///   - access: With what this node comes to the others.
    ///   - bandwidth: What others fetch, within the same bound.
    ///   - cluster: Who the members are, and where this node stands with them.
    ///   - expectsPeers: There are others, whether they can be found or not.
    ///   - logger: Gets a line for each peer that stops answering or answers again, and for what needs a person.
    ///   - members: The others; asked several times a second.
    ///   - holds: Told, on the loop's thread, whenever a peer has said what it holds durably.
    package init(
        _ database: Database,
        options: ReplicationOptions = ReplicationOptions(),
        access: PeerAccess,
        bandwidth: ServedBandwidth,
        cluster: ClusterService,
        expectsPeers: Bool,
        logger: Logger,
        members: @escaping @Sendable () -> [PeerAddress],
        holds: @escaping @Sendable (String, VersionVector) -> Void = { _, _ in }
    ) {
        database.log.keepTail(bytesMax: Self.tailBytes)
        let (inbox, board) = (self.inbox, StatusBoard())
        self.board = board
        thread = WriterThread(name: "springg-replica") {
            let loop = ReplicationLoop(
                database,
                options,
                access: access,
                cluster: cluster,
                bandwidth: bandwidth,
                expectsPeers: expectsPeers,
                logger,
                inbox,
                board,
                members,
                holds
            )
            loop.run()
        }
    }

    /// How it goes; at most a fraction of a second old.
    package var status: ReplicationStatus { board.status }

    /// Ships what is durable at once: somebody waits for it.
    package func hurry() { inbox.post(.hurry) }

    /// Looks at once who the others are.
    package func look() { inbox.post(.look) }

    /// A peer was heard of by another way: the next attempt to reach it need not wait any longer.
    package func heard(of peer: String) {
        guard let breaker = status.peer(peer)?.breaker, breaker != .closed else { return }
        inbox.post(.heard(peer))
    }

    /// Waits until commands are taken, or it is clear that they are not; false when that takes longer, or may take for ever.
    ///
    /// Blocking.
    package func waitUntilOriginating(seconds: Double) -> Bool {
        _ = board.wait(seconds: seconds) { $0.isOriginating || $0.isExpelled || $0.isAwaitingOthers }
        let status = board.status
        return status.isOriginating || status.isExpelled
    }

    /// Waits, at most so long, until every peer that answers holds what this node has written, then ends.
    ///
    /// Blocking; only the first call does anything.
    package func stop(afterShippingFor seconds: Double) {
        guard !isStopped.exchange(true, ordering: .acquiringAndReleasing) else { return }
        _ = board.wait(seconds: seconds) { status in
            status.peers.allSatisfy { $0.address == nil || $0.breaker != .closed || $0.lagSeconds == 0 }
        }
        inbox.post(.stop)
        thread.join()
    }
}

/// Where the loop leaves its status.
final class StatusBoard: @unchecked Sendable {
    // Why @unchecked: `content` is only touched while `doorbell` is locked.
    private let doorbell = Doorbell()
    private var content = ReplicationStatus()

    var status: ReplicationStatus { doorbell.withLock { content } }

    func post(_ status: ReplicationStatus) {
        doorbell.withLock { content = status }
        doorbell.ring()
    }

    func wait(seconds: Double, until condition: (ReplicationStatus) -> Bool) -> Bool {
        let deadline = monotonicNanoseconds() + UInt64(max(0, seconds) * 1e9)
        return doorbell.withLock {
            while !condition(content) {
                let now = monotonicNanoseconds()
                guard now < deadline else { return false }
                doorbell.wait(nanoseconds: deadline - now)
            }
            return true
        }
    }
}
