import Glibc
import SpringgArchive
import SpringgLog
import SpringgTestKit
import Testing

/// The formats of the archive, held by files: what was written once must be read for ever, and written the same way again.
///
/// The compressed bytes are the library's and may change with it, so only reading is held for them.
@Suite("Golden files of the archive")
struct ArchiveGoldenTests {
    private static let segmentName = "archive-v1-segment.log.zst"

    private static func read(_ name: String) throws -> [UInt8] {
        try Files.read(SnapshotGoldenTests.directory + "/" + name)
    }

    private static func keep(_ name: String, _ bytes: [UInt8]) throws {
        guard let target = getenv("SPRINGG_WRITE_GOLDEN") else { return }
        try Files.write(String(cString: target) + "/" + name, bytes)
    }

    /// Three events behind a first one that is archived already.
    private static func segment() -> (segment: ArchiveManifest.Segment, object: [UInt8], content: [UInt8]) {
        let origin = SnapshotGoldenTests.origin
        let events: [EncodedEvent] = [
            .indexCreated(name: "docs", dimensions: 2, options: .empty),
            EventSet.put("docs", "é/1", [1, -0.5], metadata: "{\"custom\":{}}"),
            Array("é/1".utf8).withUnsafeBytes { .vectorDeleted(index: "docs", id: $0) },
            .mark(name: "before-migration"),
        ]
        var head = VersionVector.Head.start
        var lane: ArchiveSegment?
        for (number, event) in events.enumerated() {
            let chain = event.stamp(
                origin: origin,
                sequence: head.sequence.next,
                hlc: HLC(milliseconds: 1_700_000_000_000, counter: UInt16(number)),
                seen: .none,
                previousChain: head.chain
            )
            lane?.append(event.envelope)
            head = .init(sequence: head.sequence.next, chain: chain)
            if lane == nil { lane = ArchiveSegment(origin: origin, after: head) }
        }
        guard let lane else { preconditionFailure("there are events") }
        return lane.finish()
    }

    @Test("segments are read as they always were, and their content is written the same way again")
    func segments() throws {
        let (segment, object, content) = ArchiveGoldenTests.segment()
        try ArchiveGoldenTests.keep(ArchiveGoldenTests.segmentName, object)
        let known = try ArchiveGoldenTests.read(ArchiveGoldenTests.segmentName)
        #expect(Zstandard.decompress(known, bytes: segment.contentBytes) == content)
        #expect(
            try segment.key.text
                == "segments/11112222333344445555666677778888/00000000000000000002-00000000000000000004-"
                + hexadecimal(segment.chain) + ".log.zst"
        )
    }

    @Test("a manifest of format 1 is read as it always was, and written the same way again")
    func manifest() throws {
        let hash = ContentHash(of: [1])
        var segment = ArchiveGoldenTests.segment().segment
        (segment.bytes, segment.hash) = (100, hash)
        var earlier = segment
        (earlier.first, earlier.last, earlier.chainBefore, earlier.chain) = (
            Sequence(1), Sequence(1), 0, segment.chainBefore
        )
        var manifest = ArchiveManifest(cluster: "0123456789abcdef0123456789abcdef")
        manifest.generation = 3
        manifest.previous = hash
        manifest.node = "node-1"
        manifest.origin = segment.origin
        manifest.writtenAt = 1_700_000_000_123
        manifest.heads[segment.origin] = segment.head
        manifest.highestHLC = segment.newest
        manifest.pages = [ArchiveManifest.page(0, of: [earlier]).page]
        manifest.pagesMade = 1
        manifest.segments = [segment]
        // Any snapshot, to be changed into one that is always the same.
        let store = MemoryStore()
        let node = try ArchiveNode(1, store, ArchiveOptions(), ArchiveNode.TestClock())
        try node.write(.mark(name: "m"))
        node.round()
        var snapshot = try #require(try ArchiveReader(from: store).newest()?.snapshots.first)
        snapshot.id = "001700000000000.00001-\(segment.origin)"
        snapshot.highestHLC = segment.oldest
        snapshot.heads = ArchiveManifest.heads(of: [earlier])
        (snapshot.bytes, snapshot.hash) = (200, hash)
        manifest.snapshots = [snapshot]
        manifest.sweep.begun = 1_700_000_000_000
        manifest.sweep.blocks = [hash]
        try ArchiveGoldenTests.keep("archive-v1.json", manifest.encoded())
        let known = try ArchiveGoldenTests.read("archive-v1.json")
        #expect(manifest.encoded() == known)
        #expect(try ArchiveManifest(decoding: known, from: "golden") == manifest)
        // Every cut and every changed byte is noticed.
        for count in 0..<known.count {
            #expect(throws: ArchiveError.self) {
                try ArchiveManifest(decoding: Array(known.prefix(count)), from: "cut")
            }
            var damaged = known
            damaged[count] ^= 4
            #expect(throws: ArchiveError.self) { try ArchiveManifest(decoding: damaged, from: "damaged") }
        }
    }

    @Test("a document of a newer version is named as such, and cluster.json is read as it was written")
    func identity() throws {
        let identity = ArchiveIdentity(cluster: "0123456789abcdef0123456789abcdef", label: "ö", createdAt: 7)
        #expect(try ArchiveIdentity(decoding: identity.encoded(), from: "test") == identity)
        #expect(throws: ArchiveError.self) { try ArchiveManifest(decoding: identity.encoded(), from: "test") }
    }
}
