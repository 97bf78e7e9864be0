package import SpringgLog

/// An event and where it stands.
package struct EventPlace: Equatable, Sendable {
    /// Its version.
    package var version: EventVersion
    /// Its number within its origin.
    package var sequence: Sequence
    /// Its place in the log that it was read from; zero in an archive, which has none.
    package var lsn: LSN

    init(version: EventVersion, sequence: Sequence) {
        self.version = version
        self.sequence = sequence
        lsn = .zero
    }

    package init(_ record: LogRecord) {
        version = record.envelope.version
        sequence = record.envelope.sequence
        lsn = record.lsn
    }
}

/// What is known of one part of a log without its events: a file here, an object in an archive.
package struct SegmentFacts: Equatable, Sendable {
    package var name: String
    package var events: UInt64
    package var bytes: UInt64
    /// First and last sequence of each origin.
    package var sequences: [OriginID: ClosedRange<UInt64>]
    package var lowest: EventVersion
    package var highest: EventVersion
}

/// What a log holds, gathered in one pass in constant memory for each segment and origin.
package struct LogSurvey: Sendable {
    /// Whether this is an archive, whose records have no place in a log.
    package var isArchive = false
    /// The record before the first one that is here.
    package var trimmed = LSN.zero
    /// The last record that was read; what a running node writes meanwhile is not part of this.
    package var last = LSN.zero
    /// Of an archive, in the order of their first versions.
    package var segments: [SegmentFacts] = []
    /// The first sequence of each origin that is here.
    package var first: [OriginID: Sequence] = [:]
    /// The last of each, with its chain.
    package var heads = VersionVector()
    /// Where each mark stands.
    package var marks: [String: EventVersion] = [:]
    /// The event that was asked for, when it is here.
    package var target: EventPlace?
    /// The highest version within the bound, and the lowest beyond it.
    package var lastIncluded: EventPlace?
    package var firstExcluded: EventPlace?
    package var eventsIncluded: UInt64 = 0
    package var eventsExcluded: UInt64 = 0
    /// Whose events the log's owner writes.
    package var origin = OriginID.none
    /// The first record that had not been written whole, which is no part of the log.
    package var torn: LogDamage?

    /// Reads a log, looking for the event `wanted`, and counts what `bound` includes.
    package init(
        of files: HeldFiles,
        lookingFor wanted: (OriginID, Sequence)?,
        bound: VersionBound
    ) throws(LogError) {
        // The visitor cannot hold `self` while it is initialised.
        var survey = LogSurvey()
        let starts = try LogScan(directory: files.logDirectory, fileSystem: files).segments()
        let outcome = try LiveScan.run(files) { record throws(LogError) in
            survey.take(record, starts, wanted, bound)
        }
        survey.trimmed = outcome.trimmed
        survey.origin = outcome.lastHeader?.origin ?? .none
        survey.torn = outcome.torn
        self = survey
    }

    /// An empty log, to be described.
    package init() {}

    private mutating func take(
        _ record: LogRecord,
        _ starts: [(firstLSN: LSN, path: String)],
        _ wanted: (OriginID, Sequence)?,
        _ bound: VersionBound
    ) {
        let envelope = record.envelope
        let (origin, version) = (envelope.origin, envelope.version)
        // Segments without a record are passed over.
        while segments.count < starts.count, starts[segments.count].firstLSN <= record.lsn {
            segments.append(
                SegmentFacts(
                    name: starts[segments.count].path,
                    events: 0,
                    bytes: 0,
                    sequences: [:],
                    lowest: version,
                    highest: version
                )
            )
        }
        last = record.lsn
        let place = segments.count - 1
        let sequence = envelope.sequence.rawValue
        let range = segments[place].sequences[origin] ?? sequence...sequence
        segments[place].sequences[origin] = min(range.lowerBound, sequence)...max(range.upperBound, sequence)
        segments[place].events += 1
        segments[place].bytes += UInt64(record.recordBytes)
        segments[place].lowest = min(segments[place].lowest, version)
        segments[place].highest = max(segments[place].highest, version)
        if first[origin] == nil { first[origin] = envelope.sequence }
        heads[origin] = .init(sequence: envelope.sequence, chain: envelope.chain)
        if envelope.kind == .mark, case .mark(let name)? = envelope.event {
            marks[name] = max(marks[name] ?? .none, version)
        }
        if let wanted, wanted.0 == origin, wanted.1 == envelope.sequence { target = EventPlace(record) }
        bound.holds(version) ? include(EventPlace(record), events: 1) : exclude(EventPlace(record), events: 1)
    }

    /// Counts events within the bound, of which `last` has the highest version.
    mutating func include(_ last: EventPlace, events: UInt64) {
        eventsIncluded += events
        if last.version > lastIncluded?.version ?? .none { lastIncluded = last }
    }

    /// Counts events beyond the bound, of which `first` has the lowest version.
    mutating func exclude(_ first: EventPlace, events: UInt64) {
        eventsExcluded += events
        if firstExcluded.map({ first.version < $0.version }) ?? true { firstExcluded = first }
    }
}

/// Reads a log that a running node may be writing.
enum LiveScan {
    /// Looks at a moving end before it is called damaged.
    private static let looksMax = 20

    /// Visits every record beyond `base` once, in LSN order.
    ///
    /// A reader beside the writer can see a record's place before its bytes, and later ones whole: what looks damaged is
    /// looked at again, and is damage if it looks the same twice.
    static func run(
        _ files: HeldFiles,
        from base: LogBase = .beginning,
        _ visit: (LogRecord) throws(LogError) -> Void
    ) throws(LogError) -> LogScan.Outcome {
        let scan = LogScan(directory: files.logDirectory, fileSystem: files)
        let last = try scan.segments().last?.path
        var reached = base.lsn
        var seen: LogDamage?
        for _ in 1..<looksMax {
            do throws(LogError) {
                return try scan.run(from: base) { record throws(LogError) in
                    guard record.lsn > reached else { return }
                    try visit(record)
                    reached = record.lsn
                }
            } catch {
                guard case .corrupt(let damage) = error, damage.segment == last, damage != seen else { throw error }
                seen = damage
            }
        }
        return try scan.run(from: base) { record throws(LogError) in
            if record.lsn > reached { try visit(record) }
        }
    }
}
