// The portable form of an event. Its bytes never change: not on another node, not in the archive, not on the wire.
//
//  0  u32  payload length in bytes, without padding
//  4  u8   envelope format version: 1, or 2 when the payload's last 32 bytes are those of a trace (TraceContext)
//  5  u8   kind (EventKind)
//  6  u16  flags, 0
//  8  16   origin, as printed
// 24  u64  sequence within the origin
// 32  u64  HLC of the event
// 40  u64  HLC of the version that the writer saw under this key, 0 when none
// 48  16   origin of that version
// 64       payload, padded with zeros to a multiple of 8
//  …  u64  chain: XXH3-64 of all bytes above, seeded with the chain of the origin's previous event (0 before the first)
//  …  u32  CRC-32C of all bytes above, chain included
//  …  u32  0
//
// Little-endian. The chain ties the event to the whole history of its origin; the CRC alone tells whether these bytes
// are what was written, without knowing anything before them.

/// A view of an encoded event.
public struct Envelope {
    /// Bytes before the payload.
    package static let headerBytes = 64
    /// Bytes behind the padded payload.
    package static let trailerBytes = 16
    /// The format of an event without a trace, which every version of this code reads.
    package static let formatVersion: UInt8 = 1
    /// The format of one whose payload ends with a `TraceContext`.
    package static let tracedVersion: UInt8 = 2

    /// The whole envelope.
    public let bytes: UnsafeRawBufferPointer

    /// Bytes of an envelope around a payload of `payloadBytes`.
    package static func size(payloadBytes: Int) -> Int { headerBytes + padded(payloadBytes) + trailerBytes }

    /// Why bytes are no envelope.
    package enum Flaw: Sendable, Equatable {
        case length, checksum, formatVersion(UInt8)
    }

    /// Checks length, checksum and format version; nil `flaw` means every field may be read.
    package static func flaw(in bytes: UnsafeRawBufferPointer) -> Flaw? {
        guard bytes.count >= headerBytes + trailerBytes else { return .length }
        let payloadBytes = Int(bytes.integer(UInt32.self, at: 0))
        guard payloadBytes <= EventLimits.payloadBytesMax, size(payloadBytes: payloadBytes) == bytes.count else {
            return .length
        }
        let checked = bytes.count - 8
        guard Checksum.crc32c(bytes.part(0, checked)) == bytes.integer(UInt32.self, at: checked),
            bytes.integer(UInt32.self, at: checked + 4) == 0
        else { return .checksum }
        // Only behind the checksum does another version mean a newer writer instead of damage.
        switch bytes.integer(UInt8.self, at: 4) {
        case formatVersion: return nil
        case tracedVersion: return payloadBytes < TraceContext.byteCount ? .length : nil
        case let version: return .formatVersion(version)
        }
    }

    /// Views bytes in which `flaw` has found none.
    package init(checked bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The tag of the kind; `kind` is nil for one that this version does not know.
    public var kindTag: UInt8 { bytes.integer(UInt8.self, at: 5) }
    /// The kind.
    public var kind: EventKind? { EventKind(rawValue: kindTag) }
    /// Who wrote it.
    public var origin: OriginID { bytes.origin(at: 8) }
    /// Its number within the origin.
    public var sequence: Sequence { Sequence(bytes.integer(UInt64.self, at: 24)) }
    /// Its place in the total order of events.
    public var version: EventVersion { EventVersion(hlc: HLC(bytes.integer(UInt64.self, at: 32)), origin: origin) }
    /// The version which its writer saw under the same key; `.none` when there was none.
    public var seen: EventVersion {
        EventVersion(hlc: HLC(bytes.integer(UInt64.self, at: 40)), origin: bytes.origin(at: 48))
    }
    /// The payload without trace and padding.
    public var payload: UnsafeRawBufferPointer { bytes.part(Envelope.headerBytes, payloadEnd - Envelope.headerBytes) }
    /// The trace of the request that the event comes from, if that named one.
    public var trace: TraceContext? { isTraced ? TraceContext(bytes, at: payloadEnd) : nil }

    private var isTraced: Bool { bytes.integer(UInt8.self, at: 4) == Envelope.tracedVersion }
    private var payloadEnd: Int {
        Envelope.headerBytes + Int(bytes.integer(UInt32.self, at: 0)) - (isTraced ? TraceContext.byteCount : 0)
    }
    /// The running hash of the origin, this event included.
    public var chain: UInt64 { bytes.integer(UInt64.self, at: bytes.count - Envelope.trailerBytes) }
    /// The checksum of everything before it.
    package var checksum: UInt32 { bytes.integer(UInt32.self, at: bytes.count - 8) }

    /// The event, or nil when its kind is unknown or its payload contradicts itself.
    public var event: Event? { kind.flatMap { Event(kind: $0, payload: payload) } }

    /// What `chain` must be when the origin's previous event had `previous`.
    package func expectedChain(after previous: UInt64) -> UInt64 {
        Checksum.hash64(bytes.part(0, bytes.count - Envelope.trailerBytes), seed: previous)
    }
}

/// An event on its way into the log: its payload encoded once, with room around it for what the log adds.
///
/// Laid out as frame header, envelope header, payload, padding, trailer, so that stamping writes in place.
public final class EncodedEvent: @unchecked Sendable {
    // Why @unchecked: the bytes are written by the initialiser, before anyone else can hold the reference, and after
    // that only by `stamp`, which only the log's single writer calls. The compiler cannot see this handing over.
    private let storage: UnsafeMutableRawBufferPointer
    /// What the event says.
    public let kind: EventKind

