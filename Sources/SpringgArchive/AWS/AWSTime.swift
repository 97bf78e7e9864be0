import Glibc

/// The three forms of time that AWS uses, all in UTC, to and from seconds since 1970.
package enum AWSTime {
    /// `20130524T000000Z`, as signatures have it.
    package static func compact(_ seconds: Int) -> String {
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        func digits(_ number: Int32, _ count: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
        }
        return digits(parts.tm_year + 1900, 4) + digits(parts.tm_mon + 1, 2) + digits(parts.tm_mday, 2) + "T"
            + digits(parts.tm_hour, 2) + digits(parts.tm_min, 2) + digits(parts.tm_sec, 2) + "Z"
    }

    /// Reads `2013-05-24T00:00:00.000Z`, fractions being dropped; nil for anything else.
    package static func parseISO(_ text: String) -> Int? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes.count <= 30, bytes.last == UInt8(ascii: "Z"),
            bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"), bytes[10] == UInt8(ascii: "T"),
            bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"),
            bytes.count == 20 || (bytes[19] == UInt8(ascii: ".") && number(bytes[20..<bytes.count - 1]) != nil)
        else { return nil }
        return seconds(
            bytes[0..<4],
            number(bytes[5..<7]),
            bytes[8..<10],
            bytes[11..<13],
            bytes[14..<16],
            bytes[17..<19]
        )
    }

    /// Reads `Fri, 24 May 2013 00:00:00 GMT`; nil for anything else.
    package static func parseHTTPDate(_ text: String) -> Int? {
        let bytes = Array(text.utf8)
        guard bytes.count == 29, text.hasSuffix(" GMT"), bytes[3] == UInt8(ascii: ","), bytes[4] == UInt8(ascii: " "),
            bytes[7] == UInt8(ascii: " "), bytes[11] == UInt8(ascii: " "), bytes[16] == UInt8(ascii: " "),
            bytes[19] == UInt8(ascii: ":"), bytes[22] == UInt8(ascii: ":")
        else { return nil }
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let month = months.firstIndex { $0.utf8.elementsEqual(bytes[8..<11]) }.map { $0 + 1 }
        return seconds(bytes[12..<16], month, bytes[5..<7], bytes[17..<19], bytes[20..<22], bytes[23..<25])
    }

    private static func seconds(
        _ year: ArraySlice<UInt8>,
        _ month: Int?,
        _ day: ArraySlice<UInt8>,
        _ hour: ArraySlice<UInt8>,
        _ minute: ArraySlice<UInt8>,
        _ second: ArraySlice<UInt8>
    ) -> Int? {
        guard let year = number(year), year >= 1970, let month, (1...12).contains(month),
            let day = number(day), (1...31).contains(day), let hour = number(hour), hour < 24,
            let minute = number(minute), minute < 60, let second = number(second), second <= 60
        else { return nil }
        var parts = tm()
        parts.tm_year = Int32(year - 1900)
        parts.tm_mon = Int32(month - 1)
        parts.tm_mday = Int32(day)
        parts.tm_hour = Int32(hour)
        parts.tm_min = Int32(minute)
        parts.tm_sec = Int32(second)
        return Int(timegm(&parts))
    }

    /// Digits only.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty, digits.count <= 9, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 48) }
    }
}
