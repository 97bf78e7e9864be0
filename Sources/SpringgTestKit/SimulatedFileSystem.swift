import Glibc
public import SpringgLog
import Synchronization

/// A file system in memory that behaves as badly as a real one may.
///
/// It knows, for every file, what is durable and what was only written. A crash keeps what is durable and, of the rest,
/// any subset of the 512-byte sectors written since the last sync, in any order, by the seed. Names behave alike: a
/// creation, rename or removal that was not followed by a sync of its directory may or may not have happened. Any call
/// can be made to fail, and any bit to flip.
public final class SimulatedFileSystem: FileSystem {
    /// What a failing call does.
    public enum Fault: Sendable, Equatable {
        /// It fails with this `errno`; nothing of it happens (of a write: a part of it may).
        case error(Int32)
        /// The process ends here: this call and every later one fail, until `crash` is called.
        case stop
    }

    fileprivate struct Content {
        /// What reads return.
        var bytes: [UInt8] = []
        /// What survives a crash for certain.
        var durable: [UInt8] = []
        /// Sectors in which `bytes` and `durable` may differ.
        var dirty: Set<Int> = []
        /// Last change, by `wallClockSeconds`.
        var modifiedSeconds = 0
    }

    fileprivate struct State {
        var files: [Int: Content] = [:]
        var names: [String: Int] = [:]
        var durableNames: [String: Int] = [:]
        var directories: Set<String> = []
        var locks: Set<String> = []
        var nextFile = 0
        var calls = 0
        /// Calls after the first lock was taken, while none was held.
        var callsWithoutLock = 0
        var wasLocked = false
        var faults: [Int: Fault] = [:]
        var isStopped = false
        /// Bytes that all files together may have; nil for no bound.
        var capacity: Int?
        /// Every sync fails with this error from now on.
        var syncError: Int32?
        var wallClockSeconds = 0
        /// Incremented by each crash: files opened before it are gone.
        var life = 0
    }

    fileprivate let state = Mutex(State())

    /// An empty file system.
    public init() {}

    private static let sector = 512

    // MARK: - Faults

    /// Calls so far.
    public var calls: Int { state.withLock { $0.calls } }

    /// Calls that somebody made who had given up the lock, or had not waited for it.
    public var callsWithoutLock: Int { state.withLock { $0.callsWithoutLock } }

    /// Makes the `n`-th call from now (1 is the next) do `fault`.
    public func fail(callFromNow n: Int, _ fault: Fault) {
        state.withLock { $0.faults[$0.calls + n] = fault }
    }

    /// True once a `.stop` has been met.
    public var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Bounds the sum of the files' sizes; nil lifts the bound.
    public func setCapacity(_ bytes: Int?) { state.withLock { $0.capacity = bytes } }

    /// Makes every sync fail with `code`; nil heals the disk.
    public func setSyncError(_ code: Int32?) { state.withLock { $0.syncError = code } }

    /// Sets the clock that files written from now on take their time of change from; it stands still otherwise.
    public func setWallClock(seconds: Int) { state.withLock { $0.wallClockSeconds = seconds } }

    /// Loses power: unsynced sectors and names survive or not, by `random`.
    ///
    /// Files open now are dead afterwards.
    public func crash(using random: inout SeededRandom) {
        var generator = random
        defer { random = generator }
        generator = state.withLock { [generator] state in
            var generator = generator
            // Names first: each unsynced change happened or not. Sorted, so that a seed replays.
            var names = state.durableNames
            for name in Set(state.names.keys).union(state.durableNames.keys).sorted()
            where state.names[name] != state.durableNames[name] && Bool.random(using: &generator) {
                names[name] = state.names[name]
            }
            state.names = names
            state.durableNames = names
            for file in state.files.keys.sorted() {
                guard var content = state.files[file] else { continue }
                for sector in content.dirty.sorted() where Bool.random(using: &generator) {
                    let start = sector * SimulatedFileSystem.sector
                    let end = min(start + SimulatedFileSystem.sector, content.bytes.count)
                    guard start < end else { continue }
                    if content.durable.count < end {
                        content.durable.append(contentsOf: repeatElement(0, count: end - content.durable.count))
                    }
                    content.durable.replaceSubrange(start..<end, with: content.bytes[start..<end])
                }
                content.bytes = content.durable
                content.dirty = []
                state.files[file] = content
            }
            let used = Set(names.values)
            state.files = state.files.filter { used.contains($0.key) }
            SimulatedFileSystem.restart(&state)
            return generator
        }
    }

    /// Kills the process: everything written survives, as the kernel still has it.
    ///
    /// Files open now are dead afterwards.
    public func kill() { state.withLock { SimulatedFileSystem.restart(&$0) } }

    private static func restart(_ state: inout State) {
        state.locks = []
        state.faults = [:]
        state.isStopped = false
        state.life += 1
    }

    // MARK: - Looking and damaging

    /// The bytes of a file as a read sees them; nil when there is none.
    public func contents(_ path: String) -> [UInt8]? {
        state.withLock { state in state.names[path].flatMap { state.files[$0]?.bytes } }
    }

