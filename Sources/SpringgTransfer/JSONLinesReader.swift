public import SpringgLog

/// Reads rows of which each is a JSON object in a line of its own (`NAME.jsonl`); empty lines mean nothing.
public final class JSONLinesReader: RowSource {
    private let file: SourceFile
    private let scratch = RowScratch()
    private var text: [UInt8] = []
    /// See `RowSource`.
    public private(set) var droppedFields: Set<String> = []

    /// Opens the file.
    public init(_ path: String, fileSystem: any FileSystem) throws(FileSystemError) {
        file = try SourceFile(path, pieceBytesMax: JSONRow.lineBytesMax, fileSystem: fileSystem)
    }

    /// See `RowSource`.
    public var path: String { file.path }
    /// The first row says how many.
    public var dimensions: Int? { nil }
    /// See `RowSource`.
    public var bytesTotal: Int { file.size }
    /// See `RowSource`.
    public var bytesDone: Int { file.offset }

    /// See `RowSource`.
    public func next() throws(FileSystemError) -> SourceStep {
        while true {
            switch try file.takeLine() {
            case .end:
                return .end
            case .tooLong(let place):
                return .flaw(place.flaw("the line is longer than \(JSONRow.lineBytesMax) bytes"))
            case .line(let line, let place):
                guard !isBlank(line) else { continue }
                return step(line, place)
            }
        }
    }

    private func step(_ line: UnsafeRawBufferPointer, _ place: SourcePlace) -> SourceStep {
        do throws(SourceFlaw) {
            let row = try JSONRow(line, at: place, .vector, into: scratch, text: &text)
            droppedFields.note(row.dropped)
            guard let idBytes = row.idBytes else { throw place.flaw("\"id\" is missing") }
            guard let components = row.components else { throw place.flaw("\"vector\" is missing") }
            return .row(
                SourceRow(
                    id: scratch.id(idBytes),
                    vector: scratch.vector(components),
                    metadata: row.metadata,
                    place: place
                )
            )
        } catch {
            return .flaw(error)
        }
    }
}

/// Whether a line holds nothing but white space.
func isBlank(_ line: UnsafeRawBufferPointer) -> Bool { line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } }

extension Set<String> {
    /// So many names are enough to see what is lost.
    private static var namesMax: Int { 16 }

    /// Takes names in, until there are enough.
    mutating func note(_ names: [String]) {
        for name in names where count < Self.namesMax { insert(name) }
    }
}
