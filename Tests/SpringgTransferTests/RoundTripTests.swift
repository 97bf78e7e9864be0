import SpringgLog
import SpringgProjections
import SpringgTestKit
import SpringgTransfer
import Testing

@Suite("What is exported and imported again is what it was, bit for bit")
struct RoundTripTests {
    @Test("any rows, through every format")
    func anyRows() throws {
        var random = SeededRandom.fromEnvironment("RoundTripTests.anyRows")
        for round in 0..<12 {
            let dimensions = [1, 2, 5, 64, 1500][round % 5]
            let rows = random.rows(Int.random(in: 0...40, using: &random), dimensions: dimensions)
            let disk = SimulatedFileSystem()
            let database = try Transfer.open(disk)
            defer { database.close() }
            try fill(database, rows, dimensions: dimensions)
            let index = try #require(database.index(Transfer.name()))
            #expect(Transfer.rows(index) == rows)
            for format in Transfer.formats {
                _ = try Exporter(to: "/files", format.export, fileSystem: disk).write(index)
                let read = Transfer.present(format.read, on: disk)
                let other = SimulatedFileSystem()
                let copy = try Transfer.open(other)
                defer { copy.close() }
                let (check, outcome) = try Transfer.importAll(read, from: disk, into: copy)
                #expect(check.rows == rows.count && outcome.added == rows.count, "\(format.export)")
                if rows.isEmpty, case .jsonLines = read { continue }
                #expect(try Transfer.rows(#require(copy.index(Transfer.name()))) == rows, "\(format.export)")
                // Once more: nothing is written, for everything is there.
                let last = copy.log.watermarks.durable
                let again = try Transfer.importAll(read, from: disk, into: copy).outcome
                #expect(again == ImportOutcome(unchanged: rows.count))
                #expect(copy.log.watermarks.durable == last)
            }
        }
    }

    @Test("the largest row that there can be")
    func largest() throws {
        let dimensions = PreparedVector.dimensionsMax
        // As much metadata as the rule for writes lets through, and of the kind that takes most room as a text.
        let room = PreparedVector.metadataBytesMax - 64
        let fields = [UInt8]("{".utf8) + [UInt8](repeating: 0x0A, count: room - 2) + [UInt8]("}".utf8)
        let row = TestRow(
            id: [UInt8](repeating: 1, count: 512),
            vector: (0..<dimensions).map { _ in Float(-1.17549435e-38).bitPattern },
            metadata: Array("{\"custom\":".utf8) + fields + Array("}".utf8)
        )
        let disk = SimulatedFileSystem()
        let database = try Transfer.open(disk)
        defer { database.close() }
        try fill(database, [row], dimensions: dimensions)
        let index = try #require(database.index(Transfer.name()))
        for format in Transfer.formats {
            _ = try Exporter(to: "/files", format.export, fileSystem: disk).write(index)
            let (rows, flaws) = try Transfer.readAll(ImportSource(index: index.name, format: format.read).open(disk))
            #expect(flaws.isEmpty, "\(flaws)")
            #expect(rows == [row], "\(format.export)")
        }
    }
}
