/// Reads a log directory from its first record to its last, without changing anything, and judges where it ends.
///
/// Recovery, `logdump` and the tests all read through here, so that they agree on what is readable.
public struct LogScan {
    /// The directory that holds the segments.
    public let directory: String
    private let fileSystem: any FileSystem

    /// Prepares to read the segments in `directory`.
    public init(directory: String, fileSystem: any FileSystem) {
        self.directory = directory
        self.fileSystem = fileSystem
    }

    /// Where the readable records end and what follows from it.
    package struct Outcome {
        /// Path of the last segment, nil in an empty directory.
        package var lastSegment: String?
        package var lastHeader: SegmentHeader?
        /// Offset behind the last readable record or marker of the last segment.
        package var endOffset = 0
        /// The last readable record.
        package var lastLSN = LSN.zero
        /// What precedes the first record that is here.
        package var trimmed = LSN.zero
        package var link: UInt32 = 0
        package var heads: VersionVector {
            get { histories.heads }
            set { histories.heads = newValue }
        }
        var histories = OriginHistories()
        /// Holes that the log itself tells of.
        package var losses: [LogLoss] = []
        package var highestHLC = HLC(0)
        /// The highest LSN that a frame says was synced.
        package var durableUpTo = LSN.zero
        /// Records of the last segment beyond `durableUpTo`: the only ones a lost page could still take.
        package var unprovenOffset = 0
        /// True when the log was closed in order and nothing was written since.
        package var isSealed = false
        package var segments: [LogSegment] = []
        /// The base, and each segment that begins where the heads are known.
        var entries: [LogEntry] = []
        /// A torn end of the last segment: first lost record, and the bytes to cut.
        package var torn: LogDamage?
        package var tornEnd = 0
        package var records: UInt64 = 0
    }

    /// Paths of the segments, in the order of their LSNs.
    package func segments() throws(LogError) -> [(firstLSN: LSN, path: String)] {
        try Log.io { () throws(FileSystemError) in try fileSystem.list(directory) }
            .compactMap { name in SegmentHeader.firstLSN(fileName: name).map { ($0, directory + "/" + name) } }
            .sorted { $0.0 < $1.0 }
    }

    package func reader(_ path: String) throws(LogError) -> SegmentReader {
        let file = try Log.io { () throws(FileSystemError) in try fileSystem.open(path, .read) }
        return try SegmentReader(path: path, file: file)
    }

