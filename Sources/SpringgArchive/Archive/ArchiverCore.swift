package import SpringgLog

/// Decides what an archiver does next: no I/O, no clock, no chance.
///
/// `next` says what to do, the shell does it, `take` says what came of it. A round reads the newest manifest, takes a snapshot
/// when one is due, uploads what the manifest lacks and commits the next generation; who loses the race for a generation reads
/// again. Whatever fails ends the round, and the next begins from the store's own word.
package struct ArchiverCore {
    /// What to do.
    package enum Step: Sendable {
        /// Nothing, before this moment or a request.
        case wait(until: UInt64)
        /// See whether the store can be used, and whose archive it is.
        case open
        /// Read the newest manifest beyond a generation.
        case read(after: UInt64)
        /// Write a snapshot.
        case snapshot
        /// Upload the events that these heads lack, as many as one commit takes.
        case upload(after: VersionVector)
        /// Find snapshots that no manifest lists, and blocks that no snapshot needs any more.
        case mark
        /// Write this manifest, and the pages that it newly refers to, unless its generation is taken.
        case commit(ArchiveManifest, pages: [ArchiveManifest.NewPage])
        /// Remove what is old and nothing refers to, the sweep's blocks before the deadline.
        case remove(ArchiveManifest, before: UInt64)
    }

    /// What came of it.
    package enum Outcome: Sendable {
        case opened(ArchiveIdentity)
        /// Nil when there is none newer; `held` is how far the log goes, `origin` whose events the node writes.
        case read((manifest: ArchiveManifest, hash: ContentHash)?, held: VersionVector, origin: OriginID)
        /// Nil when the node has none to give: it is closing, or its log has failed.
        case snapshot(ArchiveManifest.Snapshot?)
        case uploaded(Upload)
        case marked(Findings)
        /// The manifest's hash.
        case committed(ContentHash)
        /// Another writer has the generation, or a later one.
        case lost
        case removed
        case failed(ArchiveError)
    }

    /// Segments that are in the store.
    package struct Upload: Sendable {
        /// What the archive had before.
        package let before: VersionVector
        package var segments: [ArchiveManifest.Segment] = []
        /// How far the archive goes with them.
        package var heads: VersionVector
        /// What the log no longer has.
        package var gaps: [LogLoss.Gap] = []
        package var highestHLC = HLC(0)
        /// True when the log has no more.
        package var isComplete = false

        package init(after heads: VersionVector) {
            before = heads
            self.heads = heads
        }
    }

    /// What lies in the store, old enough that nobody is at work on it.
    package struct Findings: Sendable {
        /// All snapshots, ascending.
        package var snapshots: [ArchiveManifest.Snapshot]
        /// Blocks that none uses.
        package var blocks: [ContentHash]
    }

    private enum Phase { case idle, opening, reading, snapshotting, uploading, marking, committing, removing }

    /// What a round has gathered.
    private struct Round {
        /// How far the log went when the round began.
        var held = VersionVector()
        /// There are events that the manifest lacks, or were when it was last looked.
        var wantsUpload = false
        var upload: Upload?
        var wantsSnapshot = false
        /// Written, and not listed yet.
        var snapshot: ArchiveManifest.Snapshot?
        var wantsSweep = false
        /// Nil before it was looked.
        var findings: Findings?
        /// What is old may be removed when everything else is done.
        var wantsRemoval = false
        var draft: ArchiveManifest?
    }

    /// Time after the commit of a sweep in which its blocks are removed: far shorter than the time to the next.
    package static let removalMilliseconds: UInt64 = 3_600_000
    /// After a first failure; doubled with each, up to the interval.
    private static let backoffMilliseconds: UInt64 = 1_000

    private let options: ArchiveOptions
    /// Whose events the node writes.
    private var origin = OriginID.none
    private var phase = Phase.idle
    private var round = Round()
    private var identity: ArchiveIdentity?
    /// The newest manifest that is known; generation 0 before there is one.
    private var base: (manifest: ArchiveManifest, hash: ContentHash?)?
    private var nextRound: UInt64 = 0
    /// No round is begun for a request before this moment.
    private var requestsFrom: UInt64 = 0
    private var nextSweep: UInt64
    private var failures: UInt64 = 0
    private var isRequested = false
    /// Gaps that a snapshot could not close: no other is taken for them.
    private var openGaps: [LogLoss.Gap] = []
    /// How far the log went when a snapshot of it was written that could not be listed: no other is, before it goes further.
    private var unlistable: VersionVector?

    /// Why the last round failed; nil when it did not.
    package private(set) var failure: ArchiveError?
    /// When a round of this node last ended well, in Unix milliseconds; nil before the first.
    package private(set) var lastSuccess: UInt64?

    /// `now` is Unix time in milliseconds.
    package init(_ options: ArchiveOptions, now: UInt64) {
        self.options = options
        // Not at every start of a process: looking through the store takes requests.
        nextSweep = now + options.grace / 24
    }

    /// What the archive holds; nil as long as nothing is known of it.
    package var archived: VersionVector? { base?.manifest.heads }
    /// The newest generation that is known; 0 for none.
    package var generation: UInt64 { base?.manifest.generation ?? 0 }

    /// The newest clock reading that the archive holds.
    package var highestHLC: HLC { base?.manifest.highestHLC ?? HLC(0) }

    /// Has a round begin at once, whoever is elected: somebody waits for it.
    ///
    /// False when one is under way, which may have looked at the log already: to be asked again.
    package mutating func request() -> Bool {
        if phase == .idle { isRequested = true }
        return phase == .idle
    }

    /// What to do now; to be answered by `take`, unless it is to wait.
    package mutating func next(now: UInt64, isElected: Bool) -> Step {
        if phase == .idle {
            heedClock(now)
            // A request does not hurry a store that has just failed.
            let due = isRequested && failures == 0 ? min(nextRound, requestsFrom) : nextRound
            guard now >= due else { return .wait(until: due) }
            round = Round()
            round.wantsSweep = isElected && now >= nextSweep
            phase = identity == nil ? .opening : .reading
        }
        switch phase {
        case .idle: return .wait(until: nextRound)
        case .opening: return .open
        case .reading: return .read(after: generation)
        case .snapshotting: return .snapshot
        case .uploading: return .upload(after: archived ?? VersionVector())
        case .marking: return .mark
        case .committing:
            let (manifest, pages) = (round.draft ?? draft(now: now)).paged()
            round.draft = manifest
            return .commit(manifest, pages: pages)
        case .removing:
            let begun = base?.manifest.sweep.begun ?? 0
            return .remove(base?.manifest ?? draft(now: now), before: begun + ArchiverCore.removalMilliseconds)
        }
    }

    /// A clock that was set back makes nothing wait for longer than it ever does.
    private mutating func heedClock(_ now: UInt64) {
        nextRound = min(nextRound, now + options.syncInterval)
        requestsFrom = min(requestsFrom, now + options.requestPause)
        nextSweep = min(nextSweep, now + options.grace)
    }

    /// What came of the last step.
    package mutating func take(_ outcome: Outcome, now: UInt64, isElected: Bool) {
        switch outcome {
        case .failed(let error): fail(error, now: now)
        case .opened(let identity):
            self.identity = identity
            phase = .reading
        case .read(let newest, let held, let origin):
            self.origin = origin
            // What is not this node's archive does not count as having its events.
            if let found = newest?.manifest ?? base?.manifest, let objection = objection(found, held) {
                return fail(objection, now: now)
            }
            if let newest { base = (newest.manifest, newest.hash) }
            guard isElected || isRequested else { return end(now: now, isRound: false) }
            prepare(held, isElected: isElected, now: now)
        case .snapshot(let snapshot):
            round.snapshot = snapshot
            round.wantsSnapshot = false
            // The archive must hold every event that the snapshot has.
            if round.upload == nil, snapshot != nil { round.wantsUpload = true }
            round.upload == nil ? advance(now: now) : commitIfNews(now: now)
        case .uploaded(let upload):
            round.upload = upload
            round.wantsUpload = !upload.isComplete
            if !upload.gaps.isEmpty, round.snapshot == nil, upload.gaps != openGaps, canClose(upload.gaps, now: now) {
                // What the log no longer has is in the state, and in a snapshot of it.
                openGaps = upload.gaps
                phase = .snapshotting
            } else {
                commitIfNews(now: now)
            }
        case .marked(let findings):
            round.findings = findings
            round.wantsSweep = false
            round.wantsRemoval = true
            nextSweep = now + options.grace
            commitIfNews(now: now)
        case .committed(let hash):
            guard let draft = round.draft else { preconditionFailure("committed without a draft") }
            base = (draft, hash)
            committed(draft, now: now)
        case .lost:
            // What was found to be needless may be what the winner needs.
            if round.findings != nil { round.wantsSweep = true }
            round.findings = nil
            round.wantsRemoval = false
            round.draft = nil
            phase = .reading
        case .removed: end(now: now)
        }
    }

    // MARK: - Decisions

    /// Why this node must not archive where this is the newest manifest.
    private func objection(_ manifest: ArchiveManifest, _ held: VersionVector) -> ArchiveError? {
        guard let identity else { return nil }
        let place = options.archive
        guard manifest.cluster == identity.cluster else {
            return .otherCluster(
                archive: place,
                reason: "its manifest is of \(manifest.cluster), cluster.json of \(identity.cluster)"
            )
        }
        let archived = manifest.heads.origins
        if !archived.isEmpty, !held.origins.isEmpty, !archived.contains(where: { held[$0] != .start }) {
            return .otherCluster(archive: place, reason: "it has no event of any origin that this node knows")
        }
        for origin in archived where manifest.heads[origin].sequence == held[origin].sequence {
            if manifest.heads[origin].chain != held[origin].chain {
                return .log(.otherHistory(origin: origin, sequence: held[origin].sequence))
            }
        }
        let (own, archivedOwn) = (held[origin].sequence, manifest.heads[origin].sequence)
        guard archivedOwn <= own else {
            return .ahead(archive: place, origin: origin, archived: archivedOwn, held: own)
        }
        return nil
    }

    /// What the round has to do, now that the newest manifest is known.
    private mutating func prepare(_ held: VersionVector, isElected: Bool, now: UInt64) {
        if base == nil, let identity { base = (ArchiveManifest(cluster: identity.cluster), nil) }
        guard let manifest = base?.manifest else { preconditionFailure("read before opened") }
        round.held = held
        // What was uploaded before another writer was faster is of use if he had none of it.
        if round.upload?.before != manifest.heads { round.upload = nil }
        round.wantsUpload = round.upload == nil && !manifest.heads.covers(held)
        if let snapshot = round.snapshot, !isNewest(snapshot, in: manifest) { dropSnapshot() }
        let isDue = manifest.snapshots.last.map { last in
            last.highestHLC.milliseconds + options.snapshotInterval <= now && !last.heads.covers(held)
        }
        round.wantsSnapshot =
            isElected && options.snapshotInterval > 0 && round.snapshot == nil && held != unlistable
            && isDue ?? !held.origins.isEmpty
        round.upload == nil ? advance(now: now) : commitIfNews(now: now)
    }

    /// What is left to do: events first, since somebody may wait for them.
    private mutating func advance(now: UInt64) {
        if round.wantsUpload {
            phase = .uploading
        } else if round.wantsSnapshot, isNewerThanSnapshots {
            phase = .snapshotting
        } else if round.wantsSweep {
            phase = .marking
        } else if round.wantsRemoval {
            phase = .removing
        } else {
            end(now: now)
        }
    }

    /// A snapshot is named by its newest event, and one that would not come last could not be listed.
    private var isNewerThanSnapshots: Bool {
        guard let manifest = base?.manifest, let last = manifest.snapshots.last else { return true }
        return manifest.highestHLC > last.highestHLC
    }

    private mutating func commitIfNews(now: UInt64) {
        if isNews(draft(now: now)) {
            phase = .committing
        } else {
            round.upload = nil
            dropSnapshot()
            advance(now: now)
        }
    }

    /// It is not listed now: a sweep finds it.
    ///
    /// Written again each round, it would never be old enough for that.
    private mutating func dropSnapshot() {
        if round.snapshot != nil { unlistable = round.held }
        round.snapshot = nil
    }

    /// Whether a snapshot of this node would be one to begin a restore with, and not lack what is in other snapshots alone.
    private func canClose(_ gaps: [LogLoss.Gap], now: UInt64) -> Bool {
        draft(now: now).bridged(gaps, by: round.held).leads(from: round.held)
    }

    private func isNewest(_ snapshot: ArchiveManifest.Snapshot, in manifest: ArchiveManifest) -> Bool {
        manifest.snapshots.last.map { $0.id < snapshot.id } ?? true
    }

    private mutating func committed(_ draft: ArchiveManifest, now: UInt64) {
        if draft.snapshots.last?.id == round.snapshot?.id { round.snapshot = nil }
        // Where a snapshot has closed a gap, events behind it may follow.
        if let upload = round.upload, upload.heads != draft.heads { round.wantsUpload = true }
        round.upload = nil
        round.findings = nil
        round.draft = nil
        if round.snapshot != nil { round.wantsUpload = true }
        advance(now: now)
    }

    /// The next generation.
    private func draft(now: UInt64) -> ArchiveManifest {
        guard let base, var next = Optional(base.manifest) else {
            preconditionFailure("a draft before a manifest was read")
        }
        next.generation += 1
        next.previous = base.hash
        next.node = options.node
        next.origin = origin
        next.writtenAt = now
        if let upload = round.upload {
            next.segments += upload.segments
            next.heads = upload.heads
            next.highestHLC = max(next.highestHLC, upload.highestHLC)
        }
        if let snapshot = round.snapshot, isNewest(snapshot, in: next) {
            let bridged = next.bridged(round.upload?.gaps ?? [], by: snapshot.heads)
            if bridged.heads.covers(snapshot.heads), bridged.heads == next.heads || bridged.leads(from: snapshot.heads)
            {
                next = bridged
                next.snapshots.append(snapshot)
                next.highestHLC = max(next.highestHLC, snapshot.highestHLC)
            }
        }
        if let findings = round.findings {
            next.adopt(findings.snapshots, olderThanAll: options.retention == 0)
            if options.retention > 0, now > options.retention { next.expire(before: now - options.retention) }
            if !findings.blocks.isEmpty {
                next.sweep.begun = max(now, next.sweep.begun + 1)
                next.sweep.blocks = findings.blocks
            }
        }
        return next
    }

    /// Whether a draft says more than the manifest that it follows.
    private func isNews(_ draft: ArchiveManifest) -> Bool {
        guard let old = base?.manifest else { return true }
        return draft.heads != old.heads || draft.segments != old.segments || draft.snapshots != old.snapshots
            || draft.pages != old.pages || draft.sweep != old.sweep
    }

    private mutating func end(now: UInt64, isRound: Bool = true) {
        phase = .idle
        isRequested = false
        failures = 0
        failure = nil
        if isRound { lastSuccess = now }
        nextRound = now + options.syncInterval
        requestsFrom = now + options.requestPause
    }

    private mutating func fail(_ error: ArchiveError, now: UInt64) {
        phase = .idle
        failure = error
        let wait = ArchiverCore.backoffMilliseconds << min(failures, 20)
        failures += 1
        nextRound = now + (error.isTransient ? min(wait, options.syncInterval) : options.syncInterval)
    }
}
