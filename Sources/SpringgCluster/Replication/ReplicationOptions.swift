/// How replication goes about its work.
package struct ReplicationOptions: Sendable {
    /// Bytes of events in one request: so many that a sync for each of them is no burden, so few that memory is none.
    package var batchBytes = 4 << 20
    /// From the start of one request to the start of the next to the same peer, while writes go on.
    ///
    /// A write that comes alone is shipped at once; of many, each waits so long at most, and a request carries all of them.
    package var gather = Duration.milliseconds(50)
    /// How often a peer is asked what it holds, while there is nothing to ship; in a large cluster less often.
    package var askInterval = Duration.seconds(2)
    /// How long a node waits at its start for all members to say what they hold of its own events.
    package var startWait = Duration.seconds(5)
    /// Bytes a second that are shipped to all peers together; nil for no bound.
    package var bytesPerSecond: Int?

    package init() {}

    /// With a bound, in batches that are a quarter of a second's worth, so that it is felt as a pace and not as stops.
    package init(bytesPerSecond: Int) {
        self.bytesPerSecond = bytesPerSecond
        batchBytes = min(batchBytes, max(ReplicationOptions.batchBytesMin, bytesPerSecond / 4))
    }

    /// A batch of fewer would be requests without end.
    private static let batchBytesMin = 64 << 10
}
