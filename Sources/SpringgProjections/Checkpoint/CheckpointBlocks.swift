import SpringgLog

// A file of a checkpoint, little-endian:
//
//   0  8    magic: "SPRGIDX1" for rows, "SPRGHNS1" for a graph
//   8  u32  format version, 1
//  12  u32  of a graph, M: links of a node on each level but the lowest, which has twice as many; of rows, 0
//  16  u64  LSN of the checkpoint
//  24  u64  entries; of a graph, nodes: the first so many rows
//  32  16   of rows, the digest of the visible ones; of a graph, 0
//  48  u64  0
//  56  u32  0
//  60  u32  CRC-32C of the 60 bytes above
//  then blocks: u32 bytes of the payload, u32 CRC-32C of the payload, payload; a block of 0 bytes ends the file

/// The head of a file of a checkpoint.
struct CheckpointFileHeader: Equatable {
    enum Kind: UInt64 {
        case rows = 0x3158_4449_4752_5053  // "SPRGIDX1"
        case graph = 0x3153_4E48_4752_5053  // "SPRGHNS1"
    }

    private static let formatVersion: UInt32 = 1

    var kind: Kind
    var lsn: LSN
    var entries: Int
    /// Of a graph.
    var M = 0
    /// Of rows.
    var digest = StateDigest()

    init(_ kind: Kind, lsn: LSN, entries: Int) {
        self.kind = kind
        self.lsn = lsn
        self.entries = entries
    }

    /// Reads a header whose checksum matches; nil when it is of another kind or a newer version.
    init?(_ kind: Kind, decoding bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= CheckpointBlocks.headerBytes, bytes.integer(UInt64.self, at: 0) == kind.rawValue,
            bytes.integer(UInt32.self, at: 8) == CheckpointFileHeader.formatVersion,
            let entries = Int(exactly: bytes.integer(UInt64.self, at: 24))
        else { return nil }
        self.init(kind, lsn: LSN(bytes.integer(UInt64.self, at: 16)), entries: entries)
        M = Int(bytes.integer(UInt32.self, at: 12))
        let digest = bytes.origin(at: 32)
        self.digest = StateDigest(high: digest.high, low: digest.low)
    }

    /// Writes the header to zeros, all but its checksum.
    func encode(into out: UnsafeMutableRawBufferPointer) {
        out.store(kind.rawValue, at: 0)
        out.store(CheckpointFileHeader.formatVersion, at: 8)
        out.store(UInt32(M), at: 12)
        out.store(lsn.rawValue, at: 16)
        out.store(UInt64(entries), at: 24)
        out.store(OriginID(high: digest.high, low: digest.low), at: 32)
    }
}

/// What the files of a checkpoint have in common.
enum CheckpointBlocks {
    /// Bytes of a header.
    static let headerBytes = 64
    /// A block is written once it has so many bytes.
    fileprivate static let blockBytes = 1 << 20
    /// So many bytes are handed to the disk at once: a sync of the log may have to wait for them.
    fileprivate static let unsyncedBytesMax = 8 << 20
    /// Payload of the largest block: what one is written at, and one entry of the largest kind on top.
    fileprivate static let payloadBytesMax = 4 << 20
}

/// Gathers entries into checksummed blocks behind the header of a file.
struct BlockWriter {
    private let file: any File
    private var unsyncedBytes = 0
    private var offset = CheckpointBlocks.headerBytes
    private var block: [UInt8] = []
    /// Entries so far.
    private(set) var entries = 0

    init(file: any File) throws(FileSystemError) {
        self.file = file
        block.reserveCapacity(CheckpointBlocks.blockBytes + (256 << 10))
        block.append(contentsOf: repeatElement(0, count: 8))
    }

