import SpringgLog
package import SpringgProjections

// The content of a block, little-endian:
//
//  0  8    magic "SPRGBLK1"
//  8  u32  format version, 1
// 12  u32  entries
// 16  u64  components of all vectors together
// 24  u64  bytes of all entries together
// 32       entries, in ascending order of the bytes of their ids, each padded with zeros to a multiple of 8:
//             0  u8   1 visible row, 2 hidden row, 3 tombstone
//             1  u8   0
//             2  u16  bytes of the id
//             4  u32  bytes of the metadata
//             8  u32  components of the vector
//            12  u32  0
//            16  u64  HLC of the version
//            24  16   origin of the version
//            40       id, metadata
//  …       the vectors, in the order of the entries, as four planes: the lowest byte of every component, then the next …
//
// The bytes of a float are not alike: sign and exponent take few values, the lower ones any. Apart they compress to 84 to
// 89 % instead of 93 % (docs/design/0012-history.md); nothing else is done, since the rest is noise.

/// Encodes and decodes the content of blocks.
package enum SnapshotBlock {
    /// Content of a block, unless a single entry has more.
    static let bytesMax = 1 << 20
    /// Content of the largest block: bounds what a reader makes room for.
    static let contentBytesMax = 4 << 20
    static let headerBytes = 32
    private static let entryHeaderBytes = 40
    private static let magic = UInt64(littleEndian: 0x314B_4C42_4752_5053)  // "SPRGBLK1"
    private static let formatVersion: UInt32 = 1

    /// What an entry adds to a block.
    static func bytes(of entry: StateEntry) -> Int {
        padded(entryHeaderBytes + entry.id.count + entry.metadata.count) + entry.vector.count
    }

    /// Builds the content of one block, entry by entry in the order of their ids.
    package struct Builder {
        private var heads: [UInt8] = []
        private var floats: [UInt8] = []
        private var entries: UInt32 = 0

        package init() {}

        package mutating func append(_ entry: StateEntry) {
            let start = heads.count
            let bytes = padded(entryHeaderBytes + entry.id.count + entry.metadata.count)
            heads.append(contentsOf: repeatElement(0, count: bytes))
            heads.withUnsafeMutableBytes { heads in
                let out = UnsafeMutableRawBufferPointer(rebasing: heads[start...])
                out.store(entry.kind.rawValue, at: 0)
                out.store(UInt16(entry.id.count), at: 2)
                out.store(UInt32(entry.metadata.count), at: 4)
                out.store(UInt32(entry.vector.count / 4), at: 8)
                out.store(entry.version.hlc.rawValue, at: 16)
                out.store(entry.version.origin, at: 24)
                out.store(entry.metadata, at: out.store(entry.id, at: entryHeaderBytes))
            }
            floats.append(contentsOf: entry.vector)
            entries += 1
        }

        /// The content; the builder is empty afterwards.
        package mutating func finish() -> [UInt8] {
            var content = [UInt8](repeating: 0, count: headerBytes + heads.count + floats.count)
            content.withUnsafeMutableBytes { out in
                out.store(magic, at: 0)
                out.store(formatVersion, at: 8)
                out.store(entries, at: 12)
                out.store(UInt64(floats.count / 4), at: 16)
                out.store(UInt64(heads.count), at: 24)
                heads.withUnsafeBytes { _ = out.store($0, at: headerBytes) }
                floats.withUnsafeBytes { floats in
                    split(floats, into: UnsafeMutableRawBufferPointer(rebasing: out[(headerBytes + heads.count)...]))
                }
            }
            heads.removeAll(keepingCapacity: true)
            floats.removeAll(keepingCapacity: true)
            entries = 0
            return content
        }
    }

    /// Why a content is no block.
    package struct Flaw: Error, Equatable {
        package let reason: String
    }

    /// Calls `body` with each entry; trusts no length.
    ///
    /// Returns how many there were.
    package static func forEachEntry(
        _ content: UnsafeRawBufferPointer,
        _ body: (StateEntry) throws -> Void
    ) throws -> Int {
        guard content.count >= headerBytes, content.integer(UInt64.self, at: 0) == magic else {
            throw Flaw(reason: "it is no block of rows")
        }
        let version = content.integer(UInt32.self, at: 8)
        guard version == formatVersion else { throw Flaw(reason: "its format version is \(version)") }
        let entries = Int(content.integer(UInt32.self, at: 12))
        let components = content.integer(UInt64.self, at: 16)
        let headBytes = content.integer(UInt64.self, at: 24)
        let rest = UInt64(content.count - headerBytes)
        guard headBytes <= rest, components <= rest / 4, headBytes + components * 4 == rest else {
            throw Flaw(reason: "its lengths contradict each other")
        }
        let heads = content.part(headerBytes, Int(headBytes))
        let planes = content.part(headerBytes + Int(headBytes), Int(components) * 4)
        let floats = UnsafeMutableRawBufferPointer.allocate(byteCount: max(planes.count, 1), alignment: 16)
        defer { floats.deallocate() }
        join(planes, into: floats)
        var offset = 0
        var component = 0
        for _ in 0..<entries {
            let entry = try self.entry(heads, &offset, UnsafeRawBufferPointer(floats), &component, Int(components))
            try body(entry)
        }
        guard offset == heads.count, component == Int(components) else {
            throw Flaw(reason: "its entries are not as many as it says")
        }
        return entries
    }

    private static func entry(
        _ heads: UnsafeRawBufferPointer,
        _ offset: inout Int,
        _ floats: UnsafeRawBufferPointer,
        _ component: inout Int,
        _ components: Int
    ) throws(Flaw) -> StateEntry {
        let damaged = Flaw(reason: "an entry contradicts itself")
        guard heads.count - offset >= entryHeaderBytes,
            let kind = StateEntry.Kind(rawValue: heads.integer(UInt8.self, at: offset))
        else { throw damaged }
        let idBytes = Int(heads.integer(UInt16.self, at: offset + 2))
        let metadataBytes = Int(heads.integer(UInt32.self, at: offset + 4))
        let count = Int(heads.integer(UInt32.self, at: offset + 8))
        guard (1...EventLimits.vectorIDBytesMax).contains(idBytes), metadataBytes <= EventLimits.metadataBytesMax,
            count <= EventLimits.dimensionsMax, (kind == .tombstone) == (count == 0), count <= components - component,
            padded(entryHeaderBytes + idBytes + metadataBytes) <= heads.count - offset
        else { throw damaged }
        let entry = StateEntry(
            kind: kind,
            version: EventVersion(
                hlc: HLC(heads.integer(UInt64.self, at: offset + 16)),
                origin: heads.origin(at: offset + 24)
            ),
            id: heads.part(offset + entryHeaderBytes, idBytes),
            vector: floats.part(component * 4, count * 4),
            metadata: heads.part(offset + entryHeaderBytes + idBytes, metadataBytes)
        )
        offset += padded(entryHeaderBytes + idBytes + metadataBytes)
        component += count
        return entry
    }

    /// Bytes of 4-byte words → four planes.
    private static func split(_ words: UnsafeRawBufferPointer, into planes: UnsafeMutableRawBufferPointer) {
        let count = words.count / 4
        for plane in 0..<4 {
            let out = UnsafeMutableRawBufferPointer(rebasing: planes[plane * count..<(plane + 1) * count])
            for word in 0..<count { out[word] = words[word * 4 + plane] }
        }
    }

    /// Four planes → bytes of 4-byte words.
    private static func join(_ planes: UnsafeRawBufferPointer, into words: UnsafeMutableRawBufferPointer) {
        let count = planes.count / 4
        for plane in 0..<4 {
            let part = planes.part(plane * count, count)
            for word in 0..<count { words[word * 4 + plane] = part[word] }
        }
    }
}
