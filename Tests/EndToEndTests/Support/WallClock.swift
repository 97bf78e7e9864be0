import Glibc

/// The world's time.
enum WallClock {
    /// Seconds since 1970.
    static func seconds() -> Int64 { Int64(time(nil)) }
}
