import SpringgArchive
import SpringgCluster
import SpringgLog
import SpringgProjections
import SpringgTestKit

/// What happens to nodes, disks and clocks, and what operators do.
extension ReplicaSimulation {
    /// Nothing gets from one to the other any more; answers in the other direction do.
    func cut(_ from: Int, _ to: Int) {
        trace("\(ReplicaNode.name(from)) is cut from \(ReplicaNode.name(to))")
        cuts.insert(from * 8 + to)
    }

    /// The network is whole, and does what it should.
    func heal() {
        trace("healed")
        cuts = []
        weather = Weather()
        for index in nodes.indices { nodes[index].clockOffset = 0 }
    }

    /// Power goes at a node; it is back after a while.
    func crash(_ index: Int, for time: Duration) {
        guard let running = nodes[index].running else { return }
        tally.crashes += 1
        trace("\(nodes[index].name) loses power for \(time)")
        if !nodes[index].disk.isStopped { nodes[index].durable = running.log.versionVector }
        nodes[index].running = nil
        nodes[index].life += 1
        nodes[index].disk.crash(using: &random)
        schedule(.restart(node: index, life: nodes[index].life), in: time)
    }

    /// Power goes in the middle of one of the next calls of the disk.
    func crashSoon(_ index: Int) {
        nodes[index].disk.fail(callFromNow: Int.random(in: 1...30, using: &random), .stop)
    }

    /// The process may have ended in the middle of what it was just doing.
    func crashedMeanwhile(_ index: Int) -> Bool {
        guard nodes[index].disk.isStopped else { return false }
        crash(index, for: .milliseconds(Int64.random(in: 200...5000, using: &random)))
        return true
    }

    func setClock(_ index: Int, offsetMilliseconds: Int64) { nodes[index].clockOffset = offsetMilliseconds }

    // MARK: - Disks

    /// The disk as it is, to be put back later.
    func copyOfDisk(_ index: Int) -> [(path: String, bytes: [UInt8])] {
        let disk = nodes[index].disk
        return [ReplicaNode.data, ReplicaNode.log, ReplicaNode.checkpoints].flatMap { directory in
            ((try? disk.list(directory)) ?? []).sorted().compactMap { name in
                disk.contents(directory + "/" + name).map { (directory + "/" + name, $0) }
            }
        }
    }

    /// The node's disk is replaced by an old copy, as after a failure and a restore of the machine; or by an empty one.
    func replaceDisk(_ index: Int, with copy: [(path: String, bytes: [UInt8])], for time: Duration) {
        if nodes[index].running != nil {
            crash(index, for: time)
        } else {
            // It was down, and stays so until the disk is in place.
            nodes[index].life += 1
            schedule(.restart(node: index, life: nodes[index].life), in: time)
        }
        // A power loss that was due belonged to the old disk.
        nodes[index].disk.kill()
        nodes[index].isOutOfReach = false
        nodes[index].isNew = copy.isEmpty
        if copy.isEmpty { tally.replaced += 1 } else { tally.rollbacks += 1 }
        trace("\(nodes[index].name) gets \(copy.isEmpty ? "an empty disk" : "an older disk")")
        unasked.insert(index)
        let disk = nodes[index].disk
        empty(disk)
        if !copy.isEmpty {
            for directory in [ReplicaNode.data, ReplicaNode.log, ReplicaNode.checkpoints] {
                try? disk.createDirectory(directory)
            }
        }
        for (path, bytes) in copy { disk.setContents(path, bytes) }
        for directory in [ReplicaNode.log, ReplicaNode.checkpoints, ReplicaNode.data] {
            try? disk.syncDirectory(directory)
        }
        nodes[index].durable = held(on: disk)
        // An acknowledgement at level `local` is no more than this disk was: what nobody else has is gone.
        let all = nodes.map { $0.running?.log.versionVector ?? $0.durable }
        for (origin, sequences) in promised {
            let held = all.map { $0[origin].sequence.rawValue }.max() ?? 0
            promised[origin] = sequences.filter { $0 <= held }
        }
        // Of what no member has any more nobody asks whether its number was given.
        let members = nodes.indices.filter { !forgotten.contains($0) }
        for (origin, known) in chains {
            let archived = archive?.record.newest?.heads[origin].sequence.rawValue ?? 0
            let held = members.map { all[$0][origin].sequence.rawValue }.reduce(archived, max)
            chains[origin] = known.filter { $0.key <= held }
        }
    }

    /// Removes everything.
    func empty(_ disk: SimulatedFileSystem) {
        for directory in [ReplicaNode.log, ReplicaNode.checkpoints, ReplicaNode.data + "/fetched", ReplicaNode.data] {
            for name in (try? disk.list(directory)) ?? [] { try? disk.remove(directory + "/" + name) }
            try? disk.syncDirectory(directory)
        }
    }

    private func held(on disk: SimulatedFileSystem) -> VersionVector {
        var held = VersionVector()
        let files = CheckpointFiles(directory: ReplicaNode.checkpoints, fileSystem: disk)
        for lsn in (try? files.all()) ?? [] {
            guard let found = try? Materializer.restore(lsn, from: ReplicaNode.checkpoints, disk) else { continue }
            held = found.base.heads
            break
        }
        _ = try? LogScan(directory: ReplicaNode.log, fileSystem: disk).run { record throws(LogError) in
            held[record.envelope.origin] = record.envelope.head
        }
        return held
    }

