import SpringgLog

extension LogSurvey {
    /// What an archive holds of the log, by its manifest; only the segments through which the bound goes, and the one with
    /// the event `wanted`, are read.
    init(
        of archive: ArchiveContents,
        in store: any ObjectStore,
        lookingFor wanted: (OriginID, Sequence)?,
        bound: VersionBound
    ) throws {
        self.init()
        isArchive = true
        segments = archive.segments
        for segment in segments {
            guard let (origin, sequences) = segment.sequences.first else { continue }
            let (first, last) = (Sequence(sequences.lowerBound), Sequence(sequences.upperBound))
            let isWanted = wanted.map { $0.0 == origin && sequences.contains($0.1.rawValue) } ?? false
            let isSplit = bound.holds(segment.lowest) && !bound.holds(segment.highest)
            if !isSplit {
                bound.holds(segment.highest)
                    ? include(EventPlace(version: segment.highest, sequence: last), events: segment.events)
                    : exclude(EventPlace(version: segment.lowest, sequence: first), events: segment.events)
            }
            guard isSplit || isWanted else { continue }
            let records = try archive.records(segment.name, in: store)
            while let envelope = try records.next()?.envelope {
                let place = EventPlace(version: envelope.version, sequence: envelope.sequence)
                if let wanted, isWanted, envelope.sequence == wanted.1 { target = place }
                if isSplit { bound.holds(envelope.version) ? include(place, events: 1) : exclude(place, events: 1) }
            }
        }
        heads = archive.manifest.heads
        // Not how many are missing, which nobody asks for, but whether any is.
        trimmed = archive.covers(from: VersionVector(), upTo: bound) ? .zero : LSN(1)
    }
}
