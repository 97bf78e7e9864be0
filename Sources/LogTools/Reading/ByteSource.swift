import Glibc
package import SpringgLog

/// Bytes that are read from the front to the back.
package protocol ByteSource: AnyObject {
    /// Reads up to `buffer.count` bytes at `offset`, which is where the last read ended unless `isSeekable`.
    ///
    /// Returns how many; 0 at the end.
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(LogError) -> Int
    /// True when any offset may be read at any time.
    var isSeekable: Bool { get }
    /// Damage of the container around the bytes (a compressed file) that was met since the last call; they go on behind it.
    func takeDamage() -> String?
}

extension ByteSource {
    package func takeDamage() -> String? { nil }
}

/// A file.
package final class FileSource: ByteSource {
    private let file: any File

    package init(path: String, fileSystem: any FileSystem = PosixFileSystem()) throws(LogError) {
        file = try Log.io { () throws(FileSystemError) in try fileSystem.open(path, .read) }
    }

    package var isSeekable: Bool { true }

    package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(LogError) -> Int {
        try Log.io { () throws(FileSystemError) in try file.read(at: offset, into: buffer) }
    }
}

/// A pipe, such as standard input.
package final class PipeSource: ByteSource {
    private let descriptor: Int32
    private let name: String

    /// Reads from an open descriptor, which stays the caller's.
    package init(descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
    }

    package var isSeekable: Bool { false }

    package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(LogError) -> Int {
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 { return count }
            if errno != EINTR { throw .io(FileSystemError(operation: "read", path: name, code: errno)) }
        }
    }
}

/// Bytes in memory, handed out in pieces.
package final class MemorySource: ByteSource {
    private let bytes: [UInt8]
    private let pieceBytes: Int

    package init(_ bytes: [UInt8], pieceBytes: Int = .max) {
        self.bytes = bytes
        self.pieceBytes = pieceBytes
    }

    package var isSeekable: Bool { true }

    package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(LogError) -> Int {
        let count = max(0, min(buffer.count, pieceBytes, bytes.count - offset))
        guard count > 0 else { return 0 }
        buffer.copyBytes(from: bytes[offset..<offset + count])
        return count
    }
}
