import Glibc
import SpringgLog
import SpringgProjections
import SpringgTestKit
import SpringgTransfer
import Synchronization
import Testing

/// A row as a value.
struct TestRow: Equatable, CustomStringConvertible {
    var id: [UInt8]
    /// Bit patterns, since 0 and -0 are equal floats.
    var vector: [UInt32]
    var metadata: [UInt8]

    init(id: [UInt8], vector: [UInt32], metadata: [UInt8]) {
        self.id = id
        self.vector = vector
        self.metadata = metadata
    }

    init(_ row: SourceRow) {
        self.init(id: Array(row.id), vector: row.vector.map(\.bitPattern), metadata: Array(row.metadata))
    }

    init(_ row: Row) {
        self.init(id: Array(row.id), vector: row.vector.map(\.bitPattern), metadata: Array(row.metadata))
    }

    var description: String {
        "\(String(decoding: id, as: UTF8.self).debugDescription) \(vector.map { Float(bitPattern: $0) }) "
            + String(decoding: metadata, as: UTF8.self).debugDescription
    }
}

/// Files and databases in memory.
enum Transfer {
    /// `Fixtures/transfer`, beside `Tests`.
    static var fixtures: String {
        #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/Fixtures/transfer"
    }

    /// A disk with some of the fixtures, all in `/files`.
    static func disk(_ names: String...) throws -> SimulatedFileSystem {
        let disk = SimulatedFileSystem()
        for name in names {
            let file = name.split(separator: "/").last.map(String.init) ?? name
            disk.setContents("/files/" + file, try Files.read(fixtures + "/" + name))
        }
        return disk
    }

    /// Everything that a source gives, with the rules for all rows.
    static func readAll(
        _ source: any RowSource,
        dimensions: Int? = nil
    ) throws -> (rows: [TestRow], flaws: [SourceFlaw]) {
        let checked = CheckedRows(source, dimensions: dimensions)
        var (rows, flaws): ([TestRow], [SourceFlaw]) = ([], [])
        while true {
            switch try checked.next() {
            case .row(let row): rows.append(TestRow(row))
            case .flaw(let flaw): flaws.append(flaw)
            case .end: return (rows, flaws)
            }
        }
    }

    /// The rows of an index in byte order of their ids.
    static func rows(_ index: VectorIndex) -> [TestRow] {
        var rows: [TestRow] = []
        index.forEachRowInIDOrder {
            rows.append(TestRow($0))
            return true
        }
        return rows
    }

    static func options() -> DatabaseOptions {
        var options = DatabaseOptions(dataPath: "/data")
        options.segmentBytes = 1 << 20
        options.checkpointSeconds = 0
        options.lastCheckpointSeconds = 0
        return options
    }

    static func open(_ disk: SimulatedFileSystem, _ options: DatabaseOptions = options()) throws -> Database {
        try Database.open(options, fileSystem: disk, wallClock: { 1_700_000_000_000 })
    }

    static func name(_ text: String = "all") throws -> IndexName { try #require(IndexName(text)) }

    /// Checks and imports files, as the command does; throws the first flaw.
    @discardableResult
    static func importAll(
        _ format: ImportSource.Format,
        from disk: SimulatedFileSystem,
        into database: Database,
        skippingFlaws: Bool = false
    ) throws -> (check: ImportCheck, outcome: ImportOutcome) {
        let source = ImportSource(index: try name(), format: format)
        let check = try ImportCheck(source.open(disk), dimensions: nil)
        if let flaw = check.flaws.first, !skippingFlaws { throw flaw }
        let importer = Importer(database, index: source.index)
        try importer.admit(check, limits: options()) { () throws(FileSystemError) in try source.open(disk) }
        return (check, try importer.write(source.open(disk), checked: check))
    }

    /// The formats, with the files of `/files` that they read.
    static let formats: [(export: ExportFormat, read: ImportSource.Format)] = [
        (.springg1, .go(.init(vectors: "/files/all.bin", metadata: "/files/all.meta"))),
        (.jsonl, .jsonLines("/files/all.jsonl")),
        (.npy, .npy("/files/all.npy", labels: "/files/all.ids.jsonl")),
    ]

    /// The files of a format that are there.
    static func present(_ format: ImportSource.Format, on disk: SimulatedFileSystem) -> ImportSource.Format {
        guard case .go(var files) = format else { return format }
        if disk.contents(files.metadata ?? "") == nil { files.metadata = nil }
        return .go(files)
    }
}

extension SeededRandom {
    /// Any finite float32: zeros, denormals and the largest come as often as others.
    mutating func finite() -> UInt32 {
        let special: [UInt32] = [0, 0x8000_0000, 1, 0x8000_0001, 0x007F_FFFF, 0x0080_0000, 0x7F7F_FFFF, 0xFF7F_FFFF]
        if oneIn(8) { return special[Int.random(in: 0..<special.count, using: &self)] }
        while true {
            let bits = UInt32.random(in: .min ... .max, using: &self)
            if Float(bitPattern: bits).isFinite { return bits }
        }
    }

