public import SpringgLog

/// What a client wants; the sequencer decides what becomes of it.
public enum Command: Sendable {
    /// Make an index.
    case createIndex(name: IndexName, dimensions: Int, options: IndexOptions = IndexOptions())
    /// Remove an index with all its rows.
    case deleteIndex(name: IndexName)
    /// Write a row; with `mustExist` only over an existing one.
    case put(PreparedVector, mustExist: Bool)
    /// Remove a row.
    case delete(index: IndexName, id: VectorID)
    /// Name this moment; a name that is taken moves only with `moving`.
    case mark(MarkName, moving: Bool)
    /// Do this, and keep with the event to which trace the request belongs.
    indirect case traced(Command, by: TraceContext)

    /// Bytes of the record that the command becomes, at most.
    package var recordBytesMax: Int {
        switch self {
        case .put(let row, _): row.event.recordBytes
        case .createIndex, .deleteIndex, .delete, .mark: EncodedEvent.rowlessRecordBytesMax
        case .traced(let command, _): command.recordBytesMax + TraceContext.byteCount
        }
    }
}

/// A row on its way in: the bytes of its event, built once where the request is decoded.
public final class PreparedVector: Sendable {
    /// Where it goes.
    public let index: IndexName
    /// Its key.
    public let id: VectorID
    /// Components of its vector.
    public let dimensions: Int
    let event: EncodedEvent

    /// Bytes of metadata that a row may have.
    public static let metadataBytesMax = EventLimits.metadataBytesMax
    /// Components that a vector may have.
    public static let dimensionsMax = EventLimits.dimensionsMax

    /// Copies a row.
    ///
    /// There must be 1 to `dimensionsMax` finite components and at most `metadataBytesMax` bytes of metadata: the text
    /// of one JSON object, already validated, or nothing.
    public init(
        index: IndexName,
        id: VectorID,
        vector: UnsafeBufferPointer<Float>,
        metadata: UnsafeRawBufferPointer
    ) {
        self.index = index
        self.id = id
        dimensions = vector.count
        event = id.withUTF8 {
            EncodedEvent.vectorPut(index: index.description, id: $0, vector: vector, metadata: metadata)
        }
    }
}

/// Proof of a write: which event it became.
public struct Receipt: Sendable, Equatable {
    /// Whose event.
    public let origin: OriginID
    /// Its number there.
    public let sequence: Sequence
    /// When.
    public let hlc: HLC
    /// Where in this node's log.
    public let lsn: LSN
}

/// Why a command was refused or failed.
///
/// Nothing of it was written, except as `writeFailed` says.
public enum CommandError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The index does not exist.
    case indexNotFound(IndexName)
    /// The index exists already.
    case indexExists(IndexName)
    /// The row to be replaced or removed does not exist.
    case vectorNotFound(VectorID)
    /// The name is taken by a mark at another moment.
    case markExists(MarkName, at: HLC)
    /// The vector does not fit the index.
    case dimensionMismatch(expected: Int, got: Int)
    /// An index cannot have that many dimensions.
    case invalidDimensions(Int)
    /// An index cannot have these options; the text says which and why.
    case invalidOptions(String)
    /// `max_vectors_per_index` is reached.
    case indexFull(IndexName, limit: Int)
    /// `max_memory_mb` would be exceeded.
    case memoryLimitExceeded(usedMB: Int, newMB: Int, limitMB: Int)
    /// The disk has no room.
    case diskFull(String)
    /// The log takes no writes.
    case readOnly(String)
    /// The disk refused the write.
    case writeFailed(String)
    /// The node takes no writes at all, since it shows the past.
    case writesRefused(String)
    /// The node is stopping.
    case shuttingDown

    /// The text for the client.
    public var description: String {
        switch self {
        case .indexNotFound(let name): "index \(name) not found"
        case .indexExists(let name): "index \(name) already exists"
        case .vectorNotFound(let id): "vector \(id) not found"
        case .markExists(let name, let hlc):
            "mark \(name) already exists, at HLC \(hlc); choose another name, or move it"
        case .dimensionMismatch(let expected, let got):
            "vector dimension mismatch: expected \(expected), got \(got)"
        case .invalidDimensions(let dimensions):
            dimensions < 1
                ? "Dimensions must be positive"
                : "Dimensions must be at most \(PreparedVector.dimensionsMax), got \(dimensions)"
        case .indexFull(let name, let limit):
            "index \(name) is full: max_vectors_per_index is \(limit). Delete vectors or raise the limit."
        case .memoryLimitExceeded(let used, let new, let limit):
            "memory limit exceeded: \(used) MB used + \(new) MB new = \(used + new) MB total (limit: \(limit) MB)"
        case .invalidOptions(let text), .diskFull(let text), .readOnly(let text), .writeFailed(let text),
            .writesRefused(let text):
            text
        case .shuttingDown: "the node is shutting down"
        }
    }

    /// What a client is told of a failure of the log: what it means for the write, and no path of the server.
    init(_ error: LogError) {
        switch error {
        case .diskFull(let cause):
            self = .diskFull("WAL write failed: \(cause.reason). Nothing was written; try again once there is room.")
        case .overBound:
            self = .diskFull(
                "WAL write failed: the disk space that the server may use is full. "
                    + "Nothing was written; try again once there is room."
            )
        case .io(let cause):
            self = .writeFailed("WAL write failed: \(cause.reason). Nothing was written.")
        case .readOnly:
            self = .readOnly("the node is read-only: its log could not be synced. Reads go on; see the node's log.")
        case .closed:
            self = .shuttingDown
        case .locked, .corrupt, .newerFormat, .trimmed, .otherHistory, .unfinishedRestore:
            self = .writeFailed("WAL write failed. Nothing was written; see the node's log.")
        }
    }
}
