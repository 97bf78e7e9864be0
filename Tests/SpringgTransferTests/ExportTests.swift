import Glibc
import SpringgLog
import SpringgProjections
import SpringgTestKit
import SpringgTransfer
import Testing

@Suite("Exports")
struct ExportTests {
    private func index(_ disk: SimulatedFileSystem, _ rows: [TestRow]) throws -> (Database, VectorIndex) {
        let database = try Transfer.open(disk)
        try fill(database, rows, dimensions: 3)
        return (database, try #require(database.index(Transfer.name())))
    }

    private static let rows = [
        TestRow(id: [0x61], vector: [1, 2, 3], metadata: Array(#"{"custom":{}}"#.utf8)),
        TestRow(id: [0x62], vector: [4, 5, 6], metadata: []),
    ]

    @Test("nothing that is there is replaced, unless that is asked for")
    func replacing() throws {
        let disk = SimulatedFileSystem()
        let (database, index) = try index(disk, Self.rows)
        defer { database.close() }
        for format in ExportFormat.allCases {
            _ = try Exporter(to: "/files", format, fileSystem: disk).write(index)
            let written = disk.paths
            #expect(throws: ExportError.self) { try Exporter(to: "/files", format, fileSystem: disk).write(index) }
            #expect(disk.paths == written)
            _ = try Exporter(to: "/files", format, replaces: true, fileSystem: disk).write(index)
        }
    }

    @Test("a part of an older export never stands beside a newer one")
    func leftovers() throws {
        let disk = SimulatedFileSystem()
        let (database, index) = try index(disk, [Self.rows[1]])
        defer { database.close() }
        disk.setContents("/files/all.meta", Array("{}".utf8))
        #expect(throws: ExportError.self) { try Exporter(to: "/files", .springg1, fileSystem: disk).write(index) }
        _ = try Exporter(to: "/files", .springg1, replaces: true, fileSystem: disk).write(index)
        #expect(disk.contents("/files/all.meta") == nil)
        // What the Go program would take for newer than the export is nobody's to remove.
        disk.setContents("/files/all.wal", Array("x".utf8))
        #expect(throws: ExportError.self) {
            try Exporter(to: "/files", .springg1, replaces: true, fileSystem: disk).write(index)
        }
        #expect(disk.contents("/files/all.wal") == Array("x".utf8))
    }

    @Test("whichever call fails, no file has its name unless it is whole", arguments: ExportFormat.allCases)
    func failing(_ format: ExportFormat) throws {
        let disk = SimulatedFileSystem()
        let (database, index) = try index(disk, Self.rows)
        defer { database.close() }
        let whole = SimulatedFileSystem()
        let paths = try Exporter(to: "/files", format, fileSystem: whole).write(index).paths
        for call in 1... {
            let target = SimulatedFileSystem()
            target.fail(callFromNow: call, .error(ENOSPC))
            let isDone = (try? Exporter(to: "/files", format, fileSystem: target).write(index)) != nil
            for path in paths {
                guard let bytes = target.contents(path) else { continue }
                #expect(bytes == whole.contents(path), "call \(call)")
            }
            if isDone {
                #expect(paths.allSatisfy { target.contents($0) != nil } && call > 5)
                break
            }
        }
    }

    @Test("a directory is read as it is, while its node goes on writing")
    func beside() throws {
        let disk = SimulatedFileSystem()
        var random = SeededRandom.fromEnvironment("ExportTests.beside")
        let rows = random.rows(50, dimensions: 3)
        let (database, index) = try index(disk, rows)
        defer { database.close() }
        let state = try DirectoryState.read("/data", fileSystem: disk)
        let copy = try #require(try state.index(Transfer.name()))
        #expect(state.lsn == database.log.watermarks.durable)
        #expect(Transfer.rows(copy) == rows && copy.digest == index.digest)
        #expect(state.indexes().map(\.name) == [index.name])
        let name = try Transfer.name()
        let id = try #require(rows[0].id.withUnsafeBytes { VectorID(utf8: $0) })
        let done = Semaphore()
        database.submit([.delete(index: name, id: id)]) { _ in done.signal() }
        done.wait()
        #expect(copy.count == rows.count)
        #expect(try DirectoryState.read("/data", fileSystem: disk).index(name)?.count == rows.count - 1)
    }

    @Test("a damaged log is refused, and nothing to read is said to be so")
    func damaged() throws {
        let disk = SimulatedFileSystem()
        let (database, _) = try index(disk, Self.rows)
        database.close()
        let path = try #require(disk.paths.first { $0.hasSuffix(".seg") })
        var bytes = try #require(disk.contents(path))
        bytes[100] ^= 1
        disk.setContents(path, bytes)
        #expect(throws: LogError.self) { try DirectoryState.read("/data", fileSystem: disk) }
        #expect(throws: LogError.self) { try DirectoryState.read("/nothing/here") }
    }
}
