import Glibc
public import SpringgLog
import Synchronization

/// An object store in a directory: the object `a/b` is the file `a/b`.
///
/// Fit for a local disk, for NFS and for tests. Uploads gather in `.incoming` and get their name by an atomic rename, or by a
/// hard link where the name must be free: the kernel (on NFS the server) lets exactly one of several writers have it.
/// Several processes may use one directory.
public final class DirectoryStore: ObjectStore {
    private let root: String
    private let fileSystem: any FileSystem
    private let writer: String
    private let wallClockSeconds: @Sendable () -> Int
    private let uploads = Atomic<Int>(0)
    private let isClosed = Atomic<Bool>(false)
    /// Directories whose own names are known to survive power loss; forgotten when there are many.
    private let durableDirectories = Mutex<Set<String>>([])

    /// Opens the store in a directory.
    ///
    /// `writer` begins the names of unfinished uploads and must be no other process's; random unless a test needs it fixed.
    /// - Throws: `.storeNotFound` when the directory is not there, `createIfMissing` is false and `mustExist` is not.
    public init(
        path: String,
        createIfMissing: Bool,
        mustExist: Bool = true,
        fileSystem: any FileSystem = PosixFileSystem(),
        writer: String = String(UInt64.random(in: 0 ... .max), radix: 16),
        wallClockSeconds: (@Sendable () -> Int)? = nil
    ) throws(ObjectStoreError) {
        self.root = path
        self.fileSystem = fileSystem
        self.writer = writer
        self.wallClockSeconds = wallClockSeconds ?? { time(nil) }
        do throws(FileSystemError) {
            if createIfMissing { try fileSystem.createDirectory(path) }
            _ = try fileSystem.list(path)
        } catch  where error.code == ENOENT || error.code == ENOTDIR {
            if mustExist { throw .storeNotFound("directory \(path)") }
        } catch {
            throw Self.storeError(error, at: path)
        }
    }

    /// See `ObjectStore`.
    public var location: String { ObjectStoreURL.directory(path: root).description }

    private var incoming: String { root + "/" + ObjectKey.reserved }

    private func path(_ key: ObjectKey) -> String { root + "/" + key.text }

    // MARK: - Put

    /// See `ObjectStore`.
    @discardableResult
    public func put(
        _ key: ObjectKey,
        _ body: ObjectBody,
        condition: PutCondition
    ) throws(ObjectStoreError) -> ObjectInfo {
        try checkOpen()
        let number = uploads.add(1, ordering: .relaxed).newValue
        let upload = "\(incoming)/\(writer)-\(number)"
        do throws(ObjectStoreError) {
            let crc = try write(body, to: upload, for: key)
            return try run(key) { () throws(FileSystemError) in
                try publish(upload, as: path(key), condition)
                let modified = try fileSystem.status(path(key)).modifiedSeconds
                return ObjectInfo(key: key, size: body.count, tag: nil, modifiedSeconds: modified, crc32c: crc)
            }
        } catch {
            // What cannot be removed now goes with `removeLeftovers`.
            try? fileSystem.remove(upload)
            // It may be a directory that somebody has removed.
            durableDirectories.withLock { $0 = [] }
            throw error
        }
    }

    /// Writes and syncs the bytes; returns their CRC-32C.
    private func write(_ body: ObjectBody, to upload: String, for key: ObjectKey) throws(ObjectStoreError) -> UInt32 {
        let file = try run(key) { () throws(FileSystemError) in
            try makeDurable(incoming)
            return try fileSystem.open(upload, .create)
        }
        var offset = 0
        var crc: UInt32 = 0
        try body.forEachPiece(of: 0..<body.count) { piece throws(ObjectStoreError) in
            try checkOpen()
            crc = Checksum.crc32c(piece, from: crc)
            try run(key) { () throws(FileSystemError) in try file.write(piece, at: offset) }
            offset += piece.count
        } orThrow: {
            .localFile($0)
        }
        try run(key) { () throws(FileSystemError) in try file.sync() }
        return crc
    }

    /// Gives synced bytes the name that they are found by.
    private func publish(_ upload: String, as target: String, _ condition: PutCondition) throws(FileSystemError) {
        let folder = parent(of: target)
        try makeDurable(folder)
        switch condition {
        case .none: try fileSystem.rename(upload, to: target)
        case .ifAbsent:
            do throws(FileSystemError) {
                try fileSystem.link(upload, to: target)
            } catch  where error.code == EEXIST {
                // NFS may have done it and lost the answer: then the upload has two names, and the call was ours.
                guard try fileSystem.status(upload).linkCount > 1 else { throw error }
            }
        }
        try fileSystem.syncDirectory(folder)
        if condition == .ifAbsent { try? fileSystem.remove(upload) }
    }

