import SpringgLog

/// The ids of rows that stand elsewhere, in their order.
///
/// In `.jsonl` files a JSON object a line, `{"id": …, "metadata": {…}}`, or the id alone as a JSON text; in all others the
/// line is the id.
final class RowLabels {
    private let file: SourceFile
    private let scratch: RowScratch
    private let isJSON: Bool
    private var text: [UInt8] = []
    private(set) var droppedFields: Set<String> = []

    init(_ path: String, scratch: RowScratch, fileSystem: any FileSystem) throws(FileSystemError) {
        isJSON = path.hasSuffix(".jsonl")
        file = try SourceFile(path, pieceBytesMax: JSONRow.lineBytesMax, fileSystem: fileSystem)
        self.scratch = scratch
    }

    var size: Int { file.size }
    var bytesDone: Int { file.offset }
    var place: SourcePlace { SourcePlace(path: file.path, offset: file.offset, line: file.line) }

    enum Step {
        case label(id: UnsafeRawBufferPointer, metadata: UnsafeRawBufferPointer, SourcePlace)
        case flaw(SourcePlace, String)
        case end
    }

    /// The next line; valid until the one after it.
    func next() throws(FileSystemError) -> Step {
        switch try file.takeLine() {
        case .end: return .end
        case .tooLong(let place): return .flaw(place, "the line is longer than \(JSONRow.lineBytesMax) bytes")
        case .line(let line, let place):
            guard isJSON else {
                guard line.last != 0x0D else {
                    return .flaw(place, "the line ends with a carriage return: end lines with line feeds alone")
                }
                return .label(id: line, metadata: RowScratch.noMetadata, place)
            }
            do throws(SourceFlaw) {
                let row = try JSONRow(line, at: place, .bareID, into: scratch, text: &text)
                droppedFields.note(row.dropped)
                guard let idBytes = row.idBytes else { throw place.flaw("\"id\" is missing") }
                return .label(id: scratch.id(idBytes), metadata: row.metadata, place)
            } catch {
                return .flaw(error.place, error.reason)
            }
        }
    }
}
