import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

@Suite("Pruning a store of snapshots")
struct SnapshotPrunerTests {
    @Test("what is kept stays whole, the rest goes; young blocks stay, and an archive is refused")
    func prune() throws {
        var random = SeededRandom.fromEnvironment("prune")
        let store = MemoryStore()
        let rows = try SnapshotGraphTests.Rows(1400, using: &random)
        var manifests: [SnapshotManifest] = []
        for round in 0..<5 {
            for number in 0..<200 { try rows.put(number + round * 200, using: &random) }
            try rows.settle()
            manifests.append(try rows.write(to: store).manifest)
        }
        // What an interrupted one has left.
        let orphan = try ObjectKey("blocks/" + String(repeating: "a", count: 64) + ".zst")
        try store.put(orphan, bytes: [1])
        let pruner = try SnapshotPruner(store)
        let nothing = try pruner.plan(keep: nil, graceSeconds: 100, now: 99)
        #expect(nothing.kept == manifests.map(\.id) && nothing.removed.isEmpty && nothing.blocks.isEmpty)
        #expect(nothing.youngBlocks == 1)
        let before = store.keys()
        let plan = try pruner.plan(keep: 2, graceSeconds: 100, now: 100)
        #expect(store.keys() == before, "a plan changes nothing")
        #expect(plan.removed == manifests.prefix(3).map(\.id) && plan.blocks.contains(orphan) && plan.youngBlocks == 0)
        #expect(try pruner.carryOut(plan).isEmpty)
        #expect(try SnapshotReader(from: store).ids() == manifests.suffix(2).map(\.id))
        for manifest in manifests.suffix(2) { #expect(try SnapshotReader(from: store).verify(manifest).isEmpty) }
        let needed = Set(manifests.suffix(2).flatMap { $0.objects() }.map { "blocks/\($0.hash).zst" })
        #expect(Set(store.keys("blocks/").map(\.text)) == needed)

        // One that came while it was at work, out of blocks that went.
        let late = try pruner.plan(keep: 1, graceSeconds: 0, now: 0)
        try #require(late.removed.count == 1)
        let harmed = try SnapshotPruner(store)
        try store.delete([SnapshotManifest.key(late.removed[0])])
        var other = manifests[3]
        other.highestHLC = manifests[4].highestHLC
        other.origin = .none
        try store.put(SnapshotManifest.key(other.id), bytes: other.encoded())
        #expect(try harmed.carryOut(late) == [other.id])

        // A snapshot that cannot be read keeps everything.
        try store.put(SnapshotManifest.key(other.id), bytes: [1, 2, 3])
        #expect(throws: SnapshotError.self) { try pruner.plan(keep: nil, graceSeconds: 0, now: 0) }
        try store.put(ArchiveManifest.key(1), bytes: [1])
        #expect { try SnapshotPruner(store) } throws: { "\($0)".contains("it is an archive") }
    }
}
