/// How a node archives.
package struct ArchiveOptions: Sendable {
    /// Milliseconds between two rounds.
    package var syncInterval: UInt64 = 300_000
    /// Milliseconds between a round and one that is asked for: those who ask in the meantime share it.
    ///
    /// Each makes a segment and a manifest, and a stream of single writes would make ten a second.
    package var requestPause: UInt64 = 500
    /// Milliseconds between two snapshots; 0 for none but those that are needed because the log no longer reaches back.
    package var snapshotInterval: UInt64 = 24 * 3_600_000
    /// Milliseconds for which every moment can be restored; 0 for ever.
    package var retention: UInt64 = 0
    /// Milliseconds for which an object stays that nothing refers to, and between two sweeps.
    ///
    /// Longer than any upload, any restore and any pause of a process.
    package var grace: UInt64 = 24 * 3_600_000
    /// Bytes of the log that may wait for the archive before the operator is warned; 0 for no bound.
    package var waitingBytesMax = 0
    /// Objects that are sent at once: enough to fill a line although each waits for its answer.
    ///
    /// Each holds a segment of 16 MiB in memory, as it is and compressed.
    package var uploads = 4
    /// Where the archive is, for messages.
    package var archive = "the archive"
    /// Name of the node, for those who read manifests.
    package var node = ""
    /// Label of the cluster; of two labels one archive takes the first.
    package var label = ""
    /// Identity of the archive that was there before; nil for any, or a new one.
    package var cluster: String?
    /// Whether other nodes may archive to the same place.
    package var isClustered = false

    /// The defaults of the settings.
    package init() {}
}
