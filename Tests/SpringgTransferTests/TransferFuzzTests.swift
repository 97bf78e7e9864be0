import Glibc
import SpringgLog
import SpringgProjections
import SpringgTestKit
import SpringgTransfer
import Testing

/// Files that nobody would write: whatever they are, reading ends, and what it gives can be stored.
@Suite("Any bytes")
struct TransferFuzzTests {
    /// Cases of each format; `make fuzz` asks for many more.
    static var cases: Int { getenv("SPRINGG_FUZZ_CASES").flatMap { Int(String(cString: $0)) } ?? 2000 }

    @Test("mutated files are read to an end", arguments: TransferDamageTests.cases)
    func mutated(_ item: TransferDamageTests.Case) throws {
        var random = SeededRandom.fromEnvironment("TransferFuzzTests.mutated \(item.file)")
        let disk = SimulatedFileSystem()
        for name in item.fixtures {
            let file = name.split(separator: "/").last.map(String.init) ?? name
            disk.setContents("/files/" + file, try Files.read(Transfer.fixtures + "/" + name))
        }
        let bytes = try #require(disk.contents(item.file))
        let source = try ImportSource(index: Transfer.name(), format: item.format)
        var (refused, taken) = (0, 0)
        for number in 0..<Self.cases {
            let mutated = random.mutated(bytes)
            disk.setContents(item.file, mutated)
            let (rows, flaws) = try Transfer.readAll(source.open(disk))
            if flaws.isEmpty { taken += 1 } else { refused += 1 }
            // No more rows and flaws than there are bytes: whoever reads gets on.
            #expect(rows.count + flaws.count <= mutated.count + 64, "case \(number) of seed \(random.seed)")
            for row in rows {
                let isStorable =
                    (1...512).contains(row.id.count) && String(validating: row.id, as: UTF8.self) != nil
                    && row.vector.allSatisfy { Float(bitPattern: $0).isFinite }
                    && row.metadata.count <= PreparedVector.metadataBytesMax
                #expect(isStorable, "case \(number) of seed \(random.seed): \(row)")
            }
            #expect(Set(rows.map(\.id)).count == rows.count, "case \(number) of seed \(random.seed)")
        }
        print("\(item.file): \(refused) refused, \(taken) taken")
        #expect(refused > 0)
    }
}

extension SeededRandom {
    /// Some bytes changed, cut out, doubled, put in; numbers at the edges among them.
    mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &self) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &self)
            let length = min(bytes.count - place, Int.random(in: 1...(oneIn(4) ? 200 : 8), using: &self))
            switch Int.random(in: 0..<7, using: &self) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &self)
            case 1:
                bytes[place] = [0, 0xFF, 0x7F, 0x80, 0x22, 0x5C, 0x7B, 0x7D, 0x0A][Int.random(in: 0..<9, using: &self)]
            case 2: bytes.removeSubrange(place..<place + length)
            case 3: bytes.insert(contentsOf: bytes[place..<place + length], at: place)
            case 4:
                let word: [UInt8] = [
                    [0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0x80], [0xFF, 0xFF, 0xFF, 0x7F], [1, 0, 0, 0],
                ][Int.random(in: 0..<4, using: &self)]
                for (offset, byte) in word.enumerated() where place + offset < bytes.count {
                    bytes[place + offset] = byte
                }
            case 5: bytes.removeSubrange(place...)
            default:
                let other = Int.random(in: 0..<bytes.count, using: &self)
                bytes.swapAt(place, other)
            }
        }
        return bytes
    }
}
