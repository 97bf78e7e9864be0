package import SpringgLog

/// All events of an archive as one log, in the order of their versions.
///
/// The LSN of each is its place in that order, behind as many as the archive no longer has: that which it has in a log
/// restored from there.
package struct ArchiveLog {
    private let store: any ObjectStore
    private let contents: ArchiveContents

    /// Reads the newest manifest.
    package init(of store: any ObjectStore) throws {
        guard let contents = try ArchiveContents(of: store) else { throw RestoreError.noSource(store.location) }
        self.store = store
        self.contents = contents
    }

    /// The envelopes of an origin from `first` on, in their order and without a gap: up to `last`, or as far as there are any.
    package func envelopes(
        of origin: OriginID,
        from first: Sequence,
        upTo last: Sequence?
    ) throws -> [[UInt8]] {
        var next = first
        var found: [[UInt8]] = []
        for segment in contents.segments {
            guard let sequences = segment.sequences[origin], sequences.contains(next.rawValue) else { continue }
            let records = try contents.records(segment.name, in: store)
            while let envelope = try records.next()?.envelope, last.map({ next <= $0 }) ?? true {
                guard envelope.sequence == next else { continue }
                found.append(Array(envelope.bytes))
                next = next.next
            }
        }
        return found
    }

    /// Visits once, until `visit` returns false, every event whose clock reading is within bounds (Unix milliseconds, both included;
    /// nil: none); segments without any of those are not fetched.
    package func forEach(
        since: UInt64? = nil,
        until: UInt64? = nil,
        _ visit: (LogRecord) throws -> Bool
    ) throws {
        let scratch = try ScratchDirectory()
        defer { withExtendedLifetime(scratch) {} }
        var lsn = LSN(contents.eventsBefore)
        var segments = contents.segments
        if let since {
            // All their events come before those that are wanted.
            let passedOver = segments.filter { $0.highest.hlc.milliseconds < since }
            lsn = LSN(passedOver.reduce(lsn.rawValue) { $0 + $1.events })
            segments.removeAll { $0.highest.hlc.milliseconds < since }
        }
        if let until { segments.removeAll { $0.lowest.hlc.milliseconds > until } }
        let fetch = ObjectFetch(
            segments.map { contents.item($0.name) },
            from: store,
            into: scratch.path,
            keeps: false,
            fileSystem: PosixFileSystem()
        )
        defer { fetch.close() }
        var merge = ArchiveMerge(segments, through: fetch)
        try merge.forEach { record in
            lsn = lsn.next
            let time = record.envelope.version.hlc.milliseconds
            // Those before have other places, since what lies between them was passed over.
            if let since, time < since { return true }
            if let until, time > until { return false }
            return try visit(
                LogRecord(
                    lsn: lsn,
                    offset: record.offset,
                    envelope: record.envelope,
                    frame: record.frame,
                    bytes: record.bytes
                )
            )
        }
    }
}
