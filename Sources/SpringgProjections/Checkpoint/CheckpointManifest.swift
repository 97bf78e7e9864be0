import SpringgLog

// Manifest, little-endian:
//
//   0  8    magic "SPRGCKP1"
//   8  u32  format version, 3
//  12  u32  heads
//  16  u64  LSN
//  24  u64  highest HLC seen
//  32  u32  names
//  36  u32  0
//  40  u64 HLC and 16 origin of the newest tombstone that was ever dropped (not before version 3)
//  then heads:  16 origin, u64 sequence, u64 chain
//  then names:  u64 bytes of the index file, u64 bytes of the graph file (0: none; not in version 1), u64 concurrent writes, u64 bytes in the log, u64 last LSN,
//               u64 HLC and 16 origin of the newest row, u64 HLC and 16 origin of the last delete,
//               u32 bytes of the name, u32 creates, name padded to 8,
//               each create: u64 HLC, 16 origin, u32 dimensions, u32 bytes of the options, options padded to 8
//  last u32  CRC-32C of everything before, u32 0

/// What a checkpoint holds beside the rows.
struct CheckpointManifest: Equatable {
    struct Name: Equatable {
        var name: String
        var lifetime: IndexLifetime
        var newestVersion: EventVersion
        var counters: IndexCounters
        var fileBytes: Int
        /// 0 when there is no graph.
        var graphBytes: Int
    }

    var base: LogBase
    /// The newest thing that was ever dropped for having been deleted long ago.
    var dropped = EventVersion.none
    var names: [Name]

    private static let magic = UInt64(littleEndian: 0x3150_4B43_4752_5053)  // "SPRGCKP1"
    private static let formatVersion: UInt32 = 3

    func encoded() -> [UInt8] {
        var out = ByteWriter()
        out.integer(CheckpointManifest.magic)
        out.integer(CheckpointManifest.formatVersion)
        out.integer(UInt32(base.heads.origins.count))
        out.integer(base.lsn.rawValue)
        out.integer(base.highestHLC.rawValue)
        out.integer(UInt32(names.count))
        out.integer(UInt32(0))
        out.version(dropped)
        for origin in base.heads.origins {
            out.origin(origin)
            out.integer(base.heads[origin].sequence.rawValue)
            out.integer(base.heads[origin].chain)
        }
        for entry in names {
            out.integer(UInt64(entry.fileBytes))
            out.integer(UInt64(entry.graphBytes))
            out.integer(UInt64(entry.counters.concurrentWrites))
            out.integer(UInt64(entry.counters.logBytes))
            out.integer(entry.counters.lastLSN.rawValue)
            out.version(entry.newestVersion)
            out.version(entry.lifetime.deletedAt)
            out.integer(UInt32(entry.name.utf8.count))
            out.integer(UInt32(entry.lifetime.creations.count))
            out.padded(Array(entry.name.utf8))
            for creation in entry.lifetime.creations {
                out.version(creation.version)
                out.integer(UInt32(creation.dimensions))
                out.integer(UInt32(creation.options.count))
                out.padded(creation.options)
            }
        }
        let checksum = out.bytes.withUnsafeBytes { Checksum.crc32c($0) }
        out.integer(checksum)
        out.integer(UInt32(0))
        return out.bytes
    }

    /// Nil when the bytes are not a whole manifest of a version that this program knows.
    init?(decoding bytes: [UInt8]) {
        guard bytes.count >= 48 else { return nil }
        let checked = bytes.count - 8
        let isIntact = bytes.withUnsafeBytes {
            Checksum.crc32c($0.part(0, checked)) == $0.integer(UInt32.self, at: checked)
                && $0.integer(UInt32.self, at: checked + 4) == 0
        }
        guard isIntact else { return nil }
        var reader = ByteReader(bytes: Array(bytes.prefix(checked)))
        do {
            guard try reader.integer(UInt64.self) == CheckpointManifest.magic else { return nil }
            let version = try reader.integer(UInt32.self)
            guard (1...CheckpointManifest.formatVersion).contains(version) else { return nil }
            let headCount = try reader.integer(UInt32.self)
            let lsn = LSN(try reader.integer(UInt64.self))
            let hlc = HLC(try reader.integer(UInt64.self))
            let nameCount = try reader.integer(UInt32.self)
            _ = try reader.integer(UInt32.self)
            // Before version 3 nothing was dropped.
            if version >= 3 { dropped = try reader.version() }
            var heads = VersionVector()
            for _ in 0..<headCount {
                let origin = try reader.origin()
                heads[origin] = VersionVector.Head(
                    sequence: Sequence(try reader.integer(UInt64.self)),
                    chain: try reader.integer(UInt64.self)
                )
            }
            base = LogBase(lsn: lsn, heads: heads, highestHLC: hlc)
            names = []
            for _ in 0..<nameCount { names.append(try Name(&reader, version)) }
            guard reader.isAtEnd else { return nil }
        } catch {
            return nil
        }
    }

