import Glibc

/// What the writer of a log does, in numbers; written by its thread alone.
package final class CommitMeter: Sendable {
    /// Nanoseconds of a sync: from a cache that answers at once to a disk that is about to fail.
    private static let syncBounds = [
        50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
        100_000_000, 500_000_000, 1_000_000_000, 5_000_000_000,
    ]
    /// Events that one commit makes durable.
    private static let batchBounds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096]

    private let syncs = Histograms(bounds: CommitMeter.syncBounds)
    private let batches = Histograms(bounds: CommitMeter.batchBounds)
    private let bytes = Counters(count: 1)

    /// Nanoseconds of each sync.
    package var syncNanoseconds: HistogramSnapshot { syncs.snapshot() }
    /// Events of each commit.
    package var eventsPerCommit: HistogramSnapshot { batches.snapshot() }
    /// Bytes of all records committed.
    package var bytesCommitted: Int { bytes[0] }

    func committed(events: Int, bytes count: Int) {
        batches.record(events)
        bytes.add(count, to: 0)
    }

    /// Runs a sync and records how long it took, whether or not it succeeds.
    func timed(_ sync: () throws(FileSystemError) -> Void) throws(FileSystemError) {
        let begun = Self.now()
        defer { syncs.record(Self.now() - begun) }
        try sync()
    }

    private static func now() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}
