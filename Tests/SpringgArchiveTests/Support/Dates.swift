import Glibc

/// A time in UTC by the C library.
func date(_ seconds: Int, _ format: String) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    var text = [CChar](repeating: 0, count: 64)
    let count = strftime(&text, text.count, format, &parts)
    return String(decoding: text[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
}

extension FakeS3 {
    /// Seconds of `20261122T150000Z`.
    static func compactSeconds(_ text: String) -> Int? {
        let digits = text.utf8.filter { (48...57).contains($0) }.map { Int32($0 - 48) }
        guard digits.count == 14, text.utf8.count == 16 else { return nil }
        func number(_ range: Range<Int>) -> Int32 { digits[range].reduce(0) { $0 * 10 + $1 } }
        var parts = tm()
        parts.tm_year = number(0..<4) - 1900
        parts.tm_mon = number(4..<6) - 1
        parts.tm_mday = number(6..<8)
        parts.tm_hour = number(8..<10)
        parts.tm_min = number(10..<12)
        parts.tm_sec = number(12..<14)
        return Int(timegm(&parts))
    }
}
