import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// A place that is not what it was is not begun anew.
@Suite("The archive that a node remembers")
struct ArchiveIdentityTests {
    private static func isRefused(_ node: ArchiveNode) -> Bool {
        if case .notTheArchive? = node.core.failure { true } else { false }
    }

    @Test("an archive that has gone, or another one in its place, is refused, and nothing is written there")
    func remembered() throws {
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        let node = try ArchiveNode(1, store, ArchiveOptions(), time)
        var known: [ArchiveIdentity] = []
        node.worker.remember = { known.append($0) }
        try node.write(.indexCreated(name: "a", dimensions: 2, options: .empty))
        node.round()
        #expect(node.core.failure == nil && known.count == 1)
        let cluster = try #require(known.first?.cluster)
        var options = ArchiveOptions()
        options.cluster = cluster

        // Restarted beside what was an archive: a directory that is not mounted, a bucket that was emptied.
        let empty = MemoryStore()
        let lost = try ArchiveNode(1, empty, options, time)
        try lost.write(.indexCreated(name: "a", dimensions: 2, options: .empty))
        lost.round()
        #expect(ArchiveIdentityTests.isRefused(lost) && empty.keys().isEmpty)
        #expect(lost.core.failure.map { "\($0)" }?.contains("remove archive.json") == true)
        #expect(lost.core.archived == nil, "the log is kept")
        // It comes back, and everything goes on.
        for key in store.keys() { try empty.put(key, bytes: store.read(key, limit: 1 << 20)) }
        time.now += options.syncInterval
        lost.round()
        #expect(lost.core.failure == nil && lost.core.archived == lost.log.versionVector)

        options.cluster = "00000000000000000000000000000abc"
        let before = store.keys()
        let stranger = try ArchiveNode(1, store, options, time)
        try stranger.write(.indexCreated(name: "a", dimensions: 2, options: .empty))
        stranger.round()
        #expect(ArchiveIdentityTests.isRefused(stranger) && store.keys() == before)
    }

    @Test("a directory that is unmounted in the middle of a round: what was written beside it is not told as archived")
    func unmounted() throws {
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        let node = try ArchiveNode(1, store, ArchiveOptions(), time)
        try node.write(.indexCreated(name: "a", dimensions: 2, options: .empty))
        node.round()
        let archived = try #require(node.core.archived)
        for number in 0..<5 {
            try node.write(EventSet.put("a", "v\(number)", [1, 2]))
            let mounted = store.state.withLock { $0.objects }
            node.request()
            // After the round has looked what is there.
            while node.steps.last.map({ if case .upload = $0 { false } else { true } }) ?? true {
                try #require(node.step())
            }
            store.state.withLock { $0.objects = [:] }
            while node.step() {}
            #expect(ArchiveIdentityTests.isRefused(node) && node.core.archived == archived)
            store.state.withLock { $0.objects = mounted }
            time.now += 400_000
            node.round()
            #expect(node.core.failure == nil && node.core.archived == node.log.versionVector)
            break
        }
        #expect(try ArchiveContent(store).state().digest == node.state.digest)
    }

    @Test("what a node remembers survives, and damage to it is named")
    func file() throws {
        let disk = SimulatedFileSystem()
        try disk.createDirectory("/data")
        #expect(try ArchiveMemory.read(in: "/data", disk) == nil)
        let memory = ArchiveMemory(place: "s3://bucket/prefix", cluster: "00000000000000000000000000000001")
        try memory.write(in: "/data", disk)
        var random = SeededRandom(seed: 1)
        disk.crash(using: &random)
        #expect(try ArchiveMemory.read(in: "/data", disk) == memory)
        let bytes = try #require(disk.contents("/data/archive.json"))
        for place in bytes.indices {
            var damaged = bytes
            damaged[place] ^= 4
            disk.setContents("/data/archive.json", damaged)
            #expect(throws: ArchiveError.self) { try ArchiveMemory.read(in: "/data", disk) }
        }
    }
}
