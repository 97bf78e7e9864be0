import SpringgLog
import SpringgProjections
import SpringgTestKit
import SpringgTransfer
import Testing

/// Files made by another program (`scripts/make_transfer_fixtures.py`, NumPy) from the documented layouts.
@Suite("Files of others")
struct GoldenTransferTests {
    static let dimensions = 5

    private func expected() throws -> [TestRow] {
        let disk = try Transfer.disk("export/all.bin", "export/all.meta")
        let files = GoIndexReader.Files(vectors: "/files/all.bin", metadata: "/files/all.meta")
        let (rows, flaws) = try Transfer.readAll(GoIndexReader(files, fileSystem: disk))
        #expect(flaws.isEmpty)
        return rows
    }

    @Test("SPRINGG1 and its metadata are read as they were written")
    func springg1() throws {
        let rows = try expected()
        #expect(rows.count == 16)
        // Every float of the first six of the script, spot-checked by value and by bits.
        let plain = try #require(rows.first { $0.id == Array("plain".utf8) })
        #expect(plain.vector == [0, 0x8000_0000, 1, 0x8000_0001, 0x007F_FFFF])
        let text =
            #"{"published_date":"2024-01-15","modified_date":"2024-01-20","custom":{"title":"Café","n":[1,2.50,-0]}}"#
        #expect(String(decoding: plain.metadata, as: UTF8.self) == text)
        #expect(rows.contains { $0.id == Array("lines\nin the id".utf8) })
        #expect(rows.contains { $0.id.count == 512 })
    }

    @Test("JSON lines and NumPy arrays of every version say the same")
    func others() throws {
        let rows = try expected()
        let disk = try Transfer.disk(
            "export/all.npy",
            "export/all.ids.jsonl",
            "read/all.jsonl",
            "read/v2.npy",
            "read/v3.npy"
        )
        for name in ["all", "v2", "v3"] {
            let reader = try NPYReader("/files/\(name).npy", labels: "/files/all.ids.jsonl", fileSystem: disk)
            let found = try Transfer.readAll(reader)
            #expect(found.flaws.isEmpty, "\(name): \(found.flaws)")
            #expect(found.rows == rows, "\(name)")
        }
        let found = try Transfer.readAll(JSONLinesReader("/files/all.jsonl", fileSystem: disk))
        #expect(found.flaws.isEmpty && found.rows == rows, "\(found.flaws)")
    }

    @Test("float16 is widened exactly, denormals included")
    func half() throws {
        let disk = try Transfer.disk("read/half.npy", "read/half.f32")
        let wide = try #require(disk.contents("/files/half.f32"))
        let rows = wide.count / (4 * Self.dimensions)
        disk.setContents("/files/ids.txt", Array((0..<rows).map { "row-\($0)\n" }.joined().utf8))
        let found = try Transfer.readAll(NPYReader("/files/half.npy", labels: "/files/ids.txt", fileSystem: disk))
        #expect(found.flaws.isEmpty, "\(found.flaws)")
        let bits = found.rows.flatMap(\.vector)
        #expect(bits.count * 4 == wide.count)
        for (place, word) in bits.enumerated() {
            let expected = (0..<4).reduce(UInt32(0)) { $0 | UInt32(wide[place * 4 + $1]) << UInt32(8 * $1) }
            #expect(word == expected, "component \(place)")
        }
    }

    @Test("what the Go program left when it was killed is read as the state that it stands for")
    func goDirectory() throws {
        let disk = try Transfer.disk("go/articles.bin", "go/articles.meta", "go/articles.wal")
        let files = GoIndexReader.Files(
            vectors: "/files/articles.bin",
            metadata: "/files/articles.meta",
            journal: "/files/articles.wal"
        )
        let (rows, flaws) = try Transfer.readAll(GoIndexReader(files, fileSystem: disk))
        #expect(flaws.isEmpty, "\(flaws)")
        #expect(rows.map { String(decoding: $0.id, as: UTF8.self) }.sorted() == ["a", "b", "c", "d"])
        func row(_ id: String) throws -> TestRow { try #require(rows.first { $0.id == Array(id.utf8) }) }
        #expect(try row("a").vector == [0.5, -0.25, 0.125, 0, -0.0].map(Float.init).map(\.bitPattern))
        #expect(try String(decoding: row("a").metadata, as: UTF8.self).contains(#"a \u003c b \u0026 c"#))
        // Updated without metadata: they went with the old vector.
        #expect(
            try row("b") == TestRow(id: [0x62], vector: [5, 4, 3, 2, 1].map { Float($0).bitPattern }, metadata: [])
        )
        #expect(try row("d").metadata == Array(#"{"custom":{"k":"w"}}"#.utf8))
    }

    @Test("what is exported is byte for byte what the other program writes", arguments: [ExportFormat.springg1, .npy])
    func written(format: ExportFormat) throws {
        let disk = SimulatedFileSystem()
        let database = try Transfer.open(disk)
        defer { database.close() }
        try fill(database, expected(), dimensions: Self.dimensions)
        let index = try #require(database.index(Transfer.name()))
        let outcome = try Exporter(to: "/files", format, fileSystem: disk).write(index)
        #expect(outcome.rows == 16)
        for path in outcome.paths {
            let name = path.dropFirst("/files/".count)
            #expect(try disk.contents(path) == Files.read(Transfer.fixtures + "/export/" + name), "\(name)")
        }
        #expect(!disk.paths.contains { $0.hasSuffix(".unfinished") })
    }

    @Test(
        "arrays that are something else are refused with the byte and the remedy",
        arguments: [
            ("double", 25, "astype"), ("big", 25, "astype"), ("fortran", 128, "ascontiguousarray"),
            ("flat", 128, "axes"),
            ("record", 20, "numbers alone"),
        ]
    )
    func refused(name: String, offset: Int, text: String) throws {
        let disk = try Transfer.disk("refused/\(name).npy", "export/all.ids.jsonl")
        let reader = try NPYReader("/files/\(name).npy", labels: "/files/all.ids.jsonl", fileSystem: disk)
        let (rows, flaws) = try Transfer.readAll(reader)
        #expect(rows.isEmpty)
        let flaw = try #require(flaws.first)
        #expect(flaws.count == 1 && flaw.place.offset == offset && flaw.reason.contains(text), "\(flaw)")
    }
}
