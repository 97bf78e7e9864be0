import Glibc
import SpringgArchive
import SpringgProjections
import SpringgTestKit
import Testing

/// The decoders behind the checksums, given what only a crafted object could hold.
@Suite("Decoders of snapshots")
struct SnapshotFuzzTests {
    /// Cases for each decoder; `SPRINGG_FUZZ_CASES` asks for more.
    static var cases: Int { getenv("SPRINGG_FUZZ_CASES").flatMap { Int(String(cString: $0)) } ?? 100_000 }

    /// A few bytes changed, repeated, removed, or put in the place of others; numbers made long.
    static func mutate(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            let end = min(bytes.count, place + Int.random(in: 1...20, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.removeSubrange(place..<end)
            case 3: bytes.insert(contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &random))
            case 4: for offset in place..<end { bytes[offset] = random.oneIn(2) ? 0xFF : 0 }
            default: bytes.insert(contentsOf: Array("9223372036854775807".utf8), at: place)
            }
        }
        return bytes
    }

    @Test("a manifest with a valid seal and anything in it is read or refused")
    func manifest() throws {
        var random = SeededRandom.fromEnvironment("fuzz manifest")
        let golden = try Files.read(SnapshotGoldenTests.directory + "/snapshot-v1.json")
        let text = Array(golden.prefix { $0 != 0x0A }.dropLast(77))
        #expect(try SnapshotManifest(decoding: sealed(text), from: "golden").rows == 1)
        var accepted = 0
        for _ in 0..<SnapshotFuzzTests.cases {
            let mutated = SnapshotFuzzTests.mutate(text, &random)
            guard let manifest = try? SnapshotManifest(decoding: sealed(mutated), from: "fuzz") else { continue }
            // What is accepted can be summed up, named and written again.
            #expect(manifest.rows >= 0 && !manifest.id.isEmpty)
            #expect(manifest.blocks.reduce(0) { $0 + $1.storedBytes } >= 0)
            _ = try manifest.encoded()
            accepted += 1
        }
        print("fuzz manifest: \(SnapshotFuzzTests.cases) cases, \(accepted) accepted")
        #expect(accepted < SnapshotFuzzTests.cases / 2)
    }

    private func sealed(_ text: [UInt8]) -> [UInt8] {
        text + Array(",\"sha256\":\"\(ContentHash(of: text))\"}\n".utf8)
    }

    @Test("the content of a block with anything in it is read or refused")
    func block() throws {
        var random = SeededRandom.fromEnvironment("fuzz block")
        let golden = try Files.read(SnapshotGoldenTests.directory + "/snapshot-v1-docs.block")
        var accepted = 0
        for _ in 0..<SnapshotFuzzTests.cases {
            let mutated = SnapshotFuzzTests.mutate(golden, &random)
            let entries = try? mutated.withUnsafeBytes { content in
                try SnapshotBlock.forEachEntry(content) { entry in
                    #expect(entry.id.count + entry.metadata.count + entry.vector.count < mutated.count)
                }
            }
            if entries != nil { accepted += 1 }
        }
        print("fuzz block: \(SnapshotFuzzTests.cases) cases, \(accepted) accepted")
        #expect(accepted > 0 && accepted < SnapshotFuzzTests.cases)
    }
}
