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
    let team: IndexingTeam
    /// Graphs that could not be used, and why; they are built anew from their rows.
    private(set) var damagedGraphs: [String] = []

    init(directory: String, fileSystem: any FileSystem, team: IndexingTeam) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.team = team
    }

    /// Returns what the log continues from.
    mutating func restore(_ lsn: LSN, into materializer: Materializer) throws(CheckpointDamage) -> LogBase {
        let path = directory + "/" + CheckpointFiles.manifest(lsn)
        guard let manifest = CheckpointManifest(decoding: try read(path)), manifest.base.lsn == lsn else {
            throw CheckpointDamage(path: path, reason: "the manifest is damaged or of a newer version")
        }
        for (number, name) in manifest.names.enumerated() {
            try restore(name, number, manifest.base, into: materializer)
        }
        materializer.restored(manifest.base, dropped: manifest.dropped)
        return manifest.base
    }

    private mutating func restore(
        _ name: CheckpointManifest.Name,
        _ number: Int,
        _ base: LogBase,
        into materializer: Materializer
    ) throws(CheckpointDamage) {
        let path = directory + "/" + CheckpointFiles.indexFile(base.lsn, number)
        func damage(_ reason: String) -> CheckpointDamage { CheckpointDamage(path: path, reason: reason) }
        let blocks = try BlockReader(path: path, fileSystem: fileSystem, fileBytes: name.fileBytes)
        guard let header = blocks.header.withUnsafeBytes({ CheckpointFileHeader(.rows, decoding: $0) }) else {
            throw damage("it is of a newer version")
        }
        guard header.lsn == base.lsn else { throw damage("it belongs to another checkpoint") }
        let rows = materializer.restore(name)
        var entries = 0
        while let block = try blocks.next() {
            var offset = 0
            while offset < block.count {
                guard let entry = StateEntry(decoding: UnsafeRawBufferPointer(rebasing: block[offset...])),
                    rows.restore(entry, lsn: base.lsn)
                else { throw damage("an entry contradicts itself or its index") }
                offset += entry.bytes
                entries += 1
            }
        }
        guard entries == header.entries, rows.index?.digest ?? StateDigest() == header.digest else {
            throw damage("its rows are not those that were written")
        }
        if let index = rows.index, name.graphBytes > 0 {
            do throws(CheckpointDamage) {
                let path = directory + "/" + CheckpointFiles.graphFile(base.lsn, number)
                let blocks = try BlockReader(path: path, fileSystem: fileSystem, fileBytes: name.graphBytes)
                try index.restoreGraph(from: blocks, path: path, lsn: base.lsn, team)
            } catch {
                damagedGraphs.append("\(error)")
            }
        }
        rows.publish()
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
