import SpringgConfiguration
import SpringgLog

/// Reads the documents of an archive, and believes nothing before its seal.
package struct ArchiveReader {
    private let store: any ObjectStore

    package init(from store: any ObjectStore) { self.store = store }

    /// The newest generation; nil when there is none.
    ///
    /// `known` is one that exists: what is older is not looked at.
    package func newest(after known: UInt64 = 0) throws(ArchiveError) -> ArchiveManifest? {
        try generations(after: known).last.map { generation throws(ArchiveError) in try manifest(generation) }
    }

    /// The generations that are there, ascending; those before `known` and itself left out.
    package func generations(after known: UInt64 = 0) throws(ArchiveError) -> [UInt64] {
        try ArchiveError.wrap(store.location) {
            var found: [UInt64] = []
            let start = known > 0 ? try ArchiveManifest.key(known) : nil
            try store.list(prefix: ArchiveManifest.keyPrefix, after: start) { object in
                if let generation = ArchiveManifest.generation(object.key) { found.append(generation) }
                return true
            }
            return found.sorted()
        }
    }

    /// One generation.
    package func manifest(_ generation: UInt64) throws(ArchiveError) -> ArchiveManifest {
        let (object, bytes) = try read(
            { () throws(ObjectStoreError) in try ArchiveManifest.key(generation) },
            limit: ArchiveManifest.bytesMax
        )
        let manifest = try ArchiveManifest(decoding: bytes, from: object)
        guard manifest.generation == generation else {
            throw .damaged(object: object, reason: "it is generation \(manifest.generation)")
        }
        return manifest
    }

    /// Every segment, also those that pages list, oldest first.
    package func segments(of manifest: ArchiveManifest) throws(ArchiveError) -> [ArchiveManifest.Segment] {
        var segments: [ArchiveManifest.Segment] = []
        for page in manifest.pages {
            let (object, bytes) = try read(
                { () throws(ObjectStoreError) in try page.key },
                limit: ArchiveManifest.pageBytesMax
            )
            segments += try ArchiveManifest.segments(of: page, decoding: bytes, from: object)
        }
        return segments + manifest.segments
    }

    /// Whose archive it is; nil when nobody has begun one.
    package func identity() throws(ArchiveError) -> ArchiveIdentity? {
        do throws(ArchiveError) {
            let (object, bytes) = try read(
                { () throws(ObjectStoreError) in try ArchiveIdentity.key },
                limit: ArchiveIdentity.bytesMax
            )
            return try ArchiveIdentity(decoding: bytes, from: object)
        } catch .store(.notFound) {
            return nil
        } catch {
            throw error
        }
    }

    private func read(
        _ key: () throws(ObjectStoreError) -> ObjectKey,
        limit: Int
    ) throws(ArchiveError) -> (object: String, bytes: [UInt8]) {
        do throws(ObjectStoreError) {
            let key = try key()
            return (store.path(of: key), try store.read(key, limit: limit))
        } catch {
            throw .store(error)
        }
    }
}

/// `cluster.json`: written once, so that two clusters do not take one prefix for their own.
package struct ArchiveIdentity: Equatable, Sendable {
    /// Random, 32 hexadecimal digits.
    package var cluster: String
    /// The label of the cluster that began the archive; empty for none.
    package var label: String
    /// Unix time in milliseconds.
    package var createdAt: UInt64

    package init(cluster: String, label: String, createdAt: UInt64) {
        self.cluster = cluster
        self.label = label
        self.createdAt = createdAt
    }

    private static let format = "springg cluster"
    private static let formatVersion: Int64 = 1
    static let bytesMax = 64 << 10

    package static var key: ObjectKey {
        get throws(ObjectStoreError) { try ObjectKey("cluster.json") }
    }

    package func encoded() -> [UInt8] {
        SealedDocument.encode(
            ["cluster": .string(cluster), "label": .string(label), "created_at": .count(createdAt)],
            format: ArchiveIdentity.format,
            version: ArchiveIdentity.formatVersion
        )
    }

    package init(decoding bytes: [UInt8], from object: String) throws(ArchiveError) {
        do throws(SealedDocument.Flaw) {
            let members = try SealedDocument.decode(
                bytes,
                format: ArchiveIdentity.format,
                version: ArchiveIdentity.formatVersion
            )
            guard let cluster = members["cluster"]?.string, let label = members["label"]?.string,
                let createdAt = members["created_at"]?.count, OriginID(cluster) != nil
            else { throw .damaged("it contradicts itself") }
            self.init(cluster: cluster, label: label, createdAt: createdAt)
        } catch {
            switch error {
            case .damaged(let reason): throw .damaged(object: object, reason: reason)
            case .newerFormat(let what): throw .newerFormat(object: object, what: what)
            }
        }
    }
}
