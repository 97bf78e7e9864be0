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

    /// A fresh materializer with what the checkpoint of `lsn` holds, and where the log goes on.
    package static func restore(
        _ lsn: LSN,
        from directory: String,
        _ fileSystem: any FileSystem
    ) throws(CheckpointDamage) -> (materializer: Materializer, base: LogBase) {
        let materializer = Materializer()
        let reader = CheckpointReader(directory: directory, fileSystem: fileSystem)
        return (materializer, try reader.restore(lsn, into: materializer))
    }
}
