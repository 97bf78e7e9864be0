import Glibc
import SpringgConfiguration
package import SpringgLog

/// `DATA/archive.json`: which archive a node has been writing to, so that it takes no other for it.
///
/// A directory that is not mounted and a bucket that was emptied look like an archive that nobody has begun. To begin one there would
/// hide that the real one is gone, and its events would be let go from the log.
package struct ArchiveMemory: Equatable, Sendable {
    /// Where it is: another place is another archive, and nothing is known of it.
    package var place: String
    /// Its identity.
    package var cluster: String

    package init(place: String, cluster: String) {
        self.place = place
        self.cluster = cluster
    }

    package static let fileName = "archive.json"
    private static let format = "springg archive memory"
    private static let formatVersion: Int64 = 1
    private static let bytesMax = 64 << 10

    package func encoded() -> [UInt8] {
        SealedDocument.encode(
            ["cluster": .string(cluster), "place": .string(place)],
            format: ArchiveMemory.format,
            version: ArchiveMemory.formatVersion
        )
    }

    package init(decoding bytes: [UInt8], from path: String) throws(ArchiveError) {
        do throws(SealedDocument.Flaw) {
            let members = try SealedDocument.decode(
                bytes,
                format: ArchiveMemory.format,
                version: ArchiveMemory.formatVersion
            )
            guard let place = members["place"]?.string, let cluster = members["cluster"]?.string else {
                throw .damaged("it contradicts itself")
            }
            self.init(place: place, cluster: cluster)
        } catch {
            switch error {
            case .damaged(let reason): throw .damaged(object: path, reason: reason)
            case .newerFormat(let what): throw .newerFormat(object: path, what: what)
            }
        }
    }

    /// What stands in a data directory; nil when nothing does.
    package static func read(
        in directory: String,
        _ fileSystem: any FileSystem
    ) throws(ArchiveError) -> ArchiveMemory? {
        let path = directory + "/" + fileName
        let bytes: [UInt8]
        do throws(FileSystemError) {
            let file = try fileSystem.open(path, .read)
            var buffer = [UInt8](repeating: 0, count: min(try file.size(), bytesMax))
            let count = try buffer.withMutableBytes { buffer throws(FileSystemError) in
                try file.read(at: 0, into: buffer)
            }
            bytes = Array(buffer.prefix(count))
        } catch  where error.code == ENOENT {
            return nil
        } catch {
            throw .store(.localFile(error))
        }
        return try ArchiveMemory(decoding: bytes, from: path)
    }

    /// Durable on return.
    package func write(in directory: String, _ fileSystem: any FileSystem) throws(ArchiveError) {
        let path = directory + "/" + ArchiveMemory.fileName
        do throws(FileSystemError) {
            let file = try fileSystem.open(path + ".new", .create)
            try encoded().withBytes { bytes throws(FileSystemError) in try file.write(bytes, at: 0) }
            try file.sync()
            try fileSystem.rename(path + ".new", to: path)
            try fileSystem.syncDirectory(directory)
        } catch {
            throw .store(.localFile(error))
        }
    }
}
