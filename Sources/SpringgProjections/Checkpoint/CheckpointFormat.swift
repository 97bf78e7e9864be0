import SpringgLog

// A checkpoint is a manifest and one file for each name of an index, in DATA/checkpoints:
//
//   {LSN, 20 digits}-{number, 6 digits}.index    the rows under one name
//   {LSN, 20 digits}-{number, 6 digits}.graph    the graph over them, if there is one: see GraphFile.swift
//   {LSN, 20 digits}.manifest                    written last, under another name first: with it the checkpoint exists
//
// Each of the two begins with a header and goes on with blocks: see CheckpointBlocks.swift. A payload of an index file holds
// whole entries, each padded to 8, little-endian; visible rows first, and of those the ones that the graph holds, in its order:
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

/// As a checkpoint holds it; its views are valid while the block is.
extension StateEntry {
    static let headerBytes = 40

    var bytes: Int { padded(StateEntry.headerBytes + vector.count + id.count + metadata.count) }

    /// Reads the entry at the start of `bytes`; nil when it contradicts itself.
    init?(decoding bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= StateEntry.headerBytes, let kind = Kind(rawValue: bytes.integer(UInt8.self, at: 0))
        else { return nil }
        let idBytes = Int(bytes.integer(UInt16.self, at: 2))
        let metadataBytes = Int(bytes.integer(UInt32.self, at: 4))
        let vectorBytes = Int(bytes.integer(UInt32.self, at: 8)) * 4
        guard (1...EventLimits.vectorIDBytesMax).contains(idBytes), metadataBytes <= EventLimits.metadataBytesMax,
            vectorBytes <= EventLimits.dimensionsMax * 4, (kind == .tombstone) == (vectorBytes == 0),
            padded(StateEntry.headerBytes + vectorBytes + idBytes + metadataBytes) <= bytes.count
        else { return nil }
        self.kind = kind
        version = EventVersion(hlc: HLC(bytes.integer(UInt64.self, at: 16)), origin: bytes.origin(at: 24))
        vector = bytes.part(StateEntry.headerBytes, vectorBytes)
        id = bytes.part(StateEntry.headerBytes + vectorBytes, idBytes)
        metadata = bytes.part(StateEntry.headerBytes + vectorBytes + idBytes, metadataBytes)
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
        var offset = out.store(vector, at: StateEntry.headerBytes)
        offset = out.store(id, at: offset)
        offset = out.store(metadata, at: offset)
        while offset < out.count {
            out[offset] = 0
            offset += 1
        }
    }
}
