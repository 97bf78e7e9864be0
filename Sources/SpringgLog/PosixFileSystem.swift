import Glibc

extension FileSystemError {
    /// True when the disk or a quota is full.
    public var isDiskFull: Bool { code == ENOSPC || code == EDQUOT || code == EFBIG }

    /// What the system says, without the path: fit for a client's eyes.
    public var reason: String { String(cString: strerror(code)) }

    /// The call, the path and what the system says.
    public var description: String { "\(operation) \(path): \(reason)" }

    /// The error of the system call that has just failed.
    fileprivate static func last(_ operation: String, _ path: String) -> FileSystemError {
        FileSystemError(operation: operation, path: path, code: errno)
    }
}

/// The real file system.
public struct PosixFileSystem: FileSystem {
    /// Makes the one there is.
    public init() {}

    /// See `FileSystem`.
    public func createDirectory(_ path: String) throws(FileSystemError) {
        if mkdir(path, 0o755) == 0 { return try syncDirectory(parent(of: path)) }
        switch errno {
        case EEXIST:
            var status = stat()
            guard stat(path, &status) == 0 else { throw .last("stat", path) }
            guard status.st_mode & S_IFMT == S_IFDIR else {
                throw FileSystemError(operation: "mkdir", path: path, code: ENOTDIR)
            }
            // It may have been made by a process that ended before this. No reason to refuse where others made it and
            // its parent cannot be opened.
            try? syncDirectory(parent(of: path))
        case ENOENT where parent(of: path) != path:
            try createDirectory(parent(of: path))
            // Once only: there are places where the parent exists and nothing can be made in it.
            guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw .last("mkdir", path) }
            try syncDirectory(parent(of: path))
        default:
            throw .last("mkdir", path)
        }
    }

    private func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// See `FileSystem`.
    public func list(_ path: String) throws(FileSystemError) -> [String] {
        guard let directory = opendir(path) else { throw .last("opendir", path) }
        defer { closedir(directory) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw .last("readdir", path) }
        return names
    }

    /// See `FileSystem`.
    public func open(_ path: String, _ access: FileAccess) throws(FileSystemError) -> any File {
        let flags: Int32 =
            switch access {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .create: O_RDWR | O_CREAT | O_TRUNC
            }
        let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .last("open", path) }
        return PosixFile(descriptor: descriptor, path: path)
    }

    /// See `FileSystem`.
    public func rename(_ old: String, to new: String) throws(FileSystemError) {
        guard Glibc.rename(old, new) == 0 else { throw .last("rename", old) }
    }

    /// See `FileSystem`.
    public func link(_ existing: String, to new: String) throws(FileSystemError) {
        guard Glibc.link(existing, new) == 0 else { throw .last("link", new) }
    }

    /// See `FileSystem`.
    public func status(_ path: String) throws(FileSystemError) -> FileStatus {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw .last("lstat", path) }
        let kind: FileStatus.Kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            default: .other
            }
        return FileStatus(
            kind: kind,
            size: Int(status.st_size),
            modifiedSeconds: Int(status.st_mtim.tv_sec),
            linkCount: Int(status.st_nlink)
        )
    }

    /// See `FileSystem`.
    public func remove(_ path: String) throws(FileSystemError) {
        guard Glibc.remove(path) == 0 else { throw .last("remove", path) }
    }

    /// See `FileSystem`.
    public func syncDirectory(_ path: String) throws(FileSystemError) {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .last("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .last("fsync", path) }
    }

    /// See `FileSystem`.
    public func lock(_ path: String) throws(FileSystemError) -> any FileLock {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .last("open", path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let error = FileSystemError.last("flock", path)
            close(descriptor)
            throw error
        }
        return PosixLock(descriptor: descriptor)
    }
}

private final class PosixLock: FileLock {
    private let descriptor: Int32

    init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }
}

private final class PosixFile: File {
    private let descriptor: Int32
    private let path: String

    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    func size() throws(FileSystemError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .last("fstat", path) }
        return Int(status.st_size)
    }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(FileSystemError) -> Int {
        var done = 0
        while done < buffer.count {
            let count = pread(
                descriptor,
                buffer.baseAddress.map { $0 + done },
                buffer.count - done,
                off_t(offset + done)
            )
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw .last("pread", path)
            }
            done += count
        }
        return done
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileSystemError) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(
                descriptor,
                bytes.baseAddress.map { $0 + done },
                bytes.count - done,
                off_t(offset + done)
            )
            if count < 0 {
                if errno == EINTR { continue }
                throw .last("pwrite", path)
            }
            done += count
        }
    }

    func sync() throws(FileSystemError) {
        while fdatasync(descriptor) != 0 {
            // Interrupted before it did anything; every other failure may have dropped dirty pages and is final.
            guard errno == EINTR else { throw .last("fdatasync", path) }
        }
    }

    func reserve(size: Int, writingZeros: Bool) throws(FileSystemError) {
        let old = try self.size()
        guard size > old else { return }
        guard !writingZeros else { return try writeZeros(from: old, to: size) }
        while true {
            // Where the file system has no extents to reserve, glibc writes to every block instead.
            let code = posix_fallocate(descriptor, off_t(old), off_t(size - old))
            if code == 0 { return }
            if code != EINTR { throw FileSystemError(operation: "fallocate", path: path, code: code) }
        }
    }
}
