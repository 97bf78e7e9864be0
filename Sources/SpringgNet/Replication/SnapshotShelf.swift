import NIOHTTP1
import SpringgArchive
import SpringgLog
import SpringgProjections
import Synchronization

/// The snapshot from which this node seeds others, in a directory beside the log: at most one, made when somebody asks.
///
/// Whoever fetches it asks for its blocks one by one and continues from the log, so it is used as long as the log does
/// continue it; then the next one takes its place and keeps the blocks that have not changed.
final class SnapshotShelf: Sendable {
    /// Bytes of a block as it is stored.
    static let blockBytesMax = 8 << 20
    private static let keysMax = 10_000_000

    private let database: Database
    private let path: String
    private let state = Mutex(State())

    private struct State {
        var store: DirectoryStore?
        var ready: (manifest: [UInt8], heads: VersionVector)?
        var maker: WriterThread?
        var isMaking = false
        var failure: String?
        var isClosed = false
    }

    init(_ database: Database) {
        self.database = database
        path = database.dataPath + "/seeding"
        removeAll()
    }

    /// The manifest of the snapshot; nil while it is being made.
    /// - Throws: `RequestError` when it cannot be made.
    func manifest() throws(RequestError) -> [UInt8]? {
        let answer: Result<[UInt8]?, RequestError> = self.state.withLock { state in
            if let failure = state.failure.take() { return .failure(RequestError(.internalServerError, failure)) }
            if state.isMaking || state.isClosed { return .success(nil) }
            if let ready = state.ready, continues(ready.heads) { return .success(ready.manifest) }
            state.maker?.join()
            state.isMaking = true
            state.maker = WriterThread(name: "springg-seeding") { self.make() }
            return .success(nil)
        }
        return try answer.get()
    }

    /// A block by its name.
    func block(_ hash: String) throws(RequestError) -> [UInt8] {
        guard let store = state.withLock({ $0.store }), let key = try? ObjectKey("blocks/\(hash).zst"),
            let bytes = try? store.read(key, limit: Self.blockBytesMax)
        else { throw RequestError(.notFound, "block not found: ask for the snapshot again") }
        return bytes
    }

    /// Ends what is under way.
    func close() {
        let maker = self.state.withLock { state in
            state.isClosed = true
            state.store?.close()
            return state.maker.take()
        }
        maker?.join()
    }

    /// Whether the log has all that a node would lack that holds `heads`.
    private func continues(_ heads: VersionVector) -> Bool {
        LogShipper(log: database.log, lacking: heads).gaps.isEmpty
    }

    private func make() {
        var failure: String?
        do {
            let store = try DirectoryStore(path: path, createIfMissing: true)
            let isClosed = self.state.withLock { state in
                state.store = store
                state.ready = nil
                return state.isClosed
            }
            guard !isClosed, let capture = database.captureState() else { throw ObjectStoreError.closed }
            try store.delete(try store.list(prefix: SnapshotManifest.keyPrefix, limit: Self.keysMax).map(\.key))
            let (manifest, _) = try SnapshotWriter(to: store).write(
                capture,
                origin: database.origin,
                newest: capture.base.newestBound
            )
            let used = Set(try manifest.objects().map { try SnapshotManifest.blockKey($0.hash) })
            try store.delete(
                try store.list(prefix: "blocks/", limit: Self.keysMax).map(\.key).filter { !used.contains($0) }
            )
            let bytes = try manifest.encoded()
            self.state.withLock { $0.ready = (bytes, manifest.heads) }
        } catch {
            failure = "no snapshot could be made: \(error)"
        }
        self.state.withLock { state in
            state.isMaking = false
            state.failure = failure
        }
    }

    /// What an earlier life has left is of no use.
    private func removeAll() {
        guard let store = try? DirectoryStore(path: path, createIfMissing: false),
            let keys = try? store.list(prefix: "", limit: Self.keysMax).map(\.key)
        else { return }
        try? store.delete(keys)
    }
}
