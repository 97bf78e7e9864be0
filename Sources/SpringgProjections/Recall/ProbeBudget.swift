/// When the probe may compare a query with every row: processor time that it may use, saved up while it uses none.
///
/// A pure rule; whoever asks says what time it is.
package struct ProbeBudget: Sendable {
    /// Nanoseconds of processor time for a nanosecond that passes.
    private let share: Double
    /// Nanoseconds of processor time saved up; less than nothing after a probe that took more than there was.
    private var balance: Double
    private var at: UInt64

    /// What can be saved up: ten seconds' worth at one per cent of a core, so that a quiet night ends in no storm.
    package static let balanceMax = 100e6

    /// A budget of a share of one core; at the beginning there is something to spend.
    package init(corePercent: Double, at now: UInt64) {
        share = corePercent / 100
        balance = ProbeBudget.balanceMax
        at = now
    }

    /// Nanoseconds until the next probe may begin; 0 when it may now, nil when never.
    package mutating func wait(at now: UInt64) -> UInt64? {
        guard share > 0 else { return nil }
        balance = min(ProbeBudget.balanceMax, balance + Double(now - min(at, now)) * share)
        at = max(at, now)
        // A nanosecond is as good as nothing, and more than what rounding takes.
        return balance > -1 ? 0 : UInt64(-balance / share) + 1
    }

    /// A probe has used so much.
    package mutating func spend(nanoseconds: UInt64) { balance -= Double(nanoseconds) }
}

/// Which queries are probed, of those that come while the budget allows one.
package enum ProbeSampling {
    /// One query in so many: what is probed is a small share also of an index that is hardly asked.
    package static let queriesEach = 10
    /// Answers longer than this are not probed: their walks visit so much that they hardly miss anything.
    package static let kMax = 1000

    /// Whether the query with this number is one of them.
    ///
    /// The number is scattered first, so that a client who sends the same few queries in turn has all of them probed.
    package static func isChosen(_ number: UInt64) -> Bool {
        var word = number &* 0x9E37_79B9_7F4A_7C15
        word ^= word >> 32
        return word % UInt64(queriesEach) == 0
    }
}
