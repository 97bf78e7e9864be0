public import SpringgLog

/// An index as the Go program keeps it: `NAME.bin`, `NAME.meta` if a vector has metadata, `NAME.wal` if there were writes
/// since.
///
/// What comes out is the state that the three stand for: each id once, the journal's word over the others'.
public final class GoIndexReader: RowSource {
    /// The files of one index; those that are there.
    public struct Files: Sendable, Equatable {
        /// The vectors.
        public var vectors: String?
        /// Their metadata.
        public var metadata: String?
        /// What happened since.
        public var journal: String?

        /// Names files.
        public init(vectors: String? = nil, metadata: String? = nil, journal: String? = nil) {
            self.vectors = vectors
            self.metadata = metadata
            self.journal = journal
        }
    }

    private enum Phase {
        case metadata
        case journal
        case rows
        case journalRows
        case orphans([SourceFlaw])
        case end
    }

    /// See `RowSource`.
    public let path: String
    private var phase = Phase.metadata
    private let scratch = RowScratch()
    private let vectors: SpringgBinReader?
    private let metadata: MetadataFile?
    private let journal: GoJournal?
    /// See `RowSource`.
    public private(set) var droppedFields: Set<String> = []

    /// Opens the files.
    public init(_ files: Files, fileSystem: any FileSystem) throws(FileSystemError) {
        path = files.vectors ?? files.journal ?? files.metadata ?? ""
        vectors = try files.vectors.map { path throws(FileSystemError) in
            try SpringgBinReader(path, fileSystem: fileSystem)
        }
        let scratch = scratch
        metadata = try files.metadata.map { path throws(FileSystemError) in
            try MetadataFile(path, scratch: scratch, fileSystem: fileSystem)
        }
        journal = try files.journal.map { path throws(FileSystemError) in
            try GoJournal(path, scratch: scratch, fileSystem: fileSystem)
        }
    }

    /// See `RowSource`.
    public var dimensions: Int? { vectors?.dimensions }
    /// See `RowSource`.
    public var bytesTotal: Int {
        (vectors?.bytesTotal ?? 0) + (metadata?.size ?? 0) + (journal?.bytesTotal ?? 0)
    }
    /// See `RowSource`.
    public var bytesDone: Int {
        (vectors?.bytesDone ?? 0) + (metadata?.bytesDone ?? 0) + (journal?.bytesDone ?? 0)
    }

    /// See `RowSource`.
    public func next() throws(FileSystemError) -> SourceStep {
        while true {
            switch phase {
            case .metadata:
                switch try metadata?.note() ?? .end {
                case .entry: continue
                case .flaw(let flaw): return .flaw(flaw)
                case .broken(let flaw):
                    // Rows without the metadata that belongs to them would be worse than none.
                    phase = .end
                    return .flaw(flaw)
                case .end: phase = .journal
                }
            case .journal:
                switch try journal?.note() ?? .end {
                case .noted, .row: continue
                case .flaw(let flaw): return .flaw(flaw)
                case .end: phase = .rows
                }
            case .rows:
                if let step = try nextOfRows() { return step }
                phase = .journalRows
            case .journalRows:
                let step = try journal?.next(note: { droppedFields.note($0) }) ?? .end
                if case .row(let row) = step { return .row(row) }
                phase = .orphans(metadata?.orphans().reversed() ?? [])
            case .orphans(var flaws):
                guard let flaw = flaws.popLast() else {
                    phase = .end
                    continue
                }
                phase = .orphans(flaws)
                return .flaw(flaw)
            case .end:
                return .end
            }
        }
    }

    /// The next row of `NAME.bin` on which the journal has nothing to say; nil when there are no more.
    private func nextOfRows() throws(FileSystemError) -> SourceStep? {
        while let vectors {
            switch try vectors.next() {
            case .end: return nil
            case .flaw(let flaw): return .flaw(flaw)
            case .row(let row):
                if let journal, journal.decides(row.id) {
                    metadata?.take(row.id)
                    continue
                }
                guard let metadata else { return .row(row) }
                let value = try metadata.metadata(of: row.id) { name in
                    droppedFields.note(["metadata." + String(decoding: name.prefix(64), as: UTF8.self)])
                }
                switch value {
                case .flaw(let flaw): return .flaw(flaw)
                case .metadata(let bytes):
                    return .row(SourceRow(id: row.id, vector: row.vector, metadata: bytes, place: row.place))
                }
            }
        }
        return nil
    }
}
