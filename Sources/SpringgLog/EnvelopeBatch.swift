/// Events on their way between nodes: whole envelopes back to back, each checked alone.
///
/// Whether they continue what a log holds is for the one who appends them to see.
public final class EnvelopeBatch: @unchecked Sendable {
    // Why @unchecked: the bytes are written by the initialiser, before anyone else can hold the reference, and never after.
    private let storage: UnsafeMutableRawBufferPointer
    private let offsets: [Int]

    /// Bytes of a batch; more than the largest event by so much that most requests are full ones.
    public static let bytesMax = 8 << 20

    /// Why bytes are no events that this version can apply.
    public enum Flaw: Error, Sendable, Equatable {
        /// There are more than `bytesMax`.
        case tooLong
        /// What stands at this offset is no envelope, or not what was written.
        case damaged(offset: Int)
        /// An event of a kind or version that this program does not know.
        case newerFormat(offset: Int)
    }

    /// Copies and checks envelopes: lengths, checksums, kinds, payloads, and that every clock reading has later ones.
    public init(_ bytes: UnsafeRawBufferPointer) throws(Flaw) {
        guard bytes.count <= EnvelopeBatch.bytesMax else { throw .tooLong }
        var offsets: [Int] = []
        var offset = 0
        while offset < bytes.count {
            guard let envelope = Envelope.first(in: UnsafeRawBufferPointer(rebasing: bytes[offset...])) else {
                throw .damaged(offset: offset)
            }
            switch Envelope.flaw(in: envelope) {
            case .length?, .checksum?: throw .damaged(offset: offset)
            case .formatVersion?: throw .newerFormat(offset: offset)
            case nil: break
            }
            let event = Envelope(checked: envelope)
            guard event.kind != nil else { throw .newerFormat(offset: offset) }
            // Behind the last reading no event could be later, and this node could write none.
            guard event.event != nil, event.sequence > Sequence(0), event.version.hlc < EnvelopeBatch.readingMax,
                event.origin != .none
            else { throw .damaged(offset: offset) }
            offsets.append(offset)
            offset += envelope.count
        }
        storage = .allocate(byteCount: max(bytes.count, 8), alignment: 64)
        storage.store(bytes, at: 0)
        self.offsets = offsets + [bytes.count]
    }

    private static let readingMax = HLC(milliseconds: (1 << 48) - 1, counter: 0)

    deinit { storage.deallocate() }

    /// How many events there are.
    public var count: Int { offsets.count - 1 }
    /// Bytes of all of them.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(storage).part(0, offsets[count]) }

    /// An event; valid as long as the batch.
    public subscript(number: Int) -> Envelope {
        Envelope(checked: bytes.part(offsets[number], offsets[number + 1] - offsets[number]))
    }
}

extension Envelope {
    /// The bytes that an envelope at the beginning of `bytes` has by its own length; nil when there are not as many.
    package static func first(in bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard bytes.count >= headerBytes + trailerBytes else { return nil }
        let payloadBytes = Int(bytes.integer(UInt32.self, at: 0))
        guard payloadBytes <= EventLimits.payloadBytesMax, size(payloadBytes: payloadBytes) <= bytes.count else {
            return nil
        }
        return bytes.part(0, size(payloadBytes: payloadBytes))
    }
}
