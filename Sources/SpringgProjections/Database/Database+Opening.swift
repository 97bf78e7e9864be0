import Glibc
public import SpringgLog
import Synchronization

extension Database {
    /// Opens the database on the real file system.
    ///
    /// See `open(_:fileSystem:wallClock:)`.
    public static func open(_ options: DatabaseOptions) throws -> Database {
        try open(options, fileSystem: PosixFileSystem(), wallClock: unixMilliseconds)
    }

    /// Locks the directory, recovers the log and replays it.
    ///
    /// Blocking.
    ///
    /// - Throws: `LogError`: `.locked`, `.corrupt`, `.newerFormat`, `.io`, `.diskFull`.
    public static func open(
        _ options: DatabaseOptions,
        fileSystem: any FileSystem,
        wallClock: @escaping @Sendable () -> UInt64
    ) throws -> Database {
        try Log.io { () throws(FileSystemError) in try fileSystem.createDirectory(options.dataPath) }
        let lockPath = options.dataPath + "/LOCK"
        let lock: any FileLock
        do {
            lock = try fileSystem.lock(lockPath)
        } catch {
            throw error.code == EWOULDBLOCK ? LogError.locked(path: lockPath) : LogError.io(error)
        }

        let names = try Log.io { () throws(FileSystemError) in try fileSystem.list(options.dataPath) }
        guard !names.contains(RestoreMarker.fileName) else { throw LogError.unfinishedRestore(path: options.dataPath) }
        var logOptions = LogOptions()
        logOptions.segmentBytes = options.segmentBytes
        logOptions.durability = options.durability
        logOptions.writeZerosAhead = options.writeZerosAhead
        logOptions.bytesMax = options.maxDiskBytes
        var generator = SystemRandomNumberGenerator()
        let files = CheckpointFiles(directory: options.dataPath + "/checkpoints", fileSystem: fileSystem)
        let threads = options.indexingThreads > 0 ? options.indexingThreads : sysconf(Int32(_SC_NPROCESSORS_ONLN))
        let (materializer, base, checkpoint) = restoreNewest(files, threads: threads)
        materializer.resources.memory.limit.store(options.maxMemoryBytes, ordering: .relaxed)
        let indexer = Indexer(
            limits: .init(
                unindexedRows: options.maxUnindexedRows,
                memoryBytes: options.maxMemoryBytes,
                threads: threads
            ),
            resources: materializer.resources,
            report: options.catchesUp ?? { _ in }
        )
        materializer.onBacklog = indexer.request
        var replay = Replay(options, fileSystem, from: base)
        let (log, writer, report) = try Log.open(
            directory: options.dataPath + "/log",
            options: logOptions,
            fileSystem: fileSystem,
            newOrigin: OriginID(using: &generator),
            from: base
        ) { record throws(LogError) in
            try replay.apply(record, to: materializer)
        }
        materializer.publish()
        materializer.goLive()
        try requireWhole(log.directory, base, trimmed: report.trimmed, damaged: checkpoint.damaged)
        log.markApplied(report.last)
        log.markCheckpointed(base.lsn)
        // What an interrupted checkpoint left takes space and nothing else; should this fail, the next one does it.
        try? files.removeAll(except: files.all())
        let batch = WriteBatch(
            writer: writer,
            materializer: materializer,
            limits: WriteLimits(vectorsPerIndex: options.maxVectorsPerIndex, memoryBytes: options.maxMemoryBytes),
            highestHLC: report.highestHLC,
            writesFail: options.writesFail ?? { _ in }
        )
        let pipeline = WritePipeline()
        if let reason = options.holdsCommands { pipeline.begin(holding: .readOnly(reason)) }
        let directory = materializer.directory
        let markCheckpointed = materializer.markCheckpointed
        let holds = RetentionHolds()
        let forgetter = Forgetter(
            log: log,
            pipeline: pipeline,
            graceSeconds: options.tombstoneGraceSeconds,
            isAlone: !options.sharesHistory,
            wallClock: wallClock
        )
        let tombstones = materializer.resources.tombstones
        // Also those that a checkpoint brought back and no event has touched since.
        for index in materializer.indexes where index.backlog > 0 { indexer.requestAtStart(index) }
        let thread = WriterThread(name: "springg-writer") {
            var pace = Pace()
            pipeline.run(
                batch,
                writer,
                materializer,
                pace: { pace.verdict(materializer.mostBehind, indexer, now: monotonicNanoseconds()) },
                wallClock: wallClock
            )
        }
        let indexerThread = WriterThread(name: "springg-indexer") { indexer.run() }
        let checkpointer = Checkpointer(
            files: files,
            pipeline: pipeline,
            log: log,
            retention: Retention(
                log: log,
                files: files,
                policy: options.retention,
                holds: holds,
                wallClock: wallClock
            ),
            forgetter: forgetter,
            markCheckpointed: markCheckpointed,
            report: options.checkpointed ?? { _ in },
            trimmed: options.trimmed ?? { _ in },
            roomFound: options.roomFound ?? {}
        )
        checkpointer.start(
            interval: options.checkpointSeconds > 0 ? UInt64(options.checkpointSeconds * 1e9) : nil
        )
        let probe = materializer.resources.probe
        return Database(
            log,
            report,
            checkpoint,
            directory,
            materializer.marks,
            options,
            pipeline,
            thread,
            indexer,
            indexerThread,
            probe,
            startProbe(probe, options, memory: materializer.resources.memory),
            checkpointer,
            lock,
            holds: holds,
            tombstones: tombstones,
            forgetter: forgetter
        )
    }

