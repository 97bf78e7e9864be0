import SpringgLog

/// A checkpoint that cannot be used, and why.
package struct CheckpointDamage: Error, Sendable, Equatable, CustomStringConvertible {
    package let path: String
    package let reason: String

    package var description: String { "\(path): \(reason)" }
}

/// Brings a checkpoint back into fresh projections, believing nothing that its checksums do not cover.
struct CheckpointReader {
    let directory: String
    let fileSystem: any FileSystem

    /// Returns what the log continues from.
    func restore(_ lsn: LSN, into materializer: Materializer) throws(CheckpointDamage) -> LogBase {
        let path = directory + "/" + CheckpointFiles.manifest(lsn)
        guard let manifest = CheckpointManifest(decoding: try read(path)), manifest.base.lsn == lsn else {
            throw CheckpointDamage(path: path, reason: "the manifest is damaged or of a newer version")
        }
        for (number, name) in manifest.names.enumerated() {
            try restore(name, number, manifest.base, into: materializer)
        }
        materializer.restored(manifest.base)
        return manifest.base
    }

    private func restore(
        _ name: CheckpointManifest.Name,
        _ number: Int,
        _ base: LogBase,
        into materializer: Materializer
    ) throws(CheckpointDamage) {
        let path = directory + "/" + CheckpointFiles.indexFile(base.lsn, number)
        func damage(_ reason: String) -> CheckpointDamage { CheckpointDamage(path: path, reason: reason) }
        let blocks = try BlockReader(path: path, fileSystem: fileSystem, fileBytes: name.fileBytes)
        guard blocks.header.lsn == base.lsn else { throw damage("it belongs to another checkpoint") }
        let rows = materializer.restore(name)
        var entries = 0
        while let block = try blocks.next() {
            var offset = 0
            while offset < block.count {
                guard let entry = CheckpointEntry(decoding: UnsafeRawBufferPointer(rebasing: block[offset...])),
                    rows.restore(entry, lsn: base.lsn)
                else { throw damage("an entry contradicts itself or its index") }
                offset += entry.bytes
                entries += 1
            }
        }
        guard entries == blocks.header.entries, rows.index?.digest ?? StateDigest() == blocks.header.digest else {
            throw damage("its rows are not those that were written")
        }
        rows.restored()
    }

    private func read(_ path: String) throws(CheckpointDamage) -> [UInt8] {
        do throws(FileSystemError) {
            let file = try fileSystem.open(path, .read)
            var bytes = [UInt8](repeating: 0, count: try file.size())
            let count = try bytes.withMutableBytes { buffer throws(FileSystemError) in
                try file.read(at: 0, into: buffer)
            }
            return Array(bytes.prefix(count))
        } catch {
            throw CheckpointDamage(path: path, reason: "\(error)")
        }
    }
}

/// Reads the blocks of an index file in order.
private final class BlockReader {
    /// Payload of the largest block: what one is written at, and one entry of the largest kind on top.
    private static let payloadBytesMax = 4 << 20

    let header: IndexFileHeader
    private let path: String
    private let file: any File
    private var offset = IndexFileHeader.bytes
    private let end: Int
    private var buffer: UnsafeMutableRawBufferPointer

    init(path: String, fileSystem: any FileSystem, fileBytes: Int) throws(CheckpointDamage) {
        self.path = path
        var bytes = [UInt8](repeating: 0, count: IndexFileHeader.bytes)
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
        guard let header = bytes.withUnsafeBytes({ IndexFileHeader(decoding: $0) }) else {
            throw CheckpointDamage(path: path, reason: "its header is damaged or of a newer version")
        }
        self.header = header
        end = size
        buffer = .allocate(byteCount: BlockReader.payloadBytesMax, alignment: 64)
    }

    deinit { buffer.deallocate() }

    /// The payload of the next block; nil at the end, which must be the end of the file too.
    func next() throws(CheckpointDamage) -> UnsafeRawBufferPointer? {
        let head = try read(8, at: offset)
        let bytes = Int(head.integer(UInt32.self, at: 0))
        let checksum = head.integer(UInt32.self, at: 4)
        offset += 8
        if bytes == 0, checksum == 0, offset == end { return nil }
        guard bytes > 0, bytes <= BlockReader.payloadBytesMax, bytes <= end - offset else {
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
