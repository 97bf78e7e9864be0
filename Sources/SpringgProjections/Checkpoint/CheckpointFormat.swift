import SpringgLog

// A checkpoint is a manifest and one file for each name of an index, in DATA/checkpoints:
//
//   {LSN, 20 digits}-{number, 6 digits}.index    the rows under one name
//   {LSN, 20 digits}-{number, 6 digits}.graph    the graph over them, if there is one: see GraphFile.swift
//   {LSN, 20 digits}.manifest                    written last, under another name first: with it the checkpoint exists
//
// Index file, little-endian:
//
//   0  8    magic "SPRGIDX1"
//   8  u32  format version, 1
//  12  u32  0
//  16  u64  LSN of the checkpoint
//  24  u64  entries
//  32  16   digest of the visible rows
//  48  u64  0
//  56  u32  0
//  60  u32  CRC-32C of the 60 bytes above
//  then blocks: u32 bytes of the payload, u32 CRC-32C of the payload, payload; a block of 0 bytes ends the file
//
// A payload holds whole entries, each padded to 8; visible rows first, and of those the ones that the graph holds, in its
// order:
//
//   0  u8   1 visible row, 2 hidden row, 3 tombstone
//   1  u8   0
//   2  u16  bytes of the id
//   4  u32  bytes of the metadata
//   8  u32  components of the vector
//  12  u32  0
//  16  u64  HLC of the version
//  24  16   origin of the version
//  40       f32 × components, id, metadata

/// One row or tombstone in a checkpoint; its views are valid while the block is.
struct CheckpointEntry {
    enum Kind: UInt8 {
        case visible = 1
        case hidden = 2
        case tombstone = 3
    }

    var kind: Kind
    var version: EventVersion
    var id: UnsafeRawBufferPointer
    var vector: UnsafeRawBufferPointer
    var metadata: UnsafeRawBufferPointer

    static let headerBytes = 40

    var bytes: Int { padded(CheckpointEntry.headerBytes + vector.count + id.count + metadata.count) }

    /// Reads the entry at the start of `bytes`; nil when it contradicts itself.
    init?(decoding bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= CheckpointEntry.headerBytes, let kind = Kind(rawValue: bytes.integer(UInt8.self, at: 0))
        else { return nil }
        let idBytes = Int(bytes.integer(UInt16.self, at: 2))
        let metadataBytes = Int(bytes.integer(UInt32.self, at: 4))
        let vectorBytes = Int(bytes.integer(UInt32.self, at: 8)) * 4
        guard (1...EventLimits.vectorIDBytesMax).contains(idBytes), metadataBytes <= EventLimits.metadataBytesMax,
            vectorBytes <= EventLimits.dimensionsMax * 4, (kind == .tombstone) == (vectorBytes == 0),
            padded(CheckpointEntry.headerBytes + vectorBytes + idBytes + metadataBytes) <= bytes.count
        else { return nil }
        self.kind = kind
        version = EventVersion(hlc: HLC(bytes.integer(UInt64.self, at: 16)), origin: bytes.origin(at: 24))
        vector = bytes.part(CheckpointEntry.headerBytes, vectorBytes)
        id = bytes.part(CheckpointEntry.headerBytes + vectorBytes, idBytes)
        metadata = bytes.part(CheckpointEntry.headerBytes + vectorBytes + idBytes, metadataBytes)
    }

    init(
        kind: Kind,
        version: EventVersion,
        id: UnsafeRawBufferPointer,
        vector: UnsafeRawBufferPointer,
        metadata: UnsafeRawBufferPointer
    ) {
        self.kind = kind
        self.version = version
        self.id = id
        self.vector = vector
        self.metadata = metadata
    }

    /// Writes the entry to `out`, which must have `bytes` bytes.
    func encode(into out: UnsafeMutableRawBufferPointer) {
        out.store(kind.rawValue, at: 0)
        out.store(UInt8(0), at: 1)
        out.store(UInt16(id.count), at: 2)
        out.store(UInt32(metadata.count), at: 4)
        out.store(UInt32(vector.count / 4), at: 8)
        out.store(UInt32(0), at: 12)
        out.store(version.hlc.rawValue, at: 16)
        out.store(version.origin, at: 24)
        var offset = out.store(vector, at: CheckpointEntry.headerBytes)
        offset = out.store(id, at: offset)
        offset = out.store(metadata, at: offset)
        while offset < out.count {
            out[offset] = 0
            offset += 1
        }
    }
}

/// The head of an index file.
struct IndexFileHeader: Equatable {
    private static let magic = UInt64(littleEndian: 0x3158_4449_4752_5053)  // "SPRGIDX1"
    private static let formatVersion: UInt32 = 1

    var lsn: LSN
    var entries: Int
    var digest: StateDigest

    init(lsn: LSN, entries: Int, digest: StateDigest) {
        self.lsn = lsn
        self.entries = entries
        self.digest = digest
    }

    /// Reads a header whose checksum matches.
    init?(decoding bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= CheckpointBlocks.headerBytes,
            bytes.integer(UInt64.self, at: 0) == IndexFileHeader.magic,
            bytes.integer(UInt32.self, at: 8) == IndexFileHeader.formatVersion,
            let entries = Int(exactly: bytes.integer(UInt64.self, at: 24))
        else { return nil }
        lsn = LSN(bytes.integer(UInt64.self, at: 16))
        self.entries = entries
        digest = StateDigest(
            high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 32, as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 40, as: UInt64.self))
        )
    }

    /// Writes the header to zeros, all but its checksum.
    func encode(into out: UnsafeMutableRawBufferPointer) {
        out.store(IndexFileHeader.magic, at: 0)
        out.store(IndexFileHeader.formatVersion, at: 8)
        out.store(lsn.rawValue, at: 16)
        out.store(UInt64(entries), at: 24)
        out.store(OriginID(high: digest.high, low: digest.low), at: 32)
    }
}
