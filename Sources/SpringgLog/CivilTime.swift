import Glibc

/// Moments as text: what people, metadata, HTTP and AWS write, all in UTC.
///
/// The proleptic Gregorian calendar by Howard Hinnant's `days_from_civil` and `civil_from_days`, without the system's
/// calendar and without leap seconds. A pure namespace apart from `now`, which reads the wall clock.
public enum CivilTime {
    /// A day's length.
    public static let secondsPerDay = 86_400.0

    /// Seconds since 1970 by the wall clock.
    public static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

// MARK: - Writing

extension CivilTime {
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// `2024-01-15T10:30:00Z` for seconds since 1970, which may be negative.
    public static func rfc3339(_ seconds: Double) -> String { "\(dateAndTime(Int(seconds.rounded(.down))))Z" }

    /// `2026-11-22T15:04:05.123Z` for Unix time in milliseconds.
    public static func rfc3339(milliseconds: UInt64) -> String {
        "\(dateAndTime(Int(milliseconds / 1000))).\(padded(Int(milliseconds % 1000), 3))Z"
    }

    /// `20130524T000000Z` for seconds since 1970: ISO 8601 without separators, as signatures of AWS have it.
    public static func basic(_ seconds: Int) -> String { dateAndTime(seconds).filter { $0 != "-" && $0 != ":" } + "Z" }

    /// `Mon, 15 Jan 2024 10:30:00 GMT` for seconds since 1970, as RFC 9110 wants the Date header.
    public static func httpDate(_ seconds: Double) -> String {
        let (days, second) = split(Int(seconds.rounded(.down)))
        let date = civil(daysSinceEpoch: days)
        let weekday = weekdays[(days % 7 + 7) % 7]
        return
            "\(weekday), \(padded(date.day, 2)) \(months[date.month - 1]) \(padded(date.year, 4)) \(time(second)) GMT"
    }

    private static func dateAndTime(_ seconds: Int) -> String {
        let (days, second) = split(seconds)
        let date = civil(daysSinceEpoch: days)
        return "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))T\(time(second))"
    }

    private static func split(_ seconds: Int) -> (days: Int, second: Int) {
        let days = (seconds >= 0 ? seconds : seconds - 86_399) / 86_400
        return (days, seconds - days * 86_400)
    }

    private static func time(_ second: Int) -> String {
        "\(padded(second / 3600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2))"
    }

    private static func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}

// MARK: - Reading

extension CivilTime {
    /// Reads the forms that metadata may hold: RFC 3339 (`2024-01-15T10:30:00Z`, `…+02:00`, fractions),
    /// `2024-01-15 10:30:00` or `2024-01-15`, the latter two in UTC.
    ///
    /// - Returns: Seconds since 1970, or nil for any other text.
    public static func parse(_ text: UnsafeRawBufferPointer) -> Double? {
        guard let written = WrittenMoment(text) else { return nil }
        switch (written.separator, written.zone) {
        case (nil, _), (" ", nil): break
        case (" ", _), (_, nil): return nil
        default: break
        }
        return Double(written.seconds) + Double(written.nanoseconds) / 1e9
    }

    /// Unix time in milliseconds of an RFC 3339 time between 1970 and 9999; nil for anything else.
    ///
    /// Digits beyond the millisecond are cut off.
    public static func milliseconds(_ text: String) -> UInt64? {
        var text = text
        guard let written = text.withUTF8({ WrittenMoment(UnsafeRawBufferPointer($0)) }), written.year >= 1970,
            written.zone != nil, written.seconds >= 0
        else { return nil }
        return UInt64(written.seconds * 1000 + written.nanoseconds / 1_000_000)
    }

    /// The same in whole seconds.
    public static func seconds(_ text: String) -> Int? { milliseconds(text).map { Int($0 / 1000) } }

