import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Testing

/// A node in one thread: a log on a simulated disk, its projections, and an archiver that is moved step by step.
final class ArchiveNode {
    let origin: OriginID
    let log: Log
    let state = Materializer()
    private(set) var core: ArchiverCore
    let worker: ArchiveWorker
    private let writer: LogWriter
    private var clock = HybridClock()
    private(set) var envelopes: [[UInt8]] = []
    private let time: TestClock
    /// What the archiver was told to do, in order.
    private(set) var steps: [ArchiverCore.Step] = []

    /// Unix time in milliseconds that tests move.
    final class TestClock {
        var now: UInt64 = 1_700_000_000_000
    }

    init(
        _ number: UInt64,
        _ store: any ObjectStore,
        _ options: ArchiveOptions,
        _ time: TestClock,
        segmentBytes: Int = 8192
    ) throws {
        var options = options
        options.requestPause = 0
        origin = OriginID(high: number, low: 5)
        var logOptions = LogOptions()
        logOptions.segmentBytes = segmentBytes
        (log, writer, _) = try Log.open(
            directory: "/data/log",
            options: logOptions,
            fileSystem: SimulatedFileSystem(),
            newOrigin: origin
        ) { _ in }
        self.time = time
        core = ArchiverCore(options, now: time.now)
        let (log, state) = (log, state)
        worker = ArchiveWorker(
            store,
            options: options,
            log: log,
            capture: { state.captureState(heads: log.versionVector) },
            wallClock: { time.now }
        )
    }

    /// Forgets what the archiver knew, as a restart does.
    func restart(_ options: ArchiveOptions) {
        var options = options
        options.requestPause = 0
        core = ArchiverCore(options, now: time.now)
    }

    /// Writes an event of this node's own.
    func write(_ event: EncodedEvent) throws {
        if !writer.hasRoom(forRecordBytes: event.recordBytes) { try writer.commit() }
        let (lsn, _) = try writer.stage(event, hlc: clock.tick(wall: time.now), seen: .none)
        try applied(event.envelope, event.recordBytes, lsn)
    }

    /// Takes an event of another node.
    func receive(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { bytes in
            let envelope = Envelope(checked: bytes)
            clock.observe(envelope.version.hlc)
            if !writer.hasRoom(forRecordBytes: bytes.count + Frame.headerBytes) { try writer.commit() }
            try applied(envelope, bytes.count, try writer.stage(envelope))
        }
    }

    private func applied(_ envelope: Envelope, _ bytes: Int, _ lsn: LSN) throws {
        try writer.commit()
        envelopes.append(Array(envelope.bytes))
        state.apply(try #require(envelope.event), of: envelope, recordBytes: bytes, lsn: lsn)
        state.publish()
        log.markApplied(lsn)
    }

    /// Removes all segments but the last.
    func trim() throws {
        log.markCheckpointed(log.watermarks.applied)
        try log.trim()
    }

    /// One step; false when there is nothing to do before the returned moment.
    @discardableResult
    func step(isElected: Bool = true) -> Bool {
        let step = core.next(now: time.now, isElected: isElected)
        if case .wait = step { return false }
        steps.append(step)
        core.take(worker.perform(step), now: time.now, isElected: isElected)
        return true
    }

    /// Somebody waits for a round.
    func request() { _ = core.request() }

    /// A whole round at once.
    func round(isElected: Bool = true) {
        request()
        while step(isElected: isElected) {}
    }
}

/// What an archive holds, read back without the code that wrote it.
struct ArchiveContent {
    let store: any ObjectStore
    let manifests: [ArchiveManifest]
    /// Of the newest generation, by origin, in order.
    private(set) var events: [OriginID: [[UInt8]]] = [:]
    var newest: ArchiveManifest? { manifests.last }

