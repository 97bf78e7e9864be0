import SpringgLog

// The state of a node as bytes, in a member's meta (short) and in the user state of an exchange (long):
//
//     0  4  magic "SPG" and the format's version, 1: no JSON, no MessagePack, so foreign agents pass it by
//     4  …  fields: u8 tag, varint length, value; an unknown tag is skipped, a missing one leaves its default
//
//     tag  value
//       1  composedAt        varint, ms           7  hlcFloor       u64
//       2  apiPort           u16                  8  writeState     u8
//       3  version           UTF-8, ≤ 32 bytes    9  headsHash      u64
//       4  protocols         u8 oldest, newest   10  digest         u64 low, u64 high
//       5  vectorCount       varint              11  heads          of each: 16 origin, varint sequence, u64 chain
//       6  lastArchivedAt    varint, ms          12  omittedHeads   varint
//                                                13  indexDigests   of each: u8 length, name, u64 low, u64 high
//                                                14  name of the node, in the long form
//                                                15  origin         16 bytes, as printed
//                                                16  archives       u8, 1 when it has an archive
//                                                18  apiIsSecure    u8, 1 when the API speaks TLS
//                                                17  forgotten      of each: u8 length, name, varint ms
//                                                20  joined         varint, ms
//                                                21  life           varint, ms
//
// Integers are little-endian, varints LEB128 of at most 64 bits.

extension NodeState {
    private static let magic: [UInt8] = [0x53, 0x50, 0x47, 1]
    fileprivate static let versionBytesMax = 32
    /// Bounds of what a long form may carry.
    fileprivate static let headsMax = 10_000
    fileprivate static let indexesMax = 10_000

    fileprivate enum Tag: UInt8 {
        case composedAt = 1, apiPort, version, protocols, vectorCount, lastArchivedAt, hlcFloor, writeState, headsHash
        case digest, heads, omittedHeads, indexDigests, name, origin, archives, forgotten, apiIsSecure
        case joined = 20
        case life
    }

    // MARK: Writing

    /// The form for a member's meta: everything but the digests of the indexes, and as many heads as fit into
    /// memberlist's 512 bytes, its own origin's first.
    package func shortForm() -> [UInt8] {
        var bytes = scalars
        var room = WireLimits.metaBytes - bytes.count - Self.headsOverhead
        var list: [UInt8] = []
        var omitted = omittedHeads
        let others = heads.origins.filter { $0 != self.origin }
        for origin in (heads[self.origin] == .start ? others : [self.origin] + others) {
            let head = encoded(origin)
            guard head.count <= room else {
                omitted += 1
                continue
            }
            room -= head.count
            list += head
        }
        Self.append(&bytes, .heads, list)
        if omitted > 0 { Self.append(&bytes, .omittedHeads, varint(UInt64(omitted))) }
        return bytes
    }

    /// Tags and lengths around the heads: 1 + 2, and 1 + 1 + 10 for those that had no room.
    private static let headsOverhead = 15

    /// The form for an exchange of states: everything, and whose it is.
    package func longForm(name: String) -> [UInt8] {
        var bytes = scalars
        Self.append(&bytes, .name, Array(name.utf8))
        Self.append(&bytes, .heads, heads.origins.flatMap { encoded($0) })
        if omittedHeads > 0 { Self.append(&bytes, .omittedHeads, varint(UInt64(omittedHeads))) }
        var digests: [UInt8] = []
        for (name, digest) in indexDigests.sorted(by: { $0.key < $1.key }) where name.utf8.count <= 255 {
            digests.append(UInt8(name.utf8.count))
            digests += Array(name.utf8) + littleEndian(digest.low) + littleEndian(digest.high)
        }
        Self.append(&bytes, .indexDigests, digests)
        var gone: [UInt8] = []
        for (name, moment) in forgotten.sorted(by: { $0.key < $1.key }) where name.utf8.count <= 255 {
            gone.append(UInt8(name.utf8.count))
            gone += Array(name.utf8) + varint(moment)
        }
        if !gone.isEmpty { Self.append(&bytes, .forgotten, gone) }
        return bytes
    }

    private var scalars: [UInt8] {
        var bytes = Self.magic
        Self.append(&bytes, .composedAt, varint(composedAt))
        Self.append(&bytes, .apiPort, littleEndian(apiPort))
        Self.append(&bytes, .version, Array(version.utf8.prefix(Self.versionBytesMax)))
        Self.append(&bytes, .protocols, [protocols.lowerBound, protocols.upperBound])
        Self.append(&bytes, .vectorCount, varint(vectorCount))
        Self.append(&bytes, .lastArchivedAt, varint(lastArchivedAt))
        if archives { Self.append(&bytes, .archives, [1]) }
        if joined > 0 {
            Self.append(&bytes, .joined, varint(joined))
            Self.append(&bytes, .life, varint(life))
        }
        if apiIsSecure { Self.append(&bytes, .apiIsSecure, [1]) }
        Self.append(&bytes, .hlcFloor, littleEndian(hlcFloor.rawValue))
        Self.append(&bytes, .writeState, [writeState.rawValue])
        var own: [UInt8] = []
        own.appendBigEndian(origin.high)
        own.appendBigEndian(origin.low)
        Self.append(&bytes, .origin, own)
        Self.append(&bytes, .headsHash, littleEndian(headsHash))
        Self.append(&bytes, .digest, littleEndian(digest.low) + littleEndian(digest.high))
        return bytes
    }

