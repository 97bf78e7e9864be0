/// When a failed request is sent again, and when not.
///
/// Decides only: it neither waits nor rolls dice by itself.
package struct RetryRule: Sendable, Equatable {
    /// What a failure asks for.
    package enum Reason: Sendable, Equatable {
        /// The connection or the server failed.
        case trouble
        /// The server has too much to do; `afterSeconds` is what it asks for.
        case overload(afterSeconds: Int?)
    }

    /// Attempts in a row without getting ahead, the first included.
    package var attemptsMax = 8
    /// The longest first pause; each further one may be twice as long.
    package var firstPauseMilliseconds = 100
    /// The same after an overload, which a tenth of a second would not end.
    package var firstOverloadPauseMilliseconds = 1_000
    /// No pause is longer, unless the server asks for it.
    package var pauseMillisecondsMax = 20_000
    /// What a server may ask for.
    package var requestedPauseSecondsMax = 60

    /// A rule with this much patience.
    package init(attemptsMax: Int = 8) { self.attemptsMax = attemptsMax }

    /// Milliseconds to wait before the next attempt, or nil to give up.
    ///
    /// Exponential with equal jitter: between half of the bound and the bound, so that nodes that failed together do not come
    /// back together, and none comes back at once.
    package func pause(
        afterAttempt attempt: Int,
        _ reason: Reason,
        using random: inout some RandomNumberGenerator
    ) -> Int? {
        guard attempt < attemptsMax else { return nil }
        let first: Int
        var requested = 0
        switch reason {
        case .trouble: first = firstPauseMilliseconds
        case .overload(let seconds):
            first = firstOverloadPauseMilliseconds
            requested = min(max(seconds ?? 0, 0), requestedPauseSecondsMax) * 1_000
        }
        // Twenty doublings are beyond any bound already.
        let bound = max(2, min(pauseMillisecondsMax, first << min(attempt - 1, 20)))
        return max(requested, Int.random(in: bound / 2...bound, using: &random))
    }
}
