public import SpringgLog
import SpringgProjections

/// What the first pass over a source found: everything is looked at before anything is written.
public struct ImportCheck: Sendable {
    /// Rows that can be stored.
    public private(set) var rows = 0
    /// Components of each; nil when nothing says how many.
    public private(set) var dimensions: Int?
    /// Bytes of the source's files.
    public let bytes: Int
    /// Flaws, the first of them in the order of the files.
    public private(set) var flaws: [SourceFlaw] = []
    /// How many there are.
    public private(set) var flawCount = 0
    /// Names of fields that are not kept.
    public private(set) var droppedFields: [String] = []

    /// Reads all of a source.
    ///
    /// - Parameters:
    ///   - source: Stands before its first row.
    ///   - dimensions: What the index has, where the source does not say.
    ///   - flawsKept: So many flaws are kept; all are counted.
    ///   - progress: Called now and then.
    /// - Throws: When a file cannot be read; what is wrong with its content is a flaw.
    public init(
        _ source: any RowSource,
        dimensions: Int?,
        flawsKept: Int = 20,
        progress: (TransferProgress) -> Void = { _ in }
    ) throws(FileSystemError) {
        bytes = source.bytesTotal
        let checked = CheckedRows(source, dimensions: dimensions)
        while true {
            switch try checked.next() {
            case .row:
                rows += 1
            case .flaw(let flaw):
                flawCount += 1
                if flaws.count < flawsKept { flaws.append(flaw) }
            case .end:
                self.dimensions = checked.dimensions
                droppedFields = source.droppedFields.sorted()
                return
            }
            if (rows + flawCount) % TransferProgress.rowsBetween == 0 {
                progress(TransferProgress(bytesDone: source.bytesDone, bytesTotal: bytes, rows: rows))
            }
        }
    }
}

/// How far a transfer is.
public struct TransferProgress: Sendable {
    /// Bytes read or rows written, out of `bytesTotal`.
    public let bytesDone: Int
    /// The whole.
    public let bytesTotal: Int
    /// Rows so far.
    public let rows: Int

    /// Rows between two calls: some milliseconds.
    static let rowsBetween = 256
}
