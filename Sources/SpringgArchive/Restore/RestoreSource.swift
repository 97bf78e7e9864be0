package import SpringgLog
import SpringgProjections

/// Where a restore reads from: a log, snapshots, or both.
package struct RestoreSource {
    /// The log's files as they are now; nil without a log.
    package private(set) var files: HeldFiles?
    /// The store of snapshots; nil without one.
    package private(set) var store: (any ObjectStore)?
    /// The one snapshot that may be used; nil for any.
    package private(set) var snapshotID: String?

    /// Nothing yet.
    package init() {}

    /// Takes a place in: a data directory, a directory of segments, or a store of snapshots (`#ID` behind it for one of them).
    ///
    /// `openStore` opens what is no directory with a log; its nil means that no snapshots are there.
    package mutating func add(
        _ text: String,
        fileSystem: any FileSystem,
        openStore: (String) throws -> (any ObjectStore)?
    ) throws {
        let parts = text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        if parts.count == 1, !text.contains("://") {
            let held: HeldFiles?
            do throws(LogError) {
                held = try HeldFiles(text, fileSystem: fileSystem)
            } catch {
                throw RestoreError.log(error)
            }
            if let held {
                guard files == nil else { throw RestoreError.otherHistory("two logs were given") }
                files = held
                return
            }
        }
        guard let opened = try openStore(parts[0]) else { throw RestoreError.noSource(parts[0]) }
        guard store == nil else { throw RestoreError.otherHistory("two stores of snapshots were given") }
        store = opened
        snapshotID = parts.count > 1 ? parts[1] : nil
    }
}

/// A moment that was looked up, and how it is restored.
package struct RestoreProspect {
    package let target: RestoreTarget
    package let bound: VersionBound
    package let plan: RestorePlan
    /// Nil without a log.
    package let log: LogSurvey?
    /// The snapshot of the plan.
    package let snapshot: SnapshotManifest?
}

extension RestoreSource {
    /// Looks the target up and decides how to restore it; reads, and changes nothing.
    ///
    /// With `wantsHistory` for a restore that keeps the events, without it for the state alone.
    package func prospect(
        _ target: RestoreTarget,
        excluding: Bool,
        wantsHistory: Bool = true
    ) throws(RestoreError) -> RestoreProspect {
        guard files != nil || store != nil else { throw .noSource("what was given") }
        var wanted: (OriginID, Sequence)?
        if case .event(let origin, let sequence) = target { wanted = (origin, sequence) }
        var bound = target.bound(excluding: excluding)
        var log: LogSurvey?
        if let files {
            do throws(LogError) {
                log = try LogSurvey(of: files, lookingFor: wanted, bound: bound ?? .everything)
            } catch {
                throw .log(error)
            }
        }
        let snapshots = try manifests(upTo: bound, unless: log?.trimmed == .zero)
        if bound == nil {
            let version = try version(of: target, log, snapshots)
            bound = VersionBound(version: version, includesVersion: !excluding)
            if let files, let found = bound {
                do throws(LogError) {
                    log = try LogSurvey(of: files, lookingFor: wanted, bound: found)
                } catch {
                    throw .log(error)
                }
            }
        }
        guard let bound else { preconditionFailure("a target without a bound") }
        var checkpoints: [LogBase] = []
        if let files {
            checkpoints = try RestoreError.wrap {
                try files.syncLog()
                return try Materializer.checkpoints(in: files.checkpointDirectory, files)
            }
        }
        let plan = try RestorePlan(
            target,
            bound,
            log: log,
            checkpoints: checkpoints,
            snapshots: snapshots.map { SnapshotFacts($0) },
            wantsHistory: wantsHistory
        )
        var snapshot: SnapshotManifest?
        if case .snapshot(let id, _) = plan.base { snapshot = snapshots.first { $0.id == id } }
        return RestoreProspect(target: target, bound: bound, plan: plan, log: log, snapshot: snapshot)
    }

    /// Brings the state of a prospect into memory, and copies its events where they are kept.
    package func load(
        _ prospect: RestoreProspect,
        copyingTo copy: LogWriter? = nil,
        progress: @escaping (UInt64) -> Void = { _ in }
    ) throws(RestoreError) -> PastState {
        do throws(RestoreError) {
            return try load(prospect, by: prospect.plan, copyingTo: copy, progress)
        } catch {
            // A damaged checkpoint only saved time where the log has everything.
            guard case .checkpoint = error, copy == nil, prospect.log?.trimmed == .zero else { throw error }
            var whole = prospect.plan
            whole.base = .nothing
            return try load(prospect, by: whole, copyingTo: nil, progress)
        }
    }

    private func load(
        _ prospect: RestoreProspect,
        by plan: RestorePlan,
        copyingTo copy: LogWriter?,
        _ progress: @escaping (UInt64) -> Void
    ) throws(RestoreError) -> PastState {
        var snapshot: (SnapshotReader, SnapshotManifest)?
        if let manifest = prospect.snapshot, let store { snapshot = (SnapshotReader(from: store), manifest) }
        let loader = StateLoader(
            plan: plan,
            bound: prospect.bound,
            files: files,
            last: prospect.log?.last ?? .zero,
            snapshot: snapshot,
            progress: progress
        )
        return try loader.load(copyingTo: copy)
    }

    /// The snapshots that may serve, by their names alone where these tell.
    private func manifests(
        upTo bound: VersionBound?,
        unless isNeedless: Bool
    ) throws(RestoreError) -> [SnapshotManifest] {
        guard let store, !isNeedless else { return [] }
        return try RestoreError.wrap {
            let reader = SnapshotReader(from: store)
            if let snapshotID { return [try reader.manifest(snapshotID)] }
            return try reader.ids().compactMap { id in
                let reading = id.split(separator: "-").first.flatMap { HLC(String($0)) }
                if let bound, let reading, reading > bound.version.hlc { return nil }
                return try reader.manifest(id)
            }
        }
    }

    /// The version of the event that a target names.
    private func version(
        of target: RestoreTarget,
        _ log: LogSurvey?,
        _ snapshots: [SnapshotManifest]
    ) throws(RestoreError) -> EventVersion {
        switch target {
        case .event(let origin, let sequence):
            if let found = log?.target { return found.version }
            let exact = snapshots.first { $0.newest.origin == origin && $0.heads[origin].sequence == sequence }
            if let exact { return exact.newest }
            let held = log?.heads[origin].sequence ?? Sequence(0)
            throw .unknownTarget(
                target,
                reason: held == Sequence(0)
                    ? "no event of that origin is there"
                    : "of that origin the log holds \(log?.first[origin] ?? Sequence(0)) to \(held)"
            )
        case .mark(let name):
            let inSnapshot = try markInSnapshots(name, snapshots)
            if let found = [log?.marks[name], inSnapshot].compactMap({ $0 }).max() { return found }
            let known = (log?.marks.keys.sorted() ?? []).joined(separator: ", ")
            throw .unknownTarget(target, reason: known.isEmpty ? "there are no marks" : "the marks are \(known)")
        case .latest, .time, .reading: preconditionFailure("\(target) needs no event")
        }
    }

    /// A mark goes from snapshot to snapshot, so the newest one knows it if any does.
    private func markInSnapshots(_ name: String, _ snapshots: [SnapshotManifest]) throws(RestoreError) -> EventVersion?
    {
        guard let store, let newest = snapshots.max(by: { $0.highestHLC < $1.highestHLC }) else { return nil }
        do throws(SnapshotError) {
            return try SnapshotReader(from: store).marks(newest)[name]
        } catch {
            throw .snapshot(error)
        }
    }
}
