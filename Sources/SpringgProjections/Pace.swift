/// What of the writer's work waits for the indexer: a value that is asked between two batches.
///
/// Every search compares the rows that no graph holds yet, so clients are slowed to the pace of linking once too many wait. Events of
/// other nodes are not: what a node has not taken it can lose, and its own writers have been slowed for these rows already. A node that
/// catches up has as many rows to link as one that has read its log without a checkpoint, and searches it in the same way. But where
/// memory is scarce, rows that only a graph still holds have to go first, whoever writes.
struct Pace {
    enum Verdict: Equatable {
        case go
        case commandsWait
        case allWait
    }

    /// What an index had to do when the waiting began, and how long it is waited for at least.
    private var waiting: (backlog: Int, until: UInt64)?

    /// After so long the question is asked again.
    static let stepNanoseconds: UInt64 = 2_000_000
    /// Time enough for the indexer to get on by a row; should it not, writes are worth more than its graph.
    private static let patienceNanoseconds: UInt64 = 1_000_000_000

    /// `index` is the one that is most behind of those that were written to last.
    mutating func verdict(_ index: VectorIndex?, _ indexer: Indexer, now: UInt64) -> Verdict {
        guard let index, let lateness = indexer.lateness(of: index) else {
            waiting = nil
            return .go
        }
        let backlog = index.backlog
        if let waiting, now >= waiting.until, backlog >= waiting.backlog {
            self.waiting = nil
            return .go
        }
        if waiting.map({ now >= $0.until }) ?? true { waiting = (backlog, now + Pace.patienceNanoseconds) }
        return lateness == .memory ? .allWait : .commandsWait
    }
}
