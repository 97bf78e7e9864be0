/// A reading of a hybrid logical clock: 48 bits of Unix milliseconds, 16 bits of counter.
///
/// Kulkarni, Demirbas et al., "Logical Physical Clocks", 2014: close to wall time, and larger than every reading it
/// has heard of, so that an effect is always later than its cause.
public struct HLC: Comparable, Hashable, Sendable, CustomStringConvertible {
    /// Milliseconds in the upper 48 bits, counter in the lower 16.
    public let rawValue: UInt64

    /// Wraps the packed form.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Packs a reading.
    ///
    /// `milliseconds` must fit 48 bits (the year 10889).
    public init(milliseconds: UInt64, counter: UInt16) {
        precondition(milliseconds < 1 << 48, "HLC milliseconds \(milliseconds) do not fit 48 bits")
        rawValue = milliseconds << 16 | UInt64(counter)
    }

    /// Unix time in milliseconds.
    public var milliseconds: UInt64 { rawValue >> 16 }
    /// Unix time in whole seconds, not before the reading; the latest that 32 bits hold beyond the year 2106.
    var secondsRoundedUp: UInt32 { UInt32(clamping: (milliseconds + 999) / 1000) }
    /// Order among events of one millisecond.
    public var counter: UInt16 { UInt16(truncatingIfNeeded: rawValue) }

    /// Orders by time, then counter.
    public static func < (a: HLC, b: HLC) -> Bool { a.rawValue < b.rawValue }

    /// `milliseconds.counter`.
    public var description: String { "\(milliseconds).\(counter)" }
}

/// The clock that stamps events: a value without a time source of its own.
public struct HybridClock: Sendable {
    /// The last reading given out or heard of.
    ///
    /// Invariant: never goes back.
    public private(set) var last = HLC(0)

    /// Starts before all time; `observe` what the log holds before the first `tick`.
    public init() {}

    /// The reading for a new event, later than all before it.
    ///
    /// `wall` is Unix time in milliseconds.
    ///
    /// A wall clock that stands or runs backwards only makes the counter grow; a counter that overflows carries into the
    /// milliseconds, which is the same addition.
    public mutating func tick(wall: UInt64) -> HLC {
        let physical = HLC(milliseconds: min(wall, (1 << 48) - 1), counter: 0)
        last = physical > last ? physical : HLC(last.rawValue &+ 1)
        return last
    }

    /// Takes note of an event written elsewhere or replayed.
    public mutating func observe(_ other: HLC) {
        last = max(last, other)
    }
}

extension HLC {
    /// The wall time of the reading, `2026-11-22T15:04:05.123Z`.
    public var utc: String { CivilTime.rfc3339(milliseconds: milliseconds) }

    /// Reads `milliseconds.counter`, as `description` prints it.
    public init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let milliseconds = UInt64(parts[0]), milliseconds < 1 << 48, let counter = UInt16(parts[1])
        else { return nil }
        self.init(milliseconds: milliseconds, counter: counter)
    }
}
