import Glibc

/// Clocks that only run forwards.
public enum Monotonic {
    /// Nanoseconds since some moment in the past.
    public static func nanoseconds() -> UInt64 { read(CLOCK_MONOTONIC) }

    /// Nanoseconds of processor time (user and system) that the calling thread has used.
    public static func threadCPUNanoseconds() -> UInt64 { read(CLOCK_THREAD_CPUTIME_ID) }

    /// Seconds that `body` took.
    public static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = nanoseconds()
        try body()
        return Double(nanoseconds() - start) / 1e9
    }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// A moment by which something must have happened, for calls that wait.
public struct Deadline: Sendable {
    private let at: UInt64

    /// The moment that lies `seconds` ahead.
    public init(seconds: Double) {
        at = Monotonic.nanoseconds() + UInt64(max(0, seconds) * 1e9)
    }

    /// True from that moment on.
    public var isOver: Bool { Monotonic.nanoseconds() >= at }

    /// Milliseconds left, rounded up, for `poll`; 0 when it is over.
    public var pollMilliseconds: Int32 {
        let now = Monotonic.nanoseconds()
        guard now < at else { return 0 }
        return Int32(min((at - now + 999_999) / 1_000_000, 3_600_000))
    }
}
