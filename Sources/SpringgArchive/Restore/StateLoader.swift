package import SpringgLog
package import SpringgProjections

/// The state of a moment, in memory.
package struct PastState {
    /// The projections, with everything published.
    package var materializer: Materializer
    /// Exactly these events are in them.
    package var base: LogBase
    /// The version of the newest event; a bound of it where only a base knows.
    package var newest: EventVersion
    /// Events that were read from the log and applied.
    package var eventsApplied: UInt64 = 0
    /// Graphs that could not be used, and why; they are built anew from their rows.
    package var damagedGraphs: [String] = []
}

/// Carries out a plan: brings back the base, applies the events that the bound holds, and copies them where they are kept.
///
/// Needs as much memory as a node with that state.
struct StateLoader {
    let plan: RestorePlan
    let bound: VersionBound
    /// Nil when the plan needs no log.
    let files: HeldFiles?
    /// Records behind this one are not part of it.
    let last: LSN
    /// Nil when the plan needs no snapshot.
    let snapshot: (reader: SnapshotReader, manifest: SnapshotManifest)?
    /// Brings the objects of an archive; nil without one.
    let fetch: ObjectFetch?
    /// The segments of the archive that the plan needs.
    let segments: [SegmentFacts]
    /// 0 for who has no use for the graphs of a snapshot.
    let graphThreads: Int
    let progress: (RestoreProgress) -> Void

    /// Reads base and log; `copy` is the log that is being made of the events, and begins where the plan says.
    func load(copyingTo copy: LogWriter? = nil) throws(RestoreError) -> PastState {
        let (materializer, base, damagedGraphs) = try restoreBase()
        var newest = base.lsn == .zero ? EventVersion.none : base.newestBound
        if let snapshot { newest = snapshot.manifest.newest }
        var state = PastState(materializer: materializer, base: base, newest: newest, damagedGraphs: damagedGraphs)
        if let files {
            var replay = Replay(base: base, history: plan.keepsHistory, bound: bound, copy: copy, state: state)
            // What only the copy needs is not read without one.
            var start = LogBase.beginning
            if case .checkpoint = plan.base, copy == nil || !plan.keepsHistory { start = base }
            do throws(LogError) {
                _ = try LiveScan.run(files, from: start) { record throws(LogError) in
                    guard record.lsn <= last else { return }
                    try replay.take(record)
                    if record.lsn.rawValue % 1024 == 0 { progress(RestoreProgress(lsn: record.lsn)) }
                }
                try copy?.commit()
            } catch {
                throw .log(error)
            }
            if let reason = replay.contradiction { throw .otherHistory(reason) }
            state = replay.state
        } else if let fetch {
            state = try replayArchive(fetch, state, copyingTo: copy)
        }
        state.materializer.publish()
        return state
    }

    private func replayArchive(
        _ fetch: ObjectFetch,
        _ state: PastState,
        copyingTo copy: LogWriter?
    ) throws(RestoreError) -> PastState {
        try RestoreError.wrap {
            var replay = Replay(base: state.base, history: false, bound: bound, copy: copy, state: state)
            var merge = ArchiveMerge(segments, through: fetch)
            var records = 0
            try merge.forEach { record in
                // All that follow are beyond it too.
                guard bound.holds(record.envelope.version) else { return false }
                try replay.take(record)
                records += 1
                if records % 1024 == 0 { progress(RestoreProgress(fetch, lsn: replay.state.base.lsn)) }
                return replay.contradiction == nil
            }
            if let reason = replay.contradiction { throw RestoreError.otherHistory(reason) }
            try copy?.commit()
            return replay.state
        }
    }

    private func restoreBase() throws(RestoreError) -> (Materializer, LogBase, [String]) {
        switch plan.base {
        case .nothing: return (Materializer(), .beginning, [])
        case .checkpoint(let base):
            guard let files else { preconditionFailure("a checkpoint without its directory") }
            do throws(CheckpointDamage) {
                // A graph that is damaged is of no interest here: rows are what a moment is made of.
                let restored = try Materializer.restore(base.lsn, from: files.checkpointDirectory, files, threads: 1)
                return (restored.materializer, restored.base, [])
            } catch {
                throw .checkpoint("\(error)")
            }
        case .snapshot(_, let base):
            guard let snapshot else { preconditionFailure("the plan's snapshot was not opened") }
            do throws(SnapshotError) {
                let materializer = Materializer()
                let restored = try snapshot.reader.restore(
                    snapshot.manifest,
                    into: materializer,
                    at: base.lsn,
                    graphThreads: graphThreads
                )
                return (materializer, restored.base, restored.damagedGraphs)
            } catch {
                throw .snapshot(error)
            }
        }
    }
}

/// Takes the records of a log one by one.
private struct Replay {
    let base: LogBase
    let history: Bool
    let bound: VersionBound
    let copy: LogWriter?
    var state: PastState
    /// Why log and base do not belong together.
    var contradiction: String?
    /// How far each origin has been read, included or not.
    private var read: VersionVector

    init(base: LogBase, history: Bool, bound: VersionBound, copy: LogWriter?, state: PastState) {
        self.base = base
        self.history = history
        self.bound = bound
        self.copy = copy
        self.state = state
        read = base.heads
    }

    mutating func take(_ record: LogRecord) throws(LogError) {
        guard contradiction == nil else { return }
        let envelope = record.envelope
        let (origin, sequence) = (envelope.origin, envelope.sequence)
        if sequence <= base.heads[origin].sequence {
            // The base holds it.
            if sequence == base.heads[origin].sequence, envelope.chain != base.heads[origin].chain {
                contradiction =
                    "event \(origin):\(sequence) of the log is not the one that the \(history ? "checkpoint" : "snapshot") holds"
            }
            if history { _ = try append(record) }
            return
        }
        let head = read[origin]
        guard sequence == head.sequence.next, envelope.chain == envelope.expectedChain(after: head.chain) else {
            contradiction =
                "event \(origin):\(sequence) of the log does not continue the history that ends with \(head.sequence)"
            return
        }
        read[origin] = .init(sequence: sequence, chain: envelope.chain)
        guard bound.holds(envelope.version) else { return }
        guard state.base.heads[origin].sequence == head.sequence else {
            contradiction = "event \(origin):\(sequence) has an earlier clock reading than one before it"
            return
        }
        guard envelope.version >= state.materializer.dropped else {
            contradiction =
                "event \(origin):\(sequence) is older than deletions that the \(history ? "checkpoint" : "snapshot") no longer "
                + "knows, and could bring back what was deleted: its writer had been forgotten"
            return
        }
        let lsn = try append(record)
        try state.materializer.replay(record, at: lsn)
        state.base.lsn = lsn
        state.base.heads[origin] = .init(sequence: sequence, chain: envelope.chain)
        state.base.highestHLC = max(state.base.highestHLC, envelope.version.hlc)
        state.newest = max(state.newest, envelope.version)
        state.eventsApplied += 1
    }

    private func append(_ record: LogRecord) throws(LogError) -> LSN {
        // A base from elsewhere may be ahead of this log's numbers: without a copy, they are given anew.
        guard let copy else { return state.base.lsn.next }
        if !copy.hasRoom(forRecordBytes: record.recordBytes) { try copy.commit() }
        return try copy.stage(record.envelope)
    }
}
