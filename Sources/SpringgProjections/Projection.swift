package import SpringgLog

/// State that is derivable from the log alone.
///
/// A projection never writes the log, never calls another projection and never sees the network. It sees every event
/// once, in the order of this node's log; its state must not depend on that order beyond what the events say.
package protocol Projection {
    /// The last event applied.
    var appliedLSN: LSN { get }

    /// Applies the next event.
    mutating func apply(_ event: Event, of envelope: Envelope, recordBytes: Int, lsn: LSN)
}
