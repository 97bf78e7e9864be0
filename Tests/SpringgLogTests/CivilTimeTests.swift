import SpringgLog
import SpringgTestKit
import Testing

@Suite("Moments as text")
struct CivilTimeTests {
    @Test("known times")
    func known() {
        #expect(CivilTime.milliseconds("1970-01-01T00:00:00Z") == 0)
        #expect(CivilTime.milliseconds("2000-02-29T12:00:00.5Z") == 951_825_600_500)
        #expect(CivilTime.milliseconds("2026-11-22T16:00:00.123456+02:00") == 1_795_356_000_123)
        #expect(CivilTime.milliseconds("2026-11-22 14:00:00z") == 1_795_356_000_000)
        #expect(CivilTime.rfc3339(milliseconds: 1_795_356_000_123) == "2026-11-22T14:00:00.123Z")
        #expect(CivilTime.rfc3339(milliseconds: 253_402_300_799_999) == "9999-12-31T23:59:59.999Z")
    }

    @Test("every day of four centuries comes back as it was written")
    func roundTrip() {
        for day in UInt64(0)..<146_097 {
            let milliseconds = day * 86_400_000 + day % 86_400_000
            #expect(CivilTime.milliseconds(CivilTime.rfc3339(milliseconds: milliseconds)) == milliseconds)
        }
    }

    @Test(
        "what is no moment is refused",
        arguments: [
            "", "2026", "2026-11-22", "2026-11-22T14:00:00", "2026-02-30T00:00:00Z", "2100-02-29T00:00:00Z",
            "2026-11-22T24:00:00Z", "2026-11-22T14:60:00Z", "2026-11-22T14:00:00.Z", "2026-11-22T14:00:00Zx",
            "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00", "2026-00-10T00:00:00Z", "2026-11-22T14:00:00+1:00",
        ]
    )
    func refused(_ text: String) { #expect(CivilTime.milliseconds(text) == nil) }

    @Test("a clock reading comes back as it was printed")
    func readings() {
        let reading = HLC(milliseconds: 1_763_800_000_000, counter: 65_535)
        #expect(HLC(reading.description) == reading)
        for text in ["", "1", "1.", ".1", "1.65536", "-1.0", "281474976710656.0", "1.0.0", "1.0 "] {
            #expect(HLC(text) == nil, "\(text)")
        }
    }
}
