package import SpringgCluster
import SpringgProjections
import Synchronization

/// What others fetch from this node, by pulls and as snapshots, within the bound on what it ships.
///
/// The state machine of replication has a bucket of its own for what it ships, and this is a second one of the same rate. What either
/// sends is charged to the other as well, so that both together keep to the bound.
package final class ServedBandwidth: Sendable {
    /// Bytes of events that one answer has at most, about.
    let batchBytes: Int
    private let state: Mutex<(bucket: TokenBucket, unreported: Int)>

    /// With the bound of `options`, or none.
    package init(_ options: ReplicationOptions) {
        batchBytes = options.batchBytes
        state = Mutex((TokenBucket(bytesPerSecond: options.bytesPerSecond, now: Self.now), 0))
    }

    private static var now: Duration { .nanoseconds(Int64(clamping: monotonicNanoseconds())) }

    /// Takes about so many bytes for an answer; returns how long to wait when there are none.
    func reserve(_ bytes: Int) -> Duration? {
        let now = Self.now
        return state.withLock { $0.bucket.take(bytes, now) ? nil : $0.bucket.next(now) - now }
    }

    /// So many of what was reserved have been sent, or so many more.
    func sent(_ bytes: Int, reserved: Int = 0) {
        self.state.withLock { state in
            state.bucket.giveBack(reserved - bytes)
            state.unreported += bytes
        }
    }

    /// The state machine has shipped so many.
    func shipped(_ bytes: Int) { state.withLock { $0.bucket.giveBack(-bytes) } }

    /// What was sent since this was asked last, for the state machine.
    func takeSent() -> Int {
        self.state.withLock { state in
            defer { state.unreported = 0 }
            return state.unreported
        }
    }
}
