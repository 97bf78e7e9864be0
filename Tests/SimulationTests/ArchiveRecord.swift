import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization

/// What the store of a simulated archive has been seen to hold, checked with everything that happens to it.
struct ArchiveRecord {
    /// The newest generation.
    private(set) var newest: ArchiveManifest?
    /// Up to where events were acknowledged as archived.
    var acknowledged: [OriginID: UInt64] = [:]
    /// The hash of every generation there ever was.
    private var generations: [UInt64: ContentHash] = [:]
    /// What generations name that somebody may still be reading by, and until when they were the newest.
    private var named: [(keys: Set<ObjectKey>, until: UInt64)] = []
    /// Segments whose events were looked at.
    private var seen: Set<ObjectKey> = []

    private typealias Violation = ReplicaSimulation.Violation

    /// Milliseconds by which a clock may be ahead: who removes things goes by his own.
    private static let clockError: UInt64 = 9_000_000

    /// An object has been stored.
    mutating func stored(_ key: ObjectKey, in archive: SimulatedArchive) throws {
        guard let generation = ArchiveManifest.generation(key) else { return }
        let bytes = try archive.store.read(key, limit: .max)
        let manifest = try ArchiveManifest(decoding: bytes, from: key.text)
        let hash = ContentHash(of: bytes)
        archive.tally.generations += 1
        guard generations.updateValue(hash, forKey: generation) == nil, manifest.generation == generation,
            generation == (newest?.generation ?? 0) + 1
        else { throw Violation("generation \(generation) follows \(newest?.generation ?? 0)") }
        if let newest {
            guard manifest.previous == generations[newest.generation], manifest.heads.covers(newest.heads) else {
                throw Violation("generation \(generation) does not follow the one before")
            }
            for origin in newest.heads.origins
            where manifest.heads[origin].sequence == newest.heads[origin].sequence
                && manifest.heads[origin] != newest.heads[origin]
            {
                throw Violation("generation \(generation) holds another history of \(origin)")
            }
        }
        let objects = try objects(of: manifest, archive)
        if !named.isEmpty { named[named.count - 1].until = archive.wall }
        named.removeAll { $0.until + archive.options.grace < archive.wall }
        named.append((objects, .max))
        newest = manifest
    }

    /// An object is about to be removed.
    func removed(_ key: ObjectKey, in archive: SimulatedArchive) throws {
        for (keys, until) in named where keys.contains(key) {
            guard until != .max, until + archive.options.grace < archive.wall + Self.clockError else {
                throw Violation(
                    "\(key.text) is removed, "
                        + (until == .max
                            ? "which the newest manifest names"
                            : "by which somebody may be reading: its manifest was the newest \((archive.wall - until) / 1000) s ago")
                )
            }
        }
    }

    /// Everything that a manifest names, which is there and is what it should be.
    private mutating func objects(of manifest: ArchiveManifest, _ archive: SimulatedArchive) throws -> Set<ObjectKey> {
        var keys: Set<ObjectKey> = []
        for page in manifest.pages { keys.insert(try page.key) }
        for segment in try ArchiveReader(from: archive.store).segments(of: manifest) {
            let key = try segment.key
            keys.insert(key)
            guard seen.insert(key).inserted else { continue }
            try look(at: segment, archive)
        }
        let snapshots = SnapshotReader(from: archive.store)
        for listed in manifest.snapshots {
            let snapshot = try snapshots.manifest(listed.id)
            guard try ContentHash(of: snapshot.encoded()) == listed.hash else {
                throw Violation("snapshot \(listed.id) is another")
            }
            keys.insert(try SnapshotManifest.key(listed.id))
            for block in snapshot.objects() { keys.insert(try SnapshotManifest.blockKey(block.hash)) }
        }
        let missing = archive.store.state.withLock { state in keys.first { state.objects[$0] == nil } }
        if let missing {
            throw Violation("generation \(manifest.generation) names \(missing.text), which is not there")
        }
        return keys
    }

    /// The events of a segment are those that were written.
    private func look(at segment: ArchiveManifest.Segment, _ archive: SimulatedArchive) throws {
        let object = try archive.store.read(try segment.key, limit: .max)
        guard ContentHash(of: object) == segment.hash,
            let content = Zstandard.decompress(object, bytes: segment.contentBytes)
        else { throw Violation("\(try segment.key.text) is not what the manifest says") }
        var head = VersionVector.Head(
            sequence: SpringgLog.Sequence(segment.first.rawValue - 1),
            chain: segment.chainBefore
        )
        try content.withUnsafeBytes { content in
            var rest = content[...]
            while !rest.isEmpty {
                let bytes = UnsafeRawBufferPointer(rebasing: rest)
                guard bytes.count > Frame.headerBytes,
                    let frame = Frame(decoding: UnsafeRawBufferPointer(rebasing: bytes[..<Frame.headerBytes])),
                    frame.recordBytes <= bytes.count
                else { throw Violation("\(try segment.key.text) is damaged") }
                let whole = UnsafeRawBufferPointer(
                    rebasing: bytes[Frame.headerBytes..<Frame.headerBytes + frame.envelopeBytes]
                )
                guard Envelope.flaw(in: whole) == nil else { throw Violation("\(try segment.key.text) is damaged") }
                let envelope = Envelope(checked: whole)
                guard envelope.origin == segment.origin, envelope.continues(head) else {
                    throw Violation("\(try segment.key.text) has a gap")
                }
                head = envelope.head
                try archive.cluster.note(envelope.origin, head)
                archive.cluster.note(envelope)
                rest = rest.dropFirst(frame.recordBytes)
            }
        }
        guard head == segment.head else { throw Violation("\(try segment.key.text) ends early") }
    }

    /// A segment that was stored and never named, of events that came with no member: somebody may bring them yet (note 15).
    private func isOfNobody(_ key: ObjectKey) -> Bool {
        let parts = key.text.split(separator: "/")
        guard parts.count == 3, let origin = OriginID(String(parts[1])),
            let last = parts[2].split(separator: "-").dropFirst().first.flatMap({ UInt64($0) })
        else { return false }
        return last > newest?.heads[origin].sequence.rawValue ?? 0
    }

    /// What is in the store and nobody needs.
    func orphans(in archive: SimulatedArchive) throws -> [ObjectKey] {
        var needed: Set<ObjectKey> = [try ArchiveIdentity.key]
        for (keys, until) in named where until == .max || until + archive.options.grace >= archive.wall {
            needed.formUnion(keys)
        }
        // A snapshot with events that the archive lacks is listed when somebody brings them, and else goes when newer ones have expired.
        let snapshots = SnapshotReader(from: archive.store)
        for id in try snapshots.ids() {
            let snapshot = try snapshots.manifest(id)
            guard let newest, !newest.heads.covers(snapshot.heads) else { continue }
            needed.insert(try SnapshotManifest.key(id))
            for block in snapshot.objects() { needed.insert(try SnapshotManifest.blockKey(block.hash)) }
        }
        return archive.store.keys().filter { key in
            !needed.contains(key) && !key.text.hasPrefix("probe/") && !key.text.hasPrefix(ArchiveManifest.keyPrefix)
                && !isOfNobody(key)
        }
    }
}
