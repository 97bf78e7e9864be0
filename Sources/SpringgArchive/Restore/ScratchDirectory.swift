import Glibc
package import SpringgLog

/// A directory for what is fetched and read once, in `$TMPDIR`; gone with this value.
package final class ScratchDirectory {
    package let path: String

    package init() throws(FileSystemError) {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array((parent + "/springg-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw FileSystemError(operation: "mkdtemp", path: parent, code: errno)
        }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit {
        let fileSystem = PosixFileSystem()
        for name in (try? fileSystem.list(path)) ?? [] { try? fileSystem.remove(path + "/" + name) }
        rmdir(path)
    }
}
