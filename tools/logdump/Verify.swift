import ArgumentParser
import Glibc
import LogTools
import SpringgArchive
import SpringgLog
import SpringgProjections

/// Reads everything, goes on past what is bad, says what it means.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks every record: checksums, order, each origin's history.",
        discussion: """
            A torn end (the last batch of a node that lost power) is normal: the node cuts it off when it starts.
            Corruption is not: the node refuses to start; what is still readable is listed here.
            Exit status 0 if all is well, 6 for a torn end, for corruption, and for a checkpoint that differs.

            Examples:
              logdump verify DIR
              logdump verify DIR --deep      replays the log and compares its state with the checkpoints
              logdump verify segment.log.zst --json
            """
    )

    @OptionGroup var source: Source
    @Flag(help: "Replay the log too, and compare digests with those of the checkpoints. Needs memory as a node does.")
    var deep = false
    @Flag(help: "One JSON object.") var json = false

    /// Looks at the end of a log that is being written.
    private static let looksMax = 20
    private static let pauseMicroseconds: UInt32 = 20_000

    func run() throws {
        var line = JSONLine()
        var isFine: Bool
        switch try source.input() {
        case .directory(let log, let data):
            isFine = try verify(LogScan(directory: log, fileSystem: PosixFileSystem()), &line)
            if deep, isFine {
                guard let data else {
                    throw ValidationError("--deep needs a data directory: \(log) has no checkpoints")
                }
                isFine = try compare(log, data, &line)
            }
        case .feed:
            isFine = try verifyArchive(&line)
        case let input:
            guard !deep else { throw ValidationError("--deep needs a data directory") }
            isFine = try list(input, "damaged", nil, &line)
            if isFine, !json { Output.line("fine: every record is readable and in its place") }
        }
        Progress.clear()
        if json { Output.line(line.text) }
        if !isFine { throw Logdump.Status.findings }
    }

    // MARK: - An archive

    private func verifyArchive(_ line: inout JSONLine) throws -> Bool {
        let report = try ArchiveCheck(LogStores.open(source.path)) { Progress.show("\($0)") }.run()
        let isFine = report.findings.isEmpty
        line.string("verdict", isFine ? "fine" : "damaged")
        line.number("segments", report.segments)
        line.number("records", report.events)
        line.number("snapshots", report.snapshots)
        line.number("blocks", report.blocks)
        line.array("findings", report.findings.map(JSONLine.quoted))
        if deep, isFine {
            let past = try Past(source.path, at: .target(.latest))
            let state = try past.source.load(past.prospect) { Progress.show("restoring: \($0)") }
            line.string("digest", "\(state.materializer.digest)")
            if !json { Output.line("restored in memory: digest \(state.materializer.digest)") }
        }
        guard !json else { return isFine }
        report.findings.forEach(Output.line)
        if isFine {
            Output.line(
                "fine: \(counted(report.segments, "segment")), \(counted(Int(report.events), "event")), "
                    + "\(counted(report.snapshots, "snapshot")), \(counted(report.blocks, "block"))"
            )
        }
        return isFine
    }

    // MARK: - A directory, as recovery judges it

    private func verify(_ scan: LogScan, _ line: inout JSONLine) throws -> Bool {
        // A running node may be in the middle of a write, or of removing a segment: an end that is not in order is looked
        // at again, and believed when it looks the same twice in a file that nobody writes.
        var seen: (what: String, written: Int)?
        for look in 1... {
            let outcome: Result<LogScan.Outcome, LogError> = Result { () throws(LogError) in
                try scan.run { record throws(LogError) in Progress.show("LSN \(record.lsn)") }
            }
            if case .success(let outcome) = outcome, outcome.torn == nil { return report(outcome, &line) }
            let finding: (what: String, segment: String?) =
                switch outcome {
                case .success(let outcome): ("\(outcome.torn?.description ?? "")", outcome.torn?.segment)
                case .failure(.corrupt(let damage)): ("\(damage)", damage.segment)
                case .failure(let error): ("\(error)", nil)
                }
            let written = finding.segment.flatMap(freshTime)
            let isSettled = finding.segment != nil && written == nil
            if isSettled || look == Verify.looksMax || seen.map({ $0 == (finding.what, written ?? 0) }) ?? false {
                return switch outcome {
                case .success(let outcome): report(outcome, &line)
                case .failure(let error): try explain(error, &line)
                }
            }
            seen = (finding.what, written ?? 0)
            usleep(Verify.pauseMicroseconds)
        }
        return false
    }

    private func report(_ outcome: LogScan.Outcome, _ line: inout JSONLine) -> Bool {
        Progress.clear()
        line.string("verdict", outcome.torn == nil ? "fine" : "torn")
        line.number("segments", outcome.segments.count)
        line.number("records", outcome.records)
        line.lsn("first_lsn", outcome.trimmed.next)
        line.lsn("last_lsn", outcome.lastLSN)
        line.lsn("durable_lsn", outcome.durableUpTo)
        line.array("missing", outcome.losses.map(object))
        if let torn = outcome.torn { line.raw("torn", object(torn)) }
        guard !json else { return outcome.torn == nil }
        Output.line(
            "\(counted(outcome.segments.count, "segment")), \(counted(Int(outcome.records), "record")), "
                + "LSN \(outcome.trimmed.next) to \(outcome.lastLSN)"
        )
        for loss in outcome.losses { Output.line("missing, as the log itself says (it was salvaged): \(loss)") }
        if let torn = outcome.torn {
            Output.line(
                "torn end: \(torn.segment) at offset \(torn.offset), LSN \(torn.lsn): \(torn.reason). "
                    + "It was never acknowledged; the node keeps a copy and cuts it off when it starts. Nothing to do."
            )
        } else {
            Output.line("fine: every record is readable and in its place")
        }
        return outcome.torn == nil
    }

    /// What a node would refuse: everything that is wrong, and what can be read.
    private func explain(_ error: LogError, _ line: inout JSONLine) throws -> Bool {
        let input = try source.input()
        switch error {
        case .corrupt(let damage):
            _ = try list(input, "corrupt", damage, &line)
        case .newerFormat(let segment, let offset, let what):
            let damage = LogDamage(segment: segment, offset: offset, lsn: .zero, reason: "\(what) of a newer version")
            _ = try list(input, "newer format", damage, &line)
        default:
            throw error
        }
        return false
    }

    /// When the file was written, in nanoseconds, if that was within the last second.
    private func freshTime(_ path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0, time(nil) - status.st_mtim.tv_sec <= 1 else { return nil }
        return status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec
    }

    // MARK: - Damage

    /// Reads all that can be read; true when nothing is wrong.
    private func list(_ input: LogInput, _ verdict: String, _ first: LogDamage?, _ line: inout JSONLine) throws -> Bool
    {
        var found = LogReadability()
        try LogWalk(input).run { step in
            found.take(step)
            if case .record(let record) = step { Progress.show("LSN \(record.lsn)") }
            return .more
        }
        if let first { found.add(first) }
        Progress.clear()
        let isFine = found.damageCount == 0 && found.missing.isEmpty
        line.string("verdict", isFine ? "fine" : verdict)
        line.number("segments", found.segments)
        line.number("readable_records", found.records)
        line.array("readable", found.ranges.map { "[\($0.lowerBound),\($0.upperBound)]" })
        line.array("missing", found.missing.map(object))
        line.number("damages", found.damageCount)
        line.array(
            "damage",
            found.damages.map { entry in
                var object = fields(entry.damage)
                object.number("end", entry.bytes.upperBound)
                return object.text
            }
        )
        if !json { print(found, verdict) }
        return isFine
    }

    private func print(_ found: LogReadability, _ verdict: String) {
        for entry in found.damages {
            let bytes = entry.bytes.isEmpty ? "" : " (to offset \(entry.bytes.upperBound))"
            let damage = entry.damage
            Output.line(
                "\(verdict): \(damage.segment) at offset \(damage.offset)\(bytes), LSN \(damage.lsn): \(damage.reason)"
            )
        }
        if found.damageCount > found.damages.count {
            Output.line("… and \(found.damageCount - found.damages.count) places more")
        }
        for loss in found.missing { Output.line("missing: \(loss)") }
        for range in found.ranges { Output.line("readable: LSN \(range.lowerBound) to \(range.upperBound)") }
        if found.rangeCount > found.ranges.count {
            Output.line("… and \(found.rangeCount - found.ranges.count) ranges more")
        }
        Output.line("\(found.records) records are readable")
        guard verdict == "corrupt" else { return }
        Output.line(
            "The node will not start on this log. Restore the damaged segment from a copy, or copy what is readable: "
                + "logdump salvage \(source.path) --out NEW"
        )
    }

    // MARK: - Checkpoints

    private func compare(_ log: String, _ data: String, _ line: inout JSONLine) throws -> Bool {
        let (findings, digest, last) = try DeepCheck.run(log: log, data: data, fileSystem: PosixFileSystem()) { lsn in
            Progress.show("replaying: LSN \(lsn)")
        }
        Progress.clear()
        var isFine = true
        var objects: [String] = []
        for finding in findings {
            let (word, detail): (String, String?) =
                switch finding.verdict {
                case .equal: ("equal", nil)
                case .differs(let indexes): ("differs", indexes.joined(separator: ", "))
                case .damaged(let reason): ("damaged", reason)
                case .untold(let reason): ("not compared", reason)
                }
            if ["differs", "damaged"].contains(word) { isFine = false }
            var object = JSONLine()
            object.lsn("lsn", finding.lsn)
            object.string("verdict", word)
            if let detail { object.string("detail", detail) }
            objects.append(object.text)
            if !json { Output.line("checkpoint at LSN \(finding.lsn): \(word)" + (detail.map { ": \($0)" } ?? "")) }
        }
        line.array("checkpoints", objects)
        line.string("digest", "\(digest)")
        if !json {
            Output.line("replayed to LSN \(last): digest \(digest)")
            if !isFine {
                Output.line(
                    "Move such a checkpoint's files away; the node then starts from an older one, or from the log."
                )
            }
        }
        return isFine
    }

    private func fields(_ damage: LogDamage) -> JSONLine {
        var line = JSONLine()
        line.string("segment", damage.segment)
        line.number("offset", damage.offset)
        line.lsn("lsn", damage.lsn)
        line.string("reason", damage.reason)
        return line
    }

    private func object(_ damage: LogDamage) -> String { fields(damage).text }

    private func object(_ loss: LogLoss) -> String { loss.json.text }
}

extension LogLoss {
    /// The LSNs between the two, and the gaps of each origin.
    var json: JSONLine {
        var line = JSONLine()
        line.lsn("after_lsn", after)
        line.lsn("before_lsn", before)
        line.array(
            "gaps",
            gaps.map { gap in
                var line = JSONLine()
                line.string("origin", "\(gap.origin)")
                line.number("first", gap.first.rawValue)
                line.number("last", gap.last.rawValue)
                return line.text
            }
        )
        return line
    }
}

/// `1 record`, `2 records`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
