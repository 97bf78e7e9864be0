package import SpringgLog

extension Materializer {
    /// Writes a checkpoint of this moment; the caller keeps the materializer still meanwhile.
    package func checkpoint(
        heads: VersionVector,
        to directory: String,
        _ fileSystem: any FileSystem
    ) throws(FileSystemError) {
        let writer = CheckpointWriter(directory: directory, fileSystem: fileSystem, isCancelled: { false })
        _ = try writer.write(capture(heads: heads))
    }

    /// A fresh materializer with what the checkpoint of `lsn` holds, where the log goes on, and the graphs that could not
    /// be used.
    package static func restore(
        _ lsn: LSN,
        from directory: String,
        _ fileSystem: any FileSystem,
        threads: Int = 1
    ) throws(CheckpointDamage) -> (materializer: Materializer, base: LogBase, damagedGraphs: [String]) {
        let team = IndexingTeam(threads: threads)
        defer { team.stop() }
        let materializer = Materializer()
        var reader = CheckpointReader(directory: directory, fileSystem: fileSystem, team: team)
        let base = try reader.restore(lsn, into: materializer)
        return (materializer, base, reader.damagedGraphs)
    }
}
