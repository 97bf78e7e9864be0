import Glibc
import SpringgLog
import SpringgProjections
import SpringgTestKit
import SpringgTransfer
import Testing

/// Every cut and every flipped bit of every format.
///
/// None of them has a checksum. So a cut in the middle of something is always seen; a flipped bit is seen, with its place,
/// or it makes another value of the one row that it is in, and of no other.
@Suite("Damaged files")
struct TransferDamageTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var fixtures: [String]
        var format: ImportSource.Format
        /// The file that is damaged.
        var file: String
        /// Rows that one flipped bit may change: an id that is part of two files stands for two rows.
        var rowsTouched = 1
        /// A file of lines may end with any line.
        var hasLines = false

        var testDescription: String { file }
    }

    static let cases: [Case] = [
        Case(
            fixtures: ["export/all.bin", "export/all.meta"],
            format: .go(.init(vectors: "/files/all.bin", metadata: "/files/all.meta")),
            file: "/files/all.bin"
        ),
        Case(
            fixtures: ["export/all.bin", "export/all.meta"],
            format: .go(.init(vectors: "/files/all.bin", metadata: "/files/all.meta")),
            file: "/files/all.meta"
        ),
        Case(
            fixtures: ["go/articles.bin", "go/articles.meta", "go/articles.wal"],
            format: .go(
                .init(vectors: "/files/articles.bin", metadata: "/files/articles.meta", journal: "/files/articles.wal")
            ),
            file: "/files/articles.wal",
            rowsTouched: 2,
            hasLines: true
        ),
        Case(
            fixtures: ["read/all.jsonl"],
            format: .jsonLines("/files/all.jsonl"),
            file: "/files/all.jsonl",
            hasLines: true
        ),
        Case(
            fixtures: ["export/all.npy", "export/all.ids.jsonl"],
            format: .npy("/files/all.npy", labels: "/files/all.ids.jsonl"),
            file: "/files/all.npy"
        ),
        Case(
            fixtures: ["export/all.npy", "export/all.ids.jsonl"],
            format: .npy("/files/all.npy", labels: "/files/all.ids.jsonl"),
            file: "/files/all.ids.jsonl"
        ),
    ]

    private func disk(_ item: Case) throws -> (disk: SimulatedFileSystem, bytes: [UInt8]) {
        let disk = SimulatedFileSystem()
        for name in item.fixtures {
            let file = name.split(separator: "/").last.map(String.init) ?? name
            disk.setContents("/files/" + file, try Files.read(Transfer.fixtures + "/" + name))
        }
        return (disk, try #require(disk.contents(item.file)))
    }

    private func read(_ item: Case, _ disk: SimulatedFileSystem) throws -> (rows: [TestRow], flaws: [SourceFlaw]) {
        try Transfer.readAll(ImportSource(index: Transfer.name(), format: item.format).open(disk))
    }

    @Test("every cut is refused with its place", arguments: cases)
    func cuts(_ item: Case) throws {
        let (disk, bytes) = try disk(item)
        let whole = try read(item, disk).rows
        for count in 0..<bytes.count {
            disk.setContents(item.file, Array(bytes[..<count]))
            let (rows, flaws) = try read(item, disk)
            // Behind a whole line nobody can know that there was another.
            let isAtLineEnd = item.hasLines && (count == 0 || bytes[count] == 0x0A || bytes[count - 1] == 0x0A)
            // The last line feed of a file, and white space at the end of JSON, hold nothing.
            if isAtLineEnd || rows == whole && bytes[count...].allSatisfy({ $0 == 0x0A }) {
                #expect(flaws.isEmpty, "cut at \(count): \(flaws)")
                continue
            }
            let flaw = try #require(flaws.first, "cut at \(count)")
            #expect(flaws.allSatisfy { (0...bytes.count).contains($0.place.offset) }, "cut at \(count): \(flaws)")
            #expect(item.fixtures.contains { flaw.place.path.hasSuffix($0.split(separator: "/")[1]) }, "\(flaw)")
        }
    }

    @Test("every flipped bit is refused with its place, or changes one row and no other", arguments: cases)
    func flips(_ item: Case) throws {
        let (disk, bytes) = try disk(item)
        let whole = try read(item, disk).rows
        var refused = 0
        for bit in 0..<bytes.count * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            disk.setContents(item.file, damaged)
            let (rows, flaws) = try read(item, disk)
            guard flaws.isEmpty else {
                refused += 1
                #expect(flaws.allSatisfy { (0...bytes.count * 4).contains($0.place.offset) }, "bit \(bit): \(flaws)")
                continue
            }
            let lost = whole.filter { !rows.contains($0) }
            let made = rows.filter { !whole.contains($0) }
            #expect(
                lost.count <= item.rowsTouched && made.count <= item.rowsTouched,
                "bit \(bit) of byte \(bit / 8): \(lost) became \(made)"
            )
        }
        #expect(refused > 0)
    }

    @Test("no length is believed", arguments: [UInt32.max, 0x7FFF_FFFF, 0x8000_0000, 513, 1000, 70_000])
    func lengths(_ value: UInt32) throws {
        let item = Self.cases[0]
        let (disk, bytes) = try disk(item)
        // Dimensions, number of rows, length of the first id, length of an id in the middle.
        var places = [12, 16, 32]
        places.append(32 + 4 + Int(bytes[32]) + 4 * GoldenTransferTests.dimensions)
        for place in places {
            var damaged = bytes
            for byte in 0..<4 { damaged[place + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(byte))) }
            disk.setContents(item.file, damaged)
            let (_, flaws) = try read(item, disk)
            // Dimensions that are too many are seen by the number of rows, which then have no room.
            let last = max(place, 16)
            #expect(flaws.contains { $0.place.path == item.file && $0.place.offset <= last }, "\(place): \(flaws)")
        }
    }

    @Test(
        "an array's shape is held against the file's size, however large it is said to be",
        arguments: [
            "(16, 6)", "(17, 5)", "(15, 5)", "(0, 5)", "(16, 0)", "(16, 4)", "(4294967296, 4294967296)",
            "(9223372036854775807, 5)", "(99999999999999999999, 5)", "(-1, 5)", "(16, 65537)", "(16,)", "()", "16",
            "(16, 5, 1)",
        ]
    )
    func shapes(_ shape: String) throws {
        let disk = try Transfer.disk("export/all.npy", "export/all.ids.jsonl")
        let bytes = try #require(disk.contents("/files/all.npy"))
        var text = "{'descr': '<f4', 'fortran_order': False, 'shape': \(shape), }"
        text += String(repeating: " ", count: 117 - text.utf8.count) + "\n"
        disk.setContents("/files/all.npy", Array(bytes[..<10]) + Array(text.utf8) + Array(bytes[128...]))
        let reader = try NPYReader("/files/all.npy", labels: "/files/all.ids.jsonl", fileSystem: disk)
        let (rows, flaws) = try Transfer.readAll(reader)
        #expect(rows.isEmpty && flaws.count == 1, "\(rows.count) rows, \(flaws)")
    }

    @Test("what no row may be is refused where it stands")
    func badRows() throws {
        func flaws(_ lines: [String]) throws -> [String] {
            let disk = SimulatedFileSystem()
            disk.setContents("/files/x.jsonl", Array((lines.joined(separator: "\n") + "\n").utf8))
            return try Transfer.readAll(JSONLinesReader("/files/x.jsonl", fileSystem: disk)).flaws.map {
                "\($0.place.line ?? 0): \($0.reason)"
            }
        }
        let good = #"{"id":"a","vector":[1,2]}"#
        let bad: [(String, String)] = [
            (#"{"id":"b","vector":[1,2,3]}"#, "3 dimensions; the index has 2"),
            (#"{"id":"b","vector":[]}"#, "0 dimensions"),
            (#"{"id":"b","vector":[1,1e39]}"#, "not a finite float32"),
            (#"{"id":"b","vector":[1,NaN]}"#, "not a list of numbers"),
            (#"{"id":"b","vector":[1,"2"]}"#, "not a list of numbers"),
            (#"{"id":"b"}"#, #""vector" is missing"#),
            (#"{"id":"b","vector":null}"#, #""vector" is missing"#),
            (#"{"vector":[1,2]}"#, #""id" is missing"#),
            (#"{"id":"","vector":[1,2]}"#, "the id is empty"),
            (#"{"id":7,"vector":[1,2]}"#, #""id" is not a text"#),
            (#"{"id":"\#(String(repeating: "x", count: 513))","vector":[1,2]}"#, "the id has 513 bytes"),
            (#"{"id":"\ud800","vector":[1,2]}"#, #""id" is not a text"#),
            (#"{"id":"a","vector":[3,4]}"#, "was there already"),
            (#"{"id":"b","vector":[1,2],"metadata":[]}"#, #""metadata" is not an object"#),
            (#"{"id":"b","vector":[1,2],"metadata":{"custom":1}}"#, #""metadata" is not an object"#),
            (#"{"id":"b","vector":[1,2],"metadata_text":"{"}"#, #""metadata_text" is not an object"#),
            (#"{"id":"b","vector":[1,2]} x"#, "not a JSON object"),
            (#"{"id":"b","vector":[1,2]"#, "not a JSON object"),
            ("[1,2]", "not a JSON object"),
        ]
        for (line, text) in bad {
            let found = try flaws([good, line, #"{"id":"c","vector":[5,6]}"#])
            #expect(found.count == 1 && found[0].hasPrefix("2: ") && found[0].contains(text), "\(line): \(found)")
        }
        #expect(try flaws([good, "", "  \r", #"{"ID":"b","Vector":[1,2],"other":{"x":[]}}"#]).isEmpty)
    }

    @Test("a line without an end, and one that is too long, are passed over and named")
    func longLines() throws {
        let disk = SimulatedFileSystem()
        let long = [UInt8](repeating: 0x20, count: 9 << 20)
        let first = Array(#"{"id":"a","vector":[1]}"#.utf8) + [0x0A]
        let last = Array(#"{"id":"b","vector":[2]}"#.utf8)
        disk.setContents("/files/x.jsonl", first + long + [0x0A] + last)
        let (rows, flaws) = try Transfer.readAll(JSONLinesReader("/files/x.jsonl", fileSystem: disk))
        #expect(rows.map(\.id) == [[0x61], [0x62]])
        #expect(flaws.map(\.place) == [SourcePlace(path: "/files/x.jsonl", offset: first.count, line: 2)])
        disk.setContents("/files/x.jsonl", first + long)
        #expect(try Transfer.readAll(JSONLinesReader("/files/x.jsonl", fileSystem: disk)).flaws.count == 1)
    }

    @Test("ids in a text file are lines and nothing else")
    func labels() throws {
        let disk = try Transfer.disk("export/all.npy")
        func flaws(_ text: String) throws -> [SourceFlaw] {
            disk.setContents("/files/ids.txt", Array(text.utf8))
            return try Transfer.readAll(NPYReader("/files/all.npy", labels: "/files/ids.txt", fileSystem: disk)).flaws
        }
        let ids = (0..<16).map { "id \($0)" }
        #expect(try flaws(ids.joined(separator: "\n")).isEmpty)
        #expect(try flaws(ids.joined(separator: "\n") + "\n").isEmpty)
        #expect(try flaws(ids.dropLast().joined(separator: "\n")).map(\.reason) == ["15 ids for 16 rows"])
        #expect(try flaws((ids + ["more"]).joined(separator: "\n")).map(\.place.line) == [17])
        #expect(try flaws(ids.joined(separator: "\r\n")).count == 15)
        #expect(try flaws((["id 3"] + ids.dropFirst()).joined(separator: "\n")).map(\.place.line) == [nil])
    }
}