    /// Bytes of the largest record of an event without a vector and without options.
    package static let rowlessRecordBytesMax =
        Frame.headerBytes
        + Envelope.size(payloadBytes: 16 + EventLimits.indexNameBytesMax + EventLimits.vectorIDBytesMax)

    /// Bytes of the record that the log will write: frame and envelope.
    package var recordBytes: Int { storage.count }
    package var record: UnsafeRawBufferPointer { UnsafeRawBufferPointer(storage) }

    private init(
        kind: EventKind,
        payloadBytes: Int,
        version: UInt8 = Envelope.formatVersion,
        fill: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        precondition(payloadBytes <= EventLimits.payloadBytesMax, "payload of \(payloadBytes) bytes")
        let envelopeBytes = Envelope.size(payloadBytes: payloadBytes)
        storage = .allocate(byteCount: Frame.headerBytes + envelopeBytes, alignment: 64)
        self.kind = kind
        let envelope = UnsafeMutableRawBufferPointer(rebasing: storage[Frame.headerBytes...])
        envelope.store(UInt32(payloadBytes), at: 0)
        envelope.store(version, at: 4)
        envelope.store(kind.rawValue, at: 5)
        envelope.store(UInt16(0), at: 6)
        let payload = UnsafeMutableRawBufferPointer(rebasing: envelope[Envelope.headerBytes...].prefix(payloadBytes))
        fill(payload)
        for offset in Envelope.headerBytes + payloadBytes..<envelopeBytes { envelope[offset] = 0 }
    }

    deinit { storage.deallocate() }

    /// Bytes of the payload.
    package var payloadBytes: Int { payload.count }

    /// Payload of the event.
    package var payload: UnsafeRawBufferPointer { envelope.payload }

    /// The same event with the trace of the request that it comes from; not stamped yet.
    package func traced(by trace: TraceContext) -> EncodedEvent {
        let payload = payload
        return EncodedEvent(
            kind: kind,
            payloadBytes: payload.count + TraceContext.byteCount,
            version: Envelope.tracedVersion
        ) { bytes in
            trace.write(to: bytes, at: bytes.store(payload, at: 0))
        }
    }

    /// Encodes `EventKind.vectorPut`.
    ///
    /// The limits of `EventLimits` must hold.
    public static func vectorPut(
        index: String,
        id: UnsafeRawBufferPointer,
        vector: UnsafeBufferPointer<Float>,
        metadata: UnsafeRawBufferPointer
    ) -> EncodedEvent {
        var index = index
        return index.withUTF8 { name in
            precondition((1...EventLimits.dimensionsMax).contains(vector.count), "\(vector.count) dimensions")
            precondition((1...EventLimits.vectorIDBytesMax).contains(id.count), "id of \(id.count) bytes")
            precondition(metadata.count <= EventLimits.metadataBytesMax, "metadata of \(metadata.count) bytes")
            let floats = UnsafeRawBufferPointer(vector)
            return EncodedEvent(
                kind: .vectorPut,
                payloadBytes: 16 + floats.count + name.count + id.count + metadata.count
            ) { payload in
                payload.store(UInt32(vector.count), at: 0)
                payload.store(UInt16(name.count), at: 4)
                payload.store(UInt16(id.count), at: 6)
                payload.store(UInt32(metadata.count), at: 8)
                payload.store(UInt32(0), at: 12)
                var offset = payload.store(floats, at: 16)
                offset = payload.store(UnsafeRawBufferPointer(name), at: offset)
                offset = payload.store(id, at: offset)
                payload.store(metadata, at: offset)
            }
        }
    }

