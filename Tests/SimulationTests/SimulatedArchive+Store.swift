import SpringgArchive
import SpringgLog
import SpringgTestKit

/// How the store behaves, and what is stored and removed there.
extension SimulatedArchive {
    func changeMood() {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: mood.faults = Double.random(in: 0...0.3, using: &random)
        case 1, 2: mood.faults = 0
        case 3: mood.delay = [20, 200, 900].randomElement(using: &random) ?? 20
        case 4: mood.delay = 0
        case 5: mood.isOutUntil = cluster.now + .milliseconds(Int64.random(in: 500...20_000, using: &random))
        case 6: mood.cutOff.insert(Int.random(in: cluster.nodes.indices, using: &random))
        case 7: mood.cutOff = []
        case 8: letHoursPass(Int64.random(in: 1...30, using: &random))
        default:
            guard random.oneIn(4) else { return }
            restoreElsewhere()
        }
    }

    /// From now on the store does what it should, at once.
    func calm() {
        isMoody = false
        mood = Mood()
    }

    /// Time passes for every clock, unless a request is under way: none takes hours.
    func letHoursPass(_ hours: Int64) {
        guard !archivers.contains(where: { $0?.coroutine.isBusy ?? false }), dying.isEmpty else { return }
        shift += hours * 3_600_000
        tally.hours += hours
    }

    /// What becomes of a request: nil when it is answered; else the error, and whether it has an effect all the same.
    func fault(for archiver: NodeArchiver?, at path: String) -> (ObjectStoreError, hasEffect: Bool)? {
        store.setNow(wall)
        let isOut = cluster.now < mood.isOutUntil || mood.cutOff.contains(archiver?.node ?? -1)
        guard isOut || Double.random(in: 0..<1, using: &random) < mood.faults else { return nil }
        tally.faults += 1
        // Conflicts (409) and slow-downs (503) that stayed after all attempts; what lost its way; what a policy forbids for a while.
        let errors: [ObjectStoreError] = [
            .unavailable(at: path, "no answer"), .throttled(at: path, "ConditionalRequestConflict"),
            .unavailable(at: path, "500"), .accessDenied(at: path, "403"),
        ]
        let error = isOut ? errors[0] : errors.randomElement(using: &random) ?? errors[0]
        return (error, hasEffect: !isOut && Bool.random(using: &random))
    }

    func put(_ key: ObjectKey, _ body: ObjectBody, condition: PutCondition) throws(ObjectStoreError) -> ObjectInfo {
        store.setNow(wall)
        do throws(ObjectStoreError) {
            let info = try store.put(key, body, condition: condition)
            note { try record.stored(key, in: self) }
            return info
        } catch {
            if case .preconditionFailed = error, ArchiveManifest.generation(key) != nil { tally.racesLost += 1 }
            throw error
        }
    }

    func delete(_ keys: [ObjectKey]) throws(ObjectStoreError) {
        tally.removed += keys.count
        for key in keys { note { try record.removed(key, in: self) } }
        try store.delete(keys)
    }

    func note(_ check: () throws -> Void) {
        do {
            try check()
        } catch {
            violation = violation ?? error as? ReplicaSimulation.Violation ?? .init("\(error)")
        }
    }
}
