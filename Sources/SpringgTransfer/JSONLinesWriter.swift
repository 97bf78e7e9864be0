import CSpringg
import Glibc
import SpringgLog
import SpringgProjections

/// Writes each row as a JSON object in a line of its own; see `JSONRow`.
final class JSONLinesWriter: RowWriter {
    private let file: OutputFile
    private let hasVectors: Bool

    /// Without vectors for rows whose vectors stand elsewhere.
    init(_ path: String, hasVectors: Bool, fileSystem: any FileSystem) throws(FileSystemError) {
        file = try OutputFile(path, fileSystem: fileSystem)
        self.hasVectors = hasVectors
    }

    var files: [OutputFile] { [file] }

    func append(_ row: Row) throws(FileSystemError) {
        try file.append("{\"id\":")
        try file.appendText(row.id)
        if hasVectors {
            try file.append(",\"vector\":[")
            try append(row.vector)
            try file.append("]")
        }
        if !row.metadata.isEmpty { try append(metadata: row.metadata) }
        try file.append("}\n")
    }

    /// Numbers that are written at once.
    private static let numbersAtOnce = 1024

    private func append(_ vector: UnsafeBufferPointer<Float>) throws(FileSystemError) {
        var rest = vector[...]
        while !rest.isEmpty {
            let piece = UnsafeBufferPointer(rebasing: rest.prefix(Self.numbersAtOnce))
            if rest.startIndex > 0 { try file.append(",") }
            try file.append(atMost: piece.count * (Int(SPRINGG_NUMBER_MAX) + 1)) { room in
                guard let out = room.baseAddress, let first = piece.baseAddress else { return 0 }
                return springg_format_floats(first, piece.count, out.assumingMemoryBound(to: CChar.self))
            }
            rest = rest.dropFirst(piece.count)
        }
    }

    /// As it was sent; a text where it was sent in several lines, for a line may have none.
    private func append(metadata: UnsafeRawBufferPointer) throws(FileSystemError) {
        if metadata.contains(where: { $0 == 0x0A || $0 == 0x0D }) {
            try file.append(",\"metadata_text\":")
            try file.appendText(metadata)
        } else {
            try file.append(",\"metadata\":")
            try file.append(metadata)
        }
    }

    func finish() throws(FileSystemError) {}
}
