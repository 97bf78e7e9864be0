import SpringgArchive
import SpringgCluster
import SpringgLog

/// The snapshot of a peer as an object store that can only be read: what a restore takes.
final class PeerStore: ObjectStore {
    private let client: PeerClient
    private let address: APIAddress
    private let manifestKey: ObjectKey
    private let manifest: [UInt8]

    let location: String

    init(_ client: PeerClient, _ address: APIAddress, manifest: [UInt8]) throws {
        self.client = client
        self.address = address
        self.manifest = manifest
        location = "\(address)/internal/snapshot"
        manifestKey = try SnapshotManifest.key(try SnapshotManifest(decoding: manifest, from: location).id)
    }

    func get(
        _ key: ObjectKey,
        _ range: ObjectRange,
        consume: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> ObjectInfo {
        guard range == .all else { throw ObjectStoreError.unsupported(location, "parts of objects are not given") }
        let bytes = try self.bytes(of: key)
        try bytes.withUnsafeBytes(consume)
        return info(key, bytes.count)
    }

    func list(prefix: String, after start: ObjectKey?, _ body: (ObjectInfo) throws -> Bool) throws -> ListSummary {
        var summary = ListSummary()
        guard manifestKey.text.hasPrefix(prefix) else { return summary }
        summary.objects = 1
        _ = try body(info(manifestKey, manifest.count))
        return summary
    }

    func head(_ key: ObjectKey) throws(ObjectStoreError) -> ObjectInfo { info(key, try bytes(of: key).count) }

    func put(_ key: ObjectKey, _ body: ObjectBody, condition: PutCondition) throws(ObjectStoreError) -> ObjectInfo {
        throw .unsupported(location, "it can only be read")
    }

    func delete(_ keys: [ObjectKey]) throws(ObjectStoreError) {
        throw .unsupported(location, "it can only be read")
    }

    func removeLeftovers(olderThanSeconds seconds: Int) -> Int { 0 }

    func close() { client.close() }

    private func bytes(of key: ObjectKey) throws(ObjectStoreError) -> [UInt8] {
        if key == manifestKey { return manifest }
        guard key.text.hasPrefix("blocks/"), key.text.hasSuffix(".zst") else { throw .notFound(at: path(of: key)) }
        do throws(PeerFailure) {
            return try client.get(
                "/internal/snapshot/\(key.text.dropFirst("blocks/".utf8.count).dropLast(4))",
                from: address,
                answerBytesMax: SnapshotShelf.blockBytesMax
            )
        } catch {
            throw .unavailable(at: path(of: key), error.text)
        }
    }

    private func info(_ key: ObjectKey, _ size: Int) -> ObjectInfo {
        ObjectInfo(key: key, size: size, tag: nil, modifiedSeconds: 0, crc32c: nil)
    }
}
