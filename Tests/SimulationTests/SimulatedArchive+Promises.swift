import SpringgArchive
import SpringgCluster
import SpringgLog
import SpringgProjections
import SpringgTestKit

/// What archives promise, at any moment and in the end.
extension SimulatedArchive {
    /// At this moment all disks may be lost: what the archive holds can be restored, and has what was acknowledged as archived.
    func restoreElsewhere() { note { try restore() } }

    /// Restores the archive into an empty directory.
    @discardableResult
    func restore() throws -> StateDigest? {
        guard let newest = record.newest else {
            guard record.acknowledged.isEmpty else { throw ReplicaSimulation.Violation("the archive is gone") }
            return nil
        }
        for (origin, sequence) in record.acknowledged where newest.heads[origin].sequence.rawValue < sequence {
            throw ReplicaSimulation.Violation("\(origin):\(sequence) was acknowledged as archived and is not")
        }
        let source = try RestoreSource(archive: store)
        let report: RestoreReport
        do throws(RestoreError) {
            report = try Restorer(fileSystem: SimulatedFileSystem(), segmentBytes: 4 << 10).restore(
                source.prospect(.latest, excluding: false),
                from: source,
                into: ReplicaNode.data,
                origin: OriginID(using: &random)
            )
        } catch {
            // A node that was forgotten has archived what is older than the deletions that all snapshots have dropped, and the events that
            // would tell are expired (note 18).
            if case .otherHistory = error, source.archive?.covers(from: VersionVector(), upTo: .everything) == false {
                tally.refused += 1
                return nil
            }
            throw ReplicaSimulation.Violation("\(error): \(picture)")
        }
        tally.restored += 1
        guard try cluster.rule(of: newest.heads) == report.digest else {
            throw ReplicaSimulation.Violation("what was restored is not the state of the archived events")
        }
        return report.digest
    }

    /// In peace: everything that members hold is archived soon, can be restored, and nothing that is of no use stays.
    func conclude() throws {
        calm()
        var waited = 0
        while let lacking = lacking() {
            guard waited < 120 else {
                throw ReplicaSimulation.Violation("\(lacking) after a minute of peace: \(picture)")
            }
            waited += 1
            try cluster.run(for: .milliseconds(500))
        }
        guard !isForeign else {
            tally.foreign += 1
            return
        }
        var orphans: [ObjectKey] = []
        for day in 0..<10 {
            letHoursPass(25)
            try cluster.run(for: .milliseconds(Int64(options.syncInterval) * 3))
            orphans = try record.orphans(in: self)
            if day > 0, orphans.isEmpty { break }
        }
        guard orphans.isEmpty else {
            throw ReplicaSimulation.Violation(
                "nobody needs \(orphans.map(\.text)), and nobody removes it: \(picture)"
            )
        }
        guard let digest = try restore(), let first = cluster.members.first, let newest = record.newest,
            newest.heads == first.log.versionVector
        else { return }
        tally.equal += 1
        guard digest == first.state.digest else {
            throw ReplicaSimulation.Violation("what was restored is not what the nodes show")
        }
    }

    /// What the members have and the archive has not; nil when there is nothing.
    private func lacking() -> String? {
        let heads = record.newest?.heads ?? VersionVector()
        // Who was forgotten was first, with what no member has: for the members that is another cluster's archive.
        let known = cluster.members.map(\.log.versionVector)
        if !heads.origins.isEmpty, heads.origins.allSatisfy({ origin in known.allSatisfy { $0[origin] == .start } }) {
            isForeign = true
            return nil
        }
        for running in cluster.members where !heads.covers(running.log.versionVector) {
            return "the archive lacks events of \(running.standing.name)"
        }
        return nil
    }

    /// How it stands, for whoever looks into a seed.
    var picture: String {
        func text(_ heads: VersionVector) -> String {
            heads.origins.map { "\($0.description.prefix(4)):\(heads[$0].sequence)" }.joined(separator: " ")
        }
        let segments = record.newest?.segments.map { "\($0.origin.description.prefix(4)):\($0.first)-\($0.last)" } ?? []
        let snapshots = record.newest?.snapshots.map { "[" + text($0.heads) + "]" } ?? []
        let nodes = archivers.compactMap { $0 }.map { archiver in
            "\(ReplicaNode.name(archiver.node)): last \(archiver.loop.lastSuccess.map { Int64(wall) - Int64($0) } ?? -1) ms ago, "
                + "\(archiver.loop.failure.map { "\($0)" } ?? "well")"
        }
        return
            "generation \(record.newest?.generation ?? 0) with \(text(record.newest?.heads ?? VersionVector())), segments \(segments), "
            + "snapshots \(snapshots), for \(options.retention / 1000) s; "
            + nodes.joined(separator: " | ") + " || " + cluster.picture
    }
}