    /// Without a checkpoint the state would lack what was removed from the log's beginning, and nobody would notice.
    static func requireWhole(
        _ directory: String,
        _ base: LogBase,
        trimmed: LSN,
        damaged: [String]
    ) throws(LogError) {
        guard base.lsn == .zero, trimmed > .zero else { return }
        throw .corrupt(
            LogDamage(
                segment: directory + "/" + SegmentHeader.fileName(firstLSN: trimmed.next),
                offset: 0,
                lsn: LSN(1),
                reason: (["the log begins with LSN \(trimmed.next), and no checkpoint can be used"] + damaged)
                    .joined(separator: "; ")
            )
        )
    }

    /// The newest checkpoint that is whole, in fresh projections; without one, nothing and the beginning of the log.
    static func restoreNewest(
        _ files: CheckpointFiles,
        threads: Int
    ) -> (materializer: Materializer, base: LogBase, CheckpointRecovery) {
        var damaged: [String] = []
        var checkpoints: [LSN] = []
        do throws(FileSystemError) {
            checkpoints = try files.all()
        } catch {
            damaged.append("\(error)")
        }
        for lsn in checkpoints {
            do throws(CheckpointDamage) {
                let (materializer, base, damagedGraphs) = try Materializer.restore(
                    lsn,
                    from: files.directory,
                    files.fileSystem,
                    threads: threads
                )
                return (
                    materializer, base, CheckpointRecovery(lsn: lsn, damaged: damaged, damagedGraphs: damagedGraphs)
                )
            } catch {
                damaged.append("\(error)")
            }
        }
        return (Materializer(), .beginning, CheckpointRecovery(lsn: .zero, damaged: damaged, damagedGraphs: []))
    }

    /// The thread that probes live queries, unless the options say that there is none.
    private static func startProbe(
        _ probe: RecallProbe,
        _ options: DatabaseOptions,
        memory: MemoryAccount
    ) -> WriterThread? {
        guard options.recallProbePercent > 0 else { return nil }
        probe.enable()
        return WriterThread(name: "springg-probe") {
            // A probe keeps the memory of rows that are replaced meanwhile: not where there is none to spare.
            probe.run(corePercent: options.recallProbePercent) {
                options.maxMemoryBytes > 0 && memory.total > options.maxMemoryBytes / 8 * 7
            }
        }
    }
}

/// Applies the log's records to the projections and says how far it is.
struct Replay {
    private let report: (@Sendable (ReplayProgress) -> Void)?
    private let total: UInt64
    private var done: UInt64 = 0
    private var reported: UInt64 = 0
    private var events: UInt64 = 0
    /// Bytes between two reports: many a second at the speed of replay, without being felt.
    private static let step: UInt64 = 16 << 20

    init(_ options: DatabaseOptions, _ fileSystem: any FileSystem, from base: LogBase) {
        report = options.progress
        let scan = LogScan(directory: options.dataPath + "/log", fileSystem: fileSystem)
        let segments = (try? scan.segments()) ?? []
        let first = segments.lastIndex { $0.firstLSN <= base.lsn.next } ?? 0
        total = segments.dropFirst(first).reduce(0) { sum, segment in
            sum + UInt64((try? fileSystem.open(segment.path, .read).size()) ?? 0)
        }
    }

    mutating func apply(_ record: LogRecord, to materializer: Materializer) throws(LogError) {
        try materializer.replay(record)
        events += 1
        done += UInt64(record.recordBytes)
        guard let report, done - reported >= Replay.step else { return }
        reported = done
        report(ReplayProgress(bytesDone: done, bytesTotal: max(total, done), events: events))
    }
}

/// Unix time in milliseconds.
private func unixMilliseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UInt64(max(0, now.tv_sec)) * 1000 + UInt64(now.tv_nsec) / 1_000_000
}
