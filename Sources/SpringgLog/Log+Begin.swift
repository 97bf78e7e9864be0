import Synchronization

extension Log {
    /// Begins a log behind the events that a checkpoint holds, in a directory that has no segment.
    ///
    /// For those who build a data directory from what is kept elsewhere: its first record will be `base.lsn + 1`, and
    /// `origin` is whose events will be written once that directory is in use.
    package static func begin(
        in directory: String,
        options: LogOptions,
        fileSystem: any FileSystem,
        origin: OriginID,
        behind base: LogBase
    ) throws(LogError) -> LogWriter {
        try io { () throws(FileSystemError) in try fileSystem.createDirectory(directory) }
        let header = SegmentHeader(
            origin: origin,
            firstLSN: base.lsn.next,
            fileBytes: max(options.segmentBytes, SegmentHeader.bytes),
            link: 0,
            previousFirstLSN: .zero,
            previousSeconds: base.highestHLC.secondsRoundedUp
        )
        let path = directory + "/" + SegmentHeader.fileName(firstLSN: header.firstLSN)
        let prepared = try LogWriter.prepareSegment(
            in: directory,
            bytes: header.fileBytes,
            writingZeros: options.writeZerosAhead,
            fileSystem
        )
        let file = try LogWriter.publishSegment(prepared, header, path: path, fileSystem)
        try io { () throws(FileSystemError) in try fileSystem.syncDirectory(directory) }
        var outcome = LogScan.Outcome()
        outcome.lastSegment = path
        outcome.lastHeader = header
        outcome.endOffset = SegmentHeader.bytes
        outcome.lastLSN = base.lsn
        outcome.trimmed = base.lsn
        outcome.heads = base.heads
        outcome.highestHLC = base.highestHLC
        outcome.segments = [LogSegment(path, header)]
        let log = Log(
            directory: directory,
            options: options,
            origin: origin,
            fileSystem: fileSystem,
            state: State(
                segments: [LogSegment(path, header)],
                watermarks: Watermarks(trimmed: base.lsn, last: base.lsn),
                heads: base.heads,
                highestHLC: base.highestHLC,
                entries: [LogEntry(lsn: base.lsn.next, heads: base.heads)]
            )
        )
        return LogWriter(log: log, file: file, header: header, recovered: outcome)
    }

    /// The face of a log that this process reads without owning it: nothing is appended, nothing removed.
    package static func view(
        of directory: String,
        origin: OriginID,
        upTo base: LogBase
    ) -> Log {
        Log(
            directory: directory,
            options: LogOptions(),
            origin: origin,
            fileSystem: PosixFileSystem(),
            state: State(
                segments: [],
                watermarks: Watermarks(trimmed: base.lsn, last: base.lsn),
                heads: base.heads,
                highestHLC: base.highestHLC
            )
        )
    }
}

extension RecoveryReport {
    /// Of a state that was read without opening its log.
    package static func view(of base: LogBase) -> RecoveryReport {
        RecoveryReport(
            records: 0,
            torn: nil,
            tornCopy: nil,
            highestHLC: base.highestHLC,
            trimmed: base.lsn,
            last: base.lsn
        )
    }
}