    /// Encodes `EventKind.vectorDeleted`.
    public static func vectorDeleted(index: String, id: UnsafeRawBufferPointer) -> EncodedEvent {
        var index = index
        return index.withUTF8 { name in
            precondition((1...EventLimits.vectorIDBytesMax).contains(id.count), "id of \(id.count) bytes")
            return EncodedEvent(kind: .vectorDeleted, payloadBytes: 8 + name.count + id.count) { payload in
                payload.store(UInt16(name.count), at: 0)
                payload.store(UInt16(id.count), at: 2)
                payload.store(UInt32(0), at: 4)
                let offset = payload.store(UnsafeRawBufferPointer(name), at: 8)
                payload.store(id, at: offset)
            }
        }
    }

    /// Encodes `EventKind.indexCreated`; `options` is JSON text, empty for the defaults.
    public static func indexCreated(name: String, dimensions: Int, options: UnsafeRawBufferPointer) -> EncodedEvent {
        var name = name
        return name.withUTF8 { name in
            precondition((1...EventLimits.dimensionsMax).contains(dimensions), "\(dimensions) dimensions")
            precondition(options.count <= EventLimits.optionsBytesMax, "options of \(options.count) bytes")
            return EncodedEvent(kind: .indexCreated, payloadBytes: 16 + name.count + options.count) { payload in
                payload.store(UInt32(dimensions), at: 0)
                payload.store(UInt16(name.count), at: 4)
                payload.store(UInt16(0), at: 6)
                payload.store(UInt32(options.count), at: 8)
                payload.store(UInt32(0), at: 12)
                let offset = payload.store(UnsafeRawBufferPointer(name), at: 16)
                payload.store(options, at: offset)
            }
        }
    }

    /// Encodes `EventKind.indexDeleted`.
    public static func indexDeleted(name: String) -> EncodedEvent { named(name, .indexDeleted) }

    /// Encodes `EventKind.mark`.
    public static func mark(name: String) -> EncodedEvent { named(name, .mark) }

    /// A payload of nothing but a name.
    private static func named(_ name: String, _ kind: EventKind) -> EncodedEvent {
        var name = name
        return name.withUTF8 { name in
            EncodedEvent(kind: kind, payloadBytes: 8 + name.count) { payload in
                payload.store(UInt16(name.count), at: 0)
                payload.store(UInt16(0), at: 2)
                payload.store(UInt32(0), at: 4)
                payload.store(UnsafeRawBufferPointer(name), at: 8)
            }
        }
    }

    /// Gives the event its identity.
    ///
    /// Only the log's single writer, or a test that makes an event set, may call this. Returns the chain with this
    /// event.
    @discardableResult
    package func stamp(
        origin: OriginID,
        sequence: Sequence,
        hlc: HLC,
        seen: EventVersion,
        previousChain: UInt64
    ) -> UInt64 {
        let envelope = UnsafeMutableRawBufferPointer(rebasing: storage[Frame.headerBytes...])
        envelope.store(origin, at: 8)
        envelope.store(sequence.rawValue, at: 24)
        envelope.store(hlc.rawValue, at: 32)
        envelope.store(seen.hlc.rawValue, at: 40)
        envelope.store(seen.origin, at: 48)
        let bytes = UnsafeRawBufferPointer(envelope)
        let hashed = bytes.count - Envelope.trailerBytes
        let chain = Checksum.hash64(bytes.part(0, hashed), seed: previousChain)
        envelope.store(chain, at: hashed)
        envelope.store(Checksum.crc32c(bytes.part(0, hashed + 8)), at: hashed + 8)
        return chain
    }

    /// The stamped envelope.
    package var envelope: Envelope { Envelope(checked: UnsafeRawBufferPointer(rebasing: record[Frame.headerBytes...])) }

    /// Writes the local frame in front of the stamped envelope.
    package func frame(_ header: Frame) {
        header.encode(into: UnsafeMutableRawBufferPointer(rebasing: storage[..<Frame.headerBytes]))
    }
}