    /// Adds an entry of so many bytes, which `encode` writes.
    mutating func append(
        _ bytes: Int,
        _ encode: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(FileSystemError) {
        let start = block.count
        block.append(contentsOf: repeatElement(0, count: bytes))
        block.withUnsafeMutableBytes { encode(UnsafeMutableRawBufferPointer(rebasing: $0[start...])) }
        entries += 1
        if block.count >= CheckpointBlocks.blockBytes { try writeBlock() }
    }

    private mutating func writeBlock() throws(FileSystemError) {
        block.withUnsafeMutableBytes { block in
            block.store(UInt32(block.count - 8), at: 0)
            let payload = UnsafeRawBufferPointer(rebasing: block[8...])
            block.store(Checksum.crc32c(payload), at: 4)
        }
        try block.withBytes { bytes throws(FileSystemError) in try file.write(bytes, at: offset) }
        offset += block.count
        unsyncedBytes += block.count
        block.removeSubrange(8...)
        if unsyncedBytes >= CheckpointBlocks.unsyncedBytesMax {
            try file.sync()
            unsyncedBytes = 0
        }
    }

    /// Writes the last block, the end and the header; durable on return.
    ///
    /// Returns the size of the file.
    mutating func finish(_ encodeHeader: (UnsafeMutableRawBufferPointer) -> Void) throws(FileSystemError) -> Int {
        if block.count > 8 { try writeBlock() }
        try writeBlock()
        var header = [UInt8](repeating: 0, count: CheckpointBlocks.headerBytes)
        header.withUnsafeMutableBytes { out in
            encodeHeader(out)
            let checked = CheckpointBlocks.headerBytes - 4
            out.store(Checksum.crc32c(UnsafeRawBufferPointer(out).part(0, checked)), at: checked)
        }
        try header.withBytes { bytes throws(FileSystemError) in try file.write(bytes, at: 0) }
        try file.sync()
        return offset
    }
}

/// Reads the blocks of a file in order.
final class BlockReader {
    /// The header, whose checksum matches.
    let header: [UInt8]
    private let path: String
    private let file: any File
    private var offset = CheckpointBlocks.headerBytes
    private let end: Int
    private var buffer: UnsafeMutableRawBufferPointer

    init(path: String, fileSystem: any FileSystem, fileBytes: Int) throws(CheckpointDamage) {
        self.path = path
        var bytes = [UInt8](repeating: 0, count: CheckpointBlocks.headerBytes)
        let size: Int
        do throws(FileSystemError) {
            file = try fileSystem.open(path, .read)
            size = try file.size()
            _ = try bytes.withMutableBytes { [file] buffer throws(FileSystemError) in
                try file.read(at: 0, into: buffer)
            }
        } catch {
            throw CheckpointDamage(path: path, reason: "\(error)")
        }
        guard size == fileBytes else {
            throw CheckpointDamage(path: path, reason: "it has \(size) bytes instead of \(fileBytes)")
        }
        let checked = CheckpointBlocks.headerBytes - 4
        let isIntact = bytes.withUnsafeBytes {
            Checksum.crc32c($0.part(0, checked)) == $0.integer(UInt32.self, at: checked)
        }
        guard isIntact else { throw CheckpointDamage(path: path, reason: "its header is damaged") }
        header = bytes
        end = size
        buffer = .allocate(byteCount: CheckpointBlocks.payloadBytesMax, alignment: 64)
    }

    deinit { buffer.deallocate() }

    /// The payload of the next block; nil at the end, which must be the end of the file too.
    func next() throws(CheckpointDamage) -> UnsafeRawBufferPointer? {
        let head = try read(8, at: offset)
        let bytes = Int(head.integer(UInt32.self, at: 0))
        let checksum = head.integer(UInt32.self, at: 4)
        offset += 8
        if bytes == 0, checksum == 0, offset == end { return nil }
        guard bytes > 0, bytes <= CheckpointBlocks.payloadBytesMax, bytes <= end - offset else {
            throw CheckpointDamage(path: path, reason: "the length of the block at offset \(offset - 8) is damaged")
        }
        let payload = try read(bytes, at: offset)
        guard Checksum.crc32c(payload) == checksum else {
            throw CheckpointDamage(
                path: path,
                reason: "the checksum of the block at offset \(offset - 8) does not match"
            )
        }
        offset += bytes
        return payload
    }

    private func read(_ count: Int, at offset: Int) throws(CheckpointDamage) -> UnsafeRawBufferPointer {
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        let done: Int
        do throws(FileSystemError) {
            done = try file.read(at: offset, into: part)
        } catch {
            throw CheckpointDamage(path: path, reason: "\(error)")
        }
        guard done == count else { throw CheckpointDamage(path: path, reason: "it ends at offset \(offset + done)") }
        return UnsafeRawBufferPointer(part)
    }
}