    /// Text of any scalars, control characters among them.
    mutating func text(scalarsMax: Int) -> String {
        var text = ""
        for _ in 0..<Int.random(in: 1...scalarsMax, using: &self) {
            let range: ClosedRange<UInt32> =
                oneIn(3) ? 0...0x1F : oneIn(3) ? 0x80...0x7FF : oneIn(3) ? 0x1F300...0x1F6FF : 0x20...0x7E
            if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &self)) {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// Metadata as the API keeps it: some of the three fields, in their order, with any white space inside.
    mutating func metadata() -> [UInt8] {
        let spaces = ["", " ", "\n  ", "\t", "\r\n"]
        func space(_ random: inout SeededRandom) -> String { spaces[Int.random(in: 0..<spaces.count, using: &random)] }
        var members: [String] = []
        if oneIn(2) { members.append("\"published_date\":\"2024-01-15\"") }
        if oneIn(2) { members.append("\"modified_date\":\"\\u00e9\\n\"") }
        if oneIn(2) {
            let value = ["1.50", "-0", "\"\u{6F22}\\/\"", "[1,{\"b\":null}]", "1e400"][
                Int.random(in: 0..<5, using: &self)
            ]
            members.append("\"custom\":{\(space(&self))\"a\"\(space(&self)):\(space(&self))\(value)\(space(&self))}")
        }
        return members.isEmpty ? [] : Array("{\(members.joined(separator: ","))}".utf8)
    }

    /// Rows with ids that differ.
    mutating func rows(_ count: Int, dimensions: Int) -> [TestRow] {
        var ids: Set<[UInt8]> = []
        while ids.count < count { ids.insert(Array(text(scalarsMax: oneIn(10) ? 128 : 8).utf8.prefix(512))) }
        return ids.filter { String(validating: $0, as: UTF8.self) != nil }.sorted { $0.lexicographicallyPrecedes($1) }
            .map { id in
                TestRow(id: id, vector: (0..<dimensions).map { _ in finite() }, metadata: metadata())
            }
    }
}

/// Writes rows as a client would.
func fill(_ database: Database, _ rows: [TestRow], dimensions: Int) throws {
    let name = try Transfer.name()
    var commands: [Command] = [.createIndex(name: name, dimensions: dimensions)]
    for row in rows {
        let id = try #require(row.id.withUnsafeBytes { VectorID(utf8: $0) })
        let vector = row.vector.map { Float(bitPattern: $0) }
        commands.append(
            .put(
                vector.withUnsafeBufferPointer { vector in
                    row.metadata.withUnsafeBytes {
                        PreparedVector(index: name, id: id, vector: vector, metadata: $0)
                    }
                },
                mustExist: false
            )
        )
    }
    let done = Semaphore()
    let failures = Failures()
    database.submit(commands) { results in
        failures.note(results)
        done.signal()
    }
    done.wait()
    #expect(failures.all.isEmpty, "\(failures.all)")
}

/// What was refused of a submission.
final class Failures: Sendable {
    private let errors = Mutex<[CommandError]>([])

    var all: [CommandError] { errors.withLock { $0 } }

    func note(_ results: [Result<Receipt, CommandError>]) {
        for case .failure(let error) in results { errors.withLock { $0.append(error) } }
    }
}
