import SpringgLog
import SpringgProjections

/// Writes the vectors as a NumPy array of float32, and ids and metadata as JSON lines beside it.
final class NPYWriter: RowWriter {
    private let array: OutputFile
    private let labels: JSONLinesWriter

    init(base: String, dimensions: Int, rows: Int, fileSystem: any FileSystem) throws(FileSystemError) {
        array = try OutputFile(base + ".npy", fileSystem: fileSystem)
        labels = try JSONLinesWriter(base + ".ids.jsonl", hasVectors: false, fileSystem: fileSystem)
        try array.append(NPYHeader.encode(rows: rows, dimensions: dimensions))
    }

    /// The ids first: an array with a name is complete.
    var files: [OutputFile] { labels.files + [array] }

    func append(_ row: Row) throws(FileSystemError) {
        try array.append(UnsafeRawBufferPointer(row.vector))
        try labels.append(row)
    }

    func finish() throws(FileSystemError) {}
}
