import ArgumentParser
import SpringgArchive
import SpringgConfiguration
import SpringgLog

/// Brings a moment of the past back into a new data directory: `springg restore`.
struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Restore a moment of the past into a new data directory.",
        discussion: """
            Reads an archive (s3://BUCKET/PREFIX, file:///DIRECTORY), a data directory (also of a running server), a \
            directory of log segments, or a store of snapshots; with several --from, snapshots stand in for what a \
            trimmed log no longer holds. Nothing of it is changed.

            The moment is \(RestoreTarget.rule). State is that of all events with a clock reading of at most that time \
            or HLC; for an event or a mark, of all events up to its version (HLC, then origin), itself included. With \
            --exclusive the named moment itself is left out.

            The new directory must be empty or missing. Where the log reaches back to its beginning all of its events up \
            to the moment are kept; from an archive the newest snapshot that is not beyond the moment and the events \
            behind it. The directory writes its own events as a new origin. Until it is complete it holds a file RESTORING, \
            and no server starts on it; an interrupted restore is run again, and fetches only what it has not fetched.

            Examples:
              springg restore --from /var/lib/springg --to before-migration --data-path /srv/restored --dry-run
              springg restore --from /var/lib/springg --to 2026-11-22T09:30:00Z --data-path /srv/restored
              springg restore --from /var/lib/springg --from file:///backup --to 1763800000000.3 --data-path /srv/restored
              springg restore --from s3://backups/springg --to 2026-11-22T09:30:00Z --dry-run
              springg restore --from s3://backups/springg --to latest --data-path /srv/restored

            A bucket is reached as s3_endpoint, s3_region and the other S3 settings say, with the credentials that AWS's \
            own programs would find.

            Exit codes: 0 fine, 1 failure, 2 wrong usage.
            """
    )

    @Option(
        help: ArgumentHelp(
            "An archive, a data directory, segments, or a store of snapshots (STORE#ID for one).",
            valueName: "place"
        )
    )
    var from: [String]

    @Option(help: ArgumentHelp("The moment.", valueName: "moment"))
    var to: String

    @Option(help: ArgumentHelp("The directory to make.", valueName: "directory"))
    var dataPath: String?

    @Flag(help: "Leave out the moment itself: what was before it.")
    var exclusive = false

    @Flag(help: "Say what would be read and which events bound the moment; write nothing.")
    var dryRun = false

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var file: ConfigurationFileOption

    func validate() throws {
        if RestoreTarget(to) == nil { throw ValidationError("--to \(to) is no moment: give \(RestoreTarget.rule)") }
        if from.isEmpty { throw ValidationError("--from is missing") }
        if dataPath == nil, !dryRun { throw ValidationError("--data-path is missing: the directory to make") }
        if to == "latest", exclusive { throw ValidationError("--exclusive makes no sense with latest") }
    }

    func run() throws {
        guard let target = RestoreTarget(to) else { throw ValidationError("--to \(to) is no moment") }
        try RestoreCommand.restore(
            from,
            in: Stores(file),
            to: target,
            exclusive: exclusive,
            dataPath: dryRun ? nil : dataPath,
            json: json
        )
    }

    /// Restores, or only says what would be done when `dataPath` is nil.
    static func restore(
        _ places: [String],
        in stores: Stores,
        to target: RestoreTarget,
        exclusive: Bool,
        dataPath: String?,
        json: Bool
    ) throws {
        let source = try stores.source(places)
        let progress = ProgressLine()
        do throws(RestoreError) {
            let prospect = try source.prospect(target, excluding: exclusive)
            var description = ProspectDescription(prospect)
            if let dataPath {
                var generator = SystemRandomNumberGenerator()
                let report = try Restorer(fileSystem: PosixFileSystem()).restore(
                    prospect,
                    from: source,
                    into: dataPath,
                    origin: OriginID(using: &generator),
                    progress: { done in progress.show("Restoring: \(done)") }
                )
                progress.finish()
                description.add(report, dataPath)
            }
            Output.standardOutput(json ? description.object.text() + "\n" : description.text)
        } catch {
            progress.finish()
            throw CommandFailure("\(error)")
        }
    }
}

