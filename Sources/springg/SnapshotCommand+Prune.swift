import ArgumentParser
import Glibc
import SpringgArchive
import SpringgConfiguration

extension SnapshotCommand {
    /// Removes what nobody needs.
    struct Prune: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove old snapshots, and blocks that no snapshot names.",
            discussion: """
                For a store that is no archive: an archive is kept in order by the nodes that write to it (s3_retention). No \
                snapshot may be written to the store meanwhile. Blocks that an interrupted create has left go when they are \
                older than --grace.

                Exit codes: 0 fine, 1 failure, 2 usage, 6 a snapshot was written meanwhile that lacks blocks now: make it again.

                Examples:
                  springg snapshot prune --from file:///backup --keep 7 --dry-run
                  springg snapshot prune --from s3://backups/springg --keep 7 --json
                  springg snapshot prune --from file:///backup           needless blocks only
                """
        )

        @Option(help: ArgumentHelp("The store.", valueName: "store"))
        var from: String
        @Option(help: ArgumentHelp("How many of the newest snapshots stay (default: all).", valueName: "count"))
        var keep: Int?
        @Option(
            help: ArgumentHelp("How old a block must be that no snapshot has named.", valueName: "duration"),
            transform: { try Prune.duration($0) }
        )
        var grace = GoDuration.seconds(86_400)
        @Flag(help: "Say what would go; remove nothing.")
        var dryRun = false
        @Flag(help: "Print one JSON object.")
        var json = false
        @OptionGroup var file: ConfigurationFileOption

        private static func duration(_ text: String) throws -> GoDuration {
            guard let duration = try? GoDuration(parsing: text), duration >= .seconds(0) else {
                throw ValidationError("--grace takes a duration such as 24h or 0s, not \(text)")
            }
            return duration
        }

        func validate() throws {
            if let keep, keep < 1 { throw ValidationError("--keep takes a number from 1") }
        }

        func run() throws {
            var harmed: [String] = []
            try CommandFailure.wrap {
                let pruner = try SnapshotPruner(try Stores(file).open(from, createIfMissing: false))
                let plan = try pruner.plan(keep: keep, graceSeconds: Int(grace.seconds), now: time(nil))
                if !dryRun { harmed = try pruner.carryOut(plan) }
                Output.standardOutput(json ? describe(plan, harmed).text() + "\n" : text(plan))
            }
            for id in harmed {
                Output.standardError(
                    "error: snapshot \(id) was written meanwhile, and lacks blocks that were removed\n"
                        + "  make it again: `springg snapshot create --to \(from)`\n"
                )
            }
            if !harmed.isEmpty { ExitStatus.findings.exit() }
        }

        private func text(_ plan: SnapshotPruner.Plan) -> String {
            let verb = dryRun ? "would remove" : "removed"
            let removed = plan.removed.map { "\(verb) snapshot \($0)\n" }.joined()
            let young =
                plan.youngBlocks == 0
                ? "" : ", \(counted(plan.youngBlocks, "block")) left for being younger than \(grace)"
            return removed + "\(verb) \(counted(plan.blocks.count, "block")) of \(plan.blockBytes) bytes; "
                + "\(counted(plan.kept.count, "snapshot")) kept\(young)\n"
        }

        private func describe(_ plan: SnapshotPruner.Plan, _ harmed: [String]) -> JSONValue {
            .object([
                "dry_run": .boolean(dryRun), "kept": .array(plan.kept.map { .string($0) }),
                "removed": .array(plan.removed.map { .string($0) }),
                "blocks_removed": .integer(Int64(plan.blocks.count)),
                "bytes_removed": .integer(Int64(plan.blockBytes)),
                "blocks_too_young": .integer(Int64(plan.youngBlocks)),
                "harmed": .array(harmed.map { .string($0) }),
            ])
        }
    }
}
