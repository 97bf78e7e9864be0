import SpringgConfiguration
import SpringgTestKit
import Testing

@Suite("Durations are written as Go writes them")
struct DurationTests {
    static let validTexts: [(String, Int64)] = [
        ("0", 0), ("0s", 0), ("+0", 0), ("5m", 300_000_000_000), ("30s", 30_000_000_000),
        ("1h30m", 5_400_000_000_000), ("100ms", 100_000_000), ("1.5h", 5_400_000_000_000), (".5s", 500_000_000),
        ("1.s", 1_000_000_000), ("-3s", -3_000_000_000), ("+3s", 3_000_000_000), ("1us", 1000), ("1\u{B5}s", 1000),
        ("1\u{3BC}s", 1000), ("7ns", 7), ("1h2m3s4ms5us6ns", 3_723_004_005_006), ("1m1m", 120_000_000_000),
        ("0.1ms", 100_000), ("2562047h47m16.854775807s", Int64.max),
    ]

    @Test("valid texts", arguments: validTexts)
    func valid(text: String, nanoseconds: Int64) throws {
        #expect(try GoDuration(parsing: text).nanoseconds == nanoseconds)
    }

    static let invalidTexts: [(String, String)] = [
        ("", #"time: invalid duration """#), ("-", #"time: invalid duration "-""#),
        ("abc", #"time: invalid duration "abc""#), (".s", #"time: invalid duration ".s""#),
        ("5", #"time: missing unit in duration "5""#), ("5 m", #"time: unknown unit " m" in duration "5 m""#),
        ("5M", #"time: unknown unit "M" in duration "5M""#), ("1d", #"time: unknown unit "d" in duration "1d""#),
        ("--5s", #"time: invalid duration "--5s""#), ("9999999999h", #"time: invalid duration "9999999999h""#),
        ("99999999999999999999s", #"time: invalid duration "99999999999999999999s""#),
    ]

    @Test("invalid texts, with Go's words", arguments: invalidTexts)
    func invalid(text: String, words: String) {
        let error = #expect(throws: GoDurationError.self) { try GoDuration(parsing: text) }
        #expect(error?.description == words)
    }

    @Test("what is shown parses to the same length")
    func roundTrip() throws {
        var generator = SeededRandom.fromEnvironment("durations")
        for _ in 0..<2000 {
            let bits = Int64.random(in: 0...62, using: &generator)
            let duration = GoDuration(nanoseconds: Int64.random(in: -(1 << bits)...(1 << bits), using: &generator))
            #expect(try GoDuration(parsing: duration.description) == duration)
        }
    }

    @Test("the shortest form is shown")
    func shown() throws {
        for text in ["5m", "30s", "1h30m", "100ms", "50ms", "0s", "24h"] {
            #expect(try GoDuration(parsing: text).description == text)
        }
    }
}
