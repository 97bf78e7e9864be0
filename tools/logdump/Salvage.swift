import ArgumentParser
import Glibc
import LogTools
import SpringgLog

/// What can be read of a damaged log, as a new one.
struct Salvage: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copies every readable event of a damaged log to a new data directory.",
        discussion: """
            The damaged directory is only read. Events keep their bytes and their LSNs; where some are missing, the new log \
            says so, and a node that starts on it repeats it. The newest whole checkpoint goes along: what it holds is not \
            lost. With --archive exactly the events that the log has lost are taken from there, if they continue the chain \
            of their origin. The node must not run meanwhile.
            Exit status 0 if nothing was lost, 6 if something was, 1 if there is no new directory.

            Examples:
              logdump salvage DIR --out DIR.salvaged
              logdump salvage DIR --archive s3://backups/springg --out DIR.salvaged
              springg serve --data-path DIR.salvaged
            """
    )

    @OptionGroup var source: Source
    @Option(help: ArgumentHelp("The new data directory; must not exist.", valueName: "directory")) var out: String
    @Option(
        help: ArgumentHelp(
            "An archive that may have what is lost: s3://BUCKET/PREFIX, file:///DIRECTORY.",
            valueName: "store"
        )
    )
    var archive: String?
    @Flag(help: "One JSON object.") var json = false

    func run() throws {
        let (log, data) = try source.directory()
        let fileSystem = PosixFileSystem()
        let target = NewDirectory(out)
        try target.begin()
        let missing = try archive.map { try LogStores.log($0) }
        var salvager = Salvager(log: log, data: data, missing: missing, fileSystem: fileSystem)
        var generator = SystemRandomNumberGenerator()
        let report = try salvager.run(to: target.partial, origin: OriginID(using: &generator)) { lsn in
            Progress.show("copying: LSN \(lsn)")
        }
        Progress.clear()
        try target.finish()
        if json { Output.line(object(report)) } else { print(report) }
        if !report.isComplete { throw Logdump.Status.findings }
    }

    private func print(_ report: SalvageReport) {
        for entry in report.damages {
            let damage = entry.damage
            let bytes = entry.bytes.isEmpty ? "" : " (to offset \(entry.bytes.upperBound))"
            Output.line(
                "damaged: \(damage.segment) at offset \(damage.offset)\(bytes), LSN \(damage.lsn): \(damage.reason)"
            )
        }
        if report.furtherDamages > 0 { Output.line("… and \(counted(report.furtherDamages, "place")) more") }
        let held = report.checkpoint ?? .zero
        for loss in report.losses {
            let note =
                loss.before.previous <= held ? " (only from the history: the checkpoint holds what they did)" : ""
            Output.line("lost: \(loss)\(note)")
        }
        if let end = report.lostEnd {
            Output.line("lost: LSN \(end.lowerBound) to \(end.upperBound), at the end of the log")
        }
        if report.endsInDamage, report.lostEnd == nil {
            Output.line("perhaps lost: what the damaged bytes at the end of the log were; nothing else tells of it")
        }
        for text in report.misplaced { Output.line("lost: \(text)") }
        for text in report.damagedCheckpoints { Output.line("left behind: \(text)") }
        if report.refetched > 0 {
            Output.line(
                "taken from the archive: \(counted(Int(report.refetched), "event")), the chain of each continued"
            )
        }
        if let lsn = report.checkpoint { Output.line("copied: the checkpoint at LSN \(lsn)") }
        Output.line(
            "copied: \(counted(Int(report.records), "record")), \(report.fileBytes) bytes, up to LSN \(report.last), to \(out)"
        )
        Output.line("A node that starts on it writes as the new origin \(report.origin).")
        if report.isComplete {
            Output.line("Nothing is missing.")
        } else if report.isStateWhole {
            Output.line("The state is whole; what is missing is history.")
        } else {
            Output.line("What is missing is missing from the state too: rows may be older, missing, or back again.")
        }
    }

    private func object(_ report: SalvageReport) -> String {
        var line = JSONLine()
        line.string("out", out)
        line.number("records", report.records)
        line.number("bytes", report.fileBytes)
        line.lsn("last_lsn", report.last)
        line.string("origin", "\(report.origin)")
        if let lsn = report.checkpoint { line.lsn("checkpoint_lsn", lsn) }
        line.number("refetched", report.refetched)
        line.flag("complete", report.isComplete)
        line.flag("state_whole", report.isStateWhole)
        line.array("lost", report.losses.map { $0.json.text })
        if let end = report.lostEnd { line.array("lost_end", ["\(end.lowerBound)", "\(end.upperBound)"]) }
        line.flag("ends_in_damage", report.endsInDamage)
        line.array("misplaced", report.misplaced.map(JSONLine.quoted))
        line.array("damaged_checkpoints", report.damagedCheckpoints.map(JSONLine.quoted))
        line.array(
            "damage",
            report.damages.map { entry in
                var object = JSONLine()
                object.string("segment", entry.damage.segment)
                object.number("offset", entry.damage.offset)
                object.number("end", entry.bytes.upperBound)
                object.lsn("lsn", entry.damage.lsn)
                object.string("reason", entry.damage.reason)
                return object.text
            }
        )
        return line.text
    }
}

/// A data directory that appears only when it is complete.
struct NewDirectory {
    let path: String

    init(_ path: String) { self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path }

    /// Where it is built: half a log would pass for a shorter one.
    var partial: String { path + ".partial" }

    /// Makes the place where it is built.
    func begin() throws {
        for name in [path, partial] where access(name, F_OK) == 0 {
            throw Failure("\(name) exists. Choose a new directory with --out, or remove it; nothing was changed.")
        }
        try Log.io { () throws(FileSystemError) in try PosixFileSystem().createDirectory(partial) }
    }

    /// Gives it its name.
    func finish() throws {
        let fileSystem = PosixFileSystem()
        try Log.io { () throws(FileSystemError) in
            try fileSystem.syncDirectory(partial)
            try fileSystem.rename(partial, to: path)
            let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
            try fileSystem.syncDirectory(parent)
        }
    }
}
