/// Who archives now.
///
/// The node whose last archiving is oldest, and of several the one with the lowest id: so the work goes round. A pure
/// function of what the members say of themselves; they may see each other differently, and two may believe that they are
/// elected. That costs work and nothing else, since the archive takes each generation once.
///
/// A node that is elected and does not deliver, because its key has no rights or its disk is slow, would stay the oldest
/// for ever. So for every interval in which nobody has archived, one more node in that order is elected.
package enum ArchiverElection {
    /// What a live node with an archive says of itself.
    package struct Candidate: Equatable, Sendable {
        /// Its name.
        package var nodeID: String
        /// Unix time in milliseconds of its last archiving; 0 for never.
        package var lastArchivedAt: UInt64

        package init(nodeID: String, lastArchivedAt: UInt64) {
            self.nodeID = nodeID
            self.lastArchivedAt = lastArchivedAt
        }
    }

    /// The candidates, whoever is elected first in front.
    package static func order(_ candidates: [Candidate]) -> [Candidate] {
        candidates.sorted { a, b in
            a.lastArchivedAt != b.lastArchivedAt
                ? a.lastArchivedAt < b.lastArchivedAt : a.nodeID.utf8.lexicographicallyPrecedes(b.nodeID.utf8)
        }
    }

    /// Whether a node archives now.
    ///
    /// - Parameters:
    ///   - nodeID: The node that asks; one that is no candidate is never elected.
    ///   - candidates: All live nodes with an archive, itself included.
    ///   - now: Unix time in milliseconds.
    ///   - began: When the node began to take part; the time before does not count as one in which nobody archived.
    ///   - interval: Milliseconds between two archivings.
    /// - Returns: True when it does.
    package static func isElected(
        _ nodeID: String,
        among candidates: [Candidate],
        now: UInt64,
        began: UInt64,
        interval: UInt64
    ) -> Bool {
        guard let rank = order(candidates).firstIndex(where: { $0.nodeID == nodeID }) else { return false }
        // Of a clock that is ahead nothing can be told but that there was an archiving.
        let newest = max(began, candidates.map { min($0.lastArchivedAt, now) }.max() ?? 0)
        let missed = interval > 0 && now > newest ? (now - newest) / interval : 0
        // The first interval after an archiving is not missed: it is the pause between two.
        return UInt64(rank) < max(1, missed)
    }
}
