package import SpringgLog

/// Why a moment cannot be restored.
///
/// Each description ends with what an operator can do.
package enum RestoreError: Error, Sendable, CustomStringConvertible {
    /// A place holds neither a log nor snapshots.
    case noSource(String)
    /// The target names an event or a mark that nothing knows.
    case unknownTarget(RestoreTarget, reason: String)
    /// What is there does not reach the target.
    case unreachable(RestoreTarget, reason: String)
    /// The directory to restore into is not empty.
    case notEmpty(path: String, found: String)
    /// Log and snapshot contradict each other.
    case otherHistory(String)
    /// The log failed.
    case log(LogError)
    /// A snapshot failed.
    case snapshot(SnapshotError)
    /// The archive failed.
    case archive(ArchiveError)
    /// A checkpoint cannot be used.
    case checkpoint(String)
    /// What was written does not read back as it should.
    case unproven(String)

    package var description: String {
        switch self {
        case .noSource(let path):
            "\(path) holds neither a log, nor an archive, nor snapshots. Name a data directory, a directory of segments, an archive or a store of snapshots with --from."
        case .unknownTarget(let target, let reason):
            "cannot find \(target): \(reason). `logdump show` lists events; `springg mark` lists marks."
        case .unreachable(let target, let reason): "\(target) cannot be restored: \(reason)."
        case .notEmpty(let path, let found):
            "\(path) is not empty (it holds \(found)). Choose a new directory with --data-path; nothing was changed."
        case .otherHistory(let reason): "\(reason). Give sources of one history."
        case .log(let error): "\(error)"
        case .snapshot(let error): "\(error)"
        case .archive(let error): "\(error)"
        case .checkpoint(let reason):
            "\(reason). The log no longer reaches back to its beginning; use a snapshot with a further --from."
        case .unproven(let reason):
            "\(reason). The directory is marked as unfinished; check the disk and restore again."
        }
    }
}

extension RestoreError {
    /// Runs calls that fail with another module's errors.
    static func wrap<R>(_ body: () throws -> R) throws(RestoreError) -> R {
        do {
            return try body()
        } catch let error as RestoreError {
            throw error
        } catch let error as SnapshotError {
            throw .snapshot(error)
        } catch let error as ArchiveError {
            throw .archive(error)
        } catch let error as ObjectStoreError {
            throw .snapshot(.store(error))
        } catch let error as LogError {
            throw .log(error)
        } catch let error as FileSystemError {
            throw .log(error.isDiskFull ? .diskFull(error) : .io(error))
        } catch {
            throw .unproven("\(error)")
        }
    }
}
