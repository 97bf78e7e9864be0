import Glibc
package import SpringgLog

/// Where a node keeps who its cluster's members are: `DATA/members`, replaced as a whole.
package struct RosterFile: Sendable {
    private let directory: String
    private let fileSystem: any FileSystem

    package init(directory: String, fileSystem: any FileSystem) {
        self.directory = directory
        self.fileSystem = fileSystem
    }

    private var path: String { self.directory + "/members" }

    /// Of a new node nothing is there yet.
    private func names() throws(FileSystemError) -> [String] {
        do {
            return try self.fileSystem.list(self.directory)
        } catch {
            if error.code == ENOENT { return [] }
            throw error
        }
    }

    /// What is there; an empty roster when there is no file, nil when it is damaged.
    package func read() throws(FileSystemError) -> Roster? {
        guard try self.names().contains("members") else { return Roster() }
        let file = try self.fileSystem.open(self.path, .read)
        let size = try file.size()
        guard size <= Roster.bytesMax else { return nil }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, size), alignment: 1)
        defer { buffer.deallocate() }
        let count = try file.read(at: 0, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<size]))
        return String(validating: buffer[..<count], as: UTF8.self).flatMap { Roster($0) }
    }

    /// Durable on return.
    package func write(_ roster: Roster) throws(FileSystemError) {
        let file = try self.fileSystem.open(self.path + ".new", .create)
        let bytes = Array(roster.text.utf8)
        var failure: FileSystemError?
        bytes.withUnsafeBytes { bytes in
            do throws(FileSystemError) { try file.write(bytes, at: 0) } catch { failure = error }
        }
        if let failure { throw failure }
        try file.sync()
        try self.fileSystem.rename(self.path + ".new", to: self.path)
        try self.fileSystem.syncDirectory(self.directory)
    }
}
