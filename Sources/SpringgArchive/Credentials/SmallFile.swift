import Glibc
import SpringgLog

extension FileSystem {
    /// All bytes of a small file.
    /// - Throws: an error with `code == EFBIG` when it has more than `limit`.
    func contents(of path: String, atMost limit: Int) throws(FileSystemError) -> [UInt8] {
        let file = try open(path, .read)
        let size = try file.size()
        guard size <= limit else { throw FileSystemError(operation: "read", path: path, code: EFBIG) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
        defer { buffer.deallocate() }
        return Array(buffer[..<(try file.read(at: 0, into: buffer))])
    }
}