    /// Replaces a file's bytes, durably.
    public func setContents(_ path: String, _ bytes: [UInt8]) {
        state.withLock { state in
            let file = state.names[path] ?? SimulatedFileSystem.newFile(&state)
            state.names[path] = file
            state.durableNames[path] = file
            state.files[file] = Content(bytes: bytes, durable: bytes, dirty: [])
        }
    }

    /// Paths of all files, sorted.
    public var paths: [String] { state.withLock { $0.names.keys.sorted() } }

    /// A copy with the same durable and written bytes, and no faults.
    public func copy() -> SimulatedFileSystem {
        let copy = SimulatedFileSystem()
        let old = state.withLock { $0 }
        copy.state.withLock { new in
            new = old
            SimulatedFileSystem.restart(&new)
        }
        return copy
    }

    private static func newFile(_ state: inout State) -> Int {
        state.nextFile += 1
        state.files[state.nextFile] = Content(modifiedSeconds: state.wallClockSeconds)
        return state.nextFile
    }

    // MARK: - FileSystem

    /// Counts a call and lets it fail if it is its turn.
    fileprivate static func begin(
        _ state: inout State,
        _ operation: String,
        _ path: String
    ) throws(FileSystemError) {
        state.calls += 1
        if state.wasLocked, state.locks.isEmpty { state.callsWithoutLock += 1 }
        if let fault = state.faults.removeValue(forKey: state.calls) {
            switch fault {
            case .error(let code): throw FileSystemError(operation: operation, path: path, code: code)
            case .stop: state.isStopped = true
            }
        }
        if state.isStopped { throw FileSystemError(operation: operation, path: path, code: EIO) }
    }

