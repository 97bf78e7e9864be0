package import SpringgLog

/// What the state of a moment is made from.
package enum RestoreBase: Equatable, Sendable {
    /// Nothing: every event is read.
    case nothing
    /// A checkpoint of the log's own directory.
    case checkpoint(LogBase)
    /// A snapshot, by its name.
    case snapshot(id: String, LogBase)

    /// What it holds.
    package var base: LogBase {
        switch self {
        case .nothing: .beginning
        case .checkpoint(let base), .snapshot(_, let base): base
        }
    }
}

/// A snapshot as far as a plan needs to know it.
package struct SnapshotFacts: Equatable, Sendable {
    package var id: String
    package var heads: VersionVector
    package var highestHLC: HLC
    /// No event of it has a higher version.
    package var newest: EventVersion

    package init(_ manifest: SnapshotManifest) {
        id = manifest.id
        heads = manifest.heads
        highestHLC = manifest.highestHLC
        newest = manifest.newest
    }

    package init(id: String, heads: VersionVector, highestHLC: HLC, newest: EventVersion) {
        self.id = id
        self.heads = heads
        self.highestHLC = highestHLC
        self.newest = newest
    }
}

/// How a moment is restored: from which base, by which parts of the log.
///
/// A pure decision over facts: it is the same whether the parts are files here or objects in an archive.
package struct RestorePlan: Equatable, Sendable {
    package var base: RestoreBase
    /// Names of the parts to read, in order.
    package var segments: [String] = []
    /// Events in them.
    package var events: UInt64 = 0
    package var bytes: UInt64 = 0
    /// Whether events that the base holds are read as well, because the log keeps them as history.
    package var keepsHistory: Bool

    /// Decides.
    ///
    /// A log that reaches back to its beginning needs no base, and all of it is kept. Otherwise the newest checkpoint, and
    /// after that the newest snapshot, that holds nothing beyond the bound and that the log continues. Where only the state
    /// is wanted, checkpoint and snapshot save reading what is before them.
    /// - Throws: `.unreachable`, with what can be reached.
    package init(
        _ target: RestoreTarget,
        _ bound: VersionBound,
        log: LogSurvey?,
        checkpoints: [LogBase],
        snapshots: [SnapshotFacts],
        wantsHistory: Bool = true
    ) throws(RestoreError) {
        guard let log else {
            self = try RestorePlan(target, bound, snapshots)
            return
        }
        let checkpoint = checkpoints.filter { $0.lsn >= log.trimmed && bound.holdsAll(of: $0) }.max { $0.lsn < $1.lsn }
        let snapshot = snapshots.filter { bound.holds($0.newest) && log.continues($0) }.max {
            $0.highestHLC < $1.highestHLC
        }
        if let checkpoint, log.trimmed > .zero || !wantsHistory {
            base = .checkpoint(checkpoint)
            keepsHistory = wantsHistory
        } else if let snapshot, log.trimmed > .zero || !wantsHistory {
            base = .snapshot(id: snapshot.id, snapshot.base)
            keepsHistory = false
        } else if log.trimmed == .zero {
            base = .nothing
            keepsHistory = wantsHistory
        } else {
            throw .unreachable(target, reason: RestorePlan.whyUnreachable(bound, log, checkpoints, snapshots))
        }
        let held = base.base.heads
        for segment in log.segments where segment.events > 0 {
            let isNew = segment.sequences.contains { $0.value.upperBound > held[$0.key].sequence.rawValue }
            guard bound.holds(segment.lowest), isNew || keepsHistory else { continue }
            segments.append(segment.name)
            events += segment.events
            bytes += segment.bytes
        }
    }

    /// Without a log there are only the moments of the snapshots.
    private init(
        _ target: RestoreTarget,
        _ bound: VersionBound,
        _ snapshots: [SnapshotFacts]
    ) throws(RestoreError) {
        let newest = snapshots.max { $0.highestHLC < $1.highestHLC }
        let exact = snapshots.first { bound.includesVersion && bound.version == $0.newest }
        guard let chosen = target == .latest ? newest : exact else {
            throw .unreachable(
                target,
                reason: snapshots.isEmpty
                    ? "there is neither a log nor a snapshot"
                    : "there is no log, and no snapshot of exactly that moment; give the log with another --from, or "
                        + "one snapshot (STORE#ID) and --to latest"
            )
        }
        base = .snapshot(id: chosen.id, chosen.base)
        keepsHistory = false
    }

    private static func whyUnreachable(
        _ bound: VersionBound,
        _ log: LogSurvey,
        _ checkpoints: [LogBase],
        _ snapshots: [SnapshotFacts]
    ) -> String {
        guard !log.isArchive else {
            return
                "the archive no longer has all events before it, nor a snapshot that is old enough; `springg backups` shows "
                + "what can be restored"
        }
        let reachable =
            checkpoints.filter { $0.lsn >= log.trimmed }.map(\.highestHLC)
            + snapshots.filter { log.continues($0) }.map(\.highestHLC)
        let begins = "the log begins with LSN \(log.trimmed.next)"
        guard let earliest = reachable.min() else {
            return "\(begins), and no checkpoint or snapshot holds what was before"
        }
        return "\(begins), and the earliest moment that can be reached is HLC \(earliest) (\(earliest.utc)); "
            + "give an older snapshot with a further --from"
    }
}

extension SnapshotFacts {
    /// As the base of a log in which each of its events had a place.
    fileprivate var base: LogBase { LogBase(lsn: LSN(heads.events), heads: heads, highestHLC: highestHLC) }
}

extension LogSurvey {
    /// Whether every event beyond the snapshot is in the log, and the two have to do with each other.
    func continues(_ snapshot: SnapshotFacts) -> Bool {
        let isWhole = first.allSatisfy { $0.value.rawValue <= snapshot.heads[$0.key].sequence.rawValue + 1 }
        let isRelated =
            snapshot.heads.origins.isEmpty || first.isEmpty || snapshot.heads.origins.contains { first[$0] != nil }
        return isWhole && isRelated
    }
}