    /// Visits every record beyond `base` in LSN order.
    ///
    /// Reading begins with the segment that holds the first of them; the record at the base must have the chain that the
    /// base names, so that a checkpoint of another history is noticed.
    ///
    /// A torn end is reported in the outcome, not thrown.
    /// - Throws: `.corrupt` at the first damage; records before it have been visited.
    package func run(
        from base: LogBase = .beginning,
        _ visit: (LogRecord) throws(LogError) -> Void
    ) throws(LogError) -> Outcome {
        var outcome = Outcome()
        outcome.highestHLC = base.highestHLC
        // What a checkpoint holds was durable.
        outcome.durableUpTo = base.lsn
        var unproven: [(lsn: LSN, offset: Int)] = []
        let all = try segments()
        let skipped = max(0, (all.lastIndex { $0.firstLSN <= base.lsn.next } ?? 0))
        for segment in all.prefix(skipped) {
            let reader = try reader(segment.path)
            try checkPlace(reader, named: segment.firstLSN, after: outcome.segments.last?.firstLSN)
            outcome.begin(reader.header, isFirst: outcome.segments.isEmpty)
            outcome.segments.append(LogSegment(segment.path, reader.header))
        }
        let segments = Array(all.dropFirst(skipped))
        for (number, segment) in segments.enumerated() {
            let reader = try reader(segment.path)
            let isLast = number == segments.count - 1
            if number == 0 {
                outcome.lastLSN = reader.header.continuesFrom
                outcome.link = reader.header.link
                try takeUp(base, at: segment.path, &outcome)
            }
            try checkPlace(reader, named: segment.firstLSN, after: outcome.segments.last?.firstLSN)
            try check(reader, continues: outcome)
            outcome.begin(reader.header, isFirst: outcome.segments.isEmpty)
            if reader.header.missing != nil {
                // What the hole swallowed up to the base is in the checkpoint all the same.
                if outcome.lastLSN < base.lsn, reader.header.firstLSN > base.lsn {
                    outcome.histories.heads = base.heads
                }
                outcome.lastLSN = reader.header.firstLSN.previous
            }
            // Behind a hole the heads do not tell what of an origin has been read.
            if outcome.losses.isEmpty, base.lsn == .zero ? outcome.trimmed == .zero : outcome.lastLSN >= base.lsn {
                outcome.entries.append(LogEntry(lsn: segment.firstLSN, heads: outcome.heads))
            }
            outcome.segments.append(LogSegment(segment.path, reader.header))
            outcome.lastSegment = segment.path
            outcome.lastHeader = reader.header
            unproven.removeAll()
            reading: while true {
                let step = try reader.next(expecting: outcome.lastLSN.next, link: outcome.link)
                switch step {
                case .record(let record):
                    try follow(record, in: segment.path, base, &outcome)
                    if record.frame.durableUpTo > outcome.durableUpTo {
                        outcome.durableUpTo = record.frame.durableUpTo
                        unproven.removeAll { $0.lsn <= record.frame.durableUpTo }
                    }
                    unproven.append((record.lsn, record.offset))
                    outcome.isSealed = false
                    if record.lsn > base.lsn { try visit(record) }
                case .marker(let frame, _):
                    outcome.durableUpTo = max(outcome.durableUpTo, frame.durableUpTo)
                    unproven.removeAll { $0.lsn <= frame.durableUpTo }
                    outcome.isSealed = true
                case .zeros, .endOfFile, .damaged:
                    outcome.endOffset = reader.position
                    if isLast || !continues(step) || !isContinued(by: segments[number + 1], outcome) {
                        try judge(step, reader, isLast: isLast, &outcome)
                    }
                    break reading
                }
            }
        }
        if outcome.losses.isEmpty, base.lsn > .zero, outcome.entries.first?.lsn != base.lsn.next {
            outcome.entries.insert(LogEntry(lsn: base.lsn.next, heads: base.heads), at: 0)
        }
        outcome.unprovenOffset = unproven.first?.offset ?? outcome.endOffset
        guard outcome.lastLSN >= base.lsn else {
            throw .corrupt(
                LogDamage(
                    segment: outcome.lastSegment ?? directory + "/" + SegmentHeader.fileName(firstLSN: base.lsn.next),
                    offset: outcome.endOffset,
                    lsn: outcome.lastLSN.next,
                    reason: "the log ends before the checkpoint at LSN \(base.lsn)"
                )
            )
        }
        return outcome
    }

    /// True when the next segment begins where the one in hand ended, or says what is missing in between.
    private func isContinued(by next: (firstLSN: LSN, path: String), _ outcome: Outcome) -> Bool {
        if next.firstLSN == outcome.lastLSN.next { return true }
        return (try? reader(next.path).header.continuesFrom) == outcome.lastLSN
    }

    /// An end that the next segment may continue.
    private func continues(_ step: SegmentReader.Step) -> Bool {
        switch step {
        case .zeros, .endOfFile: true
        default: false
        }
    }

    /// By their headers alone: the segment is what its name says, and none is missing before it.
    private func checkPlace(
        _ reader: SegmentReader,
        named firstLSN: LSN,
        after previous: LSN?
    ) throws(LogError) {
        let reason: String? =
            if reader.header.firstLSN != firstLSN {
                "the header names LSN \(reader.header.firstLSN), the file another"
            } else if let previous, reader.header.previousFirstLSN != previous {
                "the segment before it, which begins with LSN \(reader.header.previousFirstLSN), is missing"
            } else {
                nil
            }
        guard let reason else { return }
        throw .corrupt(LogDamage(segment: reader.path, offset: 0, lsn: firstLSN, reason: reason))
    }

    /// The segment begins where the one before has ended.
    private func check(_ reader: SegmentReader, continues outcome: Outcome) throws(LogError) {
        let reason: String? =
            if reader.header.continuesFrom != outcome.lastLSN {
                "records are missing: the segment before ends with LSN \(outcome.lastLSN)"
            } else if reader.header.link != outcome.link {
                "the segment does not continue the one before it"
            } else {
                nil
            }
        guard let reason else { return }
        throw .corrupt(LogDamage(segment: reader.path, offset: 0, lsn: outcome.lastLSN.next, reason: reason))
    }

    /// The first segment that is read must reach back to the base; if it begins right behind it, the heads are the base's.
    private func takeUp(_ base: LogBase, at path: String, _ outcome: inout Outcome) throws(LogError) {
        guard outcome.lastLSN <= base.lsn || base.lsn == .zero else {
            throw .corrupt(
                LogDamage(
                    segment: path,
                    offset: 0,
                    lsn: base.lsn.next,
                    reason: "the log begins behind the checkpoint at LSN \(base.lsn)"
                )
            )
        }
        if outcome.lastLSN == base.lsn { outcome.histories.heads = base.heads }
    }

