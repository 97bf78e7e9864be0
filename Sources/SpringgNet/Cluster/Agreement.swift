import SpringgCluster
import SpringgLog

/// Two nodes compared by what they announce.
struct Agreement: Equatable {
    enum Digests: String {
        /// They hold the same events, and show the same.
        case equal
        /// They hold the same events, and do not show the same: a defect of the program or of a machine.
        case differ
        /// They hold different events, or have not said anything of one moment.
        case unknown
    }

    /// Events that we hold and the peer does not, and the other way round.
    let lag: Int
    let lead: Int
    let digests: Digests

    init(ours: NodeState, theirs: NodeState, theirLong: NodeState?) {
        func heads(_ origin: OriginID) -> UInt64 {
            // The short form is newer; the long one has what there was no room for.
            max(theirs.heads[origin].sequence.rawValue, theirLong?.heads[origin].sequence.rawValue ?? 0)
        }
        var (lag, lead) = (0, 0)
        let origins = Set(ours.heads.origins + theirs.heads.origins + (theirLong?.heads.origins ?? []))
        for origin in origins {
            let (here, there) = (ours.heads[origin].sequence.rawValue, heads(origin))
            if here > there { lag += Int(clamping: here - there) } else { lead += Int(clamping: there - here) }
        }
        (self.lag, self.lead) = theirs.headsHash == ours.headsHash ? (0, 0) : (lag, lead)
        let none = NodeState.Digest(low: 0, high: 0)
        if ours.headsHash != theirs.headsHash || ours.digest == none || theirs.digest == none {
            digests = ours.headsHash == theirs.headsHash && ours.heads.origins.isEmpty ? .equal : .unknown
        } else {
            digests = ours.digest == theirs.digest ? .equal : .differ
        }
    }

    /// The indexes of which two long forms say different things.
    static func differing(_ a: NodeState, _ b: NodeState) -> [String] {
        Set(a.indexDigests.keys).union(b.indexDigests.keys).filter { a.indexDigests[$0] != b.indexDigests[$0] }.sorted()
    }
}
