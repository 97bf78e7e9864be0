import Glibc
import LogTools
import SpringgArchive
import SpringgLog

/// Archives, as places of a log.
enum LogStores {
    static func isStore(_ place: String) -> Bool { place.contains("://") }

    /// Opens a store: a directory, or a bucket that is reached as the environment says.
    static func open(_ place: String) throws -> any ObjectStore {
        let url = try ObjectStoreURL(place)
        guard case .s3 = url else { return try url.open(S3Options(), createIfMissing: false) }
        return try url.open(S3Options { name in getenv(name).map { String(cString: $0) } }, createIfMissing: false)
    }

    /// The events of an archive.
    static func log(_ place: String) throws -> ArchiveLog { try ArchiveLog(of: open(place)) }
}

extension ArchiveLog: RecordFeed, MissingEvents {}
