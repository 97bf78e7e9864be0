/// Every way in which the log can fail.
///
/// Each description ends with what an operator can do.
public enum LogError: Error, Sendable, CustomStringConvertible {
    /// A call on the file system failed.
    case io(FileSystemError)
    /// There was no room for a write; nothing of it is kept.
    case diskFull(FileSystemError)
    /// A new segment would exceed the bytes that the database may take on disk; nothing of the write is kept.
    case overBound(usedBytes: Int, boundBytes: Int)
    /// The log takes no more writes until it is opened again.
    case readOnly(reason: String)
    /// Another process has the data directory open.
    case locked(path: String)
    /// Bytes that were once known to be durable are not what was written.
    case corrupt(LogDamage)
    /// A segment or an event was written by a newer version.
    case newerFormat(segment: String, offset: Int, what: String)
    /// A cursor asked for records that retention has removed.
    case trimmed(requested: LSN, first: LSN)
    /// Two logs hold different events under one number, at or before this one.
    case otherHistory(origin: OriginID, sequence: Sequence)
    /// A restore into the data directory was interrupted.
    case unfinishedRestore(path: String)
    /// The log was closed.
    case closed

    /// What happened, where, and what to do.
    public var description: String {
        switch self {
        case .io(let error): "\(error). Check the disk and the permissions of the data directory."
        case .diskFull(let error):
            "\(error). Free space on the volume of the data directory; writes then go on by themselves."
        case .overBound(let used, let bound):
            "log and checkpoints take \(used >> 20) MiB of the \(bound >> 20) MiB that they may. "
                + "Raise max_disk_mb, or keep less history (log_retention, log_retention_mb); "
                + "writes go on by themselves when old segments have been removed."
        case .readOnly(let reason):
            "the log is read-only: \(reason). Check the disk, then restart the node: it re-reads what is there."
        case .locked(let path):
            "the data directory is in use by another process (lock \(path)). Stop that process or choose another --data-path."
        case .corrupt(let damage): "\(damage)"
        case .newerFormat(let segment, let offset, let what):
            "\(segment) at offset \(offset) holds \(what), which this version does not know. Start it with the version that wrote it, or a newer one."
        case .trimmed(let requested, let first):
            "LSN \(requested) is no longer in the log, which begins at \(first). Start from a snapshot or a checkpoint."
        case .otherHistory(let origin, let sequence):
            "the events of origin \(origin) up to \(sequence) are not the same here and there: a data directory was copied, or "
                + "set back to an older state, and written on. Compare both with `logdump diff`; restore one of them, which gives it an "
                + "origin of its own."
        case .unfinishedRestore(let path):
            "a restore into \(path) was not finished (there is a file \(RestoreMarker.fileName)). Run it again, or remove the directory."
        case .closed: "the log is closed. Start the node again."
        }
    }
}

/// A place in the log where bytes are not what was written.
public struct LogDamage: Sendable, Equatable, CustomStringConvertible {
    /// Path of the segment.
    public let segment: String
    /// Byte offset within it.
    public let offset: Int
    /// The record that should stand there.
    public let lsn: LSN
    /// What is wrong with it.
    public let reason: String

    /// Makes a description of damage.
    public init(segment: String, offset: Int, lsn: LSN, reason: String) {
        self.segment = segment
        self.offset = offset
        self.lsn = lsn
        self.reason = reason
    }

    /// Segment, offset, LSN, reason, and the command that shows it.
    public var description: String {
        let directory = segment.range(ofPathSuffix: 2) ?? "."
        return "corrupt log: \(segment) at offset \(offset), LSN \(lsn): \(reason). Nothing was changed. "
            + "`logdump verify \(directory)` lists what is readable. Restore the segment from a copy of the data directory, or copy "
            + "all that is readable to a new one: `logdump salvage \(directory) --out \(directory == "/" ? "" : directory).salvaged`, "
            + "then start the node with that --data-path."
    }
}

extension String {
    /// The path without its last `count` components; nil when it has no more than those.
    fileprivate func range(ofPathSuffix count: Int) -> String? {
        var path = self[...]
        for _ in 0..<count {
            guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
            path = path[..<slash]
        }
        return path.isEmpty ? "/" : String(path)
    }
}
