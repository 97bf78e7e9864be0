import Glibc
import SpringgLog
import SpringgTestKit
import Testing

/// The real file system where it is least obliging.
@Suite("The real file system")
struct PosixFileSystemTests {
    @Test("directories are made with their parents, and an existing one is fine")
    func directories() throws {
        let temporary = try TemporaryDirectory()
        let path = temporary.path + "/a/b/c"
        try PosixFileSystem().createDirectory(path)
        try PosixFileSystem().createDirectory(path)
        #expect(try PosixFileSystem().list(temporary.path + "/a/b") == ["c"])
    }

    @Test(
        "where nothing can be made the error says so",
        arguments: ["/proc/springg", "/proc/springg/data", "/dev/null/data"]
    )
    func refused(path: String) {
        #expect(throws: FileSystemError.self) { try PosixFileSystem().createDirectory(path) }
    }

    @Test("a file in place of a directory is refused")
    func fileInPlace() throws {
        let temporary = try TemporaryDirectory()
        _ = try PosixFileSystem().open(temporary.path + "/file", .create)
        #expect(throws: FileSystemError.self) { try PosixFileSystem().createDirectory(temporary.path + "/file") }
    }
}
