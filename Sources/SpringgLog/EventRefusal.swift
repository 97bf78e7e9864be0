/// Why an event from elsewhere was not taken.
public struct EventRefusal: Sendable, Equatable, CustomStringConvertible {
    /// What is wrong with it.
    public enum Reason: UInt8, Sendable {
        /// Events of its origin before it are missing here.
        case gap = 1
        /// Its origin's history here is another one: two writers have used one origin.
        case otherHistory = 2
        /// It carries this node's own origin, and this node has not written it.
        case ownOrigin = 3
        /// It names an index, a row or a mark as none can be named.
        case malformed = 4
        /// It is older than a deletion that is no longer known here, and could bring back what was deleted.
        case belowHorizon = 5
    }

    /// Whose event.
    public let origin: OriginID
    /// Its number.
    public let sequence: Sequence
    /// The last that is held of its origin.
    public let held: Sequence
    /// What is wrong.
    public let reason: Reason

    /// Makes a refusal.
    public init(origin: OriginID, sequence: Sequence, held: Sequence, reason: Reason) {
        self.origin = origin
        self.sequence = sequence
        self.held = held
        self.reason = reason
    }

    /// The event, and what is wrong with it.
    public var description: String {
        let event = "event \(origin):\(sequence)"
        return switch reason {
        case .gap: "\(event) is not the next one: events up to \(held) are held"
        case .otherHistory:
            "\(event) does not continue the history that is held (up to \(held)): two nodes have written under one origin, "
                + "as when a data directory was copied and both copies were used"
        case .ownOrigin:
            "\(event) carries this node's own origin, of which it has written \(held) events: its disk is an old copy, "
                + "or another node uses a copy of its data directory"
        case .belowHorizon:
            "\(event) is older than deletions that this node has dropped, since every member had seen them: its writer was no "
                + "member then; export what it has and import that on a member"
        case .malformed: "\(event) names what it speaks of as nothing can be named; its writer is broken"
        }
    }
}
