/// Everything that touches the disk goes through here, so that tests can lose, tear, flip and refuse.
public protocol FileSystem: Sendable {
    /// Makes a directory and its missing parents; one that exists is fine. Durable on return.
    func createDirectory(_ path: String) throws(FileSystemError)
    /// Names (not paths) in a directory, in no particular order.
    func list(_ path: String) throws(FileSystemError) -> [String]
    /// Opens a file; a missing one is an error except with `.create`, which makes it or empties it.
    func open(_ path: String, _ access: FileAccess) throws(FileSystemError) -> any File
    /// Replaces `new` by `old` atomically; durable after `syncDirectory`.
    func rename(_ old: String, to new: String) throws(FileSystemError)
    /// Gives a file a second name; durable after `syncDirectory`.
    /// - Throws: an error with `code == EEXIST` when the name is taken: of any number of callers, one gets it.
    func link(_ existing: String, to new: String) throws(FileSystemError)
    /// What stands at a path; a symbolic link is not followed.
    func status(_ path: String) throws(FileSystemError) -> FileStatus
    /// Removes a file, or a directory that is empty; durable after `syncDirectory`.
    func remove(_ path: String) throws(FileSystemError)
    /// Makes creations, renames and removals in a directory survive power loss.
    func syncDirectory(_ path: String) throws(FileSystemError)
    /// Takes an exclusive lock on a file (made when missing) until the returned value is released.
    /// - Throws: an error with `code == EWOULDBLOCK` when another process holds it.
    func lock(_ path: String) throws(FileSystemError) -> any FileLock
}

/// What the file system knows of a path.
public struct FileStatus: Sendable, Equatable {
    /// What stands there.
    public enum Kind: Sendable {
        /// A regular file.
        case file
        /// A directory.
        case directory
        /// A symbolic link, a device or something else.
        case other
    }

    /// What stands there.
    public let kind: Kind
    /// Size in bytes.
    public let size: Int
    /// Last change of the content, in seconds since 1970.
    public let modifiedSeconds: Int
    /// How many names the file has.
    public let linkCount: Int

    /// Makes a status from its parts.
    public init(kind: Kind, size: Int, modifiedSeconds: Int, linkCount: Int) {
        self.kind = kind
        self.size = size
        self.modifiedSeconds = modifiedSeconds
        self.linkCount = linkCount
    }
}

/// What a file is opened for.
public enum FileAccess: Sendable {
    /// Reading an existing file.
    case read
    /// Reading and writing an existing file.
    case readWrite
    /// Reading and writing a new, empty file.
    case create
}

/// An open file, addressed by byte offset.
///
/// Closed when released.
public protocol File: AnyObject, Sendable {
    /// Size in bytes.
    func size() throws(FileSystemError) -> Int
    /// Reads up to `buffer.count` bytes at `offset`; fewer only at the end of the file. Returns how many.
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(FileSystemError) -> Int
    /// Writes all bytes at `offset`. After a failure any part of them may have been written.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileSystemError)
    /// Makes what was written survive power loss (fdatasync). A failure is final: the pages may have been dropped.
    func sync() throws(FileSystemError)
    /// Reserves disk space so that the file has `size` bytes, new ones reading as zeros.
    ///
    /// `writingZeros` writes them out, which makes later syncs faster and costs the bytes twice; otherwise the file
    /// system's unwritten extents serve.
    func reserve(size: Int, writingZeros: Bool) throws(FileSystemError)
}

extension File {
    /// Writes zeros over `[start, end)`.
    func writeZeros(from start: Int, to end: Int) throws(FileSystemError) {
        let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { zeros.deallocate() }
        zeros.initializeMemory(as: UInt8.self, repeating: 0)
        var offset = start
        while offset < end {
            let count = min(zeros.count, end - offset)
            try write(UnsafeRawBufferPointer(zeros).part(0, count), at: offset)
            offset += count
        }
    }
}

/// Holds an exclusive lock until released.
public protocol FileLock: AnyObject, Sendable {}

/// A call on the file system that failed.
public struct FileSystemError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The call, such as "fdatasync".
    public let operation: String
    /// The file or directory.
    public let path: String
    /// The `errno` value.
    public let code: Int32

    /// Makes an error from its parts.
    public init(operation: String, path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }
}
