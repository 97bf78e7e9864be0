/// Counts times by their size, with an error of at most one per cent whatever the size.
///
/// As HdrHistogram does: for each power of two of nanoseconds 128 buckets of equal width.
struct BenchHistogram {
    private static let subBits = 7
    private var counts = [Int](repeating: 0, count: 64 << BenchHistogram.subBits)
    private(set) var count = 0
    private(set) var highest: UInt64 = 0
    private var sum = 0.0

    mutating func record(_ nanoseconds: UInt64) {
        counts[Self.bucket(nanoseconds)] += 1
        count += 1
        sum += Double(nanoseconds)
        highest = max(highest, nanoseconds)
    }

    mutating func merge(_ other: BenchHistogram) {
        for place in counts.indices { counts[place] += other.counts[place] }
        count += other.count
        sum += other.sum
        highest = max(highest, other.highest)
    }

    var mean: Double { count == 0 ? 0 : sum / Double(count) }

    /// The smallest time that so many of a hundred did not exceed.
    func percentile(_ percent: Double) -> UInt64 {
        let wanted = Int((Double(count) * percent / 100).rounded(.up))
        var seen = 0
        for (place, here) in counts.enumerated() where here > 0 {
            seen += here
            if seen >= wanted { return min(Self.upperBound(place), highest) }
        }
        return highest
    }

    private static func bucket(_ value: UInt64) -> Int {
        let shift = max(0, 63 - subBits - value.leadingZeroBitCount)
        return shift << subBits + Int(value >> UInt64(shift))
    }

    private static func upperBound(_ bucket: Int) -> UInt64 {
        let shift = max(0, bucket >> subBits - 1)
        return UInt64(bucket - shift << subBits + 1) << UInt64(shift) - 1
    }
}
