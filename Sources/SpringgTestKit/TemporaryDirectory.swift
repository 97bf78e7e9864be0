import Glibc

/// A directory of its own for one test, removed with all its content when the value goes.
public final class TemporaryDirectory: Sendable {
    /// Absolute path without a slash at the end.
    public let path: String

    /// Makes an empty directory below `TMPDIR` or /tmp; on the same disk as `place` when that is given.
    public init(in place: String? = nil) throws {
        let parent = place ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array((parent + "/springg-test-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw TestKitError.system("making a directory in \(parent)") }
        path = template.withUnsafeBufferPointer { String(decoding: $0.dropLast().map(UInt8.init), as: UTF8.self) }
    }

    deinit {
        Files.removeTree(path)
    }
}

/// The few things tests do with files.
public enum Files {
    /// Names in a directory, sorted, without "." and "..".
    public static func list(_ directory: String) throws -> [String] {
        guard let handle = opendir(directory) else { throw TestKitError.system("listing \(directory)") }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// True when something is there.
    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Everything in the file.
    public static func read(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw TestKitError.system("opening \(path)") }
        defer { close(file) }
        var content: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let got = Glibc.read(file, &piece, piece.count)
            guard got >= 0 else { throw TestKitError.system("reading \(path)") }
            if got == 0 { return content }
            content.append(contentsOf: piece[..<got])
        }
    }

    /// Makes the file hold exactly these bytes.
    public static func write(_ path: String, _ bytes: some Sequence<UInt8>) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw TestKitError.system("creating \(path)") }
        defer { close(file) }
        let content = Array(bytes)
        var done = 0
        while done < content.count {
            let wrote = content[done...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard wrote > 0 else { throw TestKitError.system("writing \(path)") }
            done += wrote
        }
    }

    /// Exclusive-ors one byte of the file with `mask`, in place.
    public static func flip(_ path: String, offset: Int, mask: UInt8 = 0xFF) throws {
        let file = open(path, O_RDWR | O_CLOEXEC)
        guard file >= 0 else { throw TestKitError.system("opening \(path)") }
        defer { close(file) }
        var byte: UInt8 = 0
        guard pread(file, &byte, 1, offset) == 1 else { throw TestKitError("\(path) has no byte \(offset)") }
        byte ^= mask
        guard pwrite(file, &byte, 1, offset) == 1 else { throw TestKitError.system("writing \(path)") }
    }

    /// Bytes that the files below a directory hold and bytes of disk they occupy.
    public static func treeSize(_ path: String) -> (apparent: Int, occupied: Int) {
        var info = stat()
        guard lstat(path, &info) == 0 else { return (0, 0) }
        // st_blocks counts units of 512 bytes, whatever the block size of the file system.
        var sum = (apparent: Int(info.st_size), occupied: Int(info.st_blocks) * 512)
        if info.st_mode & S_IFMT == S_IFDIR {
            sum = (0, 0)
            for name in (try? list(path)) ?? [] {
                let part = treeSize(path + "/" + name)
                sum.apparent += part.apparent
                sum.occupied += part.occupied
            }
        }
        return sum
    }

    /// Copies a directory and everything below it.
    public static func copyTree(_ source: String, to target: String) throws {
        guard mkdir(target, 0o755) == 0 else { throw TestKitError.system("making \(target)") }
        for name in try list(source) {
            var info = stat()
            guard lstat(source + "/" + name, &info) == 0 else { continue }
            if info.st_mode & S_IFMT == S_IFDIR {
                try copyTree(source + "/" + name, to: target + "/" + name)
            } else {
                try write(target + "/" + name, read(source + "/" + name))
            }
        }
    }

    /// Removes a directory and everything below it; what is not there is fine.
    public static func removeTree(_ path: String) {
        var info = stat()
        guard lstat(path, &info) == 0 else { return }
        if info.st_mode & S_IFMT == S_IFDIR {
            for name in (try? list(path)) ?? [] { removeTree(path + "/" + name) }
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}
