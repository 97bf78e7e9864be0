import ArgumentParser
import Glibc
import SpringgArchive
import SpringgConfiguration
import SpringgLog
import SpringgProjections

/// What an archive can bring back: `springg backups`.
struct BackupsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backups",
        abstract: "Show what an archive can bring back, and prove that it can.",
        discussion: """
            An archive has every event of a time, and snapshots that a restore begins with: any moment within the window can be \
            restored, not only those listed.

            Exit codes: 0 fine, 1 failure, 2 wrong usage, 6 damage that verify has found.

            Examples:
              springg backups
              springg backups list --from s3://backups/springg --json
              springg backups verify
              springg backups verify --deep --from file:///backup
            """,
        subcommands: [List.self, Check.self],
        defaultSubcommand: List.self
    )

    /// Where the archive is.
    struct Place: ParsableArguments {
        @Option(
            help: ArgumentHelp(
                "The archive: s3://BUCKET/PREFIX or file:///DIRECTORY (default: that of the configuration).",
                valueName: "store"
            )
        )
        var from: String?
        @OptionGroup var file: ConfigurationFileOption

        func open() throws -> any ObjectStore {
            let stores = Stores(file)
            if let from { return try stores.open(from, createIfMissing: false) }
            guard let archive = try stores.archive(createIfMissing: false) else {
                throw CommandFailure("there is no archive in the configuration", advice: "name one with --from")
            }
            return archive
        }
    }

    /// Restore points.
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List snapshots, marks and the window of an archive.",
            discussion: """
                Exit codes: 0 fine, 1 failure, 2 wrong usage.

                Example:
                  springg backups list --from s3://backups/springg --json
                """
        )

        @OptionGroup var place: Place
        @Flag(help: "Print one JSON object.")
        var json = false

        func run() throws {
            try CommandFailure.wrap {
                let store = try place.open()
                let points = try RestorePoints(of: store)
                Output.standardOutput(json ? describe(points, store).text() + "\n" : text(points, store))
            }
        }

        private func text(_ points: RestorePoints, _ store: any ObjectStore) -> String {
            let manifest = points.manifest
            let seconds = secondsSinceWritten(manifest)
            let age = seconds < 120 ? "\(seconds) s" : seconds < 7200 ? "\(seconds / 60) min" : "\(seconds / 3600) h"
            let writer = manifest.node.isEmpty ? "" : ", by \(manifest.node)"
            let window = points.earliest.map { "\($0.utc) to \(manifest.highestHLC.utc), any moment" }
            var text = """
                archive   \(store.location), generation \(manifest.generation)
                written   \(CivilTime.rfc3339(milliseconds: manifest.writtenAt)), \(age) ago\(writer)
                window    \(window ?? "nothing can be restored yet")
                events    \(points.events) in \(counted(points.segments, "segment")), \(points.bytes) bytes

                """
            for snapshot in points.snapshots {
                text += "snapshot  \(snapshot.highestHLC.utc)  \(snapshot.id)  \(counted(snapshot.rows, "vector")), "
                text += "\(counted(snapshot.blocks.count, "block")), \(snapshot.objectBytes) bytes\n"
            }
            for (name, version) in points.marks { text += "mark      \(version.hlc.utc)  \(name)\n" }
            return text
        }

        private func describe(_ points: RestorePoints, _ store: any ObjectStore) -> JSONValue {
            let manifest = points.manifest
            return .object([
                "archive": .string(store.location), "generation": .integer(Int64(clamping: manifest.generation)),
                "written": .string(CivilTime.rfc3339(milliseconds: manifest.writtenAt)),
                "node": .string(manifest.node),
                "lag_seconds": .integer(Int64(secondsSinceWritten(manifest))),
                "earliest": points.earliest.map { .string($0.utc) } ?? .null,
                "latest": .string(manifest.highestHLC.utc), "latest_hlc": .string("\(manifest.highestHLC)"),
                "events": .integer(Int64(clamping: points.events)), "segments": .integer(Int64(points.segments)),
                "bytes": .integer(Int64(clamping: points.bytes)),
                "snapshots": .array(points.snapshots.map(describe)),
                "marks": .array(points.marks.map { describe($0.name, $0.version) }),
            ])
        }

        private func describe(_ snapshot: SnapshotManifest) -> JSONValue {
            .object([
                "id": .string(snapshot.id), "time": .string(snapshot.highestHLC.utc),
                "hlc": .string("\(snapshot.highestHLC)"), "digest": .string("\(snapshot.digest)"),
                "vectors": .integer(Int64(snapshot.rows)), "blocks": .integer(Int64(snapshot.blocks.count)),
                "bytes": .integer(Int64(snapshot.objectBytes)),
            ])
        }

        private func describe(_ mark: String, _ version: EventVersion) -> JSONValue {
            .object([
                "name": .string(mark), "time": .string(version.hlc.utc), "hlc": .string("\(version.hlc)"),
            ])
        }

        /// What was written since may not be in the archive yet.
        private func secondsSinceWritten(_ manifest: ArchiveManifest) -> Int {
            max(0, time(nil) - Int(manifest.writtenAt / 1000))
        }
    }

    /// Reads an archive back.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify",
            abstract: "Prove that everything that an archive refers to is there and whole.",
            discussion: """
                Reads every segment and every block, and follows the chain of each origin through all segments. With --deep \
                the newest state is restored in memory as well, as a restore would, and its digest shown: that of the stats \
                of a server that has the same events.

                Lists everything that is wrong. Exit codes: 0 fine, 1 the archive cannot be read, 2 usage, 6 damaged.

                Examples:
                  springg backups verify
                  springg backups verify --deep --from s3://backups/springg --json
                """
        )

        @OptionGroup var place: Place
        @Flag(help: "Restore the newest state in memory, too.")
        var deep = false
        @Flag(help: "Print one JSON object.")
        var json = false

        func run() throws {
            let progress = ProgressLine()
            defer { progress.finish() }
            let store = try place.open()
            let (report, digest) = try CommandFailure.wrap {
                let report = try ArchiveCheck(store) { done in progress.show("Checking: \(done)") }.run()
                guard deep, report.findings.isEmpty else { return (report, String?.none) }
                let source = try RestoreSource(archive: store)
                let prospect = try source.prospect(.latest, excluding: false)
                let state = try source.load(prospect) { done in progress.show("Restoring in memory: \(done)") }
                return (report, "\(state.materializer.digest)")
            }
            progress.finish()
            let isFine = report.findings.isEmpty
            if json {
                let object = JSONValue.object([
                    "segments": .integer(Int64(report.segments)), "events": .integer(Int64(clamping: report.events)),
                    "snapshots": .integer(Int64(report.snapshots)), "blocks": .integer(Int64(report.blocks)),
                    "bytes": .integer(Int64(report.bytes)), "digest": digest.map { .string($0) } ?? .null,
                    "findings": .array(report.findings.map { .string($0) }),
                ])
                Output.standardOutput(object.text() + "\n")
            } else {
                for finding in report.findings { Output.standardOutput(finding + "\n") }
                if isFine {
                    Output.standardOutput(
                        "fine: \(counted(report.segments, "segment")) with \(counted(Int(report.events), "event")), "
                            + "\(counted(report.snapshots, "snapshot")) of \(counted(report.blocks, "block")), "
                            + "\(report.bytes) bytes\n"
                    )
                }
                if let digest { Output.standardOutput("restored in memory: digest \(digest)\n") }
            }
            if !isFine { ExitStatus.findings.exit() }
        }
    }
}
