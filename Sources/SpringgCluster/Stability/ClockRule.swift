/// Whether this node's wall clock can be trusted to stamp events.
///
/// A clock that is far from those of the others makes its writes win or lose against theirs for no reason that a client could
/// see. So a node that is further than a bound from the majority of its peers stops originating; it goes on taking what
/// others wrote, whatever their clocks say. With one peer alone nobody can tell whose clock is wrong, so neither stops.
package struct ClockRule: Sendable {
    /// How far a peer's clock is ahead of this node's, and by how much that may be wrong: half of the time that asking took.
    private struct Sample: Sendable {
        var milliseconds: Double
        var uncertainty: Double
        var at: Duration
    }

    /// What the samples say.
    package enum Verdict: Equatable, Sendable {
        case fine
        /// The others' clocks are so far ahead, or behind when negative.
        case off(milliseconds: Double)
    }

    /// A sample is worth nothing after this time: clocks are corrected, members go.
    package static let freshness = Duration.seconds(120)
    /// With fewer, nobody can tell whose clock is wrong.
    package static let peersMin = 2

    private let boundMilliseconds: Double
    private var samples: [String: Sample] = [:]

    /// A rule with `max_clock_offset`; 0 for none.
    package init(boundMilliseconds: Double) { self.boundMilliseconds = boundMilliseconds }

    /// A peer said at `now` that its clock is `milliseconds` ahead.
    package mutating func sample(_ peer: String, ahead milliseconds: Double, uncertainty: Double, now: Duration) {
        guard milliseconds.isFinite, uncertainty.isFinite else { return }
        samples[peer] = Sample(milliseconds: milliseconds, uncertainty: max(0, uncertainty), at: now)
        if samples.count > WireLimits.nodes { samples = samples.filter { now - $0.value.at <= Self.freshness } }
    }

    /// Off, when more than half of the peers that were heard of lately are certainly further away than the bound, and on
    /// one side.
    package func verdict(now: Duration) -> Verdict {
        let fresh = samples.values.filter { now - $0.at <= Self.freshness }
        guard boundMilliseconds > 0, fresh.count >= Self.peersMin else { return .fine }
        for sign in [1.0, -1.0] {
            let far = fresh.filter { sign * $0.milliseconds - $0.uncertainty > boundMilliseconds }
            guard far.count * 2 > fresh.count else { continue }
            let offsets = far.map(\.milliseconds).sorted()
            return .off(milliseconds: offsets[offsets.count / 2])
        }
        return .fine
    }
}