/// A prospect, and what became of it, for people and for programs.
struct ProspectDescription {
    private var members: [String: JSONValue]
    private var lines: [(String, String)]

    init(_ prospect: RestoreProspect) {
        let plan = prospect.plan
        let base: String
        switch plan.base {
        case .nothing: base = "nothing"
        case .checkpoint(let base_): base = "checkpoint \(base_.lsn)"
        case .snapshot(let id, _): base = "snapshot \(id)"
        }
        let blocks = prospect.snapshot?.objects() ?? []
        members = [
            "target": .string("\(prospect.target)"), "bound": .string("\(prospect.bound.version)"),
            "inclusive": .boolean(prospect.bound.includesVersion), "base": .string(base),
            "segments": .array(plan.segments.map { .string($0) }), "events": .integer(Int64(plan.events)),
            "bytes": .integer(Int64(plan.bytes)), "blocks": .integer(Int64(blocks.count)),
            "block_bytes": .integer(Int64(blocks.reduce(0) { $0 + $1.bytes })),
            "keeps_history": .boolean(plan.keepsHistory),
            "last_included": ProspectDescription.json(prospect.log?.lastIncluded),
            "first_excluded": ProspectDescription.json(prospect.log?.firstExcluded),
        ]
        lines = [
            ("target", "\(prospect.target)"),
            ("base", plan.base == .nothing ? "nothing: the log reaches back to its beginning" : base),
            (
                "reads",
                "\(counted(plan.segments.count, "segment")) with \(counted(Int(plan.events), "event"))"
                    + (blocks.isEmpty ? "" : ", \(counted(blocks.count, "block"))")
                    + ", \(UInt64(blocks.reduce(0) { $0 + $1.bytes }) + plan.bytes) bytes"
            ),
            (
                "last included",
                ProspectDescription.line(
                    prospect.log?.lastIncluded,
                    orElse: plan.base == .nothing ? "none" : "the last event of the base"
                )
            ),
            ("first excluded", ProspectDescription.line(prospect.log?.firstExcluded, orElse: "none")),
        ]
    }

    mutating func add(_ report: RestoreReport, _ dataPath: String) {
        members["restored"] = .object([
            "data_path": .string(dataPath), "origin": .string("\(report.origin)"),
            "first_lsn": .integer(Int64(report.firstLSN.rawValue)),
            "last_lsn": .integer(Int64(report.lastLSN.rawValue)),
            "hlc": .string("\(report.highestHLC)"), "digest": .string("\(report.digest)"),
            "vectors": .integer(Int64(report.rows)), "indexes": .integer(Int64(report.indexes)),
            "linked": .integer(Int64(report.rowsLinked)),
            "damaged_graphs": .array(report.damagedGraphs.map { .string($0) }),
        ])
        lines += [
            (
                "restored",
                "\(dataPath): \(report.indexes == 1 ? "1 index" : "\(report.indexes) indexes"), "
                    + "\(counted(report.rows, "vector")), digest \(report.digest)"
            ),
            ("graphs", "\(counted(report.rowsLinked, "vector")) linked, the others will be when it is served"),
            ("log", "LSN \(report.firstLSN) to \(report.lastLSN); new origin \(report.origin)"),
        ]
        lines += report.damagedGraphs.map { ("not usable", "a graph, which will be built anew: \($0)") }
    }

    var object: JSONValue { .object(members) }

    var text: String {
        lines.map { name, value in name + String(repeating: " ", count: 16 - name.count) + value + "\n" }.joined()
    }

    private static func json(_ place: EventPlace?) -> JSONValue {
        guard let place else { return .null }
        return .object([
            "event": .string("\(place.version.origin):\(place.sequence)"), "hlc": .string("\(place.version.hlc)"),
            "time": .string(place.version.hlc.utc),
            "lsn": place.lsn == .zero ? .null : .integer(Int64(place.lsn.rawValue)),
        ])
    }

    private static func line(_ place: EventPlace?, orElse none: String) -> String {
        guard let place else { return none }
        return "\(place.version.origin):\(place.sequence)  \(place.version.hlc.utc)  HLC \(place.version.hlc)"
            + (place.lsn == .zero ? "" : "  LSN \(place.lsn)")
    }
}

/// `1 block`, `2 blocks`.
func counted(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
