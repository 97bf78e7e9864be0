/// Removes snapshots that are not to be kept, and blocks that no snapshot names, from a store of snapshots.
///
/// An archive removes its own (`s3_retention`), by a protocol that lets others write meanwhile; here nobody may, and whoever did is
/// found out afterwards.
package struct SnapshotPruner {
    /// What goes, and what stays.
    package struct Plan: Sendable, Equatable {
        /// Oldest first.
        package var kept: [String] = []
        package var removed: [String] = []
        /// Blocks that no kept snapshot names.
        package var blocks: [ObjectKey] = []
        package var blockBytes = 0
        /// Blocks that none names either, and that are too young: a snapshot may be in the making.
        package var youngBlocks = 0
    }

    /// Keys that one request removes.
    private static let batch = 1000
    /// Blocks of a store: as many terabytes.
    private static let blocksMax = 10_000_000

    private let store: any ObjectStore
    private let reader: SnapshotReader

    /// - Throws: when the store is an archive.
    package init(_ store: any ObjectStore) throws(SnapshotError) {
        self.store = store
        reader = SnapshotReader(from: store)
        do {
            for prefix in [ArchiveManifest.keyPrefix, "cluster.json"] {
                try store.list(prefix: prefix, after: nil) { _ in
                    throw ObjectStoreError.unsupported(
                        store.location,
                        "it is an archive, whose snapshots its nodes remove: set s3_retention there"
                    )
                }
            }
        } catch {
            throw .store(ObjectStoreError(wrapping: error, at: store.location))
        }
    }

    /// Looks what there is: the newest `keep` snapshots stay (nil: all), and blocks that were stored less than `graceSeconds` before
    /// `now`.
    /// - Throws: also when a snapshot that is to be kept cannot be read: what it needs is not known.
    package func plan(keep: Int?, graceSeconds: Int, now: Int) throws(SnapshotError) -> Plan {
        var plan = Plan()
        let ids = try reader.ids().sorted()
        plan.kept = Array(ids.suffix(keep ?? ids.count))
        plan.removed = Array(ids.dropLast(plan.kept.count))
        let used = try blocks(of: plan.kept)
        // A block of a snapshot that goes is not waited for.
        let dropped = try blocks(of: plan.removed, skippingDamaged: true)
        do throws(ObjectStoreError) {
            for object in try store.list(prefix: SnapshotManifest.blockPrefix, limit: SnapshotPruner.blocksMax) {
                guard let hash = SnapshotManifest.block(object.key), !used.contains(hash) else { continue }
                if dropped.contains(hash) || now - object.modifiedSeconds >= graceSeconds {
                    plan.blocks.append(object.key)
                    plan.blockBytes += object.size
                } else {
                    plan.youngBlocks += 1
                }
            }
        } catch {
            throw .store(error)
        }
        return plan
    }

    /// Does it; manifests first, so that none ever names a block that is gone.
    ///
    /// - Returns: snapshots that came meanwhile and name blocks that went: they have to be made again.
    package func carryOut(_ plan: Plan) throws(SnapshotError) -> [String] {
        do throws(ObjectStoreError) {
            var keys: [ObjectKey] = []
            for id in plan.removed { keys.append(try SnapshotManifest.key(id)) }
            for keys in [keys, plan.blocks] {
                for start in stride(from: 0, to: keys.count, by: SnapshotPruner.batch) {
                    try store.delete(Array(keys[start..<min(keys.count, start + SnapshotPruner.batch)]))
                }
            }
        } catch {
            throw .store(error)
        }
        let gone = Set(plan.blocks)
        var harmed: [String] = []
        for id in try reader.ids() where !plan.kept.contains(id) {
            let objects = try reader.manifest(id).objects()
            if objects.contains(where: { object in
                (try? SnapshotManifest.blockKey(object.hash)).map(gone.contains) ?? false
            }) {
                harmed.append(id)
            }
        }
        return harmed
    }

    private func blocks(of ids: [String], skippingDamaged: Bool = false) throws(SnapshotError) -> Set<ContentHash> {
        var blocks: Set<ContentHash> = []
        for id in ids {
            do throws(SnapshotError) {
                for object in try reader.manifest(id).objects() { blocks.insert(object.hash) }
            } catch {
                guard skippingDamaged, case .damaged = error else { throw error }
            }
        }
        return blocks
    }
}
