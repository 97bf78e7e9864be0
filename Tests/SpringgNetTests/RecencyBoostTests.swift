import SpringgLog
import SpringgNet
import Testing

@Suite struct RecencyBoostTests {
    /// 2024-01-31T00:00:00Z.
    private static let now = 1_706_659_200.0

    private func seconds(_ text: String) -> Double? {
        Array(text.utf8).withUnsafeBytes { CivilTime.parse($0) }
    }

    @Test func theThreeFormsOfDates() {
        #expect(seconds("1970-01-01") == 0)
        #expect(seconds("2024-01-31") == Self.now)
        #expect(seconds("2024-01-31 00:00:01") == Self.now + 1)
        #expect(seconds("2024-01-31T00:00:01Z") == Self.now + 1)
        #expect(seconds("2024-01-31T02:30:00+02:30") == Self.now)
        #expect(seconds("2024-01-30T23:00:00-01:00") == Self.now)
        #expect(seconds("2024-01-31T00:00:00.25Z") == Self.now + 0.25)
        #expect(seconds("2000-02-29") == 951_782_400)
        #expect(seconds("0001-01-01T00:00:00Z") == -62_135_596_800)
    }

    @Test(arguments: [
        "", "2024", "2024-1-31", "2024-13-01", "2024-02-30", "1900-02-29", "2024-01-31T00:00:00", "2024-01-31 25:00:00",
        "2024-01-31 00:00:00Z", "2024-01-31T00:00:00.Z", "2024-01-31T00:00:00+24:00", "2024-01-31x", " 2024-01-31",
        "yesterday", "２０２４-01-31",
    ])
    func anythingElseIsNoDate(text: String) {
        #expect(seconds(text) == nil)
    }

    @Test func datesAreWrittenAsTheyAreRead() {
        for second in stride(from: -80_000_000_000.0, through: 80_000_000_000, by: 12_345_677) {
            let text = CivilTime.rfc3339(second)
            if second > -62_167_219_200 {
                #expect(seconds(text) == second, "\(text)")
            }
        }
        #expect(CivilTime.httpDate(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
    }

    private func multiplier(_ metadata: String, _ field: RecencyBoost.Field = .publishedDate) -> Double {
        var boost = RecencyBoost()
        boost.field = field
        boost.recentDays = 7
        boost.recentMultiplier = 2
        boost.mediumDays = 30
        boost.mediumMultiplier = 1.5
        return Array(metadata.utf8).withUnsafeBytes { boost.multiplier(metadata: $0, now: Self.now) }
    }

    @Test func ageChoosesTheMultiplier() {
        #expect(multiplier(#"{"published_date":"2024-01-30"}"#) == 2)
        #expect(multiplier(#"{"published_date":"2024-01-24 00:00:01"}"#) == 2)
        #expect(multiplier(#"{"published_date":"2024-01-24"}"#) == 1.5)
        #expect(multiplier(#"{"published_date":"2024-01-02"}"#) == 1.5)
        #expect(multiplier(#"{"published_date":"2024-01-01"}"#) == 1)
        #expect(multiplier(#"{"published_date":"2030-01-01"}"#) == 2)
        #expect(multiplier(#"{"modified_date":"2024-01-30","custom":{"published_date":"2024-01-30"}}"#) == 1)
        #expect(multiplier(#"{"custom":{"a":[1]},"modified_date":"2024-01-30"}"#, .modifiedDate) == 2)
        #expect(multiplier(#"{"published_date":"soon"}"#) == 1)
        #expect(multiplier(#"{"published_date":"2024-01-30"}"#, .other) == 1)
        #expect(multiplier("") == 1)
    }

    @Test func aMultiplierNeverWorsensANegativeScoreAndNeverLeavesFloat32() {
        #expect(RecencyBoost.boosted(score: 0.5, multiplier: 2) == 1)
        #expect(RecencyBoost.boosted(score: 0.5, multiplier: 0.5) == 0.25)
        for multiplier in [0, 0.1, 0.5, 1, 1.5, 100, 1e308, -3] {
            for score: Float in [-1, -0.5, -1e-30] {
                #expect(RecencyBoost.boosted(score: score, multiplier: multiplier) >= score)
            }
            for score: Float in [-1, 0, 1e-30, 1] {
                #expect(RecencyBoost.boosted(score: score, multiplier: multiplier).isFinite)
            }
        }
    }

    @Test func moreRowsAreLookedAtThanAskedForUpToABound() {
        #expect(RecencyBoost.fetchCount(k: 1) == 10)
        #expect(RecencyBoost.fetchCount(k: 100) == 1000)
        #expect(RecencyBoost.fetchCount(k: 500) == 1000)
        #expect(RecencyBoost.fetchCount(k: 5000) == 5000)
    }
}