    init(base: LogBase, dropped: EventVersion, names: [Name]) {
        self.base = base
        self.dropped = dropped
        self.names = names
    }
}

extension CheckpointManifest.Name {
    fileprivate init(_ reader: inout ByteReader, _ formatVersion: UInt32) throws(ByteReader.OutOfBytes) {
        fileBytes = try reader.count(UInt64.self)
        // Before version 2 graphs were built anew at each start.
        graphBytes = formatVersion < 2 ? 0 : try reader.count(UInt64.self)
        counters = IndexCounters()
        counters.concurrentWrites = try reader.count(UInt64.self)
        counters.logBytes = try reader.count(UInt64.self)
        counters.lastLSN = LSN(try reader.integer(UInt64.self))
        newestVersion = try reader.version()
        let deletedAt = try reader.version()
        let nameBytes = try reader.count(UInt32.self)
        let creationCount = try reader.count(UInt32.self)
        name = String(decoding: try reader.padded(nameBytes), as: UTF8.self)
        var creations: [IndexLifetime.Creation] = []
        for _ in 0..<creationCount {
            let version = try reader.version()
            let dimensions = try reader.count(UInt32.self)
            let optionsBytes = try reader.count(UInt32.self)
            creations.append(
                .init(version: version, dimensions: dimensions, options: try reader.padded(optionsBytes))
            )
        }
        lifetime = IndexLifetime(deletedAt: deletedAt, creations: creations)
    }
}

/// Builds little-endian bytes.
private struct ByteWriter {
    var bytes: [UInt8] = []

    mutating func integer(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func origin(_ value: OriginID) {
        withUnsafeBytes(of: value.high.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: value.low.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func version(_ value: EventVersion) {
        integer(value.hlc.rawValue)
        origin(value.origin)
    }

    mutating func padded(_ value: [UInt8]) {
        bytes.append(contentsOf: value)
        while bytes.count % 8 != 0 { bytes.append(0) }
    }
}

/// Reads what `ByteWriter` wrote, and nothing beyond the end.
private struct ByteReader {
    struct OutOfBytes: Error {}

    let bytes: [UInt8]
    private var offset = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type) throws(OutOfBytes) -> T {
        let size = MemoryLayout<T>.size
        guard bytes.count - offset >= size else { throw OutOfBytes() }
        defer { offset += size }
        return bytes.withUnsafeBytes { $0.integer(T.self, at: offset) }
    }

    /// An integer that says how many bytes or things follow: never more than there are bytes at all, unless it counts
    /// something outside (a file), which the caller checks.
    mutating func count<T: FixedWidthInteger>(_ type: T.Type) throws(OutOfBytes) -> Int {
        guard let count = Int(exactly: try integer(type)), count >= 0 else { throw OutOfBytes() }
        return count
    }

    mutating func origin() throws(OutOfBytes) -> OriginID {
        OriginID(high: try integer(UInt64.self).byteSwapped, low: try integer(UInt64.self).byteSwapped)
    }

    mutating func version() throws(OutOfBytes) -> EventVersion {
        EventVersion(hlc: HLC(try integer(UInt64.self)), origin: try origin())
    }

    mutating func padded(_ count: Int) throws(OutOfBytes) -> [UInt8] {
        guard bytes.count - offset >= count else { throw OutOfBytes() }
        let value = Array(bytes[offset..<offset + count])
        offset = min(bytes.count, (offset + count + 7) & ~7)
        return value
    }
}
