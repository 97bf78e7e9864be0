import ArgumentParser
import SpringgArchive
import SpringgConfiguration
import SpringgLog
import SpringgProjections

/// Snapshots of a data directory: `springg snapshot`.
struct SnapshotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Make, list, check, restore and prune snapshots.",
        discussion: """
            A snapshot is the whole state of one moment in blocks of about 1 MiB, each named by the SHA-256 of its bytes. \
            Blocks are shared: a snapshot writes those that the store does not have. A store is a directory, or a bucket \
            (s3://BUCKET/PREFIX) that is reached as the S3 settings of the configuration say.

            Exit codes: 0 fine, 1 failure, 2 wrong usage, 6 damage that verify has found.

            Examples:
              springg snapshot create --data-path /var/lib/springg --to file:///backup
              springg snapshot list --from file:///backup
              springg snapshot verify --from s3://backups/springg
              springg snapshot restore --from file:///backup --data-path /srv/restored
              springg snapshot prune --from file:///backup --keep 7
            """,
        subcommands: [Create.self, List.self, Check.self, Restore.self, Prune.self]
    )

    /// Writes a snapshot.
    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write a snapshot of a data directory, also beside the server that runs on it.",
            discussion: """
                Reads the directory as springg serve --read-only does, so it takes as much memory as the server's data.

                Exit codes: 0 fine, 1 failure, 2 wrong usage.

                Examples:
                  springg snapshot create --data-path /var/lib/springg --to file:///backup
                  springg snapshot create --config /etc/springg/springg.json --to /backup --as-of before-migration --json
                """
        )

        @Option(
            help: ArgumentHelp(
                "The store: s3://BUCKET/PREFIX, file:///DIRECTORY or a directory, made when missing.",
                valueName: "store"
            )
        )
        var to: String
        @Option(
            help: ArgumentHelp("The data directory (default: data_path of the configuration).", valueName: "directory")
        )
        var dataPath: String?
        @Option(help: ArgumentHelp("A moment of the past instead of now.", valueName: "moment"))
        var asOf = "latest"
        @Flag(help: "Print one JSON object.")
        var json = false
        @OptionGroup var file: ConfigurationFileOption

        func validate() throws {
            if RestoreTarget(asOf) == nil {
                throw ValidationError("--as-of \(asOf) is no moment: give \(RestoreTarget.rule)")
            }
        }

        func run() throws {
            let flags = dataPath.map { ["data_path": $0] } ?? [:]
            let path = try Configuration.load(explicitFile: file.file, flags: flags)[Keys.dataPath]
            let progress = ProgressLine()
            defer { progress.finish() }
            try CommandFailure.wrap {
                guard let target = RestoreTarget(asOf) else { return }
                let source = try Stores(file).source([path])
                let prospect = try source.prospect(target, excluding: false, wantsHistory: false)
                let state = try source.load(prospect) { progress.show("Reading the log: \($0)") }
                let store = try Stores(file).open(to, createIfMissing: true)
                let writer = SnapshotWriter(to: store, uploads: ArchiveOptions().uploads) {
                    progress.show("Writing: \($0.entriesDone) of \($0.entriesTotal) rows")
                }
                let (manifest, report) = try writer.write(
                    state.materializer.captureState(heads: state.base.heads),
                    origin: prospect.log?.origin ?? .none,
                    newest: state.newest
                )
                progress.finish()
                Output.standardOutput(json ? describe(manifest, report).text() + "\n" : text(manifest, report))
            }
        }

        private func text(_ manifest: SnapshotManifest, _ report: SnapshotReport) -> String {
            """
            snapshot \(report.id)
            \(counted(manifest.rows, "vector")) in \(counted(report.blocks, "block")) of \(report.bytes) bytes
            written: \(counted(report.blocksWritten, "block")) of \(report.bytesWritten) bytes, a manifest of \(report.manifestBytes) bytes
            graphs: \(report.graphBytes) bytes, written \(report.graphBytesWritten)

            """
        }

        private func describe(_ manifest: SnapshotManifest, _ report: SnapshotReport) -> JSONValue {
            .object([
                "id": .string(report.id), "hlc": .string("\(manifest.highestHLC)"),
                "digest": .string("\(manifest.digest)"),
                "vectors": .integer(Int64(manifest.rows)), "blocks": .integer(Int64(report.blocks)),
                "bytes": .integer(Int64(report.bytes)), "content_bytes": .integer(Int64(report.contentBytes)),
                "blocks_written": .integer(Int64(report.blocksWritten)),
                "bytes_written": .integer(Int64(report.bytesWritten)),
                "manifest_bytes": .integer(Int64(report.manifestBytes)),
                "graph_bytes": .integer(Int64(report.graphBytes)),
                "graph_bytes_written": .integer(Int64(report.graphBytesWritten)),
            ])
        }
    }

    /// Lists the snapshots of a store.
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the snapshots of a store, oldest first.",
            discussion: """
                Exit codes: 0 fine, 1 failure, 2 wrong usage.

                Example:
                  springg snapshot list --from file:///backup --json
                """
        )

        @Option(help: ArgumentHelp("The store.", valueName: "store"))
        var from: String
        @Flag(help: "Print one JSON array.")
        var json = false
        @OptionGroup var file: ConfigurationFileOption

        func run() throws {
            try CommandFailure.wrap {
                let reader = SnapshotReader(from: try Stores(file).open(from, createIfMissing: false))
                let manifests = try reader.ids().map { try reader.manifest($0) }
                guard !json else {
                    Output.standardOutput(JSONValue.array(manifests.map(describe)).text() + "\n")
                    return
                }
                for manifest in manifests {
                    Output.standardOutput(
                        "\(manifest.id)  \(manifest.highestHLC.utc)  \(counted(manifest.rows, "vector")), "
                            + "\(counted(manifest.blocks.count, "block")), \(manifest.objectBytes) bytes\n"
                    )
                }
            }
        }

        private func describe(_ manifest: SnapshotManifest) -> JSONValue {
            .object([
                "id": .string(manifest.id), "hlc": .string("\(manifest.highestHLC)"),
                "time": .string(manifest.highestHLC.utc), "origin": .string("\(manifest.origin)"),
                "events": .integer(Int64(clamping: manifest.events)), "digest": .string("\(manifest.digest)"),
                "vectors": .integer(Int64(manifest.rows)), "blocks": .integer(Int64(manifest.blocks.count)),
                "bytes": .integer(Int64(manifest.objectBytes)),
            ])
        }
    }

    /// Reads snapshots back and compares everything.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify",
            abstract: "Read every block of a snapshot, or of all, and compare sizes, hashes and digests.",
            discussion: """
                Lists everything that is wrong. Exit codes: 0 fine, 1 the store cannot be read, 2 usage, 6 damaged.

                Examples:
                  springg snapshot verify --from file:///backup
                  springg snapshot verify --from file:///backup --id 001763800000000.00003 --json
                """
        )

        @Option(help: ArgumentHelp("The store.", valueName: "store"))
        var from: String
        @Option(help: ArgumentHelp("One snapshot, by its name or the beginning of it.", valueName: "id"))
        var id: String?
        @Flag(help: "Print one JSON object.")
        var json = false
        @OptionGroup var file: ConfigurationFileOption

        func run() throws {
            let progress = ProgressLine()
            var findings: [String] = []
            var ids: [String] = []
            try CommandFailure.wrap {
                let reader = SnapshotReader(from: try Stores(file).open(from, createIfMissing: false)) { done in
                    progress.show("Checking: \(done.entriesDone) of \(done.entriesTotal) rows")
                }
                ids = try id.map { [try reader.manifest($0).id] } ?? reader.ids()
                guard !ids.isEmpty else { throw SnapshotError.notFound(id: nil, store: from) }
                for id in ids {
                    do throws(SnapshotError) {
                        findings += try reader.verify(reader.manifest(id)).map(\.description)
                    } catch {
                        guard case .damaged = error else { throw error }
                        findings.append("\(error)")
                    }
                }
            }
            progress.finish()
            if json {
                let object = JSONValue.object([
                    "snapshots": .array(ids.map { .string($0) }), "findings": .array(findings.map { .string($0) }),
                ])
                Output.standardOutput(object.text() + "\n")
            } else {
                for finding in findings { Output.standardOutput(finding + "\n") }
                if findings.isEmpty {
                    Output.standardOutput("fine: \(counted(ids.count, "snapshot")), every block as it was written\n")
                }
            }
            if !findings.isEmpty { ExitStatus.findings.exit() }
        }
    }

    /// Brings one snapshot back.
    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Restore a snapshot into a new data directory.",
            discussion: """
                The same as springg restore --from STORE#ID --to latest; see there for moments in between.

                Exit codes: 0 fine, 1 failure, 2 wrong usage.

                Example:
                  springg snapshot restore --from file:///backup --data-path /srv/restored
                """
        )

        @Option(help: ArgumentHelp("The store.", valueName: "store"))
        var from: String
        @Option(
            help: ArgumentHelp(
                "The snapshot, by its name or the beginning of it (default: the newest).",
                valueName: "id"
            )
        )
        var id: String?
        @Option(help: ArgumentHelp("The directory to make.", valueName: "directory"))
        var dataPath: String
        @Flag(help: "Print one JSON object.")
        var json = false
        @OptionGroup var file: ConfigurationFileOption

        func run() throws {
            try RestoreCommand.restore(
                [from + (id.map { "#" + $0 } ?? "")],
                in: Stores(file),
                to: .latest,
                exclusive: false,
                dataPath: dataPath,
                json: json
            )
        }
    }
}