    private func call<R>(
        _ operation: String,
        _ path: String,
        _ body: (inout sending State) throws(FileSystemError) -> R
    ) throws(FileSystemError) -> R {
        let result: Result<R, FileSystemError> = state.withLock { state in
            do throws(FileSystemError) {
                try SimulatedFileSystem.begin(&state, operation, path)
                return .success(try body(&state))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// See `FileSystem`.
    public func createDirectory(_ path: String) throws(FileSystemError) {
        try call("mkdir", path) { state in
            var path = path[...]
            while !path.isEmpty, state.directories.insert(String(path)).inserted {
                path = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
            }
        }
    }

    /// See `FileSystem`.
    public func list(_ path: String) throws(FileSystemError) -> [String] {
        try call("opendir", path) { state in
            let paths: [String] = Array(state.names.keys) + Array(state.directories)
            return paths.filter { $0.hasPrefix(path + "/") }.map { String($0.dropFirst(path.count + 1)) }
                .filter { !$0.contains("/") }.sorted()
        }
    }

    /// See `FileSystem`.
    public func open(_ path: String, _ access: FileAccess) throws(FileSystemError) -> any File {
        let (file, life) = try call("open", path) { state throws(FileSystemError) in
            if access == .create {
                let file = SimulatedFileSystem.newFile(&state)
                state.names[path] = file
                return (file, state.life)
            }
            guard let file = state.names[path] else {
                throw FileSystemError(operation: "open", path: path, code: ENOENT)
            }
            return (file, state.life)
        }
        return SimulatedFile(system: self, file: file, life: life, path: path)
    }

    /// See `FileSystem`.
    public func rename(_ old: String, to new: String) throws(FileSystemError) {
        try call("rename", old) { state throws(FileSystemError) in
            guard let file = state.names.removeValue(forKey: old) else {
                throw FileSystemError(operation: "rename", path: old, code: ENOENT)
            }
            state.names[new] = file
        }
    }

    /// See `FileSystem`.
    public func link(_ existing: String, to new: String) throws(FileSystemError) {
        try call("link", new) { state throws(FileSystemError) in
            guard let file = state.names[existing] else {
                throw FileSystemError(operation: "link", path: existing, code: ENOENT)
            }
            guard state.names[new] == nil else {
                throw FileSystemError(operation: "link", path: new, code: EEXIST)
            }
            state.names[new] = file
        }
    }

    /// See `FileSystem`.
    public func status(_ path: String) throws(FileSystemError) -> FileStatus {
        try call("lstat", path) { state throws(FileSystemError) in
            if let file = state.names[path], let content = state.files[file] {
                return FileStatus(
                    kind: .file,
                    size: content.bytes.count,
                    modifiedSeconds: content.modifiedSeconds,
                    linkCount: state.names.values.count { $0 == file }
                )
            }
            guard state.directories.contains(path) else {
                throw FileSystemError(operation: "lstat", path: path, code: ENOENT)
            }
            return FileStatus(kind: .directory, size: 0, modifiedSeconds: 0, linkCount: 2)
        }
    }

    /// See `FileSystem`.
    public func remove(_ path: String) throws(FileSystemError) {
        try call("unlink", path) { state throws(FileSystemError) in
            guard state.names.removeValue(forKey: path) == nil else { return }
            guard state.directories.contains(path) else {
                throw FileSystemError(operation: "remove", path: path, code: ENOENT)
            }
            guard !state.names.keys.contains(where: { $0.hasPrefix(path + "/") }) else {
                throw FileSystemError(operation: "remove", path: path, code: ENOTEMPTY)
            }
            state.directories.remove(path)
        }
    }

    /// See `FileSystem`.
    public func syncDirectory(_ path: String) throws(FileSystemError) {
        try call("fsync", path) { state in
            for name in Set(state.names.keys).union(state.durableNames.keys) where name.hasPrefix(path + "/") {
                state.durableNames[name] = state.names[name]
            }
        }
    }

    /// See `FileSystem`.
    public func lock(_ path: String) throws(FileSystemError) -> any FileLock {
        let life = try call("flock", path) { state throws(FileSystemError) in
            guard state.locks.insert(path).inserted else {
                throw FileSystemError(operation: "flock", path: path, code: EWOULDBLOCK)
            }
            state.wasLocked = true
            return state.life
        }
        return SimulatedLock(system: self, path: path, life: life)
    }
}

private final class SimulatedLock: FileLock {
    private let system: SimulatedFileSystem
    private let path: String
    private let life: Int

    init(system: SimulatedFileSystem, path: String, life: Int) {
        self.system = system
        self.path = path
        self.life = life
    }

    deinit {
        system.state.withLock { state in
            if state.life == life { state.locks.remove(path) }
        }
    }
}

private final class SimulatedFile: File {
    private let system: SimulatedFileSystem
    private let file: Int
    private let life: Int
    private let path: String

    init(system: SimulatedFileSystem, file: Int, life: Int, path: String) {
        self.system = system
        self.file = file
        self.life = life
        self.path = path
    }

    private func call<R>(
        _ operation: String,
        _ body: (inout SimulatedFileSystem.Content, inout SimulatedFileSystem.State) throws(FileSystemError) -> R
    ) throws(FileSystemError) -> R {
        let result: Result<R, FileSystemError> = system.state.withLock { state in
            do throws(FileSystemError) {
                guard state.life == life else {
                    throw FileSystemError(operation: operation, path: path, code: EBADF)
                }
                try SimulatedFileSystem.begin(&state, operation, path)
                var content = state.files.removeValue(forKey: file) ?? SimulatedFileSystem.Content()
                defer { state.files[file] = content }
                return .success(try body(&content, &state))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    func size() throws(FileSystemError) -> Int {
        try call("fstat") { content, _ in content.bytes.count }
    }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(FileSystemError) -> Int {
        try call("pread") { content, _ in
            let end = min(content.bytes.count, offset + buffer.count)
            guard offset < end else { return 0 }
            buffer.copyBytes(from: content.bytes[offset..<end])
            return end - offset
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileSystemError) {
        let copy = Array(bytes)
        let wasStopped = system.isStopped
        do throws(FileSystemError) {
            try call("pwrite") { content, state throws(FileSystemError) in
                try store(copy, at: offset, &content, state)
            }
        } catch {
            // A write that failed may have got some of its bytes to the file: here about the first half.
            system.state.withLock { state in
                guard !wasStopped, state.life == life, var content = state.files[file] else { return }
                try? store(Array(copy.prefix(copy.count / 16 * 8)), at: offset, &content, state)
                state.files[file] = content
            }
            throw error
        }
    }

    private func store(
        _ bytes: [UInt8],
        at offset: Int,
        _ content: inout SimulatedFileSystem.Content,
        _ state: SimulatedFileSystem.State
    ) throws(FileSystemError) {
        guard !bytes.isEmpty else { return }
        let end = offset + bytes.count
        if end > content.bytes.count { try grow(&content, to: end, state) }
        content.bytes.replaceSubrange(offset..<end, with: bytes)
        content.dirty.formUnion(offset / 512...(end - 1) / 512)
        content.modifiedSeconds = state.wallClockSeconds
    }

    private func grow(
        _ content: inout SimulatedFileSystem.Content,
        to size: Int,
        _ state: SimulatedFileSystem.State
    ) throws(FileSystemError) {
        let others = state.files.values.reduce(0) { $0 + $1.bytes.count }
        if let capacity = state.capacity, others + size > capacity {
            throw FileSystemError(operation: "pwrite", path: path, code: ENOSPC)
        }
        content.bytes.append(contentsOf: repeatElement(0, count: size - content.bytes.count))
    }

    func sync() throws(FileSystemError) {
        try call("fdatasync") { content, state throws(FileSystemError) in
            if let code = state.syncError {
                throw FileSystemError(operation: "fdatasync", path: path, code: code)
            }
            content.durable = content.bytes
            content.dirty = []
        }
    }

    func reserve(size: Int, writingZeros: Bool) throws(FileSystemError) {
        try call("fallocate") { content, state throws(FileSystemError) in
            let old = content.bytes.count
            guard size > old else { return }
            try grow(&content, to: size, state)
            content.dirty.formUnion(old / 512...(size - 1) / 512)
        }
    }
}
