/// Two nodes that hold the same events and do not show the same, as their announcements say.
package struct Divergence: Hashable, Sendable {
    /// The other node.
    package let peer: String
    /// Of all that this node shows, and of all that the peer does.
    package let ours: NodeState.Digest
    package let theirs: NodeState.Digest

    package init(peer: String, ours: NodeState.Digest, theirs: NodeState.Digest) {
        self.peer = peer
        self.ours = ours
        self.theirs = theirs
    }
}

/// One index of which two nodes show different things, and where.
package struct DivergentIndex: Equatable, Sendable {
    package enum Place: Equatable, Sendable {
        /// The peer has no such index, or this node has not.
        case onlyHere, onlyThere
        /// Of so many buckets these have different digests: the first of them, and how many they are.
        case buckets(of: Int, first: [Int], count: Int)
    }

    package let name: String
    package let place: Place

    /// Numbers of buckets that are told of an index: a defect is in few rows, or in more than anybody wants to read of.
    package static let bucketsMax = 16
    /// Indexes of which something is told.
    package static let indexesMax = 20

    package init(_ name: String, _ place: Place) {
        self.name = name
        self.place = place
    }

    /// An index of which these buckets differ.
    package init(_ name: String, buckets: [Int], of total: Int) {
        self.init(name, .buckets(of: total, first: Array(buckets.prefix(Self.bucketsMax)), count: buckets.count))
    }

    /// For a line of the log, seen from this node.
    package func text(peer: String) -> String {
        switch place {
        case .onlyHere: return "\(name) (on this node only)"
        case .onlyThere: return "\(name) (on \(peer) only)"
        case .buckets(let total, let first, let count):
            let more = count > first.count ? " and \(count - first.count) more" : ""
            return "\(name) (buckets \(first.map { "\($0)" }.joined(separator: ", "))\(more) of \(total))"
        }
    }
}

/// Which members diverge, when that is news, and when to look for the rows.
///
/// A state machine without clock and network. That two nodes diverge they see by what they announce of one moment; which rows it is,
/// only questions tell. They are asked when a divergence is met, and again when it has changed, but seldom: one that lasts while
/// writes go on is another with each announcement.
package struct DivergenceRule: Sendable {
    private struct Entry: Sendable {
        var divergence: Divergence
        /// The one that `places` belong to.
        var located: Divergence?
        var places: [DivergentIndex] = []
        var nextLook = Duration.zero
    }

    private var entries: [String: Entry] = [:]
    /// Under way; one at a time.
    private var look: Divergence?

    /// Between two looks at one peer, when the first has found something, and when it has not.
    package static let pauseFound = Duration.seconds(60)
    package static let pauseFailed = Duration.seconds(5)

    package init() {}

    /// Announcements differ; true when they did not before.
    package mutating func differ(_ divergence: Divergence) -> Bool {
        guard entries[divergence.peer] != nil else {
            entries[divergence.peer] = Entry(divergence: divergence)
            return true
        }
        entries[divergence.peer]?.divergence = divergence
        return false
    }

    /// Announcements agree; true when they did not before.
    package mutating func agree(_ peer: String) -> Bool { entries.removeValue(forKey: peer) != nil }

    /// Nobody else is there any more.
    package mutating func keep(only peers: Set<String>) {
        entries = entries.filter { peers.contains($0.key) }
    }

    /// The divergence whose rows are to be looked for now; `located` is to be called for it.
    package mutating func next(_ now: Duration) -> Divergence? {
        guard look == nil else { return nil }
        let waiting = entries.values.filter { $0.located != $0.divergence && now >= $0.nextLook }
        look = waiting.map(\.divergence).min { $0.peer < $1.peer }
        return look
    }

    /// What a look has found: nothing, when one of the nodes has gone on meanwhile or does not answer.
    ///
    /// Returns true when that is news.
    package mutating func located(_ places: [DivergentIndex]?, _ divergence: Divergence, _ now: Duration) -> Bool {
        look = nil
        guard var entry = entries[divergence.peer] else { return false }
        defer { entries[divergence.peer] = entry }
        entry.nextLook = now + (places == nil ? Self.pauseFailed : Self.pauseFound)
        guard let places else { return false }
        let isNews = entry.located == nil || entry.places != places
        (entry.located, entry.places) = (divergence, places)
        return isNews
    }

    /// Where the peer differs: empty while that is not known; nil when it is not known to differ.
    package func places(_ peer: String) -> [DivergentIndex]? { entries[peer]?.places }

    /// Who differs, in order.
    package var peers: [String] { entries.keys.sorted() }
}