    /// Checks the record's place in its origin's history and takes it as the new end.
    private func follow(
        _ record: LogRecord,
        in path: String,
        _ base: LogBase,
        _ outcome: inout Outcome
    ) throws(LogError) {
        func breaks(_ what: String) -> LogError {
            let event = "event \(record.envelope.origin):\(record.envelope.sequence)"
            return .corrupt(
                LogDamage(
                    segment: path,
                    offset: record.offset,
                    lsn: record.lsn,
                    reason: "\(event) does not continue \(what)"
                )
            )
        }
        let envelope = record.envelope
        let held = outcome.heads[envelope.origin]
        // Up to the base the checkpoint answers for the history; and the head of an origin whose earlier events were
        // trimmed is not known, so that its first event stands for it.
        if record.lsn > base.lsn && (held != .start || outcome.trimmed == .zero || base.lsn > .zero) {
            switch outcome.histories.follow(envelope) {
            case .continues: break
            case .jumps(let gap): outcome.losses[outcome.losses.count - 1].gaps.append(gap)
            case .breaks: throw breaks("its origin's history (held up to \(held.sequence))")
            }
        } else {
            outcome.histories.take(envelope)
        }
        if record.lsn == base.lsn {
            // An event behind a gap is not in the heads, and so says nothing about the checkpoint.
            let isBehindGap =
                !outcome.losses.isEmpty && envelope.sequence > base.heads[envelope.origin].sequence
            guard isBehindGap || envelope.head == base.heads[envelope.origin] else {
                throw breaks("the checkpoint's history")
            }
            outcome.histories.heads = base.heads
        }
        outcome.highestHLC = max(outcome.highestHLC, envelope.version.hlc)
        outcome.lastLSN = record.lsn
        outcome.link = Frame.link(after: record.bytes)
        outcome.records += 1
    }

    private func judge(
        _ step: SegmentReader.Step,
        _ reader: SegmentReader,
        isLast: Bool,
        _ outcome: inout Outcome
    ) throws(LogError) {
        let offset = reader.position
        var flaw: SegmentReader.Flaw?
        if case .damaged(let found) = step { flaw = found }
        if let flaw, flaw.newerFormat {
            throw .newerFormat(segment: reader.path, offset: flaw.offset, what: flaw.reason)
        }
        let written = try lastWrittenByte(reader, from: offset)
        var evidence = TailVerdict.Evidence(lsn: outcome.lastLSN.next, durableUpTo: outcome.durableUpTo)
        evidence.flaw = flaw?.reason
        evidence.isLastSegment = isLast
        evidence.hasFullSize = reader.fileBytes >= reader.header.fileBytes
        evidence.bytesFollow = reader.fileBytes > offset
        evidence.writtenBytesFollow = written > offset
        if let flaw {
            let extent = try reader.bytes(at: offset, min(flaw.extent, max(0, reader.fileBytes - offset)))
            evidence.hasHole = TailVerdict.hasHole(extent, at: offset)
        }
        var behind = offset + 8
        while let next = try reader.intactFrame(from: behind) {
            evidence.durableUpTo = max(evidence.durableUpTo, next.frame.durableUpTo)
            behind = next.offset + 8
        }
        switch TailVerdict.judge(evidence) {
        case .clean:
            break
        case .torn:
            outcome.torn = LogDamage(
                segment: reader.path,
                offset: offset,
                lsn: evidence.lsn,
                reason: flaw?.reason ?? "the frame header was not written"
            )
            outcome.tornEnd = written
        case .corrupt(let reason):
            throw .corrupt(LogDamage(segment: reader.path, offset: offset, lsn: evidence.lsn, reason: reason))
        }
    }

    /// The offset behind the last byte that is not zero, at least `start`.
    private func lastWrittenByte(_ reader: SegmentReader, from start: Int) throws(LogError) -> Int {
        var last = start
        var offset = start
        while offset < reader.fileBytes {
            let chunk = try reader.bytes(at: offset, min(1 << 20, reader.fileBytes - offset))
            guard !chunk.isEmpty else { break }
            if let place = chunk.lastIndex(where: { $0 != 0 }) { last = offset + place + 1 }
            offset += chunk.count
        }
        return last
    }
}

extension LogScan.Outcome {
    /// Takes note of a segment's header: where the log begins, and what is missing.
    fileprivate mutating func begin(_ header: SegmentHeader, isFirst: Bool) {
        if isFirst { trimmed = header.continuesFrom }
        guard header.missing != nil else { return }
        losses.append(LogLoss(after: header.continuesFrom, before: header.firstLSN))
        histories.enterHole()
    }
}
