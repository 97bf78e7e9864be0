package import SpringgLog

/// Consecutive events of one origin on their way into the archive.
///
/// The content is frames as in a log, whose LSNs are the sequences: `zstd -d` gives them back, logdump reads them, and they
/// are a function of the events alone, so that every node would write the same.
package struct ArchiveSegment: Sendable {
    /// Bytes of content after which a segment is complete: one request to the store, and soon enough in memory.
    package static let bytesMax = 16 << 20
    /// Content of the largest segment: bounds what a reader makes room for.
    package static let contentBytesMax = bytesMax + Frame.headerBytes + Frame.envelopeBytesMax

    package let origin: OriginID
    private let before: VersionVector.Head
    /// How far the origin is held with it.
    private(set) var head: VersionVector.Head
    private var oldest = HLC(0)
    private(set) var newest = HLC(0)
    private var link: UInt32 = 0
    private var content: [UInt8] = []

    /// Begins behind `before`.
    package init(origin: OriginID, after before: VersionVector.Head) {
        self.origin = origin
        self.before = before
        head = before
    }

    /// Adds the next event of the origin.
    package mutating func append(_ envelope: Envelope) {
        precondition(envelope.origin == origin && envelope.continues(head), "\(envelope.version) is not the next event")
        let start = content.count
        content.append(contentsOf: repeatElement(0, count: Frame.headerBytes))
        content.append(contentsOf: envelope.bytes)
        let lsn = LSN(envelope.sequence.rawValue)
        let frame = Frame(envelopeBytes: envelope.bytes.count, lsn: lsn, durableUpTo: lsn.previous, link: link)
        content.withUnsafeMutableBytes { content in
            frame.encode(into: UnsafeMutableRawBufferPointer(rebasing: content[start..<start + Frame.headerBytes]))
            link = Frame.link(after: UnsafeRawBufferPointer(rebasing: content[start...]))
        }
        if head == before { oldest = envelope.version.hlc }
        newest = envelope.version.hlc
        head = envelope.head
    }

    /// The object, what it decompresses to, and how the manifest speaks of it; there must be an event.
    package func finish() -> (segment: ArchiveManifest.Segment, object: [UInt8], content: [UInt8]) {
        let object = Zstandard.compress(content)
        let segment = ArchiveManifest.Segment(
            origin: origin,
            first: before.sequence.next,
            last: head.sequence,
            chainBefore: before.chain,
            chain: head.chain,
            oldest: oldest,
            newest: newest,
            bytes: object.count,
            contentBytes: content.count,
            hash: ContentHash(of: object)
        )
        return (segment, object, content)
    }
}
