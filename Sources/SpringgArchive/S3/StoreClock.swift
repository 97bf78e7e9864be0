import Glibc
import Synchronization

/// Time and patience of a store: the machine's, or a test's.
package struct StoreClock: Sendable {
    /// Seconds since 1970.
    package var wallSeconds: @Sendable () -> Int
    /// Milliseconds of a clock that is never set.
    package var monotonicMilliseconds: @Sendable () -> Int
    /// Waits so many milliseconds, or until the store is closed.
    package var pause: @Sendable (Int) -> Void

    /// A clock from its parts.
    package init(
        wallSeconds: @escaping @Sendable () -> Int,
        monotonicMilliseconds: @escaping @Sendable () -> Int,
        pause: @escaping @Sendable (Int) -> Void
    ) {
        self.wallSeconds = wallSeconds
        self.monotonicMilliseconds = monotonicMilliseconds
        self.pause = pause
    }

    /// The machine's clocks; `closing` ends every pause once somebody has left it.
    static func system(closing: Turnstile) -> StoreClock {
        StoreClock(
            wallSeconds: { time(nil) },
            monotonicMilliseconds: {
                var now = timespec()
                clock_gettime(CLOCK_MONOTONIC, &now)
                return now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
            },
            pause: { milliseconds in
                // The first one through opens it for the next.
                if closing.enter(withinMilliseconds: milliseconds) { closing.leave() }
            }
        )
    }
}
