import SpringgLog

/// The events of many archived segments, each of one origin, in the order of their versions.
///
/// So they come in an order in which they could have been written: what an event's writer had seen comes before it. One
/// segment of each origin is open at a time, and not before its first event is next.
struct ArchiveMerge {
    private struct Lane {
        /// The first one last.
        var segments: [SegmentFacts]
        var records: ArchivedRecords?
        /// Valid until the next one is read.
        var current: LogRecord?

        var head: EventVersion? { current?.envelope.version ?? segments.last?.lowest }
    }

    private var lanes: [Lane]
    private let open: (String) throws -> ArchivedRecords

    /// `open` opens a segment by its name, once, in the order of the segments' first versions.
    init(_ segments: [SegmentFacts], open: @escaping (String) throws -> ArchivedRecords) {
        self.open = open
        var byOrigin: [OriginID: [SegmentFacts]] = [:]
        for segment in segments {
            guard let origin = segment.sequences.keys.first else { continue }
            byOrigin[origin, default: []].append(segment)
        }
        lanes = byOrigin.values.map { Lane(segments: $0.sorted { $0.lowest > $1.lowest }) }
    }

    /// Reads what a `fetch` brings that has the segments in its list, in the order of their first versions.
    init(_ segments: [SegmentFacts], through fetch: ObjectFetch) {
        self.init(segments) { name in
            let (file, bytes) = try fetch.take(ObjectKey(name))
            return ArchivedRecords(name) { offset, buffer in
                try file.read(at: offset, into: .init(rebasing: buffer.prefix(bytes - offset)))
            }
        }
    }

    /// Visits every event once, until `visit` returns false.
    mutating func forEach(_ visit: (LogRecord) throws -> Bool) throws {
        while let number = next() {
            if lanes[number].current == nil { try begin(number) }
            guard let record = lanes[number].current else { continue }
            guard try visit(record) else { return }
            try advance(number)
        }
    }

    private func next() -> Int? {
        var best: (lane: Int, version: EventVersion)?
        for (number, lane) in lanes.enumerated() {
            guard let head = lane.head, best.map({ head < $0.version }) ?? true else { continue }
            best = (number, head)
        }
        return best?.lane
    }

    private mutating func begin(_ number: Int) throws {
        guard let segment = lanes[number].segments.last else { preconditionFailure("a lane without a segment") }
        lanes[number].records = try open(segment.name)
        try advance(number)
    }

    /// Goes to the next event of a lane, and compares what was read with what the manifest says of it.
    private mutating func advance(_ number: Int) throws {
        guard let segment = lanes[number].segments.last, let (origin, sequences) = segment.sequences.first else {
            return
        }
        func damaged(_ reason: String) -> ObjectStoreError { .damaged(at: segment.name, reason) }
        let last = lanes[number].current?.envelope.sequence.rawValue
        let record = try lanes[number].records?.next()
        lanes[number].current = record
        guard let envelope = record?.envelope else {
            guard last == sequences.upperBound else { throw damaged("it ends before event \(sequences.upperBound)") }
            lanes[number].records = nil
            lanes[number].segments.removeLast()
            return
        }
        let expected = last.map { $0 + 1 } ?? sequences.lowerBound
        guard envelope.origin == origin, envelope.sequence.rawValue == expected, expected <= sequences.upperBound,
            envelope.version <= segment.highest, last != nil || envelope.version == segment.lowest
        else {
            throw damaged(
                "event \(envelope.origin):\(envelope.sequence) stands where the manifest has \(origin):\(expected)"
            )
        }
    }
}