    private func encoded(_ origin: OriginID) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(origin.high)
        bytes.appendBigEndian(origin.low)
        return bytes + varint(heads[origin].sequence.rawValue) + littleEndian(heads[origin].chain)
    }

    private static func append(_ bytes: inout [UInt8], _ tag: Tag, _ value: [UInt8]) {
        bytes.append(tag.rawValue)
        bytes += varint(UInt64(value.count)) + value
    }

    // MARK: Reading

    /// A state and, in the long form, the name of the node that it is about.
    package struct Decoded: Equatable, Sendable {
        package var state: NodeState
        package var name: String?
    }

    /// Reads either form; nil for bytes that are not ours, such as a foreign agent's.
    /// - Throws: When they are ours and damaged.
    package static func decode(_ bytes: some Collection<UInt8>) throws(WireError) -> Decoded? {
        guard bytes.starts(with: magic) else { return nil }
        var reader = ByteReader(Array(bytes.dropFirst(magic.count)))
        var decoded = Decoded(state: NodeState())
        while !reader.isAtEnd {
            let tag = Tag(rawValue: try reader.byte())
            var value = ByteReader(try reader.take(try reader.count()))
            guard let tag else { continue }
            try decoded.take(tag, &value)
            guard value.isAtEnd else { throw .malformed("a field of a node's state is too long") }
        }
        return decoded
    }
}

extension NodeState.Decoded {
    fileprivate mutating func take(_ tag: NodeState.Tag, _ value: inout ByteReader) throws(WireError) {
        switch tag {
        case .composedAt: state.composedAt = try value.varint()
        case .apiPort: state.apiPort = try value.littleEndian(UInt16.self)
        case .version: state.version = try value.text(bytesMax: NodeState.versionBytesMax)
        case .protocols:
            let (oldest, newest) = (try value.byte(), try value.byte())
            guard oldest <= newest else { throw .malformed("protocols \(oldest) to \(newest)") }
            state.protocols = oldest...newest
        case .vectorCount: state.vectorCount = try value.varint()
        case .lastArchivedAt: state.lastArchivedAt = try value.varint()
        case .hlcFloor: state.hlcFloor = HLC(try value.littleEndian(UInt64.self))
        case .writeState:
            // A state that a later version has added is one in which writes had better go elsewhere.
            state.writeState = NodeState.WriteState(rawValue: try value.byte()) ?? .readOnly
        case .headsHash: state.headsHash = try value.littleEndian(UInt64.self)
        case .digest: state.digest = try value.digest()
        case .heads: state.heads = try value.heads(countMax: NodeState.headsMax)
        case .omittedHeads: state.omittedHeads = try value.count()
        case .indexDigests: state.indexDigests = try value.indexDigests(countMax: NodeState.indexesMax)
        case .origin: state.origin = try value.origin()
        case .archives: state.archives = try value.byte() == 1
        case .joined: state.joined = try value.varint()
        case .life: state.life = try value.varint()
        case .apiIsSecure: state.apiIsSecure = try value.byte() == 1
        case .forgotten: state.forgotten = try value.forgotten(countMax: WireLimits.nodes)
        case .name: name = try value.text(bytesMax: WireLimits.nameBytes)
        }
    }
}

extension ByteReader {
    fileprivate mutating func littleEndian<T: FixedWidthInteger & UnsignedInteger>(
        _ type: T.Type
    ) throws(WireError) -> T {
        try bigEndian(type).byteSwapped
    }

    fileprivate mutating func varint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            let byte = try byte()
            guard shift < 63 || byte <= 1 else { throw .beyondLimit("a varint") }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw .beyondLimit("a varint")
    }

    /// A count or a length: no larger than anything that could be there.
    fileprivate mutating func count() throws(WireError) -> Int {
        let value = try varint()
        guard value <= UInt64(WireLimits.streamBytes) else { throw .beyondLimit("a count of \(value)") }
        return Int(value)
    }

    fileprivate mutating func text(bytesMax: Int) throws(WireError) -> String {
        let bytes = rest()
        guard bytes.count <= bytesMax else { throw .beyondLimit("a text of \(bytes.count) bytes") }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .malformed("a text is not UTF-8") }
        return text
    }

    fileprivate mutating func origin() throws(WireError) -> OriginID {
        OriginID(high: try bigEndian(UInt64.self), low: try bigEndian(UInt64.self))
    }

    fileprivate mutating func digest() throws(WireError) -> NodeState.Digest {
        NodeState.Digest(low: try littleEndian(UInt64.self), high: try littleEndian(UInt64.self))
    }

    fileprivate mutating func heads(countMax: Int) throws(WireError) -> VersionVector {
        var heads = VersionVector()
        var count = 0
        while !isAtEnd {
            count += 1
            guard count <= countMax else { throw .beyondLimit("heads") }
            let origin = try origin()
            let sequence = SpringgLog.Sequence(try varint())
            heads[origin] = VersionVector.Head(sequence: sequence, chain: try littleEndian(UInt64.self))
        }
        return heads
    }

    fileprivate mutating func indexDigests(countMax: Int) throws(WireError) -> [String: NodeState.Digest] {
        var digests: [String: NodeState.Digest] = [:]
        while !isAtEnd {
            guard digests.count < countMax else { throw .beyondLimit("digests of indexes") }
            var name = ByteReader(try take(Int(try byte())))
            digests[try name.text(bytesMax: 255)] = try digest()
        }
        return digests
    }
}

extension ByteReader {
    fileprivate mutating func forgotten(countMax: Int) throws(WireError) -> [String: UInt64] {
        var forgotten: [String: UInt64] = [:]
        while !isAtEnd {
            guard forgotten.count < countMax else { throw .beyondLimit("forgotten members") }
            var name = ByteReader(try take(Int(try byte())))
            forgotten[try name.text(bytesMax: 255)] = try varint()
        }
        return forgotten
    }
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

private func varint(_ value: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = value
    while rest >= 0x80 {
        bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
    }
    return bytes + [UInt8(rest)]
}
