public import SpringgLog

/// Reads a NumPy array of float32 or float16, and beside it the ids of its rows.
public final class NPYReader: RowSource {
    private let file: SourceFile
    private let labels: RowLabels
    private let scratch = RowScratch()
    private var header: NPYHeader?
    private var flaws: [SourceFlaw] = []
    private var row = 0

    /// Opens the array and the file of ids.
    public init(_ path: String, labels: String, fileSystem: any FileSystem) throws(FileSystemError) {
        file = try SourceFile(
            path,
            pieceBytesMax: max(NPYHeader.textBytesMax, 4 * EventLimits.dimensionsMax),
            fileSystem: fileSystem
        )
        self.labels = try RowLabels(labels, scratch: scratch, fileSystem: fileSystem)
        switch try readHeader() {
        case .success(let header): self.header = header
        case .failure(let refusal):
            flaws = [SourcePlace(path: path, offset: refusal.offset, line: nil).flaw(refusal.reason)]
        }
    }

    /// See `RowSource`.
    public var path: String { file.path }
    /// See `RowSource`; nil when the header cannot be used.
    public var dimensions: Int? { header?.dimensions }
    /// See `RowSource`.
    public var bytesTotal: Int { file.size + labels.size }
    /// See `RowSource`.
    public var bytesDone: Int { file.offset + labels.bytesDone }
    /// See `RowSource`.
    public var droppedFields: Set<String> { labels.droppedFields }

    private func readHeader() throws(FileSystemError) -> Result<NPYHeader, NPYHeader.Refusal> {
        var prefix = [UInt8](repeating: 0, count: min(NPYHeader.prefixBytes, file.size))
        _ = try prefix.withMutableBytes { bytes throws(FileSystemError) in try file.read(at: 0, into: bytes) }
        let text: Range<Int>
        switch prefix.withUnsafeBytes({ NPYHeader.text(of: $0) }) {
        case .success(let range): text = range
        case .failure(let refusal): return .failure(refusal)
        }
        file.skip(text.lowerBound)
        guard text.upperBound <= file.size, let bytes = try file.take(text.count) else {
            return .failure(.init(offset: file.size, reason: "the file ends inside its header of \(text.count) bytes"))
        }
        return NPYHeader.decode(bytes, at: text.lowerBound).flatMap { header in
            let size = header.rows.multipliedReportingOverflow(by: header.dimensions * header.element.bytes)
            guard !size.overflow, size.partialValue == file.bytesLeft else {
                return .failure(
                    .init(
                        offset: file.size,
                        reason: "\(header.rows) × \(header.dimensions) components of \(header.element.bytes) bytes, "
                            + "and the file has \(file.bytesLeft) bytes of them"
                    )
                )
            }
            return .success(header)
        }
    }

    /// See `RowSource`.
    public func next() throws(FileSystemError) -> SourceStep {
        guard let header else { return flaws.popLast().map { .flaw($0) } ?? .end }
        guard row < header.rows else {
            // More ids than rows: whose are they?
            switch try labels.next() {
            case .label(_, _, let place), .flaw(let place, _):
                self.header = nil
                return .flaw(place.flaw("an id more than the array has rows (\(header.rows))"))
            case .end:
                return .end
            }
        }
        row += 1
        let place = file.place
        guard let bytes = try file.take(header.dimensions * header.element.bytes) else {
            self.header = nil
            return .flaw(place.flaw("the file ends inside row \(row) of \(header.rows)"))
        }
        switch try labels.next() {
        case .label(let id, let metadata, _):
            let vector =
                switch header.element {
                case .float32: scratch.vector(copying: bytes)
                case .float16: scratch.vector(widening: bytes)
                }
            return .row(SourceRow(id: id, vector: vector, metadata: metadata, place: place))
        case .flaw(let place, let reason):
            return .flaw(place.flaw(reason))
        case .end:
            self.header = nil
            return .flaw(labels.place.flaw("\(row - 1) ids for \(header.rows) rows"))
        }
    }
}
