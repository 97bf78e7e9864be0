/// Counts of durations in log-linear buckets: 64 to each power of two, so that a percentile is at most 1.6 % too high.
///
/// Recording is a few instructions and memory is fixed, so that a load generator can note every single answer.
public struct LatencyHistogram: Sendable {
    private static let bucketsPerOctaveLog2 = 6
    private static let bucketsPerOctave = 1 << bucketsPerOctaveLog2
    /// Durations from 2^42 ns (73 minutes) on share the last bucket.
    private static let octaves = 42 - bucketsPerOctaveLog2 + 1

    private var counts: [UInt64]
    /// How many durations were recorded.
    public private(set) var count: UInt64 = 0
    /// The longest duration recorded, exactly.
    public private(set) var maxNanoseconds: UInt64 = 0
    private var sumNanoseconds: Double = 0

    /// A histogram with nothing in it.
    public init() {
        counts = [UInt64](repeating: 0, count: Self.octaves * Self.bucketsPerOctave)
    }

    /// Counts one duration.
    public mutating func record(nanoseconds: UInt64) {
        let bucket = min(Self.bucket(of: nanoseconds), counts.count - 1)
        counts[bucket] &+= 1
        count &+= 1
        sumNanoseconds += Double(nanoseconds)
        if nanoseconds > maxNanoseconds { maxNanoseconds = nanoseconds }
    }

    /// Adds what another histogram counted.
    public mutating func merge(_ other: LatencyHistogram) {
        for bucket in counts.indices { counts[bucket] += other.counts[bucket] }
        count += other.count
        sumNanoseconds += other.sumNanoseconds
        maxNanoseconds = max(maxNanoseconds, other.maxNanoseconds)
    }

    /// The arithmetic mean; 0 when nothing was recorded.
    public var meanNanoseconds: Double {
        count == 0 ? 0 : sumNanoseconds / Double(count)
    }

    /// A duration that so many per cent of the recorded ones do not exceed; 0 when nothing was recorded.
    ///
    /// It is the upper edge of the bucket that the percentile falls into, but never more than the maximum.
    public func percentile(_ percent: Double) -> UInt64 {
        let rank = max(1, UInt64((Double(count) * percent / 100).rounded(.up)))
        var seen: UInt64 = 0
        for bucket in counts.indices {
            seen += counts[bucket]
            if seen >= rank { return min(Self.upperEdge(of: bucket), maxNanoseconds) }
        }
        return maxNanoseconds
    }

    /// Values below 64 have a bucket each; above, the six bits behind the leading one choose among 64.
    static func bucket(of nanoseconds: UInt64) -> Int {
        guard nanoseconds >= bucketsPerOctave else { return Int(nanoseconds) }
        let shift = 63 - nanoseconds.leadingZeroBitCount - bucketsPerOctaveLog2
        return (shift + 1) * bucketsPerOctave + Int(nanoseconds >> shift) - bucketsPerOctave
    }

    /// The largest value that falls into the bucket.
    static func upperEdge(of bucket: Int) -> UInt64 {
        guard bucket >= bucketsPerOctave else { return UInt64(bucket) }
        let shift = bucket / bucketsPerOctave - 1
        let leading = UInt64(bucket % bucketsPerOctave + bucketsPerOctave)
        return (leading + 1) << shift - 1
    }
}
