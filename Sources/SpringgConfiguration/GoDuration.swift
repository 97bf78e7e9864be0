/// A length of time, written as Go writes it: `300ms`, `5m`, `1h30m`, `1.5h`.
///
/// Configuration files of the Go program hold such texts; they and the texts of its errors are kept, so that a file
/// and what was written about it stay true.
public struct GoDuration: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The length in nanoseconds; about 292 years fit.
    public let nanoseconds: Int64

    /// The length in seconds.
    public var seconds: Double { Double(nanoseconds) / 1e9 }

    /// The length in whole milliseconds, rounded down.
    public var milliseconds: Int { Int(nanoseconds / 1_000_000) }

    /// A duration of so many nanoseconds.
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// A duration of so many milliseconds.
    public static func milliseconds(_ count: Int64) -> GoDuration { GoDuration(nanoseconds: count * 1_000_000) }

    /// A duration of so many seconds.
    public static func seconds(_ count: Int64) -> GoDuration { GoDuration(nanoseconds: count * 1_000_000_000) }

    /// Orders by length.
    public static func < (left: GoDuration, right: GoDuration) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The shortest text that parses to the same length: no unit that is zero is written.
    public var description: String {
        guard nanoseconds != 0 else { return "0s" }
        var rest = nanoseconds.magnitude
        var text = nanoseconds < 0 ? "-" : ""
        for (unit, size) in GoDuration.unitsLargestFirst where rest >= size {
            text += "\(rest / size)\(unit)"
            rest %= size
        }
        return text
    }

    private static let unitsLargestFirst: [(String, UInt64)] = [
        ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000),
        ("ns", 1),
    ]
}

/// Why a text is no duration; the description is the text of Go's `time.ParseDuration`.
public enum GoDurationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not of the form, or too long for 64 bits of nanoseconds.
    case invalid(String)
    /// A number without a unit, such as `5`.
    case missingUnit(String)
    /// A unit that is none of ns, us, µs, ms, s, m, h.
    case unknownUnit(String, String)

    /// Go's text for the error.
    public var description: String {
        switch self {
        case .invalid(let text): "time: invalid duration \(quoted(text))"
        case .missingUnit(let text): "time: missing unit in duration \(quoted(text))"
        case .unknownUnit(let unit, let text): "time: unknown unit \(quoted(unit)) in duration \(quoted(text))"
        }
    }
}

extension GoDuration {
    /// Parses `[-+]?([0-9]*(\.[0-9]*)?unit)+`, or `0` alone.
    /// - Throws: `GoDurationError`, with the cases told apart as Go does.
    public init(parsing text: String) throws(GoDurationError) {
        var rest = Array(text.utf8)[...]
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
        if rest.elementsEqual("0".utf8) {
            self.init(nanoseconds: 0)
            return
        }
        guard !rest.isEmpty else { throw .invalid(text) }
        var total: Int64 = 0
        while !rest.isEmpty {
            let term = try GoDuration.takeTerm(&rest, of: text)
            let (sum, overflow) = total.addingReportingOverflow(term)
            guard !overflow else { throw .invalid(text) }
            total = sum
        }
        self.init(nanoseconds: isNegative ? -total : total)
    }

    /// One number with its unit, in nanoseconds.
    private static func takeTerm(_ rest: inout ArraySlice<UInt8>, of text: String) throws(GoDurationError) -> Int64 {
        let whole = takeDigits(&rest)
        var fraction: [UInt8] = []
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            fraction = takeDigits(&rest)
        }
        guard !whole.isEmpty || !fraction.isEmpty else { throw .invalid(text) }

        let unitBytes = rest.prefix { $0 != UInt8(ascii: ".") && !isDigit($0) }
        rest.removeFirst(unitBytes.count)
        guard !unitBytes.isEmpty else { throw .missingUnit(text) }
        let unit = String(decoding: unitBytes, as: UTF8.self)
        guard let unitNanoseconds = nanoseconds(of: unit) else { throw .unknownUnit(unit, text) }

        var value: Int64 = 0
        for digit in whole {
            let (shifted, overflowShift) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowSum) = shifted.addingReportingOverflow(Int64(digit - UInt8(ascii: "0")))
            guard !overflowShift, !overflowSum else { throw .invalid(text) }
            value = sum
        }
        let (scaled, overflow) = value.multipliedReportingOverflow(by: unitNanoseconds)
        guard !overflow else { throw .invalid(text) }
        let (result, overflowFraction) = scaled.addingReportingOverflow(part(fraction, of: unitNanoseconds))
        guard !overflowFraction else { throw .invalid(text) }
        return result
    }

    /// `0.fraction` of a unit, digits beyond the nanosecond dropped.
    private static func part(_ fraction: [UInt8], of unitNanoseconds: Int64) -> Int64 {
        var value = 0.0
        var scale = 1.0
        for digit in fraction.prefix(18) {
            value = value * 10 + Double(digit - UInt8(ascii: "0"))
            scale *= 10
        }
        return Int64(value * (Double(unitNanoseconds) / scale))
    }

    private static func takeDigits(_ rest: inout ArraySlice<UInt8>) -> [UInt8] {
        let digits = rest.prefix(while: isDigit)
        rest.removeFirst(digits.count)
        return Array(digits)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func nanoseconds(of unit: String) -> Int64? {
        switch unit {
        case "ns": 1
        case "us", "\u{B5}s", "\u{3BC}s": 1000
        case "ms": 1_000_000
        case "s": 1_000_000_000
        case "m": 60_000_000_000
        case "h": 3_600_000_000_000
        default: nil
        }
    }
}
