package import SpringgLog

/// How far a restore has come.
package struct RestoreProgress: Sendable, CustomStringConvertible {
    /// The last event that was read; zero while the base is.
    package var lsn = LSN.zero
    /// Bytes of an archive's objects that are here, and of all that are needed; 0 without an archive.
    package var bytesDone = 0
    package var bytesTotal = 0

    init(lsn: LSN) { self.lsn = lsn }

    init(_ fetch: ObjectFetch, lsn: LSN = .zero) {
        self.lsn = lsn
        bytesDone = fetch.bytesDone
        bytesTotal = fetch.bytesTotal
    }

    /// For a line on a screen.
    package var description: String {
        let fetched = bytesTotal > 0 ? "\(bytesDone / 1_000_000) of \(bytesTotal / 1_000_000) MB fetched" : ""
        let read = lsn > .zero ? "LSN \(lsn)" : ""
        return [fetched, read].filter { !$0.isEmpty }.joined(separator: ", ")
    }
}