    /// Writes a checkpoint, and removes what of the log is before it, and what all peers have of that.
    ///
    /// `isPressed`: where there is no room, peers are not waited for.
    func shortenLog(_ index: Int, isPressed: Bool) {
        guard let running = nodes[index].running else { return }
        running.batch.flush()
        let lsn = running.log.watermarks.durable
        guard lsn > running.log.watermarks.checkpointed, !crashedMeanwhile(index) else { return }
        do {
            try running.state.checkpoint(
                heads: running.log.versionVector,
                to: ReplicaNode.checkpoints,
                nodes[index].disk
            )
            running.log.markCheckpointed(lsn)
            tally.checkpoints += 1
            let shipped = running.core.allPeers.map { $0.held.map { running.log.floor(heldBy: $0) } ?? .zero }.min()
            let floors = RetentionFloors(
                shipped: isPressed ? nil : shipped,
                archived: isPressed ? nil : archive?.floor(index)
            )
            tally.trimmed += try running.log.trim(floors).count
        } catch {
            // Power went meanwhile: the next start finds what there is.
        }
        _ = crashedMeanwhile(index)
    }

    /// Restores the snapshot of a peer into an empty disk, if the peer's log no longer reaches back.
    ///
    /// Returns false when the disk failed meanwhile.
    func seed(_ index: Int) -> Bool {
        let givers = nodes.indices.filter { other in
            guard other != index, let running = nodes[other].running, !running.isHolding else { return false }
            return !cuts.contains(index * 8 + other)
        }
        guard let giver = givers.randomElement(using: &random), let running = nodes[giver].running,
            let shipment = try? ShipmentReader(running.log).readAll(lacking: VersionVector(), bytesMax: 4 << 20),
            !shipment.gaps.isEmpty
        else { return true }
        running.batch.flush()
        guard !crashedMeanwhile(giver) else { return true }
        do {
            let capture = running.state.captureState(heads: running.log.versionVector)
            let shelf = SimulatedFileSystem()
            let store = try DirectoryStore(path: "/shelf", createIfMissing: true, fileSystem: shelf, writer: "w") { 0 }
            _ = try SnapshotWriter(to: store).write(
                capture,
                origin: running.log.origin,
                newest: capture.base.newestBound
            )
            var source = RestoreSource()
            try source.add(store.location, fileSystem: shelf) { _ in store }
            let prospect = try source.prospect(.latest, excluding: false, wantsHistory: false)
            _ = try Restorer(fileSystem: nodes[index].disk, segmentBytes: 4 << 10).restore(
                prospect,
                from: source,
                into: ReplicaNode.data,
                origin: OriginID(using: &random)
            )
            tally.seeded += 1
            return true
        } catch {
            lastFailure = "\(error)"
            return false
        }
    }

    // MARK: - Operators

    /// Who lacks what no log has any more gets an empty directory, once all that it has itself is with the others; returns how
    /// many that were.
    func replaceWhoIsOutOfReach() -> Int {
        var count = 0
        for node in nodes where node.isOutOfReach {
            guard let vector = node.running?.log.versionVector else { continue }
            let others = nodes.filter { $0.index != node.index && !forgotten.contains($0.index) }
                .compactMap { $0.running?.log.versionVector }
            guard others.contains(where: { $0.covers(vector) }) else { continue }
            replaceDisk(node.index, with: [], for: .seconds(1))
            count += 1
        }
        return count
    }

    /// Nodes lack what only others' states have, and the other way round (note 17), so that whoever is replaced takes the one
    /// side or the other: an operator keeps the side with more nodes, and gives up what only the rest has.
    func giveUpOneSide() {
        let members = nodes.filter { !forgotten.contains($0.index) }
        let vectors = members.map { $0.running?.log.versionVector ?? $0.durable }
        let covered = vectors.map { vector in vectors.count { vector.covers($0) } }
        guard let most = covered.max(), let keeper = covered.firstIndex(of: most) else { return }
        for (node, vector) in zip(members, vectors) where !vectors[keeper].covers(vector) {
            tally.givenUp += 1
            replaceDisk(node.index, with: [], for: .seconds(1))
        }
    }

    /// An operator says at some member that a node is gone, whether that is so or not.
    ///
    /// There is one operator, who does not work on a node that was forgotten, and leaves two members.
    func forget(_ index: Int) throws {
        guard !forgotten.contains(index), nodes.count - forgotten.count > 2, unasked.isEmpty else { return }
        let places = nodes.indices.filter { other in
            guard other != index, !forgotten.contains(other), let running = nodes[other].running else { return false }
            // By what is known there, too.
            return running.core.phase == .originating && running.standing.roster.members.count > 2
        }
        guard let place = places.randomElement(using: &random), let running = nodes[place].running,
            running.standing.forget(ReplicaNode.name(index), now: wall(place))
        else { return }
        tally.forgotten += 1
        trace("\(nodes[index].name) is forgotten at \(nodes[place].name)")
        forgotten.insert(index)
        settle(place)
    }
}
