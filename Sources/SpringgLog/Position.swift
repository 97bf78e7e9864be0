/// Number of an event within its origin: 1, 2, 3 … without gaps.
///
/// 0 stands before the first.
public struct Sequence: Comparable, Hashable, Sendable, CustomStringConvertible {
    /// The number itself.
    public let rawValue: UInt64

    /// Wraps a number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The sequence after this one; the highest stays, since a number from disk may be any.
    public var next: Sequence { Sequence(rawValue == .max ? .max : rawValue + 1) }

    /// Orders by number.
    public static func < (a: Sequence, b: Sequence) -> Bool { a.rawValue < b.rawValue }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}

/// Dense position in this node's own log: 1, 2, 3 …; local, never compared between nodes.
///
/// 0 stands before the first.
public struct LSN: Comparable, Hashable, Sendable, CustomStringConvertible {
    /// The number itself.
    public let rawValue: UInt64

    /// Wraps a number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Before the first record of every log.
    public static let zero = LSN(0)

    /// The position after this one; the highest stays, since a number from disk may be any.
    public var next: LSN { LSN(rawValue == .max ? .max : rawValue + 1) }

    /// The position before this one; zero stays zero.
    public var previous: LSN { LSN(rawValue == 0 ? 0 : rawValue - 1) }

    /// Orders by number.
    public static func < (a: LSN, b: LSN) -> Bool { a.rawValue < b.rawValue }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}

/// (HLC, OriginID): the total order over all events of a cluster, by which the last writer wins.
public struct EventVersion: Comparable, Hashable, Sendable, CustomStringConvertible {
    /// When the event was written, by its writer's hybrid clock.
    public let hlc: HLC
    /// Who wrote it; breaks ties.
    public let origin: OriginID

    /// Makes a version.
    public init(hlc: HLC, origin: OriginID) {
        self.hlc = hlc
        self.origin = origin
    }

    /// Below every event's version: what an event carries as "seen" when its writer had seen nothing of the key.
    public static let none = EventVersion(hlc: HLC(0), origin: .none)

    /// Orders by clock, then by origin.
    public static func < (a: EventVersion, b: EventVersion) -> Bool {
        a.hlc != b.hlc ? a.hlc < b.hlc : a.origin < b.origin
    }

    /// `milliseconds.counter@origin`.
    public var description: String { "\(hlc)@\(origin)" }
}
