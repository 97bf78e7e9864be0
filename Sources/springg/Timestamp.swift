import Glibc

/// Moments as text, for the log and for people.
enum Timestamp {
    /// `2026/11/22 12:00:00` in local time: the form of Go's log, which collectors may already parse.
    static func localNow() -> String {
        var (seconds, parts) = (time(nil), tm())
        localtime_r(&seconds, &parts)
        return "\(parts.tm_year + 1900)/\(two(parts.tm_mon + 1))/\(two(parts.tm_mday)) \(clock(parts))"
    }

    /// `2026-11-22T12:00:00.123Z`.
    static func utcNowWithMilliseconds() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let milliseconds = String(now.tv_nsec / 1_000_000)
        let padding = String(repeating: "0", count: 3 - milliseconds.count)
        return "\(date(now.tv_sec)).\(padding)\(milliseconds)Z"
    }

    /// `2026-11-22T12:00:00Z` for a Unix time.
    static func utc(_ unixSeconds: Int64) -> String { date(Int(unixSeconds)) + "Z" }

    private static func date(_ unixSeconds: Int) -> String {
        var (seconds, parts) = (unixSeconds, tm())
        gmtime_r(&seconds, &parts)
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(clock(parts))"
    }

    private static func clock(_ parts: tm) -> String {
        "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    }

    private static func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
