package import SpringgLog

/// Every way in which the archive can fail.
///
/// Each description ends with what an operator can do.
package enum ArchiveError: Error, Sendable, CustomStringConvertible {
    /// The store failed.
    case store(ObjectStoreError)
    /// The log could not be read.
    case log(LogError)
    /// A snapshot could not be written.
    case snapshot(SnapshotError)
    /// An object is not what was written; `object` is store and key.
    case damaged(object: String, reason: String)
    /// An object was written by a newer version.
    case newerFormat(object: String, what: String)
    /// The archive is another cluster's.
    case otherCluster(archive: String, reason: String)
    /// What is there is not the archive that the node has been writing to; `found` is nil where there is none.
    case notTheArchive(archive: String, expected: String, found: String?)
    /// The archive holds more events of this node's own origin than the node does.
    case ahead(archive: String, origin: OriginID, archived: Sequence, held: Sequence)
    /// The store lets every writer have every generation, and there may be several.
    case conditionIgnored(archive: String)

    package var description: String {
        switch self {
        case .store(let error): "\(error)"
        case .log(let error): "\(error)"
        case .snapshot(let error): "\(error)"
        case .damaged(let object, let reason):
            "\(object): \(reason). Nothing was changed; restore the object from a copy or an older version, and let "
                + "`springg backups verify` list what else is damaged."
        case .newerFormat(let object, let what): "\(object) is \(what). Use the version that wrote it, or a newer one."
        case .otherCluster(let archive, let reason):
            "\(archive) is the archive of another cluster: \(reason). Nothing was written there; choose another s3_prefix."
        case .notTheArchive(let archive, let expected, let found):
            "\(archive) is not the archive that this node has been writing to (\(expected)): "
                + (found.map { "it is \($0)" } ?? "it has no cluster.json")
                + ". Nothing was written there, and the log is kept: mount the directory or bring the bucket back. If a new archive is to "
                + "begin there, remove \(ArchiveMemory.fileName) from the data directory and start the node again."
        case .ahead(let archive, let origin, let archived, let held):
            "\(archive) holds the events of this node (origin \(origin)) up to \(archived), its log up to \(held): the data directory is an "
                + "older copy, and what is written in it would take numbers that are given. Nothing was archived; restore the "
                + "directory from the archive with `springg restore`."
        case .conditionIgnored(let archive):
            "\(archive): the store overwrites objects that it was told to keep (If-None-Match), so several nodes could not archive to it "
                + "without harm. Nothing is archived; use another store, or set cluster_enabled to false."
        }
    }

    /// True when the same may well succeed later without anybody doing anything.
    package var isTransient: Bool {
        if case .store(let error) = self { error.isTransient } else { false }
    }
}

extension ArchiveError {
    /// Runs calls that fail with another module's errors.
    static func wrap<R>(_ archive: String, _ body: () throws -> R) throws(ArchiveError) -> R {
        do {
            return try body()
        } catch let error as ArchiveError {
            throw error
        } catch let error as ObjectStoreError {
            throw .store(error)
        } catch let error as SnapshotError {
            throw .snapshot(error)
        } catch let error as LogError {
            throw .log(error)
        } catch {
            throw .store(.unexpected(at: archive, "\(error)"))
        }
    }
}
