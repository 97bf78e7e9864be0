import Glibc
import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

/// The formats of snapshots, held by files: what was written once must be read for ever, and written the same way again.
///
/// The compressed bytes are the library's and may change with it, so only reading is held for them.
@Suite("Golden files of snapshots")
struct SnapshotGoldenTests {
    static var directory: String {
        #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/Fixtures/golden"
    }

    static let origin = OriginID(high: 0x1111_2222_3333_4444, low: 0x5555_6666_7777_8888)

    /// A row, a tombstone, a row of other dimensions, a deleted index and a mark.
    static func state() throws -> (state: Materializer, heads: VersionVector) {
        let state = Materializer()
        var writer = LoneOrigin(origin)
        let events: [EncodedEvent] = [
            Array("{\"m\":16}".utf8).withUnsafeBytes { .indexCreated(name: "docs", dimensions: 2, options: $0) },
            EventSet.put("docs", "é/1", [1, -0.5], metadata: "{\"custom\":{}}"),
            EventSet.put("docs", "gone", [2, 3]),
            Array("gone".utf8).withUnsafeBytes { .vectorDeleted(index: "docs", id: $0) },
            EventSet.put("docs", "three", [1, 2, 3]),
            .indexCreated(name: "old", dimensions: 1, options: .empty),
            .indexDeleted(name: "old"),
            .mark(name: "before-migration"),
        ]
        for (number, event) in events.enumerated() {
            let lsn = writer.stamp(event, at: HLC(milliseconds: 1_700_000_000_000, counter: UInt16(number)))
            state.apply(try #require(event.envelope.event), of: event.envelope, recordBytes: 100, lsn: lsn)
        }
        state.publish()
        return (state, writer.heads)
    }

    private static func read(_ name: String) throws -> [UInt8] { try Files.read(directory + "/" + name) }

    private static func keep(_ name: String, _ bytes: [UInt8]) throws {
        guard let target = getenv("SPRINGG_WRITE_GOLDEN") else { return }
        try Files.write(String(cString: target) + "/" + name, bytes)
    }

    @Test("block format 1 is written as it always was")
    func block() throws {
        let (state, heads) = try SnapshotGoldenTests.state()
        let capture = state.captureState(heads: heads)
        var builder = SnapshotBlock.Builder()
        let docs = try #require(capture.names.firstIndex { $0.name == "docs" })
        let entries = capture.entries(docs)
        let numbers = (0..<entries.count).sorted { left, right in
            entries.withEntry(left) { left in
                entries.withEntry(right) { right in left.id.lexicographicallyPrecedes(right.id) }
            }
        }
        for number in numbers { entries.withEntry(number) { builder.append($0) } }
        let content = builder.finish()
        try SnapshotGoldenTests.keep("snapshot-v1-docs.block", content)
        #expect(try content == SnapshotGoldenTests.read("snapshot-v1-docs.block"))
    }

    @Test("snapshot format 1 is read as it always was, and its manifest written the same way again")
    func snapshot() throws {
        let (state, heads) = try SnapshotGoldenTests.state()
        let newest = EventVersion(
            hlc: HLC(milliseconds: 1_700_000_000_000, counter: 7),
            origin: SnapshotGoldenTests.origin
        )
        let written = SimulatedFileSystem()
        let fresh = try SnapshotWriter(to: SnapshotTests.store(written))
            .write(state.captureState(heads: heads), origin: SnapshotGoldenTests.origin, newest: newest).manifest
        if getenv("SPRINGG_WRITE_GOLDEN") != nil {
            for path in written.paths {
                let name = path.hasSuffix(".json") ? ".json" : path.split(separator: "/").last.map { "-\($0)" }
                try SnapshotGoldenTests.keep("snapshot-v1" + (name ?? ""), written.contents(path) ?? [])
            }
        }
        let bytes = try SnapshotGoldenTests.read("snapshot-v1.json")
        let manifest = try SnapshotManifest(decoding: bytes, from: "golden")
        #expect(try manifest.encoded() == bytes)
        #expect(manifest.heads == fresh.heads)
        #expect(manifest.digest == fresh.digest)
        #expect(manifest.names.map(\.state) == fresh.names.map(\.state))
        #expect(manifest.names.map(\.rows) == [0, 1, 0])
        let kept = SimulatedFileSystem()
        kept.setContents("/store/snapshots/\(manifest.id).json", bytes)
        for block in manifest.blocks {
            kept.setContents(
                "/store/blocks/\(block.hash).zst",
                try SnapshotGoldenTests.read("snapshot-v1-\(block.hash).zst")
            )
        }
        let reader = SnapshotReader(from: try SnapshotTests.store(kept))
        #expect(try reader.verify(manifest).isEmpty)
        let restored = Materializer()
        _ = try reader.restore(manifest, into: restored, at: LSN(8))
        #expect(History.look(restored) == History.look(state))
        #expect(try reader.marks(manifest) == ["before-migration": newest])
    }
}
