package import SpringgLog

/// Writes vectors as rows of a NumPy array (format 1.0, `<f4`, C order), whose number is known only at the end.
package final class NumPyFile {
    /// Components of a row.
    package let dimensions: Int
    /// Rows written.
    package private(set) var rows = 0
    private let file: any File
    private var position = NumPyFile.headerBytes
    private var buffer: [UInt8] = []

    /// Magic, version, length and dictionary, padded so that the data is aligned to 64.
    private static let headerBytes = 128
    private static let bufferBytes = 1 << 20

    package init(_ file: any File, dimensions: Int) {
        self.file = file
        self.dimensions = dimensions
    }

    /// Appends a row of `dimensions` little-endian floats.
    package func append(_ vector: UnsafeRawBufferPointer) throws(LogError) {
        precondition(vector.count == dimensions * 4, "\(vector.count) bytes for \(dimensions) components")
        buffer.append(contentsOf: vector)
        rows += 1
        if buffer.count >= NumPyFile.bufferBytes { try flush() }
    }

    /// Writes the header; everything is durable on return.
    package func finish() throws(LogError) {
        try flush()
        let dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(rows), \(dimensions)), }"
        var header: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0]
        let length = NumPyFile.headerBytes - header.count - 2
        header += [UInt8(length & 0xFF), UInt8(length >> 8)] + Array(dictionary.utf8)
        header += repeatElement(UInt8(ascii: " "), count: NumPyFile.headerBytes - header.count - 1)
        header.append(UInt8(ascii: "\n"))
        try header.withBytes { bytes throws(LogError) in
            try Log.io { () throws(FileSystemError) in
                try file.write(bytes, at: 0)
                try file.sync()
            }
        }
    }

    private func flush() throws(LogError) {
        try buffer.withBytes { bytes throws(LogError) in
            try Log.io { () throws(FileSystemError) in try file.write(bytes, at: position) }
        }
        position += buffer.count
        buffer.removeAll(keepingCapacity: true)
    }
}
