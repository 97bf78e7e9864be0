import Glibc

/// Dates as text: the three forms that metadata may hold, and RFC 3339 and HTTP dates for answers.
///
/// The proleptic Gregorian calendar in UTC, by Howard Hinnant's `days_from_civil` and `civil_from_days`. A pure
/// namespace apart from `now`, which reads the wall clock.
package enum CivilTime {
    package static let secondsPerDay = 86_400.0

    /// Seconds since 1970 by the wall clock.
    package static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Reads RFC 3339 (`2024-01-15T10:30:00Z`, `…+02:00`, fractions), `2024-01-15 10:30:00` or `2024-01-15`, the
    /// latter two in UTC.
    ///
    /// - Returns: Seconds since 1970, or nil for any other text.
    package static func parse(_ text: UnsafeRawBufferPointer) -> Double? {
        var reader = DigitReader(text: text)
        guard let year = reader.number(digits: 4), reader.take("-"),
            let month = reader.number(digits: 2), reader.take("-"),
            let day = reader.number(digits: 2),
            (1...12).contains(month), (1...self.days(inMonth: month, of: year)).contains(day)
        else {
            return nil
        }
        let midnight = Double(self.daysSinceEpoch(year: year, month: month, day: day)) * self.secondsPerDay
        if reader.isAtEnd {
            return midnight
        }
        let spaced = reader.take(" ")
        guard spaced || reader.take("T") || reader.take("t") else {
            return nil
        }
        guard let hour = reader.number(digits: 2), reader.take(":"),
            let minute = reader.number(digits: 2), reader.take(":"),
            let second = reader.number(digits: 2),
            hour < 24, minute < 60, second < 60
        else {
            return nil
        }
        var seconds = midnight + Double(hour * 3600 + minute * 60 + second)
        if reader.take(".") {
            guard let fraction = reader.fraction() else {
                return nil
            }
            seconds += fraction
        }
        if spaced {
            return reader.isAtEnd ? seconds : nil
        }
        guard let offset = self.zoneOffset(&reader), reader.isAtEnd else {
            return nil
        }
        return seconds - Double(offset)
    }

    /// `Z` or `±HH:MM`, as seconds east of UTC.
    private static func zoneOffset(_ reader: inout DigitReader) -> Int? {
        if reader.take("Z") || reader.take("z") {
            return 0
        }
        let sign: Int
        if reader.take("+") {
            sign = 1
        } else if reader.take("-") {
            sign = -1
        } else {
            return nil
        }
        guard let hours = reader.number(digits: 2), reader.take(":"), let minutes = reader.number(digits: 2),
            hours < 24, minutes < 60
        else {
            return nil
        }
        return sign * (hours * 3600 + minutes * 60)
    }

    /// `2024-01-15T10:30:00Z`.
    package static func rfc3339(_ seconds: Double) -> String {
        let (date, time) = self.split(seconds)
        return "\(self.padded(date.year, 4))-\(self.padded(date.month, 2))-\(self.padded(date.day, 2))T\(time)Z"
    }

    /// `Mon, 15 Jan 2024 10:30:00 GMT`, as RFC 9110 wants the Date header.
    package static func httpDate(_ seconds: Double) -> String {
        let (date, time) = self.split(seconds)
        let days = Int((seconds / self.secondsPerDay).rounded(.down))
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][((days % 7) + 7) % 7]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let day = self.padded(date.day, 2)
        return "\(weekday), \(day) \(months[date.month - 1]) \(self.padded(date.year, 4)) \(time) GMT"
    }

    private static func split(_ seconds: Double) -> (date: (year: Int, month: Int, day: Int), time: String) {
        let whole = Int(seconds.rounded(.down))
        let days = Int((Double(whole) / self.secondsPerDay).rounded(.down))
        let rest = whole - days * 86_400
        let time =
            "\(self.padded(rest / 3600, 2)):\(self.padded(rest / 60 % 60, 2)):\(self.padded(rest % 60, 2))"
        return (self.civil(daysSinceEpoch: days), time)
    }

    private static func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int {
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

/// Walks a text of digits and separators.
private struct DigitReader {
    let text: UnsafeRawBufferPointer
    var position = 0

    init(text: UnsafeRawBufferPointer) {
        self.text = text
    }

    var isAtEnd: Bool { self.position == self.text.count }

    mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard self.position < self.text.count, self.text[self.position] == UInt8(ascii: scalar) else {
            return false
        }
        self.position += 1
        return true
    }

    mutating func digit() -> Int? {
        guard self.position < self.text.count, (0x30...0x39).contains(self.text[self.position]) else {
            return nil
        }
        self.position += 1
        return Int(self.text[self.position - 1]) - 0x30
    }

    mutating func number(digits count: Int) -> Int? {
        var value = 0
        for _ in 0..<count {
            guard let digit = self.digit() else {
                return nil
            }
            value = value * 10 + digit
        }
        return value
    }

    /// Digits behind the point, at least one; those beyond a nanosecond are read and dropped.
    mutating func fraction() -> Double? {
        guard var value = self.digit().map(Double.init) else {
            return nil
        }
        var scale = 10.0
        while let digit = self.digit() {
            if scale < 1e9 {
                value = value * 10 + Double(digit)
                scale *= 10
            }
        }
        return value / scale
    }
}
