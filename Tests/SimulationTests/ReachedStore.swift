import SpringgArchive
import SpringgLog
import SpringgTestKit

/// The store of the archive as one life of one node reaches it: answers come late, not at all, or as errors, whatever came of the
/// request; and the process may end while it waits.
final class ReachedStore: ObjectStore, @unchecked Sendable {
    // Why @unchecked: it is used by threads of which one runs at a time.
    unowned let archive: SimulatedArchive
    weak var archiver: NodeArchiver?

    init(_ archive: SimulatedArchive) { self.archive = archive }

    var location: String { "memory" }

    /// A request is under way; returns why its answer will not come, if so.
    private func send(_ path: String) throws(ObjectStoreError) -> ObjectStoreError? {
        guard !isOver else { throw .closed }
        pause()
        // What a process sent before it ended may arrive all the same.
        let arrives = !isOver || Bool.random(using: &archive.random)
        guard arrives else { throw .closed }
        guard !isOver else { return .closed }
        guard let (error, hasEffect) = archive.fault(for: archiver, at: path) else { return nil }
        guard hasEffect else { throw error }
        return error
    }

    private func answer(_ loss: ObjectStoreError?) throws(ObjectStoreError) {
        pause()
        if let loss { throw loss }
        if isOver { throw .closed }
    }

    private var isOver: Bool { archiver.map { archive.isOver($0) } ?? true }

    private func pause() { if let archiver, !isOver { archive.pause(archiver) } }

    func put(_ key: ObjectKey, _ body: ObjectBody, condition: PutCondition) throws(ObjectStoreError) -> ObjectInfo {
        let loss = try send(key.text)
        let info = try archive.put(key, body, condition: condition)
        try answer(loss)
        return info
    }

    func get(
        _ key: ObjectKey,
        _ range: ObjectRange,
        consume: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> ObjectInfo {
        let loss = try send(key.text)
        let info = try archive.store.get(key, range) { bytes in
            // What breaks off has brought a part.
            try consume(loss == nil ? bytes : UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)]))
        }
        try answer(loss)
        return info
    }

    func head(_ key: ObjectKey) throws(ObjectStoreError) -> ObjectInfo {
        let loss = try send(key.text)
        let info = try archive.store.head(key)
        try answer(loss)
        return info
    }

    func list(prefix: String, after start: ObjectKey?, _ body: (ObjectInfo) throws -> Bool) throws -> ListSummary {
        let loss = try send(prefix)
        var found: [ObjectInfo] = []
        try archive.store.list(prefix: prefix, after: start) { object in
            found.append(object)
            return true
        }
        var summary = ListSummary()
        for object in loss == nil ? found[...] : found.prefix(found.count / 2) {
            summary.objects += 1
            guard try body(object) else { return summary }
            // Between two pages others go on.
            if archive.random.oneIn(8) { pause() }
        }
        try answer(loss)
        return summary
    }

    func delete(_ keys: [ObjectKey]) throws(ObjectStoreError) {
        let loss = try send(keys.first?.text ?? "")
        // An answer that is lost may be that of a part.
        try archive.delete(loss == nil ? keys : Array(keys.prefix((keys.count + 1) / 2)))
        try answer(loss)
    }

    func removeLeftovers(olderThanSeconds seconds: Int) throws(ObjectStoreError) -> Int {
        try answer(try send(""))
        return 0
    }

    func close() {}
}