    /// Makes a directory whose name survives power loss.
    private func makeDurable(_ directory: String) throws(FileSystemError) {
        if durableDirectories.withLock({ $0.contains(directory) }) { return }
        try fileSystem.createDirectory(directory)
        durableDirectories.withLock { known in
            if known.count >= 1024 { known = [] }
            known.insert(directory)
        }
    }

    private func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return String(path[..<slash])
    }

    // MARK: - Get

    /// See `ObjectStore`.
    @discardableResult
    public func get(
        _ key: ObjectKey,
        _ range: ObjectRange,
        consume: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> ObjectInfo {
        try checkOpen()
        let status = try run(key) { () throws(FileSystemError) in try fileSystem.status(path(key)) }
        guard status.kind == .file else { throw ObjectStoreError.notFound(at: path(of: key)) }
        // An open file stays what it is, whatever is renamed over it.
        let file = try run(key) { () throws(FileSystemError) in try fileSystem.open(path(key), .read) }
        let size = try run(key) { () throws(FileSystemError) in try file.size() }
        let wanted: Range<Int>
        switch range {
        case .all: wanted = 0..<size
        case .last(let count): wanted = max(0, size - count)..<size
        case .bytes(let bytes):
            guard bytes.lowerBound >= 0, bytes.upperBound <= size else {
                throw ObjectStoreError.invalidRange(at: path(of: key))
            }
            wanted = bytes
        }
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: min(max(wanted.count, 1), 1 << 20), alignment: 64)
        defer { piece.deallocate() }
        var offset = wanted.lowerBound
        while offset < wanted.upperBound {
            try checkOpen()
            let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(piece.count, wanted.upperBound - offset)])
            let count = try run(key) { () throws(FileSystemError) in try file.read(at: offset, into: part) }
            guard count == part.count else {
                throw ObjectStoreError.damaged(at: path(of: key), "it became shorter while it was read")
            }
            try consume(UnsafeRawBufferPointer(part))
            offset += count
        }
        return ObjectInfo(key: key, size: size, tag: nil, modifiedSeconds: status.modifiedSeconds, crc32c: nil)
    }

    /// See `ObjectStore`.
    public func head(_ key: ObjectKey) throws(ObjectStoreError) -> ObjectInfo {
        try checkOpen()
        let status = try run(key) { () throws(FileSystemError) in try fileSystem.status(path(key)) }
        guard status.kind == .file else { throw .notFound(at: path(of: key)) }
        return info(key, status)
    }

    private func info(_ key: ObjectKey, _ status: FileStatus) -> ObjectInfo {
        ObjectInfo(key: key, size: status.size, tag: nil, modifiedSeconds: status.modifiedSeconds, crc32c: nil)
    }

    // MARK: - List

    /// See `ObjectStore`.
    @discardableResult
    public func list(
        prefix: String,
        after start: ObjectKey?,
        _ body: (ObjectInfo) throws -> Bool
    ) throws -> ListSummary {
        try checkOpen()
        var summary = ListSummary()
        // A prefix such as `manifests/0000` concerns one directory only. One with `..` is the beginning of no key.
        let folder = prefix.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(prefix[..<$0]) } ?? ""
        guard folder.isEmpty || ObjectKey.problem(with: folder) == nil else { return summary }
        _ = try walk(folder.isEmpty ? "" : folder + "/", prefix, start, &summary, body)
        return summary
    }

    /// Goes through a directory, `folder` being empty or ending with a slash; false when the caller has had enough.
    private func walk(
        _ folder: String,
        _ prefix: String,
        _ start: ObjectKey?,
        _ summary: inout ListSummary,
        _ body: (ObjectInfo) throws -> Bool
    ) throws -> Bool {
        for (name, status) in try entries(folder, prefix, start) {
            try checkOpen()
            if status.kind == .directory {
                guard try walk(folder + name + "/", prefix, start, &summary, body) else { return false }
            } else if status.kind == .file, let key = try? ObjectKey(folder + name) {
                if let start, key <= start { continue }
                summary.objects += 1
                guard try body(info(key, status)) else { return false }
            } else {
                summary.foreign += 1
            }
        }
        return true
    }

    /// What a directory holds below `prefix` and not wholly before `start`, in the order of the keys.
    private func entries(
        _ folder: String,
        _ prefix: String,
        _ start: ObjectKey?
    ) throws(ObjectStoreError) -> [(name: String, status: FileStatus)] {
        let directory = folder.isEmpty ? root : root + "/" + folder.dropLast()
        let place = location + "/" + folder
        var found: [(name: String, status: FileStatus)] = []
        do throws(FileSystemError) {
            for name in try fileSystem.list(directory) where !(folder.isEmpty && name == ObjectKey.reserved) {
                let path = folder + name
                let isBelow = path.utf8.starts(with: prefix.utf8) || prefix.utf8.starts(with: (path + "/").utf8)
                guard isBelow, !isWhollyBefore(path, start) else { continue }
                do throws(FileSystemError) {
                    found.append((name, try fileSystem.status(root + "/" + path)))
                } catch  where error.code == ENOENT {
                    // Removed since the directory was read.
                    continue
                }
            }
        } catch  where error.code == ENOENT {
            return []
        } catch {
            throw Self.storeError(error, at: place)
        }
        // A directory stands where its keys do: behind `a-`, since the slash sorts behind the dash.
        func order(_ entry: (name: String, status: FileStatus)) -> String {
            entry.status.kind == .directory ? entry.name + "/" : entry.name
        }
        return found.sorted { order($0).utf8.lexicographicallyPrecedes(order($1).utf8) }
    }

    /// True when neither the file `path` nor anything in a directory of that name stands behind `start`.
    private func isWhollyBefore(_ path: String, _ start: ObjectKey?) -> Bool {
        guard let start = start?.text.utf8 else { return false }
        let folder = path.utf8 + [UInt8(ascii: "/")]
        return !start.starts(with: folder) && folder.lexicographicallyPrecedes(start)
    }

    // MARK: - Delete

    /// See `ObjectStore`.
    public func delete(_ keys: [ObjectKey]) throws(ObjectStoreError) {
        var folders: Set<String> = []
        for key in keys {
            try checkOpen()
            try run(key) { () throws(FileSystemError) in
                do throws(FileSystemError) {
                    try fileSystem.remove(path(key))
                    folders.insert(parent(of: path(key)))
                } catch  where error.code == ENOENT || error.code == ENOTDIR {
                    return
                }
            }
        }
        for folder in folders.sorted() {
            do throws(FileSystemError) {
                try fileSystem.syncDirectory(folder)
            } catch {
                throw Self.storeError(error, at: folder)
            }
        }
    }

    /// See `ObjectStore`.
    @discardableResult
    public func removeLeftovers(olderThanSeconds seconds: Int) throws(ObjectStoreError) -> Int {
        try checkOpen()
        var removed = 0
        do throws(FileSystemError) {
            for name in try fileSystem.list(incoming) {
                let path = incoming + "/" + name
                do throws(FileSystemError) {
                    guard wallClockSeconds() - (try fileSystem.status(path).modifiedSeconds) > seconds else { continue }
                    try fileSystem.remove(path)
                    removed += 1
                } catch  where error.code == ENOENT {
                    // Its writer has just finished, or another node cleans up too.
                    continue
                }
            }
        } catch  where error.code == ENOENT {
            return 0
        } catch {
            throw Self.storeError(error, at: incoming)
        }
        return removed
    }

    // MARK: - End and errors

    /// See `ObjectStore`.
    public func close() { isClosed.store(true, ordering: .relaxed) }

    private func checkOpen() throws(ObjectStoreError) {
        if isClosed.load(ordering: .relaxed) { throw .closed }
    }

    private func run<R>(
        _ key: ObjectKey,
        _ body: () throws(FileSystemError) -> R
    ) throws(ObjectStoreError) -> R {
        do throws(FileSystemError) {
            return try body()
        } catch {
            throw Self.storeError(error, at: path(of: key))
        }
    }

    private static func storeError(_ error: FileSystemError, at place: String) -> ObjectStoreError {
        switch error.code {
        case ENOENT: .notFound(at: place)
        // A part of the key is a file, or the whole of it a directory.
        case ENOTDIR, EISDIR: .notFound(at: place)
        case EEXIST: .preconditionFailed(at: place)
        case EACCES, EPERM, EROFS: .accessDenied(at: place, "\(error.operation): \(error.reason)")
        case EOPNOTSUPP, EMLINK: .unsupported(place, "\(error.operation): \(error.reason); hard links are needed")
        case _ where error.isDiskFull: .full(at: place, error.reason)
        default: .unavailable(at: place, "\(error.operation): \(error.reason)")
        }
    }
}
