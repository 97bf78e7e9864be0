import SpringgArchive
import SpringgLog

/// Opens what commands are given as places of logs and snapshots.
enum Stores {
    /// A store of snapshots by its place.
    static func open(_ place: String, createIfMissing: Bool) throws -> any ObjectStore {
        do throws(ObjectStoreError) {
            return try store(at: place, createIfMissing: createIfMissing)
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    private static func store(
        at place: String,
        createIfMissing: Bool
    ) throws(ObjectStoreError) -> any ObjectStore {
        switch try ObjectStoreURL(place) {
        case .directory(let path): try DirectoryStore(path: path, createIfMissing: createIfMissing)
        case .s3: throw .invalidLocation(place, "S3 is not in this version")
        }
    }

    /// What a restore reads from.
    static func source(_ places: [String]) throws -> RestoreSource {
        var source = RestoreSource()
        do throws(RestoreError) {
            for place in places {
                try source.add(place, fileSystem: PosixFileSystem()) { place in
                    let store = try store(at: place, createIfMissing: false)
                    return try SnapshotReader(from: store).ids().isEmpty ? nil : store
                }
            }
        } catch {
            throw CommandFailure("\(error)")
        }
        return source
    }
}
