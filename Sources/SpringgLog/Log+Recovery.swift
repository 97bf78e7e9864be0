import Synchronization

/// What opening a log found and did.
public struct RecoveryReport: Sendable {
    /// Records read.
    public var records: UInt64
    /// The first record that was cut off because the last batch had not been written whole; nil when there was none.
    public var torn: LogDamage?
    /// Where the cut bytes were kept.
    public var tornCopy: String?
    /// The highest clock reading in the log.
    public var highestHLC: HLC
    /// What precedes the first record, removed by retention.
    public var trimmed: LSN
    /// The last record.
    public var last: LSN
    /// What the log itself says it is without, because it was salvaged from a damaged one.
    public var losses: [LogLoss] = []
}

extension Log {
    /// Opens the log in `directory` for reading and writing, or begins one.
    ///
    /// Every record beyond `base` is checked and handed to `visit` in LSN order. A torn end is kept beside the segments as
    /// `torn-….bin`, zeroed and reported. On return everything in the log is durable.
    /// - Throws: `.corrupt` with the place, leaving everything as it was; `.newerFormat`; `.io`; `.diskFull`.
    public static func open(
        directory: String,
        options: LogOptions = LogOptions(),
        fileSystem: any FileSystem,
        newOrigin: OriginID,
        from base: LogBase = .beginning,
        visit: (LogRecord) throws(LogError) -> Void
    ) throws(LogError) -> (log: Log, writer: LogWriter, report: RecoveryReport) {
        try io { () throws(FileSystemError) in try fileSystem.createDirectory(directory) }
        let scan = LogScan(directory: directory, fileSystem: fileSystem)
        var outcome = try scan.run(from: base, visit)
        try removeUnfinished(directory, fileSystem)
        // The process may have ended between naming a segment and making the name durable: nothing may be written into
        // a file that the next power loss could take away whole.
        try io { () throws(FileSystemError) in try fileSystem.syncDirectory(directory) }

        var tornCopy: String?
        let file: any File
        if let path = outcome.lastSegment, let header = outcome.lastHeader {
            file = try io { () throws(FileSystemError) in try fileSystem.open(path, .readWrite) }
            if let torn = outcome.torn {
                tornCopy = try cut(torn, end: outcome.tornEnd, file, directory, fileSystem)
            }
            try io { () throws(FileSystemError) in
                if try file.size() < header.fileBytes { try file.reserve(size: header.fileBytes, writingZeros: false) }
                try rewrite(file, from: outcome.unprovenOffset, to: outcome.endOffset)
                try file.sync()
            }
        } else {
            let header = SegmentHeader(
                origin: newOrigin,
                firstLSN: LSN(1),
                fileBytes: max(options.segmentBytes, SegmentHeader.bytes),
                link: 0,
                previousFirstLSN: .zero,
                previousSeconds: 0
            )
            let path = directory + "/" + SegmentHeader.fileName(firstLSN: LSN(1))
            let prepared = try LogWriter.prepareSegment(
                in: directory,
                bytes: header.fileBytes,
                writingZeros: options.writeZerosAhead,
                fileSystem
            )
            file = try LogWriter.publishSegment(prepared, header, path: path, fileSystem)
            try io { () throws(FileSystemError) in try fileSystem.syncDirectory(directory) }
            outcome.lastHeader = header
            outcome.lastSegment = path
            outcome.endOffset = SegmentHeader.bytes
            outcome.segments = [LogSegment(path, header)]
            outcome.entries = [LogEntry(lsn: LSN(1), heads: VersionVector())]
        }

        // Set above; a log without a segment does not exist.
        guard let header = outcome.lastHeader else { throw .closed }
        let log = Log(
            directory: directory,
            options: options,
            origin: header.origin,
            fileSystem: fileSystem,
            state: State(
                segments: outcome.segments,
                watermarks: Watermarks(trimmed: outcome.trimmed, last: outcome.lastLSN),
                heads: outcome.heads,
                highestHLC: outcome.highestHLC,
                entries: outcome.entries,
                knowsHeads: outcome.losses.isEmpty
            )
        )
        let writer = LogWriter(log: log, file: file, header: header, recovered: outcome)
        let report = RecoveryReport(
            records: outcome.records,
            torn: outcome.torn,
            tornCopy: tornCopy,
            highestHLC: outcome.highestHLC,
            trimmed: outcome.trimmed,
            last: outcome.lastLSN,
            losses: outcome.losses
        )
        return (log, writer, report)
    }

    /// Segments that were being prepared when the process ended hold nothing.
    private static func removeUnfinished(_ directory: String, _ fileSystem: any FileSystem) throws(LogError) {
        try io { () throws(FileSystemError) in
            for name in try fileSystem.list(directory) where name.hasSuffix(LogWriter.preparedSuffix) {
                try fileSystem.remove(directory + "/" + name)
            }
        }
    }

    /// Keeps a copy of the torn bytes, then zeroes them.
    ///
    /// Returns the path of the copy.
    private static func cut(
        _ torn: LogDamage,
        end: Int,
        _ file: any File,
        _ directory: String,
        _ fileSystem: any FileSystem
    ) throws(LogError) -> String {
        let path = directory + "/torn-\(torn.lsn)-\(torn.offset).bin"
        try io { () throws(FileSystemError) in
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
            defer { buffer.deallocate() }
            let copy = try fileSystem.open(path, .create)
            var offset = torn.offset
            while offset < end {
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, end - offset)])
                let count = try file.read(at: offset, into: part)
                guard count > 0 else { break }
                try copy.write(UnsafeRawBufferPointer(part).part(0, count), at: offset - torn.offset)
                offset += count
            }
            try copy.sync()
            try fileSystem.syncDirectory(directory)
            // The end of the header first: however little of the rest is written, there is a hole where a record should begin.
            let header = torn.offset + Frame.headerBytes
            if header <= end {
                try file.writeZeros(from: header - 8, to: header)
                try file.sync()
            }
            try file.writeZeros(from: torn.offset, to: end)
            try file.sync()
        }
        return path
    }

    /// Writes bytes back over themselves.
    ///
    /// After a sync that failed in an earlier life the page cache may show bytes that the disk does not have, marked
    /// clean; written again they are synced for certain.
    private static func rewrite(_ file: any File, from start: Int, to end: Int) throws(FileSystemError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var offset = start
        while offset < end {
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, end - offset)])
            let count = try file.read(at: offset, into: part)
            guard count > 0 else { return }
            try file.write(UnsafeRawBufferPointer(part).part(0, count), at: offset)
            offset += count
        }
    }

    /// Runs file system calls, giving their errors the meaning they have for a log.
    package static func io<R>(_ body: () throws(FileSystemError) -> R) throws(LogError) -> R {
        do throws(FileSystemError) {
            return try body()
        } catch {
            throw error.isDiskFull ? .diskFull(error) : .io(error)
        }
    }
}
