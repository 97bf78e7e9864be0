/// Keeps a node from pestering a peer that does not answer: each failure doubles the pause before the next attempt.
///
/// Closed: everything goes. Open: nothing does until the pause is over. Then half open: one attempt shows whether it
/// closes or opens for longer. Who hears of the peer by another way ends the pause, once in the longest pause: whom only that way
/// reaches is tried hardly more often for it.
package struct CircuitBreaker: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        case closed
        case open(until: Duration)
        case halfOpen
    }

    package private(set) var state = State.closed
    /// Failures since the last success.
    package private(set) var failures = 0
    /// When a pause was ended last since the peer had been heard of.
    private var heardAt: Duration?

    /// The first pause: longer than a peer takes to be restarted is no use, since the first attempt behind it may succeed.
    package static let pauseMin = Duration.milliseconds(250)
    /// The longest: what a peer that is back waits for us at most.
    package static let pauseMax = Duration.seconds(15)

    package init() {}

    /// Whether something may be sent; an attempt behind the pause is the only one until its outcome is known.
    package mutating func admits(_ now: Duration) -> Bool {
        switch state {
        case .closed: return true
        case .halfOpen: return false
        case .open(let until):
            guard now >= until else { return false }
            state = .halfOpen
            return true
        }
    }

    /// When something may be sent that may not now; nil when it may, or when an attempt is under way.
    var opensAt: Duration? { if case .open(let until) = state { until } else { nil } }

    /// The peer was heard of: it may be reachable again.
    package mutating func heard(_ now: Duration) {
        guard case .open(let until) = state, now < until, heardAt.map({ now >= $0 + CircuitBreaker.pauseMax }) ?? true
        else { return }
        heardAt = now
        state = .open(until: now)
    }

    package mutating func succeeded() { self = CircuitBreaker() }

    /// The pause is half fixed and half by chance, so that those who lost one peer do not all come back at once.
    package mutating func failed(_ now: Duration, using random: inout some RandomNumberGenerator) {
        failures += 1
        let doublings = min(failures - 1, 16)
        let pause = min(CircuitBreaker.pauseMin * (1 << doublings), CircuitBreaker.pauseMax)
        state = .open(until: now + pause * Double.random(in: 0.5...1, using: &random))
    }
}
