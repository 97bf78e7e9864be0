package import SpringgLog
import SpringgProjections

/// Where a restore reads from: a log, snapshots, or both; or an archive, which is events and snapshots in one store.
package struct RestoreSource {
    /// The log's files as they are now; nil without a log.
    package private(set) var files: HeldFiles?
    /// The store of snapshots; nil without one.
    package private(set) var store: (any ObjectStore)?
    /// The one snapshot that may be used; nil for any.
    package private(set) var snapshotID: String?
    /// What the store says it has of the log; nil where it has snapshots only, or is to give one of them.
    package private(set) var archive: ArchiveContents?

    /// Nothing yet.
    package init() {}

    /// An archive that is open.
    /// - Throws: `.noSource` when nothing is there.
    package init(archive store: any ObjectStore) throws {
        try self.init(archiveIfAny: store)
        guard archive != nil else { throw RestoreError.noSource(store.location) }
    }

    /// An archive that is open; without `archive` when nothing has been archived there yet.
    package init(archiveIfAny store: any ObjectStore) throws {
        self.store = store
        archive = try ArchiveContents(of: store)
    }

    /// Takes a place in: a data directory, a directory of segments, an archive, or a store of snapshots (`#ID` behind it for
    /// one of them).
    ///
    /// `openStore` opens what is no directory with a log.
    package mutating func add(
        _ text: String,
        fileSystem: any FileSystem,
        openStore: (String) throws -> any ObjectStore
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
        guard store == nil else { throw RestoreError.otherHistory("two stores of snapshots were given") }
        let opened = try openStore(parts[0])
        store = opened
        snapshotID = parts.count > 1 ? parts[1] : nil
        if snapshotID == nil { archive = try ArchiveContents(of: opened) }
        guard try archive != nil || !SnapshotReader(from: opened).ids().isEmpty else {
            throw RestoreError.noSource(parts[0])
        }
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
        var log = try survey(lookingFor: wanted, bound: bound ?? .everything)
        var snapshots = try manifests(upTo: bound, log)
        if bound == nil {
            let version = try version(of: target, log, snapshots)
            let found = VersionBound(version: version, includesVersion: !excluding)
            bound = found
            log = try survey(lookingFor: wanted, bound: found)
            if archive != nil { snapshots = try manifests(upTo: found, log) }
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
            // The events of an archive stay where they are.
            wantsHistory: wantsHistory && files != nil
        )
        var snapshot: SnapshotManifest?
        if case .snapshot(let id, _) = plan.base { snapshot = snapshots.first { $0.id == id } }
        return RestoreProspect(target: target, bound: bound, plan: plan, log: log, snapshot: snapshot)
    }

    private func survey(
        lookingFor wanted: (OriginID, Sequence)?,
        bound: VersionBound
    ) throws(RestoreError) -> LogSurvey? {
        try RestoreError.wrap {
            if let files { return try LogSurvey(of: files, lookingFor: wanted, bound: bound) }
            guard let archive, let store else { return nil }
            return try LogSurvey(of: archive, in: store, lookingFor: wanted, bound: bound)
        }
    }

    /// Brings the state of a prospect into memory, and copies its events where they are kept.
    ///
    /// `directory` is where the objects of an archive are fetched to, and stay; without it they go as they are read. The graphs of a
    /// snapshot come with so many threads, or not at all.
    package func load(
        _ prospect: RestoreProspect,
        copyingTo copy: LogWriter? = nil,
        fetching directory: (path: String, fileSystem: any FileSystem)? = nil,
        graphThreads: Int = 0,
        progress: @escaping (RestoreProgress) -> Void = { _ in }
    ) throws(RestoreError) -> PastState {
        do throws(RestoreError) {
            return try load(prospect, by: prospect.plan, copyingTo: copy, directory, graphThreads, progress)
        } catch {
            // A damaged checkpoint only saved time where the log has everything.
            guard case .checkpoint = error, copy == nil, prospect.log?.trimmed == .zero else { throw error }
            var whole = prospect.plan
            whole.base = .nothing
            return try load(prospect, by: whole, copyingTo: nil, directory, graphThreads, progress)
        }
    }

    private func load(
        _ prospect: RestoreProspect,
        by plan: RestorePlan,
        copyingTo copy: LogWriter?,
        _ directory: (path: String, fileSystem: any FileSystem)?,
        _ graphThreads: Int,
        _ progress: @escaping (RestoreProgress) -> Void
    ) throws(RestoreError) -> PastState {
        try RestoreError.wrap {
            let scratch = try archive == nil || directory != nil ? nil : ScratchDirectory()
            defer { withExtendedLifetime(scratch) {} }
            let fetch = try fetch(prospect, by: plan, to: directory, scratch, withGraphs: graphThreads > 0)
            defer { fetch?.close() }
            var snapshot: (SnapshotReader, SnapshotManifest)?
            if let manifest = prospect.snapshot, let store {
                let reader = SnapshotReader(from: store, through: fetch) { _ in
                    if let fetch { progress(RestoreProgress(fetch)) }
                }
                snapshot = (reader, manifest)
            }
            let loader = StateLoader(
                plan: plan,
                bound: prospect.bound,
                files: files,
                last: prospect.log?.last ?? .zero,
                snapshot: snapshot,
                fetch: fetch,
                segments: files == nil ? prospect.log?.segments.filter { plan.segments.contains($0.name) } ?? [] : [],
                graphThreads: graphThreads,
                progress: progress
            )
            return try loader.load(copyingTo: copy)
        }
    }

    /// Begins to fetch all that the plan needs of an archive, in the order in which it is read.
    private func fetch(
        _ prospect: RestoreProspect,
        by plan: RestorePlan,
        to directory: (path: String, fileSystem: any FileSystem)?,
        _ scratch: ScratchDirectory?,
        withGraphs: Bool
    ) throws -> ObjectFetch? {
        guard let archive, files == nil, let store else { return nil }
        var items = try (prospect.snapshot?.objects(withGraphs: withGraphs) ?? []).map { object in
            ObjectFetch.Item(key: try SnapshotManifest.blockKey(object.hash), bytes: object.bytes, hash: object.hash)
        }
        items += plan.segments.map { archive.item($0) }
        if let directory { try directory.fileSystem.createDirectory(directory.path) }
        return ObjectFetch(
            items,
            from: store,
            into: directory?.path ?? scratch?.path ?? "",
            keeps: directory != nil,
            fileSystem: directory?.fileSystem ?? PosixFileSystem()
        )
    }

    /// The snapshots that may serve, by their names alone where these tell; of an archive the one that does.
    private func manifests(
        upTo bound: VersionBound?,
        _ log: LogSurvey?
    ) throws(RestoreError) -> [SnapshotManifest] {
        guard let store, files == nil || log?.trimmed != .zero else { return [] }
        return try RestoreError.wrap {
            if files == nil, let archive {
                return try bound.flatMap { try archive.snapshot(upTo: $0, in: store) }.map { [$0] } ?? []
            }
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
            let marks = try marks(log, snapshots)
            if let found = marks[name] { return found }
            let known = marks.keys.sorted().joined(separator: ", ")
            throw .unknownTarget(target, reason: known.isEmpty ? "there are no marks" : "the marks are \(known)")
        case .latest, .time, .reading: preconditionFailure("\(target) needs no event")
        }
    }

    private func marks(
        _ log: LogSurvey?,
        _ snapshots: [SnapshotManifest]
    ) throws(RestoreError) -> [String: EventVersion] {
        try RestoreError.wrap {
            var marks = log?.marks ?? [:]
            guard let store else { return marks }
            if files == nil, let archive { return try archive.marks(in: store) }
            // A mark goes from snapshot to snapshot, so the newest one knows it if any does.
            if let newest = snapshots.max(by: { $0.highestHLC < $1.highestHLC }) {
                marks.merge(try SnapshotReader(from: store).marks(newest)) { max($0, $1) }
            }
            return marks
        }
    }
}
