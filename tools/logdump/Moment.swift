import ArgumentParser
import LogTools
import SpringgArchive
import SpringgLog

/// A moment on the command line: what `springg restore --to` takes, or an LSN.
enum Moment: Equatable {
    case lsn(LSN)
    case target(RestoreTarget)

    static let rule = "an LSN, \(RestoreTarget.rule)"

    init(_ option: String, _ text: String) throws {
        if let lsn = UInt64(text), lsn > 0 {
            self = .lsn(LSN(lsn))
        } else if let target = RestoreTarget(text) {
            self = .target(target)
        } else {
            throw ValidationError("\(option) takes \(Moment.rule); not \(text)")
        }
    }

    /// The target in a data directory: an LSN names the event that stands there.
    func target(in path: String) throws -> RestoreTarget {
        guard case .lsn(let lsn) = self else {
            guard case .target(let target) = self else { preconditionFailure("a moment is an LSN or a target") }
            return target
        }
        var found: RestoreTarget?
        let walk = LogWalk(try Source.input(path))
        walk.from = lsn
        try walk.run { step in
            guard case .record(let record) = step, record.lsn >= lsn else { return .more }
            if record.lsn == lsn { found = .event(record.envelope.origin, record.envelope.sequence) }
            return .enough
        }
        guard let found else {
            throw Failure("\(path) has no record at LSN \(lsn). `logdump verify` shows which there are.")
        }
        return found
    }
}

/// The past of a data directory.
struct Past {
    let source: RestoreSource
    let prospect: RestoreProspect

    /// Looks a moment up in a data directory or a directory of segments.
    init(_ path: String, at moment: Moment) throws {
        var source = RestoreSource()
        try source.add(path, fileSystem: PosixFileSystem(), openStore: LogStores.open)
        self.source = source
        prospect = try source.prospect(try moment.target(in: path), excluding: false)
    }
}