    /// Reads everything, and checks all that must hold of any archive.
    init(_ store: any ObjectStore) throws {
        self.store = store
        let reader = ArchiveReader(from: store)
        let generations = try reader.generations()
        manifests = try generations.map { try reader.manifest($0) }
        // One manifest a generation, each naming the one before by its bytes.
        if let first = generations.first {
            #expect(generations == Array(first..<first + UInt64(generations.count)))
        }
        for (before, after) in zip(manifests, manifests.dropFirst()) {
            #expect(after.previous == ContentHash(of: before.encoded()))
            #expect(after.heads.covers(before.heads))
        }
        guard let newest = manifests.last else { return }
        var heads = VersionVector()
        for segment in try reader.segments(of: newest) { try read(segment, &heads) }
        for snapshot in newest.snapshots {
            let snapshots = SnapshotReader(from: store)
            let manifest = try snapshots.manifest(snapshot.id)
            #expect(try snapshots.verify(manifest).isEmpty)
            #expect(try ContentHash(of: manifest.encoded()) == snapshot.hash)
        }
    }

    private mutating func read(_ segment: ArchiveManifest.Segment, _ heads: inout VersionVector) throws {
        let object = try store.read(try segment.key, limit: 64 << 20)
        #expect(object.count == segment.bytes && ContentHash(of: object) == segment.hash)
        let content = try #require(Zstandard.decompress(object, bytes: segment.contentBytes))
        if heads[segment.origin].sequence.next != segment.first {
            // What lies between is in a snapshot alone.
            #expect(manifests.last?.snapshots.isEmpty == false)
            heads[segment.origin] = .init(sequence: Sequence(segment.first.rawValue - 1), chain: segment.chainBefore)
        }
        var link: UInt32 = 0
        var oldest: HLC?
        try content.withUnsafeBytes { content in
            var offset = 0
            while offset < content.count {
                let frame = try #require(Frame(decoding: content.part(offset, Frame.headerBytes)))
                let bytes = content.part(offset + Frame.headerBytes, frame.envelopeBytes)
                #expect(Envelope.flaw(in: bytes) == nil && frame.link == link)
                let envelope = Envelope(checked: bytes)
                try #require(envelope.origin == segment.origin && envelope.continues(heads[segment.origin]))
                #expect(frame.lsn.rawValue == envelope.sequence.rawValue)
                heads[segment.origin] = envelope.head
                oldest = oldest ?? envelope.version.hlc
                link = Frame.link(after: content.part(offset, frame.recordBytes))
                events[segment.origin, default: []].append(Array(bytes))
                offset += frame.recordBytes
                if offset == content.count { #expect(envelope.version.hlc == segment.newest) }
            }
        }
        #expect(heads[segment.origin] == segment.head && oldest == segment.oldest)
    }

    /// The state that all events lead to; for archives that have all of them.
    func state() throws -> Materializer {
        let state = Materializer()
        var lsn: UInt64 = 0
        for bytes in events.sorted(by: { $0.key < $1.key }).flatMap(\.value) {
            lsn += 1
            try bytes.withUnsafeBytes { bytes in
                let envelope = Envelope(checked: bytes)
                state.apply(
                    try #require(envelope.event),
                    of: envelope,
                    recordBytes: bytes.count,
                    lsn: LSN(lsn)
                )
            }
        }
        state.publish()
        return state
    }

    /// Objects that nothing in the archive needs.
    func orphans(_ keys: [ObjectKey]) throws -> [ObjectKey] {
        var needed: Set<ObjectKey> = [try ObjectKey("cluster.json"), try ObjectKey("probe/conditional-write")]
        let reader = ArchiveReader(from: store)
        for manifest in manifests {
            needed.insert(try ArchiveManifest.key(manifest.generation))
            for page in manifest.pages { needed.insert(try page.key) }
            for segment in try reader.segments(of: manifest) { needed.insert(try segment.key) }
        }
        let snapshots = SnapshotReader(from: store)
        for id in newest?.snapshots.map(\.id) ?? [] {
            needed.insert(try SnapshotManifest.key(id))
            for block in try snapshots.manifest(id).objects() {
                needed.insert(try SnapshotManifest.blockKey(block.hash))
            }
        }
        return keys.filter { !needed.contains($0) }
    }
}
