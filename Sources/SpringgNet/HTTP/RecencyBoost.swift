import SpringgLog
import SpringgProjections

/// A search's wish that newer vectors rank higher, by a date in their metadata.
///
/// A pure value: the present is handed in.
package struct RecencyBoost: Sendable {
    package enum Field: Sendable {
        case publishedDate
        case modifiedDate
        /// Some other name: accepted, and boosts nothing.
        case other
    }

    /// Rows that are looked at for each one asked for, since a boost may lift a row from further down.
    package static let fetchFactor = 10
    /// Rows that are looked at however many were asked for: what a boost may cost.
    package static let fetchMax = 1000

    package var field = Field.other
    package var recentDays = 0.0
    package var recentMultiplier = 0.0
    package var mediumDays = 0.0
    package var mediumMultiplier = 0.0

    /// A boost that changes nothing.
    package init() {}

    /// How many hits to fetch so that the best `k` after boosting are likely among them.
    package static func fetchCount(k: Int) -> Int {
        max(k, min(k * fetchFactor, fetchMax))
    }

    /// - Parameters:
    ///   - metadata: The stored metadata, empty for none.
    ///   - now: Seconds since 1970.
    /// - Returns: What the score of a row with this metadata is multiplied by; 1 when its date says nothing.
    package func multiplier(metadata: UnsafeRawBufferPointer, now: Double) -> Double {
        guard let date = self.date(in: metadata) else {
            return 1
        }
        let age = now - date
        if age < recentDays * CivilTime.secondsPerDay {
            return recentMultiplier
        }
        return age < mediumDays * CivilTime.secondsPerDay ? mediumMultiplier : 1
    }

    /// The score after boosting.
    ///
    /// Multiplying a negative score by more than 1 would push the row down, the opposite of what is asked for: it is
    /// divided instead, and a multiplier up to 1 leaves it as it is. The result is finite whatever the multiplier.
    package static func boosted(score: Float, multiplier: Double) -> Float {
        let score = Double(score)
        let boosted: Double
        if score >= 0 {
            boosted = score * multiplier
        } else {
            boosted = multiplier > 1 ? score / multiplier : score
        }
        let bound = Double(Float.greatestFiniteMagnitude)
        return Float(max(-bound, min(bound, boosted)))
    }

    private func date(in metadata: UnsafeRawBufferPointer) -> Double? {
        let name: StaticString
        switch field {
        case .publishedDate: name = "published_date"
        case .modifiedDate: name = "modified_date"
        case .other: return nil
        }
        guard metadata.count > 0 else {
            return nil
        }
        // No date of the three forms is longer than this, fractions of a second and all.
        return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { text in
            let length = try? Self.find(name, in: metadata, into: text)
            guard let length, length <= text.count else {
                return nil
            }
            return CivilTime.parse(UnsafeRawBufferPointer(rebasing: text[..<length]))
        }
    }

    /// Decodes the string member `name` of an object into `out`; returns its length, which may be more than fits.
    private static func find(
        _ name: StaticString,
        in object: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) throws(JSONError) -> Int? {
        var reader = JSONReader(object)
        try reader.beginObject()
        while let key = try reader.nextKey() {
            if key.isNamed(name) {
                return try reader.string(into: out)
            }
            try reader.skip()
        }
        return nil
    }
}
