import Glibc
import SpringgLog
import SpringgProjections
import SpringgTestKit
import SpringgTransfer
import Testing

@Suite("Imports")
struct ImportTests {
    static let format = ImportSource.Format.jsonLines("/files/all.jsonl")

    private func disk(_ lines: [String]) -> SimulatedFileSystem {
        let disk = SimulatedFileSystem()
        disk.setContents("/files/all.jsonl", Array((lines.joined(separator: "\n") + "\n").utf8))
        return disk
    }

    @Test("wherever an import stops, the same one again completes it, and writes nothing twice")
    func interrupted() throws {
        var random = SeededRandom.fromEnvironment("ImportTests.interrupted")
        // Several batches, several segments.
        let rows = random.rows(900, dimensions: 1500)
        let origin = SimulatedFileSystem()
        let first = try Transfer.open(origin)
        try fill(first, rows, dimensions: 1500)
        _ = try Exporter(to: "/files", .springg1, fileSystem: origin).write(#require(first.index(Transfer.name())))
        first.close()
        let files = SimulatedFileSystem()
        for path in origin.paths where path.hasPrefix("/files/") {
            files.setContents(path, try #require(origin.contents(path)))
        }
        let format = Transfer.formats[0].read

        var stops = 0
        for call in stride(from: 1, to: Int.max, by: 2) {
            let disk = SimulatedFileSystem()
            disk.fail(callFromNow: call, .stop)
            let interrupted = try? Transfer.open(disk)
            let isComplete = interrupted.map { database in
                (try? Transfer.importAll(format, from: files, into: database)) != nil
            }
            if isComplete == true, !disk.isStopped { break }
            stops += 1
            disk.crash(using: &random)
            // Only now: a process that has ended writes nothing more.
            interrupted?.close()
            let database = try Transfer.open(disk)
            let before = try database.index(Transfer.name())?.count ?? 0
            let outcome = try Transfer.importAll(format, from: files, into: database).outcome
            #expect(outcome == ImportOutcome(added: rows.count - before, unchanged: before), "call \(call)")
            #expect(try Transfer.rows(#require(database.index(Transfer.name()))) == rows, "call \(call)")
            database.close()
        }
        print("ImportTests.interrupted: \(stops) stops")
        #expect(stops > 10)
    }

    @Test("rows that are there with other content are replaced, others are left alone")
    func replaced() throws {
        let files = disk([#"{"id":"a","vector":[1,0]}"#, #"{"id":"b","vector":[0.0,1]}"#])
        let database = try Transfer.open(SimulatedFileSystem())
        defer { database.close() }
        #expect(try Transfer.importAll(Self.format, from: files, into: database).outcome.added == 2)
        let other = disk([
            #"{"id":"a","vector":[1,0]}"#, #"{"id":"b","vector":[-0.0,1]}"#, #"{"id":"c","vector":[2,2]}"#,
        ])
        let outcome = try Transfer.importAll(Self.format, from: other, into: database).outcome
        #expect(outcome == ImportOutcome(added: 1, replaced: 1, unchanged: 1))
    }

    @Test("what cannot be finished is refused before anything is written")
    func refused() throws {
        let files = disk([#"{"id":"a","vector":[1,0]}"#, #"{"id":"b","vector":[0,1]}"#])
        let database = try Transfer.open(SimulatedFileSystem())
        defer { database.close() }
        try Transfer.importAll(Self.format, from: files, into: database)
        let last = database.log.watermarks.durable
        let wide = disk([#"{"id":"c","vector":[1,0,0]}"#])
        #expect(throws: ImportError.self) { try Transfer.importAll(Self.format, from: wide, into: database) }

        var limits = Transfer.options()
        limits.maxVectorsPerIndex = 3
        func admit(_ lines: [String]) throws {
            let files = disk(lines)
            let source = ImportSource(index: try Transfer.name(), format: Self.format)
            try Importer(database, index: source.index).admit(
                ImportCheck(source.open(files), dimensions: nil),
                limits: limits
            ) { () throws(FileSystemError) in try source.open(files) }
        }
        // Those that are there already do not count twice.
        try admit([#"{"id":"a","vector":[1,0]}"#, #"{"id":"b","vector":[1,1]}"#, #"{"id":"c","vector":[1,1]}"#])
        #expect(throws: ImportError.self) { try admit([#"{"id":"c","vector":[1,0]}"#, #"{"id":"d","vector":[1,1]}"#]) }
        #expect(database.log.watermarks.durable == last)
    }

    @Test("with flaws left out, the rest is imported, and again the same")
    func skipping() throws {
        let lines = [
            #"{"id":"a","vector":[1,0]}"#, "nonsense", #"{"id":"a","vector":[2,0]}"#, #"{"id":"b","vector":[0,1]}"#,
        ]
        let database = try Transfer.open(SimulatedFileSystem())
        defer { database.close() }
        #expect(throws: SourceFlaw.self) { try Transfer.importAll(Self.format, from: disk(lines), into: database) }
        #expect(try database.index(Transfer.name()) == nil)
        for outcome in [ImportOutcome(added: 2), ImportOutcome(unchanged: 2)] {
            let done = try Transfer.importAll(Self.format, from: disk(lines), into: database, skippingFlaws: true)
            #expect(done.check.flawCount == 2 && done.check.flaws.map(\.place.line) == [2, 3])
            #expect(done.outcome == outcome)
        }
        // Of two rows with one id the first stands.
        let rows = try Transfer.rows(#require(database.index(Transfer.name())))
        #expect(rows.first?.vector == [Float(1).bitPattern, 0])
    }

    @Test("metadata of the Go program that nobody can read keeps the whole index out")
    func brokenMetadata() throws {
        let disk = try Transfer.disk("export/all.bin", "export/all.meta")
        let bytes = try #require(disk.contents("/files/all.meta"))
        disk.setContents("/files/all.meta", Array(bytes[..<(bytes.count / 2)]))
        let (rows, flaws) = try Transfer.readAll(
            ImportSource(index: Transfer.name(), format: Transfer.formats[0].read).open(disk)
        )
        #expect(rows.isEmpty && flaws.count == 1)
    }

    @Test("fields that are not kept are named")
    func dropped() throws {
        let files = disk([#"{"id":"a","vector":[1],"text":"x","metadata":{"title":"y","custom":{}}}"#])
        let check = try ImportCheck(JSONLinesReader("/files/all.jsonl", fileSystem: files), dimensions: nil)
        #expect(check.droppedFields == ["metadata.title", "text"] && check.rows == 1)
    }

    @Test("files are found by their names")
    func finding() throws {
        let directory = try TemporaryDirectory()
        func touch(_ names: String...) throws { for name in names { try Files.write(directory.path + "/" + name, []) } }
        func find(_ paths: [String], index: IndexName? = nil, ids: String? = nil) throws -> [ImportSource] {
            try ImportSource.find(in: paths.map { directory.path + $0 }, index: index, ids: ids, PosixFileSystem())
        }
        #expect(throws: ImportSourceError.nothing(directory: directory.path)) { try find([""]) }
        try touch(
            "a.bin",
            "a.meta",
            "a.wal",
            "b.bin",
            "c.wal",
            "d.jsonl",
            "e.npy",
            "e.ids.jsonl",
            "springg.json",
            "e.f32"
        )
        #expect(try find(["/"]).map(\.index.description) == ["a", "b", "c", "d", "e"])
        let files = GoIndexReader.Files(
            vectors: directory.path + "/a.bin",
            metadata: directory.path + "/a.meta",
            journal: directory.path + "/a.wal"
        )
        #expect(try find(["/a.bin"]) == [ImportSource(index: Transfer.name("a"), format: .go(files))])
        #expect(try find(["/d.jsonl"], index: Transfer.name("z")).map(\.index.description) == ["z"])
        #expect(throws: ImportSourceError.self) { try find(["/a.bin", "/b.bin"], index: Transfer.name("z")) }
        #expect(throws: ImportSourceError.self) { try find(["/e.f32"]) }
        #expect(throws: ImportSourceError.self) { try find(["/missing.jsonl"]) }
        #expect(throws: ImportSourceError.self) { try find(["/a.bin", "/a.bin"]) }
        try touch("lonely.meta")
        #expect(throws: ImportSourceError.metadataAlone(path: directory.path + "/lonely.meta")) { try find([""]) }
        try touch("f.npy")
        #expect(throws: ImportSourceError.noIDs(path: directory.path + "/f.npy")) { try find(["/f.npy"]) }
        try touch("no name.jsonl")
        #expect(throws: ImportSourceError.self) { try find(["/no name.jsonl"]) }
        #expect(try find(["/no name.jsonl"], index: Transfer.name("z")).count == 1)
    }
}
