/// How replication to one peer goes, as `/internal/cluster/status` shows it.
package struct PeerReplication: Sendable, Equatable {
    /// Of the circuit breaker: `closed`, `open` or `half-open`.
    package var breaker: String
    /// Events that the peer is known to lack.
    package var lagEvents: Int
    /// Why the last attempt failed; nil when it did not.
    package var lastError: String?

    package init(breaker: String, lagEvents: Int, lastError: String? = nil) {
        self.breaker = breaker
        self.lagEvents = lagEvents
        self.lastError = lastError
    }
}
