/// Moments as people write them: RFC 3339 in UTC, to the millisecond, without the system's calendar.
public enum UTCTime {
    /// `2026-11-22T15:04:05.123Z` for Unix time in milliseconds.
    public static func text(milliseconds: UInt64) -> String {
        let seconds = Int(milliseconds / 1000)
        let (year, month, day) = civil(daysSinceEpoch: seconds / 86_400)
        let rest = seconds % 86_400
        return "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))T"
            + "\(digits(rest / 3600, 2)):\(digits(rest / 60 % 60, 2)):\(digits(rest % 60, 2))"
            + ".\(digits(Int(milliseconds % 1000), 3))Z"
    }

    /// Unix time in milliseconds of an RFC 3339 time between 1970 and 9999; nil for anything else.
    ///
    /// Digits beyond the millisecond are cut off. The date and the time must exist; there are no leap seconds.
    public static func milliseconds(_ text: String) -> UInt64? {
        var rest = Array(text.utf8)[...]
        func number(_ count: Int) -> Int? {
            let part = rest.prefix(count)
            guard part.count == count, part.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            rest = rest.dropFirst(count)
            return part.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        }
        func take(_ characters: String) -> UInt8? {
            guard let first = rest.first, characters.utf8.contains(first) else { return nil }
            rest = rest.dropFirst()
            return first
        }
        guard let year = number(4), take("-") != nil, let month = number(2), take("-") != nil, let day = number(2),
            take("Tt ") != nil, let hour = number(2), take(":") != nil, let minute = number(2), take(":") != nil,
            let second = number(2), year >= 1970, (1...12).contains(month), day >= 1,
            day <= daysIn(month, of: year), hour < 24, minute < 60, second < 60
        else { return nil }
        var fraction = 0
        if take(".") != nil {
            let written = rest.prefix { (0x30...0x39).contains($0) }
            guard !written.isEmpty, written.count <= 9 else { return nil }
            rest = rest.dropFirst(written.count)
            fraction = (Array(written) + [0x30, 0x30]).prefix(3).reduce(0) { $0 * 10 + Int($1 - 0x30) }
        }
        var offset = 0
        if take("Zz") == nil {
            guard let sign = take("+-"), let hours = number(2), take(":") != nil, let minutes = number(2), hours < 24,
                minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * (sign == UInt8(ascii: "-") ? -60 : 60)
        }
        guard rest.isEmpty else { return nil }
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset
        return seconds < 0 ? nil : UInt64(seconds * 1000 + fraction)
    }

    private static func digits(_ value: Int, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }

    private static func daysIn(_ month: Int, of year: Int) -> Int {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    /// Days from 1970-01-01; a year that begins in March makes the leap day the last of its year.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month > 2 ? year : year - 1
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }

    private static func civil(daysSinceEpoch days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let (era, dayOfEra) = shifted.quotientAndRemainder(dividingBy: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }
}

extension HLC {
    /// The wall time of the reading, `2026-11-22T15:04:05.123Z`.
    public var utc: String { UTCTime.text(milliseconds: milliseconds) }

    /// Reads `milliseconds.counter`, as `description` prints it.
    public init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let milliseconds = UInt64(parts[0]), milliseconds < 1 << 48, let counter = UInt16(parts[1])
        else { return nil }
        self.init(milliseconds: milliseconds, counter: counter)
    }
}
