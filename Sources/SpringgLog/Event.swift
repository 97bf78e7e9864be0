// The payloads of the events, byte by byte (little-endian; a name or id is UTF-8 without terminator).
//
// indexCreated      0 u32 dimensions   4 u16 nameLength   6 u16 0   8 u32 optionsLength   12 u32 0   16 name, options
// indexDeleted      0 u16 nameLength   2 u16 0   4 u32 0   8 name
// vectorPut         0 u32 dimensions   4 u16 indexLength  6 u16 idLength  8 u32 metadataLength  12 u32 0
//                  16 f32 × dimensions, then index name, id, metadata (JSON text, empty for none)
// vectorDeleted     0 u16 indexLength  2 u16 idLength  4 u32 0   8 index name, id
// mark              0 u16 nameLength   2 u16 0   4 u32 0         8 name
//
// The floats stand first, 16-byte aligned within the payload, so that applying an event is one copy.

/// The closed list of facts.
///
/// A later kind gets a new tag; an old one never changes its meaning.
public enum EventKind: UInt8, Sendable, CaseIterable {
    /// An index began to exist.
    case indexCreated = 1
    /// An index, and every row written before this moment, ceased to exist.
    case indexDeleted = 2
    /// A row got this value.
    case vectorPut = 3
    /// A row ceased to exist.
    case vectorDeleted = 4
    /// A moment got a name; nothing else changed.
    case mark = 5
}

/// A decoded event: views into the bytes it was decoded from, valid as long as those are.
public enum Event {
    /// See `EventKind.indexCreated`. `options` is JSON text, empty for the defaults.
    case indexCreated(name: String, dimensions: Int, options: UnsafeRawBufferPointer)
    /// See `EventKind.indexDeleted`.
    case indexDeleted(name: String)
    /// See `EventKind.vectorPut`. `vector` is `dimensions` × Float32, little-endian, 8-byte aligned.
    case vectorPut(
        index: String,
        id: UnsafeRawBufferPointer,
        vector: UnsafeRawBufferPointer,
        metadata: UnsafeRawBufferPointer
    )
    /// See `EventKind.vectorDeleted`.
    case vectorDeleted(index: String, id: UnsafeRawBufferPointer)
    /// See `EventKind.mark`.
    case mark(name: String)

    /// Decodes a payload, or returns nil when its lengths contradict each other.
    ///
    /// Trusts nothing.
    public init?(kind: EventKind, payload: UnsafeRawBufferPointer) {
        func name(_ offset: Int, _ length: Int) -> String? {
            guard length >= 1, length <= EventLimits.indexNameBytesMax else { return nil }
            return String(validating: payload.part(offset, length), as: UTF8.self)
        }
        switch kind {
        case .indexCreated:
            guard payload.count >= 16 else { return nil }
            let dimensions = Int(payload.integer(UInt32.self, at: 0))
            let nameLength = Int(payload.integer(UInt16.self, at: 4))
            let optionsLength = Int(payload.integer(UInt32.self, at: 8))
            guard (1...EventLimits.dimensionsMax).contains(dimensions),
                payload.count == 16 + nameLength + optionsLength, let name = name(16, nameLength)
            else { return nil }
            self = .indexCreated(
                name: name,
                dimensions: dimensions,
                options: payload.part(16 + nameLength, optionsLength)
            )
        case .indexDeleted:
            guard payload.count >= 8 else { return nil }
            let nameLength = Int(payload.integer(UInt16.self, at: 0))
            guard payload.count == 8 + nameLength, let name = name(8, nameLength) else { return nil }
            self = .indexDeleted(name: name)
        case .vectorPut:
            guard payload.count >= 16 else { return nil }
            let dimensions = Int(payload.integer(UInt32.self, at: 0))
            let nameLength = Int(payload.integer(UInt16.self, at: 4))
            let idLength = Int(payload.integer(UInt16.self, at: 6))
            let metadataLength = Int(payload.integer(UInt32.self, at: 8))
            guard (1...EventLimits.dimensionsMax).contains(dimensions),
                (1...EventLimits.vectorIDBytesMax).contains(idLength),
                metadataLength <= EventLimits.metadataBytesMax,
                payload.count == 16 + dimensions * 4 + nameLength + idLength + metadataLength,
                let name = name(16 + dimensions * 4, nameLength)
            else { return nil }
            let idOffset = 16 + dimensions * 4 + nameLength
            self = .vectorPut(
                index: name,
                id: payload.part(idOffset, idLength),
                vector: payload.part(16, dimensions * 4),
                metadata: payload.part(idOffset + idLength, metadataLength)
            )
        case .vectorDeleted:
            guard payload.count >= 8 else { return nil }
            let nameLength = Int(payload.integer(UInt16.self, at: 0))
            let idLength = Int(payload.integer(UInt16.self, at: 2))
            guard payload.count == 8 + nameLength + idLength, (1...EventLimits.vectorIDBytesMax).contains(idLength),
                let name = name(8, nameLength)
            else { return nil }
            self = .vectorDeleted(index: name, id: payload.part(8 + nameLength, idLength))
        case .mark:
            guard payload.count >= 8 else { return nil }
            let nameLength = Int(payload.integer(UInt16.self, at: 0))
            guard payload.count == 8 + nameLength, let name = name(8, nameLength) else { return nil }
            self = .mark(name: name)
        }
    }

    /// The index that the event speaks of; nil when it speaks of none.
    public var index: String? {
        switch self {
        case .indexCreated(let name, _, _), .indexDeleted(let name): name
        case .vectorPut(let index, _, _, _), .vectorDeleted(let index, _): index
        case .mark: nil
        }
    }
}

/// Bounds of what an event may hold, the same when writing as when reading.
public enum EventLimits {
    /// Bytes of the name of an index or of a mark.
    public static let indexNameBytesMax = 128
    /// Bytes of a vector's id.
    public static let vectorIDBytesMax = 512
    /// Components of a vector: sixteen times what the widest embedding models give today.
    public static let dimensionsMax = 65_536
    /// Bytes of a row's metadata: one MiB is a document, not a description, and still fits a group commit.
    public static let metadataBytesMax = 1 << 20
    /// Bytes of an index's options.
    public static let optionsBytesMax = 64 << 10
    /// Bytes of a payload, above the sum of the parts of the largest event.
    public static let payloadBytesMax = 2 << 20
}
