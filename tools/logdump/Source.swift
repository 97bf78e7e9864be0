import ArgumentParser
import Glibc
import LogTools
import SpringgLog

/// Where the log is.
struct Source: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "A data directory, segments, frames (zstd or not), an archive (s3://BUCKET/PREFIX, file:///DIR), or - for stdin.",
            valueName: "log"
        )
    )
    var path: String

    /// What the path is.
    func input() throws -> LogInput { try Source.input(path) }

    /// What a path is; an archive is opened.
    static func input(_ path: String) throws -> LogInput {
        LogStores.isStore(path) ? .feed(try LogStores.log(path)) : try LogInput(path)
    }

    /// For what needs a directory.
    func directory() throws -> (log: String, data: String?) {
        guard case .directory(let log, let data) = try input() else {
            throw ValidationError("\(path) is no directory; this command needs one")
        }
        return (log, data)
    }

    /// Reads the way recovery does.
    func scan() throws -> LogScan { LogScan(directory: try directory().log, fileSystem: PosixFileSystem()) }
}

/// Which events.
struct FilterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("First LSN, or first event of an origin.", valueName: "lsn|origin:sequence"))
    var from: String?
    @Option(help: ArgumentHelp("Last LSN, or last event of an origin.", valueName: "lsn|origin:sequence"))
    var to: String?
    @Option(
        help: ArgumentHelp(
            "Written at this time (RFC 3339) or so long ago (90s, 15m, 2h, 7d), or later.",
            valueName: "time"
        )
    )
    var since: String?
    @Option(help: ArgumentHelp("Written at this time or so long ago, or earlier.", valueName: "time"))
    var until: String?
    @Option(help: "Of this origin; its first digits are enough.") var origin: String?
    @Option(help: "About this index.") var index: String?
    @Option(help: "About this vector.") var id: String?
    @Option(
        help: ArgumentHelp(
            "Of this kind (\(EventKind.allCases.map(\.name).joined(separator: ", "))); may be given again.",
            valueName: "kind"
        )
    )
    var kind: [String] = []

    func filter() throws -> EventFilter {
        var filter = EventFilter()
        filter.from = try from.map { try bound("--from", $0) }
        filter.to = try to.map { try bound("--to", $0) }
        filter.since = try since.map { try time("--since", $0) }
        filter.until = try until.map { try time("--until", $0) }
        filter.origin = origin?.lowercased()
        filter.index = index
        filter.id = id
        for name in kind {
            guard let kind = EventKind(name: name) else {
                throw ValidationError(
                    "there is no kind \(name); kinds are \(EventKind.allCases.map(\.name).joined(separator: ", "))"
                )
            }
            filter.kinds.insert(kind.rawValue)
        }
        return filter
    }

    private func bound(_ option: String, _ text: String) throws -> EventFilter.Bound {
        guard let bound = EventFilter.Bound(text) else {
            throw ValidationError("\(option) takes an LSN (1000) or an event (ORIGIN:SEQUENCE), not \(text)")
        }
        return bound
    }

    private func time(_ option: String, _ text: String) throws -> UInt64 {
        guard let time = WallTime.milliseconds(text, now: unixMilliseconds()) else {
            throw ValidationError(
                "\(option) takes a time (2026-11-22T15:00:00Z) or an age (90s, 15m, 2h, 7d), not \(text)"
            )
        }
        return time
    }
}

/// Damage met by a command that is about something else: said on standard error, and in the exit status.
final class DamageNotes {
    private(set) var count = 0
    private let path: String
    /// So many are said in full.
    private static let shownMax = 20

    init(_ path: String) { self.path = path }

    func take(_ step: LogWalk.Step) {
        switch step {
        case .damage(let damage, _):
            note("\(damage.segment) at offset \(damage.offset), LSN \(damage.lsn): \(damage.reason)")
        case .missing(let after, let before, let isKnown) where !isKnown:
            note("missing: \(LogLoss(after: after, before: before))")
        default: break
        }
    }

    /// Ends the command with status 6 if there was any.
    func finish() throws {
        guard count > 0 else { return }
        Output.flush()
        if count > DamageNotes.shownMax { Output.complain("… and \(count - DamageNotes.shownMax) more") }
        Output.complain("`logdump verify \(path)` says what it means")
        throw Logdump.Status.findings
    }

    private func note(_ text: String) {
        count += 1
        guard count <= DamageNotes.shownMax else { return }
        Progress.clear()
        Output.complain("damaged: \(text)")
    }
}

/// Unix time in milliseconds.
func unixMilliseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UInt64(max(0, now.tv_sec)) * 1000 + UInt64(now.tv_nsec) / 1_000_000
}