    /// Seconds since 1970 of `Fri, 24 May 2013 00:00:00 GMT`; nil for anything else, days that do not exist included.
    public static func parseHTTPDate(_ text: String) -> Int? {
        var text = text
        return text.withUTF8 { bytes -> Int? in
            var reader = DigitReader(text: UnsafeRawBufferPointer(bytes))
            guard reader.word(of: weekdays) != nil, reader.take(","), reader.take(" "),
                let day = reader.number(digits: 2),
                reader.take(" "), let month = reader.word(of: months), reader.take(" "),
                let year = reader.number(digits: 4), year >= 1970,
                (1...days(inMonth: month + 1, of: year)).contains(day),
                reader.take(" "), let second = reader.time(), reader.take(" "), reader.word(of: ["GMT"]) != nil,
                reader.isAtEnd
            else { return nil }
            return daysSinceEpoch(year: year, month: month + 1, day: day) * 86_400 + second
        }
    }
}

/// A date and perhaps a time, a fraction and a zone, as they stand in a text.
private struct WrittenMoment {
    let year: Int
    /// Seconds since 1970, the zone taken into account.
    private(set) var seconds: Int
    private(set) var nanoseconds = 0
    /// Between date and time: `T`, `t` or a space; nil where no time follows.
    private(set) var separator: Unicode.Scalar?
    /// Seconds east of UTC; nil where none stands.
    private(set) var zone: Int?

    init?(_ text: UnsafeRawBufferPointer) {
        var reader = DigitReader(text: text)
        guard let year = reader.number(digits: 4), reader.take("-"), let month = reader.number(digits: 2),
            reader.take("-"), let day = reader.number(digits: 2), (1...12).contains(month),
            (1...CivilTime.days(inMonth: month, of: year)).contains(day)
        else { return nil }
        self.year = year
        seconds = CivilTime.daysSinceEpoch(year: year, month: month, day: day) * 86_400
        if reader.isAtEnd { return }
        separator = reader.take(anyOf: ["T", "t", " "])
        guard separator != nil, let time = reader.time() else { return nil }
        seconds += time
        if reader.take(".") {
            guard let fraction = reader.fraction() else { return nil }
            nanoseconds = fraction
        }
        if reader.isAtEnd { return }
        guard let offset = reader.zone(), reader.isAtEnd else { return nil }
        zone = offset
        seconds -= offset
    }
}

/// Walks a text of digits, words and separators.
private struct DigitReader {
    let text: UnsafeRawBufferPointer
    var position = 0

    init(text: UnsafeRawBufferPointer) { self.text = text }

    var isAtEnd: Bool { position == text.count }

    mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard position < text.count, text[position] == UInt8(ascii: scalar) else { return false }
        position += 1
        return true
    }

    mutating func take(anyOf scalars: [Unicode.Scalar]) -> Unicode.Scalar? { scalars.first { take($0) } }

    /// The position in `words`, all of three characters, of the one that stands here.
    mutating func word(of words: [String]) -> Int? {
        guard text.count - position >= 3 else { return nil }
        let found = words.firstIndex { $0.utf8.elementsEqual(text[position..<position + 3]) }
        if found != nil { position += 3 }
        return found
    }

    mutating func digit() -> Int? {
        guard position < text.count, (0x30...0x39).contains(text[position]) else { return nil }
        position += 1
        return Int(text[position - 1]) - 0x30
    }

    mutating func number(digits count: Int) -> Int? {
        var value = 0
        for _ in 0..<count {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    /// `10:30:00`, in seconds.
    mutating func time() -> Int? {
        guard let hour = number(digits: 2), take(":"), let minute = number(digits: 2), take(":"),
            let second = number(digits: 2), hour < 24, minute < 60, second < 60
        else { return nil }
        return hour * 3600 + minute * 60 + second
    }

    /// Nanoseconds: digits behind the point, at least one; those beyond the ninth are read and dropped.
    mutating func fraction() -> Int? {
        guard let first = digit() else { return nil }
        var (value, scale) = (first * 100_000_000, 10_000_000)
        while let digit = digit() {
            value += digit * scale
            scale /= 10
        }
        return value
    }

    /// `Z` or `±HH:MM`, as seconds east of UTC.
    mutating func zone() -> Int? {
        if take("Z") || take("z") { return 0 }
        guard let sign = take(anyOf: ["+", "-"]), let hours = number(digits: 2), take(":"),
            let minutes = number(digits: 2), hours < 24, minutes < 60
        else { return nil }
        return (hours * 3600 + minutes * 60) * (sign == "-" ? -1 : 1)
    }
}

// MARK: - The calendar

extension CivilTime {
    fileprivate static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    fileprivate static func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int {
        // Years begin in March, so that the leap day is a year's last.
        let marchYear = month <= 2 ? year - 1 : year
        let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
        let yearOfEra = marchYear - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func civil(daysSinceEpoch days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }
}
