/// Who archives now.
///
/// Once half of an interval has passed since anybody archived: the node whose last archiving is oldest, and of several the
/// one with the lowest id. So the work goes round, and one node does it in an interval. Until then it stays with the one
/// that archived last, for what cannot wait. A pure function of what the members say of themselves; they may see each
/// other differently, and two may believe that they are elected. That costs work and nothing else, since the archive takes
/// each generation once.
///
/// A node that is elected and does not deliver, because its key has no rights or its disk is slow, would stay the oldest
/// for ever. So for every further interval in which nobody has archived, one more node in that order is elected.
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
    ///   - began: When the node began to take part; counts when nobody is known to have archived.
    ///   - interval: Milliseconds between two archivings.
    /// - Returns: True when it does.
    package static func isElected(
        _ nodeID: String,
        among candidates: [Candidate],
        now: UInt64,
        began: UInt64,
        interval: UInt64
    ) -> Bool {
        // Of a clock that is ahead nothing can be told but that there was an archiving; one that is far ahead, or was, does not even say
        // that it was lately, and would keep all others waiting until that time has come.
        let heard = candidates.map { candidate in
            let isFar = candidate.lastArchivedAt > now && candidate.lastArchivedAt - now > interval
            return Candidate(nodeID: candidate.nodeID, lastArchivedAt: isFar ? 0 : candidate.lastArchivedAt)
        }
        let order = order(heard)
        guard let rank = order.firstIndex(where: { $0.nodeID == nodeID }) else { return false }
        func missed(_ milliseconds: UInt64) -> UInt64 { interval > 0 ? milliseconds / interval : .max }
        let newest = heard.map { min($0.lastArchivedAt, now) }.max() ?? 0
        guard newest > 0 else { return UInt64(rank) <= missed(now - min(began, now)) }
        let age = now - newest
        guard age >= interval / 2 else { return rank == order.count - 1 }
        return UInt64(rank) <= missed(age - interval / 2)
    }
}
