/// How well this node itself hears, 0 (well) to 7.
///
/// Dadgar, Phillips, Currey: "Lifeguard: Local Health Awareness for More Accurate Failure Detection", 2018. A node that
/// misses answers, or is accused itself, is probably slow itself, and gives others more time before it accuses them.
package struct HealthScore: Equatable, Sendable {
    private static let max = 7
    package private(set) var value = 0

    mutating func add(_ change: Int) { value = Swift.min(Self.max, Swift.max(0, value + change)) }

    /// What a time is multiplied by.
    var factor: Int { value + 1 }
}
