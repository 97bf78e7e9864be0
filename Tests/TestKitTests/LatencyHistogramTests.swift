import SpringgTestKit
import Testing

@Suite struct LatencyHistogramTests {
    /// The figures of the benchmark rest on this: a percentile is never too low, and at most 1.6 % too high.
    @Test func percentilesAreWithinOneBucketOfTheSortedValues() {
        var random = SeededRandom.fromEnvironment("latency histogram")
        var histogram = LatencyHistogram()
        var values: [UInt64] = []
        for _ in 0..<20_000 {
            // Spread over ten powers of ten, as latencies are over many orders of magnitude.
            let value = random.next() >> UInt64.random(in: 24..<60, using: &random)
            values.append(value)
            histogram.record(nanoseconds: value)
        }
        values.sort()
        for percent in [0.001, 1, 10, 50, 90, 99, 99.9, 100] {
            let rank = max(1, Int((Double(values.count) * percent / 100).rounded(.up)))
            let exact = values[rank - 1]
            let given = histogram.percentile(percent)
            #expect(given >= exact && Double(given) <= Double(exact) * (1 + 1.0 / 64) + 1, "\(percent) %")
        }
        #expect(histogram.count == 20_000)
        #expect(histogram.maxNanoseconds == values.last)
    }

    @Test func mergingIsRecordingBoth() {
        var first = LatencyHistogram()
        var second = LatencyHistogram()
        var both = LatencyHistogram()
        for value in 0..<1000 as Range<UInt64> {
            let duration = value * value
            if value % 3 == 0 { first.record(nanoseconds: duration) } else { second.record(nanoseconds: duration) }
            both.record(nanoseconds: duration)
        }
        first.merge(second)
        #expect(first.count == both.count)
        #expect(first.meanNanoseconds == both.meanNanoseconds)
        for percent in stride(from: 1.0, through: 100, by: 1) {
            #expect(first.percentile(percent) == both.percentile(percent))
        }
    }

    @Test func nothingRecordedIsZero() {
        let histogram = LatencyHistogram()
        #expect(histogram.percentile(99) == 0)
        #expect(histogram.meanNanoseconds == 0)
    }

    @Test func longestDurationsAreKept() {
        var histogram = LatencyHistogram()
        histogram.record(nanoseconds: .max)
        #expect(histogram.percentile(50) > 0)
        #expect(histogram.maxNanoseconds == .max)
    }
}

@Suite struct SeededRandomTests {
    @Test func equalSeedsGiveEqualNumbers() {
        var first = SeededRandom(seed: 7)
        var second = SeededRandom(seed: 7)
        var other = SeededRandom(seed: 8)
        let numbers = (0..<100).map { _ in first.next() }
        #expect(numbers == (0..<100).map { _ in second.next() })
        #expect(numbers != (0..<100).map { _ in other.next() })
        #expect(Set(numbers).count == 100)
    }

    @Test func bitsAreSpread() {
        var random = SeededRandom(seed: 0)
        var ones = [Int](repeating: 0, count: 64)
        for _ in 0..<10_000 {
            let word = random.next()
            for bit in 0..<64 where word >> UInt64(bit) & 1 == 1 { ones[bit] += 1 }
        }
        #expect(ones.allSatisfy { (4_700...5_300).contains($0) })
    }
}
