import CSpringg
import SpringgLog
import SpringgProjections

/// Writes an index as the Go program keeps it: `NAME.bin` (see `SpringgBin`), and `NAME.meta` if a row has metadata.
///
/// `NAME.meta` is one JSON object, an id and its metadata a line, in the order of the rows. The metadata stand in it as they
/// were sent: a reader of JSON finds what Go's own, indented file would say, and bytes are kept.
final class SpringgBinWriter: RowWriter {
    private let vectors: OutputFile
    private let metadataPath: String
    private let fileSystem: any FileSystem
    private var metadata: OutputFile?

    init(base: String, dimensions: Int, rows: Int, fileSystem: any FileSystem) throws(FileSystemError) {
        self.fileSystem = fileSystem
        metadataPath = base + ".meta"
        vectors = try OutputFile(base + ".bin", fileSystem: fileSystem)
        try vectors.append(SpringgBin.magic)
        try vectors.append(SpringgBin.version)
        try vectors.append(UInt32(dimensions))
        try vectors.append(UInt32(rows))
        try vectors.append([UInt8](repeating: 0, count: SpringgBin.reservedBytes.count))
    }

    /// The metadata first: vectors with a name are complete.
    var files: [OutputFile] { [metadata, vectors].compactMap { $0 } }

    func append(_ row: Row) throws(FileSystemError) {
        try vectors.append(UInt32(row.id.count))
        try vectors.append(row.id)
        try vectors.append(UnsafeRawBufferPointer(row.vector))
        guard !row.metadata.isEmpty else { return }
        if let metadata {
            try metadata.append(",\n  ")
            try write(row, to: metadata)
        } else {
            let file = try OutputFile(metadataPath, fileSystem: fileSystem)
            metadata = file
            try file.append("{\n  ")
            try write(row, to: file)
        }
    }

    private func write(_ row: Row, to file: OutputFile) throws(FileSystemError) {
        try file.appendText(row.id)
        try file.append(": ")
        try file.append(row.metadata)
    }

    func finish() throws(FileSystemError) { try metadata?.append("\n}\n") }
}

extension OutputFile {
    /// Bytes of a text that are escaped at once.
    private static let pieceBytes = 4096

    /// A JSON text.
    func appendText(_ text: UnsafeRawBufferPointer) throws(FileSystemError) {
        try append("\"")
        var rest = text
        while !rest.isEmpty {
            let piece = rest.part(0, min(rest.count, Self.pieceBytes))
            // Escaped byte by byte, so that a character may be cut in two.
            try append(atMost: piece.count * 6) { room in
                guard let out = room.baseAddress, let bytes = piece.baseAddress else { return 0 }
                return springg_json_escape(
                    bytes.assumingMemoryBound(to: UInt8.self),
                    piece.count,
                    out.assumingMemoryBound(to: CChar.self)
                )
            }
            rest = rest.part(piece.count, rest.count - piece.count)
        }
        try append("\"")
    }
}
