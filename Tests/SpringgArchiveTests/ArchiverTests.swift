import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// What the archive promises whatever happens: one manifest a generation, no event lost, nothing left behind for ever.
@Suite("Archiving")
struct ArchiverTests {
    private static func options(_ change: (inout ArchiveOptions) -> Void = { _ in }) -> ArchiveOptions {
        var options = ArchiveOptions()
        options.isClustered = true
        // One call after the other, so that a seed gives the same run again.
        options.uploads = 1
        change(&options)
        return options
    }

    private static func put(_ random: inout SeededRandom, _ number: Int) -> EncodedEvent {
        switch Int.random(in: 0..<12, using: &random) {
        case 0: .indexCreated(name: random.oneIn(2) ? "a" : "b", dimensions: 4, options: .empty)
        case 1:
            Array("v\(Int.random(in: 0..<20, using: &random))".utf8)
                .withUnsafeBytes { .vectorDeleted(index: "a", id: $0) }
        default: EventSet.put(random.oneIn(3) ? "b" : "a", "v\(number % 40)", random.floats(4))
        }
    }

    @Test("two archivers that run at once, step by step in any order, over faults, restarts, trimmed logs and expiry")
    func simulation() throws {
        var random = SeededRandom.fromEnvironment("archiver simulation")
        for run in 0..<6 {
            let store = MemoryStore()
            let time = ArchiveNode.TestClock()
            let options = ArchiverTests.options {
                $0.snapshotInterval = 1_800_000
                $0.grace = 7_200_000
                $0.retention = run % 2 == 0 ? 0 : 14_400_000
            }
            let nodes = try [1, 2].map { try ArchiveNode($0, store, options, time) }
            var delivered = [0, 0]
            func replicate(all: Bool) throws {
                for (to, from) in [(0, 1), (1, 0)] {
                    let own = nodes[from].envelopes.filter { bytes in
                        bytes.withUnsafeBytes { Envelope(checked: $0).origin } == nodes[from].origin
                    }
                    let end = all ? own.count : Int.random(in: delivered[to]...own.count, using: &random)
                    for bytes in own[delivered[to]..<end] { try nodes[to].receive(bytes) }
                    delivered[to] = end
                }
            }
            try nodes[0].write(.indexCreated(name: "a", dimensions: 4, options: .empty))
            try replicate(all: true)
            for number in 0..<100 {
                for node in nodes {
                    for _ in 0..<Int.random(in: 0...4, using: &random) {
                        try node.write(ArchiverTests.put(&random, number))
                    }
                }
                try replicate(all: false)
                if random.oneIn(10) {
                    let fault: MemoryStore.Fault = random.oneIn(2) ? .before : .after
                    let call = store.state.withLock { $0.calls } + Int.random(in: 0..<20, using: &random)
                    store.state.withLock { $0.faults[call] = fault }
                }
                if random.oneIn(25) { nodes[Int.random(in: 0...1, using: &random)].restart(options) }
                // Both believe that they are elected; which of them gets on is chance.
                for node in nodes { node.request() }
                var isBusy = [true, true]
                while isBusy != [false, false] {
                    let turn = Int.random(in: 0...1, using: &random)
                    if isBusy[turn] { isBusy[turn] = nodes[turn].step() }
                }
                time.now += UInt64.random(in: 1...900_000, using: &random)
                store.setNow(time.now)
            }
            store.state.withLock { $0.faults = [:] }
            try replicate(all: true)
            for _ in 0..<8 {
                time.now += options.grace + 1
                store.setNow(time.now)
                for node in nodes { node.round() }
            }
            let content = try ArchiveContent(store)
            let newest = try #require(content.newest)
            #expect(nodes[0].core.failure == nil && nodes[1].core.failure == nil)
            #expect(newest.heads == nodes[0].log.versionVector && newest.heads == nodes[1].log.versionVector)
            #expect(nodes[0].state.digest == nodes[1].state.digest)
            if options.retention == 0 { #expect(try content.state().digest == nodes[0].state.digest) }
            #expect(newest.generation > 100)
            let orphans = try content.orphans(store.keys())
            #expect(orphans.isEmpty, "\(orphans.map(\.text)) at \(newest.generation), \(newest.snapshots.map(\.id))")
            #expect(options.retention == 0 || newest.snapshots.count == 1)
        }
    }

    @Test("every store operation of a round can fail, before or after it took effect, and the next round makes it good")
    func everyFault() throws {
        for (fault, uploads) in [(MemoryStore.Fault.before, 1), (.after, 1), (.before, 4)] {
            var call = 0
            while true {
                let store = MemoryStore()
                let time = ArchiveNode.TestClock()
                let options = ArchiverTests.options {
                    $0.grace = 86_400_000
                    $0.uploads = uploads
                }
                let node = try ArchiveNode(1, store, options, time)
                try node.write(.indexCreated(name: "a", dimensions: 4, options: .empty))
                node.round()
                for number in 0..<20 { try node.write(EventSet.put("a", "v\(number)", [1, 2, 3, Float(number)])) }
                // A round with everything in it: events, a snapshot, a sweep, removal.
                time.now += 2 * 86_400_000
                store.setNow(time.now)
                let orphan = try ObjectKey("blocks/" + String(repeating: "0", count: 64) + ".zst")
                store.state.withLock {
                    $0.objects[orphan] = .init(bytes: [1], modified: 0)
                    $0.faults[$0.calls + call] = fault
                }
                let first = store.state.withLock { $0.calls }
                node.round()
                let calls = store.state.withLock { $0.calls } - first
                if call >= calls { break }
                #expect(node.core.failure != nil || fault == .after)
                time.now += 100_000_000
                store.setNow(time.now)
                node.round()
                #expect(node.core.failure == nil)
                let content = try ArchiveContent(store)
                #expect(content.newest?.heads == node.log.versionVector)
                #expect(content.newest?.snapshots.count ?? 0 >= 2)
                #expect(try content.state().digest == node.state.digest)
                #expect(!store.keys().contains(orphan))
                call += 1
            }
            print(
                "a round with everything in it: \(call) store operations, each failed once (\(fault), \(uploads) uploads)"
            )
            #expect(call > 20)
        }
    }

    @Test("a round with nothing new stores nothing")
    func nothingNew() throws {
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        let node = try ArchiveNode(1, store, ArchiverTests.options(), time)
        node.round()
        #expect(store.keys().map(\.text) == ["cluster.json", "probe/conditional-write"])
        try node.write(.indexCreated(name: "a", dimensions: 2, options: .empty))
        node.round()
        let puts = store.state.withLock { $0.puts.count }
        for _ in 0..<50 {
            time.now += 7 * 3_600_000
            store.setNow(time.now)
            node.round()
        }
        #expect(node.core.failure == nil)
        #expect(store.state.withLock { $0.puts.count } == puts)
    }

    @Test("a log that no longer reaches back is bridged by a snapshot, and events follow behind it")
    func trimmedLog() throws {
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        var options = ArchiverTests.options()
        options.snapshotInterval = 0
        let node = try ArchiveNode(1, store, options, time, segmentBytes: 1024)
        try node.write(.indexCreated(name: "a", dimensions: 4, options: .empty))
        for number in 0..<50 { try node.write(EventSet.put("a", "v\(number)", [1, 2, 3, Float(number)])) }
        try node.trim()
        let first = node.log.watermarks.trimmed
        try #require(first > LSN(20))
        node.round()
        #expect(node.core.failure == nil)
        let manifest = try #require(try ArchiveContent(store).newest)
        #expect(manifest.heads == node.log.versionVector)
        #expect(manifest.snapshots.count == 1 && manifest.snapshots[0].heads == node.log.versionVector)
        try node.write(EventSet.put("a", "later", [1, 2, 3, 4]))
        node.round()
        let content = try ArchiveContent(store)
        #expect(content.newest?.heads == node.log.versionVector)
        let segment = try #require(content.newest?.segments.last)
        #expect(segment.first == node.log.versionVector[node.origin].sequence)
        #expect(content.newest?.snapshots.count == 1)
    }

    @Test("an outage is caught up, however long; nothing is committed that is not there")
    func outage() throws {
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        let node = try ArchiveNode(1, store, ArchiverTests.options(), time)
        try node.write(.indexCreated(name: "a", dimensions: 4, options: .empty))
        node.round()
        store.state.withLock { $0.isDown = true }
        for number in 0..<300 {
            try node.write(EventSet.put("a", "v\(number)", [1, 2, 3, Float(number)]))
            time.now += 10_000
            store.setNow(time.now)
            node.step()
        }
        guard case .store(.unavailable)? = node.core.failure else {
            Issue.record("\(String(describing: node.core.failure))")
            return
        }
        #expect(node.core.archived?[node.origin].sequence == Sequence(1))
        #expect(node.worker.floor(try #require(node.core.archived)) < LSN(300))
        store.state.withLock { $0.isDown = false }
        time.now += 400_000
        while node.step() {}
        #expect(node.core.failure == nil && node.core.archived == node.log.versionVector)
        #expect(node.worker.floor(node.log.versionVector) == node.log.watermarks.durable)
        #expect(try ArchiveContent(store).state().digest == node.state.digest)
    }

    @Test("another cluster, another history and an older copy of a directory are refused by name")
    func refusals() throws {
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        let options = ArchiverTests.options()
        let node = try ArchiveNode(1, store, options, time)
        for number in 0..<5 { try node.write(.indexCreated(name: "n\(number)", dimensions: 4, options: .empty)) }
        node.round()
        let before = store.keys()
        func refusal(_ other: ArchiveNode) -> String {
            time.now += options.syncInterval
            other.round()
            #expect(store.keys() == before)
            return other.core.failure.map { "\($0)" } ?? "none"
        }
        let stranger = try ArchiveNode(2, store, options, time)
        try stranger.write(.indexCreated(name: "x", dimensions: 4, options: .empty))
        #expect(refusal(stranger).contains("no event of any origin that this node knows"))
        let label = try ArchiveNode(1, store, ArchiverTests.options { $0.label = "other" }, time)
        #expect(refusal(label).contains("cluster_label"))
        let copy = try ArchiveNode(1, store, options, time)
        for bytes in node.envelopes.prefix(3) { try copy.receive(bytes) }
        #expect(refusal(copy).contains("older copy"))
        // The same origin, gone on differently: as many events, then more of them.
        for number in 0..<2 { try copy.write(.indexCreated(name: "y\(number)", dimensions: 4, options: .empty)) }
        #expect(refusal(copy).contains("not the same here and there"))
        try copy.write(.indexCreated(name: "z", dimensions: 4, options: .empty))
        #expect(refusal(copy).contains("not the same here and there"))
    }

    @Test("what another history of the same numbers has archived does not count as archived here")
    func otherHistory() throws {
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        let options = ArchiverTests.options()
        let node = try ArchiveNode(1, store, options, time)
        for number in 0..<5 { try node.write(.indexCreated(name: "n\(number)", dimensions: 4, options: .empty)) }
        node.round()
        // An older copy of its disk, which goes on differently; whether elected or not, and however far it has got.
        for count in 3...8 {
            let copy = try ArchiveNode(1, store, options, time)
            for bytes in node.envelopes.prefix(3) { try copy.receive(bytes) }
            for number in 3..<count {
                try copy.write(.indexCreated(name: "x\(number)", dimensions: 4, options: .empty))
            }
            copy.round(isElected: false)
            #expect(copy.core.failure != nil && copy.core.archived == nil)
        }
    }

    @Test("a clock that is set back by hours makes nothing wait for hours")
    func clockSetBack() throws {
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        let options = ArchiverTests.options()
        let node = try ArchiveNode(1, store, options, time)
        try node.write(.indexCreated(name: "a", dimensions: 4, options: .empty))
        node.round()
        time.now -= 9_000_000
        try node.write(EventSet.put("a", "v", [1, 2, 3, 4]))
        node.step()
        time.now += options.syncInterval
        while node.step() {}
        #expect(node.core.archived == node.log.versionVector)
    }

    @Test("a store that ignores conditions is refused for a cluster, and warned about for a single node")
    func ignoredConditions() throws {
        for isClustered in [true, false] {
            let (store, time) = (CarelessStore(), ArchiveNode.TestClock())
            let node = try ArchiveNode(1, store, ArchiverTests.options { $0.isClustered = isClustered }, time)
            var warnings: [String] = []
            node.worker.warn = { warnings.append($0) }
            try node.write(.indexCreated(name: "a", dimensions: 2, options: .empty))
            node.round()
            if isClustered {
                guard case .conditionIgnored? = node.core.failure else {
                    Issue.record("not refused")
                    return
                }
            } else {
                #expect(node.core.failure == nil && warnings.count == 1)
                #expect(node.core.archived == node.log.versionVector)
            }
        }
    }

    /// Overwrites whatever it was told to keep.
    private final class CarelessStore: ObjectStore {
        private let inner = MemoryStore()
        var location: String { "careless" }
        func put(_ key: ObjectKey, _ body: ObjectBody, condition: PutCondition) throws(ObjectStoreError) -> ObjectInfo {
            try inner.put(key, body, condition: .none)
        }
        func get(
            _ key: ObjectKey,
            _ range: ObjectRange,
            consume: (UnsafeRawBufferPointer) throws -> Void
        ) throws -> ObjectInfo { try inner.get(key, range, consume: consume) }
        func head(_ key: ObjectKey) throws(ObjectStoreError) -> ObjectInfo { try inner.head(key) }
        func list(
            prefix: String,
            after start: ObjectKey?,
            _ body: (ObjectInfo) throws -> Bool
        ) throws -> ListSummary { try inner.list(prefix: prefix, after: start, body) }
        func delete(_ keys: [ObjectKey]) throws(ObjectStoreError) { try inner.delete(keys) }
        func removeLeftovers(olderThanSeconds seconds: Int) throws(ObjectStoreError) -> Int { 0 }
        func close() {}
    }

    @Test("manifests stay short: older segments go to pages, which are read back, and expire as a whole")
    func pages() throws {
        // The archive of another node, of which this one knows the first event.
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        let other = try ArchiveNode(2, store, ArchiverTests.options(), time)
        try other.write(.indexCreated(name: "a", dimensions: 2, options: .empty))
        other.round()
        var manifest = try #require(try ArchiveReader(from: store).newest())
        for number in 1...1535 {
            var segment = manifest.segments[number - 1]
            (segment.first, segment.last) = (Sequence(UInt64(number + 1)), Sequence(UInt64(number + 1)))
            (segment.chainBefore, segment.chain) = (segment.chain, segment.chain &+ 1)
            manifest.segments.append(segment)
        }
        manifest.generation += 1
        manifest.previous = ContentHash(of: [])
        manifest.heads[other.origin] = try #require(manifest.segments.last).head
        let listed = manifest.segments
        try store.put(ArchiveManifest.key(manifest.generation), bytes: manifest.encoded())
        let node = try ArchiveNode(1, store, ArchiverTests.options { $0.snapshotInterval = 0 }, time)
        try node.receive(other.envelopes[0])
        try node.write(EventSet.put("a", "v", [1, 2]))
        node.round()
        #expect(node.core.failure == nil)
        let reader = ArchiveReader(from: store)
        var paged = try #require(try reader.newest())
        #expect(paged.pages.map(\.segments) == [512, 512] && paged.pagesMade == 2 && paged.segments.count == 513)
        #expect(try reader.segments(of: paged).dropLast() == listed[...])
        print("a manifest of \(paged.segments.count) segments and 2 pages has \(paged.encoded().count) bytes")
        #expect(paged.encoded().count < 200_000)
        // A page goes when a snapshot has all of its events, and not before.
        func expired(_ sequence: UInt64) throws -> ArchiveManifest {
            var manifest = paged
            var snapshot = try #require(manifest.snapshots.first)
            snapshot.id += "x"
            snapshot.heads[other.origin].sequence = Sequence(sequence)
            manifest.snapshots.append(snapshot)
            manifest.expire(before: .max)
            #expect(manifest.snapshots == [snapshot])
            return manifest
        }
        #expect(try expired(511).pages == paged.pages)
        #expect(try expired(512).pages == Array(paged.pages.dropFirst()))
        #expect(try expired(1500).pages.isEmpty && expired(1500).segments.count == 37)
        // One that is not what the manifest names is refused.
        let page = try paged.pages[0].key
        var bytes = try store.read(page, limit: 1 << 20)
        bytes[100] ^= 1
        try store.put(page, bytes: bytes)
        #expect(throws: ArchiveError.self) { try reader.segments(of: paged) }
        paged.pages[1].number = 0
        #expect(throws: ArchiveError.self) { try ArchiveManifest(decoding: paged.encoded(), from: "test") }
    }

    @Test("a block that is being removed gets another name, and a snapshot begun before a sweep notices it")
    func sweptBlocks() throws {
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        let options = ArchiverTests.options()
        let node = try ArchiveNode(1, store, options, time)
        try node.write(.indexCreated(name: "a", dimensions: 2, options: .empty))
        try node.write(EventSet.put("a", "v", [1, 2]))
        node.round()
        // Blocks that nobody uses: of a snapshot whose writer was stopped.
        try node.write(EventSet.put("a", "w", [3, 4]))
        let capture = node.state.captureState(heads: node.log.versionVector)
        let (abandoned, _) = try SnapshotWriter(to: store).write(capture, origin: node.origin, newest: .none)
        try store.delete([try SnapshotManifest.key(abandoned.id)])
        let doomed = Set(abandoned.blocks.map(\.hash))
        // The next writer uses them, by their own name: no sweep has named them.
        let (used, _) = try SnapshotWriter(to: store).write(capture, origin: node.origin, newest: .none)
        #expect(Set(used.blocks.map(\.hash)) == doomed)
        try store.delete([try SnapshotManifest.key(used.id)])
        // Now a sweep names it, in the middle of another writer's work: after his look at what is there.
        var swept = try #require(try ArchiveReader(from: store).newest())
        swept.generation += 1
        swept.sweep.begun = 77
        swept.sweep.blocks = Array(doomed)
        let (key, bytes) = (try ArchiveManifest.key(swept.generation), swept.encoded())
        let blocks = try doomed.map { try SnapshotManifest.blockKey($0) }
        let first = store.state.withLock { $0.calls }
        store.state.withLock { state in
            state.intrude = { number in
                guard number == first + 3 else { return }
                store.state.withLock { state in
                    state.objects[key] = .init(bytes: bytes, modified: state.now)
                    for block in blocks { state.objects[block] = nil }
                }
            }
        }
        let (rewritten, _) = try SnapshotWriter(to: store).write(capture, origin: node.origin, newest: .none)
        #expect(Set(rewritten.blocks.map(\.hash)).isDisjoint(with: doomed))
        #expect(rewritten.digest == abandoned.digest)
        let reader = SnapshotReader(from: store)
        #expect(try reader.verify(reader.manifest(rewritten.id)).isEmpty)
    }

    @Test("who slept until his generation was forgotten does not believe that he has it")
    func sleeper() throws {
        let (store, time) = (MemoryStore(), ArchiveNode.TestClock())
        let nodes = try [1, 2].map { try ArchiveNode($0, store, ArchiverTests.options(), time) }
        try nodes[0].write(.indexCreated(name: "a", dimensions: 2, options: .empty))
        try nodes[1].receive(nodes[0].envelopes[0])
        nodes[0].round()
        try nodes[1].write(EventSet.put("a", "v", [1, 2]))
        nodes[1].request()
        // Up to the step before its commit.
        while true {
            if case .upload? = nodes[1].steps.last { break }
            try #require(nodes[1].step())
        }
        for number in 0..<5 {
            try nodes[0].write(EventSet.put("a", "w\(number)", [1, 2]))
            nodes[0].round()
        }
        let generations = try ArchiveReader(from: store).generations()
        try store.delete(generations.dropLast().map { try ArchiveManifest.key($0) })
        while nodes[1].step() {}
        #expect(nodes[1].core.failure == nil)
        #expect(nodes[1].core.generation == generations.last.map { $0 + 1 })
        #expect(nodes[1].core.archived?[nodes[1].origin].sequence == Sequence(1))
    }
}
