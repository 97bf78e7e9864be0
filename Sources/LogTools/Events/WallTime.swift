import SpringgLog

/// Moments on the command line.
package enum WallTime {
    /// Unix milliseconds of an RFC 3339 time, a date, or a time ago such as `90s`, `15m`, `2h` or `7d`.
    package static func milliseconds(_ text: String, now: UInt64) -> UInt64? {
        if let time = CivilTime.milliseconds(text) { return time }
        if let midnight = CivilTime.milliseconds(text + "T00:00:00Z") { return midnight }
        guard let unit = text.last.flatMap({ units[$0] }), let count = UInt64(text.dropLast()) else { return nil }
        let (ago, isTooLong) = count.multipliedReportingOverflow(by: unit)
        return isTooLong ? nil : now - min(now, ago)
    }

    private static let units: [Character: UInt64] = ["s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
}
