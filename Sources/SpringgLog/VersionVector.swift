/// Origin → highest contiguous sequence held, with the chain up to there.
public struct VersionVector: Equatable, Sendable {
    /// How far one origin's stream is held.
    public struct Head: Equatable, Sendable {
        /// The highest sequence held without a gap below it.
        public var sequence: Sequence
        /// The running hash of all events up to `sequence`.
        ///
        /// Equal (sequence, chain) = equal history.
        public var chain: UInt64

        /// Makes a head.
        public init(sequence: Sequence, chain: UInt64) {
            self.sequence = sequence
            self.chain = chain
        }

        /// Before the first event of an origin.
        public static let start = Head(sequence: Sequence(0), chain: 0)
    }

    private var heads: [OriginID: Head] = [:]

    /// Holds nothing yet.
    public init() {}

    /// The head of an origin's stream; `.start` when nothing of it is held.
    public subscript(origin: OriginID) -> Head {
        get { heads[origin] ?? .start }
        set { heads[origin] = newValue }
    }

    /// The origins of which something is held, in ascending order.
    public var origins: [OriginID] { heads.keys.sorted() }

    /// True when every event that `other` holds is held here too.
    public func covers(_ other: VersionVector) -> Bool {
        other.heads.allSatisfy { self[$0.key].sequence >= $0.value.sequence }
    }
}
