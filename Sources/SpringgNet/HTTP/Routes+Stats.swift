import SpringgLog
import SpringgProjections

/// `/api/stats`: the node as a whole.
extension Worker {
    func nodeStats() -> Answer {
        let database = context.database
        let (log, memory, disk) = (database.log, database.memory, database.disk)
        let watermarks = log.watermarks
        let indexes = database.indexes()
        let archive = context.options.archive?()
        return .success(capacity: 1024) { body in
            func field(_ name: StaticString, _ value: Int) {
                body.raw(name)
                body.integer(value)
            }
            field(#"{"indexes":"#, indexes.count)
            field(#","vectors":"#, database.vectorCount)
            body.raw(#","digest":"#)
            body.string(database.digest.description)
            field(#","memory":{"bytes":"#, memory.totalBytes)
            field(#","limit_bytes":"#, memory.limitBytes)
            field(#"},"disk":{"log_bytes":"#, disk.logBytes)
            field(#","checkpoint_bytes":"#, disk.checkpointBytes)
            field(#","limit_bytes":"#, disk.limitBytes)
            body.raw(#","full":"#)
            body.bool(log.full != nil)
            body.raw(#"},"log":{"origin":"#)
            body.string(log.origin.description)
            field(#","segments":"#, log.segments.count)
            field(#","first_lsn":"#, Int(watermarks.trimmed.next.rawValue))
            field(#","checkpointed_lsn":"#, Int(watermarks.checkpointed.rawValue))
            field(#","applied_lsn":"#, Int(watermarks.applied.rawValue))
            field(#","durable_lsn":"#, Int(watermarks.durable.rawValue))
            field(#","appended_lsn":"#, Int(watermarks.appended.rawValue))
            let tombstones = database.tombstones
            field(#"},"tombstones":{"kept":"#, tombstones.kept)
            field(#","dropped":"#, tombstones.dropped)
            body.raw(#","dropped_until":"#)
            body.string(tombstones.droppedBelow.description)
            field(#","events_refused":"#, tombstones.refused)
            body.raw("}")
            if let archive {
                body.raw(#","archive":"#)
                archive.write(to: &body)
            }
            body.raw("}")
        }
    }
}
