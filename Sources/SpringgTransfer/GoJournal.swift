import SpringgLog

/// `NAME.wal` of the Go program: what was done since `NAME.bin` was written, a JSON object a line:
/// `{"op": "add" | "update" | "delete", "id": …, "vector": […], "metadata": {…}}`.
///
/// Only the last word on an id counts: one pass notes where it stands (about 50 bytes an id), a second gives those rows.
final class GoJournal {
    private var file: SourceFile
    private let open: () throws(FileSystemError) -> SourceFile
    private let scratch: RowScratch
    private var text: [UInt8] = []
    private var last: [RowKey: Int] = [:]
    private var bytesBefore = 0

    init(_ path: String, scratch: RowScratch, fileSystem: any FileSystem) throws(FileSystemError) {
        open = { () throws(FileSystemError) in
            try SourceFile(path, pieceBytesMax: JSONRow.lineBytesMax, fileSystem: fileSystem)
        }
        file = try open()
        self.scratch = scratch
    }

    /// It is read twice.
    var bytesTotal: Int { 2 * file.size }
    var bytesDone: Int { bytesBefore + file.offset }

    /// Whether the journal has the last word on an id.
    func decides(_ id: UnsafeRawBufferPointer) -> Bool { !last.isEmpty && last[RowKey(id)] != nil }

    enum Step {
        case noted
        case row(SourceRow)
        case flaw(SourceFlaw)
        case end
    }

    /// Notes the next line; at the end, goes back to the first.
    func note() throws(FileSystemError) -> Step {
        let step = try nextLine { row, place throws(SourceFlaw) in
            guard let operation = row.operation else {
                throw place.flaw("\"op\" is none of \"add\", \"update\" and \"delete\"")
            }
            guard let idBytes = row.idBytes, idBytes > 0 else { throw place.flaw("\"id\" is missing") }
            guard operation == .delete || row.components != nil else { throw place.flaw("\"vector\" is missing") }
            last[RowKey(scratch.id(idBytes))] = place.offset
            return .noted
        }
        if case .end = step {
            bytesBefore = file.size
            file = try open()
        }
        return step
    }

    /// The next row that is the last word on its id; after all lines were noted.
    func next(note dropped: ([String]) -> Void) throws(FileSystemError) -> Step {
        while true {
            let step = try nextLine { row, place throws(SourceFlaw) in
                dropped(row.dropped)
                guard row.operation == .put, let idBytes = row.idBytes, let components = row.components else {
                    return .noted
                }
                let id = scratch.id(idBytes)
                guard last[RowKey(id)] == place.offset else { return .noted }
                return .row(
                    SourceRow(id: id, vector: scratch.vector(components), metadata: row.metadata, place: place)
                )
            }
            switch step {
            // Flaws were told when the line was noted.
            case .noted, .flaw: continue
            case .row, .end: return step
            }
        }
    }

    private func nextLine(
        _ read: (JSONRow, SourcePlace) throws(SourceFlaw) -> Step
    ) throws(FileSystemError) -> Step {
        while true {
            switch try file.takeLine() {
            case .end:
                return .end
            case .tooLong(let place):
                return .flaw(place.flaw("the line is longer than \(JSONRow.lineBytesMax) bytes"))
            case .line(let line, let place):
                guard !isBlank(line) else { continue }
                do throws(SourceFlaw) {
                    return try read(JSONRow(line, at: place, [.vector, .operation], into: scratch, text: &text), place)
                } catch {
                    return .flaw(error)
                }
            }
        }
    }
}
