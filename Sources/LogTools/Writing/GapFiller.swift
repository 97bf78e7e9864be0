package import SpringgLog

/// Somebody who may still have what a damaged log has lost.
package protocol MissingEvents {
    /// The envelopes of an origin from `first` on, in their order and without a gap: up to `last`, or as far as there are any.
    func envelopes(of origin: OriginID, from first: Sequence, upTo last: Sequence?) throws -> [[UInt8]]
}

/// Puts events back where a log has lost them.
///
/// A hole says how many events are missing, not whose. So the log is read once before: an event of an origin belongs before
/// the next one of that origin that can be read, and those that must come soonest go first. What is put back continues the
/// chain of its origin; nothing else is. Memory: what is lost.
struct GapFiller {
    private struct Lost {
        var bytes: [UInt8]
        /// Where the next event of the origin stands that the log still has.
        var before: LSN
    }

    /// Of each origin, the next one last.
    private var lost: [OriginID: [Lost]] = [:]

    /// Reads the log for what it lacks, and has that fetched.
    init(_ walk: LogWalk, from source: any MissingEvents) throws {
        var gaps: [(origin: OriginID, first: Sequence, last: Sequence?, before: LSN)] = []
        var tips: [OriginID: Sequence] = [:]
        var reachesBack = true
        try walk.run { step in
            switch step {
            case .segment(_, let header?) where tips.isEmpty && header.continuesFrom > .zero && header.missing == nil:
                reachesBack = false
            case .record(let record):
                let (origin, sequence) = (record.envelope.origin, record.envelope.sequence)
                // Of an origin that is met for the first time in a log without its beginning nothing is known.
                let expected = tips[origin]?.next ?? (reachesBack ? Sequence(1) : sequence)
                if sequence > expected {
                    gaps.append((origin, expected, Sequence(sequence.rawValue - 1), record.lsn))
                }
                tips[origin] = max(tips[origin] ?? sequence, sequence)
            default: break
            }
            return .more
        }
        // Of origins that the log knows: what another one wrote may never have been here.
        gaps += tips.map { ($0.key, $0.value.next, nil, LSN(.max)) }
        for gap in gaps {
            let found = try source.envelopes(of: gap.origin, from: gap.first, upTo: gap.last)
            lost[gap.origin, default: []] += found.map { Lost(bytes: $0, before: gap.before) }
        }
        lost = lost.mapValues { $0.reversed() }
    }

    /// The envelope of the next event that may stand behind `heads`; nil when there is none.
    mutating func next(behind heads: VersionVector) -> [UInt8]? {
        var best: (origin: OriginID, before: LSN, version: EventVersion)?
        for (origin, events) in lost {
            guard let event = events.last else { continue }
            event.bytes.withBytes { bytes in
                let envelope = Envelope(checked: bytes)
                guard envelope.continues(heads[origin]) else { return }
                let isSooner = best.map { (event.before, envelope.version) < ($0.before, $0.version) } ?? true
                if isSooner { best = (origin, event.before, envelope.version) }
            }
        }
        return best.flatMap { lost[$0.origin]?.popLast()?.bytes }
    }
}
