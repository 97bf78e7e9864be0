import SpringgLog

/// A file that is written from front to back through one buffer, under another name until it is whole.
final class OutputFile {
    /// What is behind the name as long as the file is not whole.
    static let unfinished = ".unfinished"
    private static let bufferBytes = 1 << 20

    let path: String
    private let fileSystem: any FileSystem
    private let file: any File
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferBytes, alignment: 4096)
    private var buffered = 0
    private var written = 0

    init(_ path: String, fileSystem: any FileSystem) throws(FileSystemError) {
        self.path = path
        self.fileSystem = fileSystem
        file = try fileSystem.open(path + OutputFile.unfinished, .create)
    }

    deinit { buffer.deallocate() }

    var bytes: Int { written + buffered }

    func append(_ bytes: UnsafeRawBufferPointer) throws(FileSystemError) {
        var rest = bytes
        while !rest.isEmpty {
            if buffered == buffer.count { try flush() }
            let count = min(rest.count, buffer.count - buffered)
            UnsafeMutableRawBufferPointer(rebasing: buffer[buffered...]).copyMemory(from: rest.part(0, count))
            buffered += count
            rest = rest.part(count, rest.count - count)
        }
    }

    func append(_ bytes: [UInt8]) throws(FileSystemError) {
        try bytes.withBytes { bytes throws(FileSystemError) in try append(bytes) }
    }

    func append(_ text: StaticString) throws(FileSystemError) {
        try append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    func append(_ number: UInt32) throws(FileSystemError) {
        // Little-endian, as everything in the formats.
        try append((0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) })
    }

    /// Calls `body` with at least `count` bytes of room, of which it says how many it has used.
    func append(atMost count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int) throws(FileSystemError) {
        precondition(count <= buffer.count, "\(count) bytes at once")
        if buffer.count - buffered < count { try flush() }
        buffered += body(UnsafeMutableRawBufferPointer(rebasing: buffer[buffered...]))
    }

    private func flush() throws(FileSystemError) {
        try file.write(UnsafeRawBufferPointer(buffer).part(0, buffered), at: written)
        written += buffered
        buffered = 0
    }

    /// Makes the bytes durable, still under the other name.
    func sync() throws(FileSystemError) {
        try flush()
        try file.sync()
    }

    /// Gives the file its name.
    func publish() throws(FileSystemError) { try fileSystem.rename(path + OutputFile.unfinished, to: path) }

    /// Removes what was written.
    func abandon() { try? fileSystem.remove(path + OutputFile.unfinished) }
}
