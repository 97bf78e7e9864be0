import ArgumentParser
import SpringgArchive
import SpringgConfiguration
import SpringgLog
import SpringgProjections
import SpringgTransfer

/// Takes vectors over from files: `springg import`.
struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Take vectors over from files into a data directory.",
        discussion: """
            Reads a data directory of the Go program (NAME.bin, NAME.meta, NAME.wal), JSON lines (NAME.jsonl: \
            {"id": …, "vector": […], "metadata": {…}}), and NumPy arrays (NAME.npy, float32 or float16) with their ids \
            beside them (NAME.ids.jsonl or NAME.ids.txt). A directory stands for all of these in it. NAME is the index, \
            which is made if it does not exist. s3://BUCKET/PREFIX is where the Go program has saved its indexes \
            (NAME/manifest.json, NAME/blocks); they are fetched to $TMPDIR first, and stay there if they have flaws.

            All files are read and checked before anything is written. If something is wrong with them, each flaw is \
            listed with file and byte and nothing is imported, unless --skip-bad leaves out what is flawed.

            The data directory must not be in use: stop its server first. An empty one beside an archive that is not has to \
            get the archive's state first, which starting the server does; what is imported before would keep it from that. An import that was interrupted goes on when the \
            same command is run again; vectors that are there already, byte for byte, are not written again.

            Exit codes: 0 everything was imported, 1 failure, 2 wrong usage, 6 there were flaws.

            Examples:
              springg import /var/lib/springg-go --data-path /var/lib/springg
              springg import s3://vectors/production --data-path /var/lib/springg
              springg import articles.npy --ids ids.txt --data-path /var/lib/springg
              springg import export.jsonl --index articles --m 32
              springg import /var/lib/springg-go --dry-run          check the files, write nothing
              springg import old.jsonl --skip-bad --json > report.json
            """
    )

    @Argument(help: ArgumentHelp("Files, directories of files, or buckets.", valueName: "file|directory|s3://…"))
    var sources: [String]

    @Option(help: ArgumentHelp("The index to import into, instead of the file's name.", valueName: "name"))
    var index: String?

    @Option(help: ArgumentHelp("The file of the ids of a NumPy array.", valueName: "file"))
    var ids: String?

    @Option(help: "Dimensions of the index, for files that do not say.")
    var dimensions: Int?

    @Option(help: "Links of a vector in the graph of an index that is made (4 to 64).")
    var m: Int?

    @Option(help: "Candidates while a vector's place in the graph is sought (10 to 2000).")
    var efConstruction: Int?

    @Option(help: "Candidates during a search that does not say how many (10 to 2000).")
    var ef: Int?

    @Flag(help: "Import what is in order, and list what is left out.")
    var skipBad = false

    @Flag(help: "Check the files and write nothing.")
    var dryRun = false

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var file: ConfigurationFileOption
    @Option(Keys.dataPath) var dataPath: String?
    @Option(Keys.maxVectorsPerIndex) var maxVectorsPerIndex: String?
    @Option(Keys.maxMemoryMB) var maxMemoryMB: String?

    private var indexOptions: IndexOptions { IndexOptions(m: m, efConstruction: efConstruction, ef: ef) }

    func validate() throws {
        if let refusal = indexOptions.refusal { throw ValidationError(refusal) }
        if let dimensions, !(1...PreparedVector.dimensionsMax).contains(dimensions) {
            throw ValidationError("--dimensions must be 1 to \(PreparedVector.dimensionsMax), got \(dimensions)")
        }
        if let index, IndexName(index) == nil {
            throw ValidationError("\"\(index)\" is no name of an index: \(IndexName.rule)")
        }
    }

    func run() throws {
        var flags: [String: String] = [:]
        flags[Keys.dataPath.name] = dataPath
        flags[Keys.maxVectorsPerIndex.name] = maxVectorsPerIndex
        flags[Keys.maxMemoryMB.name] = maxMemoryMB
        let settings = try Configuration.load(explicitFile: file.file, flags: flags)
        let fileSystem = PosixFileSystem()
        var report = ImportReport(isDryRun: dryRun)
        let started = ContinuousClock.now

        // What was fetched goes at the end of this, but not when the program ends with flaws, which are to be looked at.
        if !dryRun { try checkArchive(settings, fileSystem) }
        let (paths, scratch) = try fetch(Stores(settings))
        defer { withExtendedLifetime(scratch) {} }
        for source in try find(paths, fileSystem) { try report.add(source, check(source, fileSystem)) }
        if report.flawCount > 0, !skipBad {
            report.print(asJSON: json)
            Output.standardError(
                "error: nothing was imported: the files have \(ImportReport.flaws(report.flawCount))\n"
                    + "  repair the files, or import the rest with --skip-bad\n"
            )
            ExitStatus.findings.exit()
        }
        if !dryRun { try write(&report, settings, fileSystem) }
        report.seconds = (ContinuousClock.now - started) / .seconds(1)
        report.print(asJSON: json)
        if report.flawCount > 0 { ExitStatus.findings.exit() }
    }

    /// Brings what is in buckets here; returns where all sources are, and what was made for them.
    private func fetch(_ stores: Stores) throws -> (paths: [String], scratch: [ScratchDirectory]) {
        var scratch: [ScratchDirectory] = []
        let paths = try sources.map { source in
            guard source.contains("://") else { return source }
            let store = try stores.open(source, createIfMissing: false)
            scratch.append(try CommandFailure.wrap { try GoBucket(store).download() })
            return scratch[scratch.count - 1].path
        }
        return (paths, scratch)
    }

    private func find(_ paths: [String], _ fileSystem: PosixFileSystem) throws -> [ImportSource] {
        do {
            return try ImportSource.find(in: paths, index: index.flatMap(IndexName.init), ids: ids, fileSystem)
        } catch {
            switch error {
            case .unreadable, .nothing: throw CommandFailure("\(error)")
            default: throw ValidationError("\(error)")
            }
        }
    }

    private func check(_ source: ImportSource, _ fileSystem: PosixFileSystem) throws -> ImportCheck {
        let bar = ProgressBar("Checking \(source.path)")
        defer { bar.finish() }
        let check: ImportCheck
        do {
            let rows = try source.open(fileSystem)
            if let dimensions, let said = rows.dimensions, said != dimensions {
                throw ValidationError("\(source.path) has \(said) dimensions, --dimensions says \(dimensions)")
            }
            check = try ImportCheck(rows, dimensions: dimensions) { progress in
                bar.show(progress.bytesDone, of: progress.bytesTotal, rows: progress.rows)
            }
        } catch let error as FileSystemError {
            throw CommandFailure("\(error)")
        }
        if check.dimensions == nil, check.flawCount == 0 {
            throw CommandFailure(
                "\(source.path) holds no vector, and so does not say how many dimensions the index has",
                advice: "say so with --dimensions"
            )
        }
        return check
    }

    /// Refuses an empty directory where the archive of the configuration has a state: the node could take neither that nor archive there.
    private func checkArchive(_ settings: Configuration, _ fileSystem: PosixFileSystem) throws {
        let path = settings[Keys.dataPath]
        guard settings[Keys.s3Bootstrap], Restorer(fileSystem: fileSystem).canBegin(in: path, to: .latest),
            let place = try Node.archivePlace(settings)
        else { return }
        let advice =
            "nothing was imported. Start the server once, which takes the state from there, stop it and import then; or begin apart "
            + "from it with SPRINGG_S3_BOOTSTRAP=false and another s3_prefix"
        do {
            let archive = try place.open(S3Options(settings), createIfMissing: false, mustExist: false)
            defer { archive.close() }
            guard try ArchiveReader(from: archive).newest() != nil else { return }
        } catch {
            throw CommandFailure(
                "the data directory \(path) is empty, and \(place) cannot be asked: \(error)",
                advice: advice
            )
        }
        throw CommandFailure("the data directory \(path) is empty, and the archive \(place) is not", advice: advice)
    }

    private func write(_ report: inout ImportReport, _ settings: Configuration, _ fileSystem: PosixFileSystem) throws {
        var options = Node.databaseOptions(settings) { _ in }
        // The server makes its own checkpoints and graphs when it starts; a bulk load waits for neither.
        options.checkpointSeconds = 0
        options.lastCheckpointSeconds = 0
        options.maxUnindexedRows = 0
        let database: Database
        do {
            let bar = ProgressBar("Reading back the log")
            defer { bar.finish() }
            database = try Database.open(options)
        } catch {
            throw CommandFailure("\(error)", advice: "nothing was imported")
        }
        defer { database.close() }
        do {
            for entry in report.entries {
                let importer = Importer(database, index: entry.source.index, options: indexOptions)
                try importer.admit(entry.check, limits: options) { () throws(FileSystemError) in
                    try entry.source.open(fileSystem)
                }
            }
        } catch {
            throw CommandFailure("\(error)", advice: "nothing was imported")
        }
        do {
            for place in report.entries.indices {
                let (source, check) = (report.entries[place].source, report.entries[place].check)
                let bar = ProgressBar("Importing \(source.path)")
                defer { bar.finish() }
                let importer = Importer(database, index: source.index, options: indexOptions)
                report.entries[place].outcome = try importer.write(source.open(fileSystem), checked: check) {
                    progress in
                    bar.show(progress.bytesDone, of: progress.bytesTotal, rows: progress.rows)
                }
            }
        } catch {
            throw CommandFailure(
                "\(error)",
                advice: "what was written before stays, and the same command goes on from there"
            )
        }
    }
}
