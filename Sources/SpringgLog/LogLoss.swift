/// Events that a salvaged log is known to be without.
///
/// `logdump salvage` copies what is readable of a damaged log and says, in the header of the segment behind each hole,
/// what is missing there. A node reads such a log knowingly; a hole that no header names is damage.
public struct LogLoss: Sendable, Equatable, CustomStringConvertible {
    /// Events of one origin.
    public struct Gap: Sendable, Equatable, CustomStringConvertible {
        /// Whose events they are.
        public let origin: OriginID
        /// The first that is missing.
        public let first: Sequence
        /// The last that is missing.
        public let last: Sequence

        package init(origin: OriginID, first: Sequence, last: Sequence) {
            self.origin = origin
            self.first = first
            self.last = last
        }

        /// `origin:first-last`, as the commands take them.
        public var description: String { first == last ? "\(origin):\(first)" : "\(origin):\(first) to \(last)" }
    }

    /// The last record before the hole.
    public let after: LSN
    /// The first record behind it.
    public let before: LSN
    /// What it took from each origin, as far as later events of that origin show it.
    public package(set) var gaps: [Gap] = []

    package init(after: LSN, before: LSN) {
        self.after = after
        self.before = before
    }

    /// `LSN 5 to 7 (origin:12 to 14)`.
    public var description: String {
        let records =
            switch before.rawValue - after.rawValue {
            case 1: "events before LSN \(before)"
            case 2: "LSN \(after.next)"
            default: "LSN \(after.next) to \(before.previous)"
            }
        return gaps.isEmpty ? records : records + " (\(gaps.map(\.description).joined(separator: ", ")))"
    }
}

/// Follows the history of every origin through a log, and knows where it may have a gap.
///
/// `heads` claim only what is held without a gap below it, so that a peer is asked for what is missing. The events of an
/// origin behind a gap are followed as well, by themselves.
package struct OriginHistories {
    /// What is held of each origin without a gap.
    package var heads = VersionVector()
    /// Where a gap lies below: the last event behind it.
    private var tips: [OriginID: VersionVector.Head] = [:]
    /// Origins with an event since the last hole; nil before the first hole.
    ///
    /// Any other may have lost events in it.
    private var seenSinceHole: Set<OriginID>?

    package init() {}

    /// From here on events may be missing, once for each origin.
    package mutating func enterHole() { seenSinceHole = [] }

    /// What became of an event.
    package enum Step: Equatable {
        case continues
        /// The first event of its origin behind a hole.
        case jumps(LogLoss.Gap)
        /// It does not belong here.
        case breaks
    }

    /// Takes an event whose place in its origin's history is not to be checked.
    package mutating func take(_ envelope: Envelope) { heads[envelope.origin] = envelope.head }

    /// Takes the next event of the log if it continues its origin's history.
    package mutating func follow(_ envelope: Envelope) -> Step {
        let origin = envelope.origin
        let mayJump = seenSinceHole?.insert(origin).inserted ?? false
        if envelope.continues(heads[origin]) {
            heads[origin] = envelope.head
            return .continues
        }
        let tip = tips[origin] ?? heads[origin]
        if tips[origin] != nil, envelope.continues(tip) {
            tips[origin] = envelope.head
            return .continues
        }
        guard mayJump, envelope.sequence > tip.sequence.next else { return .breaks }
        tips[origin] = envelope.head
        return .jumps(
            LogLoss.Gap(
                origin: origin,
                first: tip.sequence.next,
                last: Sequence(envelope.sequence.rawValue - 1)
            )
        )
    }
}

extension Envelope {
    /// How far its origin's stream is held with this event.
    package var head: VersionVector.Head { VersionVector.Head(sequence: sequence, chain: chain) }

    /// True when this is the event after `head` in its origin's history.
    package func continues(_ head: VersionVector.Head) -> Bool {
        head.sequence.rawValue < .max && sequence == head.sequence.next && chain == expectedChain(after: head.chain)
    }
}
