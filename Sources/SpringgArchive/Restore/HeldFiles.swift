import Glibc
package import SpringgLog

/// A data directory as it was at one moment, readable beside a node that goes on writing and removing.
///
/// Every segment and every checkpoint file is opened at once and held: a file that loses its name keeps its bytes as long
/// as somebody has it open. Nothing is copied, nothing is written, and the node's lock is not touched. One descriptor a
/// file, the log's first, so that no checkpoint is older than the log's beginning, and the log's new ones last, so that
/// none is ahead of its end.
package final class HeldFiles: FileSystem {
    /// Attempts to open all files of a directory that changes meanwhile.
    private static let attemptsMax = 100

    /// Path of the log's directory: `DATA/log`, or the directory itself when it holds segments.
    package let logDirectory: String
    /// Path of the checkpoints; may hold none.
    package let checkpointDirectory: String
    private let files: [String: any File]

    /// Opens everything there is; nil when there is no log.
    package init?(_ path: String, fileSystem: any FileSystem) throws(LogError) {
        let names = (try? fileSystem.list(path)) ?? []
        guard !names.contains(RestoreMarker.fileName) else { throw .unfinishedRestore(path: path) }
        let isLog = names.contains { $0.hasSuffix(".seg") }
        logDirectory = isLog ? path : path + "/log"
        checkpointDirectory = path + "/checkpoints"
        files = try HeldFiles.hold([logDirectory, checkpointDirectory, logDirectory], fileSystem)
        guard files.keys.contains(where: { $0.hasSuffix(".seg") }) else { return nil }
    }

    /// Opens all files of the directories, in their order; one that is not there has none.
    ///
    /// When a file vanishes between listing and opening, everything is begun again: what has been opened by then may lack
    /// its neighbours.
    private static func hold(
        _ directories: [String],
        _ fileSystem: any FileSystem
    ) throws(LogError) -> [String: any File] {
        var attempts = 0
        while true {
            do throws(FileSystemError) {
                var held: [String: any File] = [:]
                for directory in directories {
                    for name in try list(directory, fileSystem) where !name.hasSuffix(".tmp") {
                        let path = directory + "/" + name
                        if held[path] == nil { held[path] = try fileSystem.open(path, .read) }
                    }
                }
                return held
            } catch {
                attempts += 1
                guard error.code == ENOENT, attempts < HeldFiles.attemptsMax else { throw .io(error) }
            }
        }
    }

    private static func list(_ directory: String, _ fileSystem: any FileSystem) throws(FileSystemError) -> [String] {
        do throws(FileSystemError) {
            return try fileSystem.list(directory)
        } catch  where error.code == ENOENT {
            return []
        }
    }

    /// Makes what has been read of the log survive power loss.
    ///
    /// A running node may have written its last batch and not synced it yet; nothing may be built on events that could
    /// still vanish, because their numbers would be given again.
    package func syncLog() throws(FileSystemError) {
        guard let last = files.keys.filter({ $0.hasSuffix(".seg") }).max(), let file = files[last] else { return }
        try file.sync()
    }

    private func refusal(_ operation: String, _ path: String) -> FileSystemError {
        FileSystemError(operation: operation, path: path, code: EROFS)
    }

    /// See `FileSystem`.
    package func list(_ path: String) throws(FileSystemError) -> [String] {
        files.keys.filter { $0.hasPrefix(path + "/") }.map { String($0.dropFirst(path.count + 1)) }
    }

    /// See `FileSystem`.
    package func open(_ path: String, _ access: FileAccess) throws(FileSystemError) -> any File {
        guard case .read = access else { throw refusal("open", path) }
        guard let file = files[path] else { throw FileSystemError(operation: "open", path: path, code: ENOENT) }
        return file
    }

    /// See `FileSystem`.
    package func createDirectory(_ path: String) throws(FileSystemError) { throw refusal("mkdir", path) }
    /// See `FileSystem`.
    package func rename(_ old: String, to new: String) throws(FileSystemError) { throw refusal("rename", old) }
    /// See `FileSystem`.
    package func link(_ existing: String, to new: String) throws(FileSystemError) { throw refusal("link", existing) }
    /// See `FileSystem`.
    package func remove(_ path: String) throws(FileSystemError) { throw refusal("unlink", path) }
    /// See `FileSystem`.
    package func syncDirectory(_ path: String) throws(FileSystemError) { throw refusal("fsync", path) }
    /// See `FileSystem`.
    package func lock(_ path: String) throws(FileSystemError) -> any FileLock { throw refusal("flock", path) }
    /// See `FileSystem`.
    package func status(_ path: String) throws(FileSystemError) -> FileStatus {
        let file = try open(path, .read)
        return FileStatus(kind: .file, size: try file.size(), modifiedSeconds: 0, linkCount: 1)
    }
}
