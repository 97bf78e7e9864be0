package import SpringgLog

extension Database {
    /// A database that shows one moment and answers every write with `refusal`.
    ///
    /// It has the state in memory and nothing open: not the log, not a lock. So it may stand beside the node whose
    /// directory the state was read from. `state` has everything published and is left alone from now on; of the options
    /// its path and its limits of memory count.
    package static func past(
        _ state: Materializer,
        base: LogBase,
        origin: OriginID,
        options: DatabaseOptions,
        refusal: String
    ) -> Database {
        let indexer = Indexer(
            limits: .init(unindexedRows: options.maxUnindexedRows, memoryBytes: options.maxMemoryBytes),
            resources: state.resources
        )
        for index in state.indexes where index.backlog > 0 { indexer.request(index) }
        return Database(
            Log.view(of: options.dataPath + "/log", origin: origin, upTo: base),
            RecoveryReport.view(of: base),
            CheckpointRecovery(lsn: base.lsn, damaged: [], damagedGraphs: []),
            state.directory,
            state.marks,
            options,
            WritePipeline(),
            nil,
            indexer,
            WriterThread(name: "springg-indexer") { indexer.run() },
            state.resources.probe,
            nil,
            nil,
            NoLock(),
            refusal: .writesRefused(refusal)
        )
    }

    /// In the place of a lock that is not taken.
    private final class NoLock: FileLock {}
}
