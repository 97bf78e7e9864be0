import Glibc
package import SpringgLog

/// The names of checkpoint files, and which of them belong to a checkpoint that exists.
package struct CheckpointFiles {
    static let unfinished = ".tmp"
    private static let manifestSuffix = ".manifest"

    static func manifest(_ lsn: LSN) -> String { digits(lsn) + manifestSuffix }

    static func indexFile(_ lsn: LSN, _ number: Int) -> String { numbered(lsn, number) + ".index" }

    static func graphFile(_ lsn: LSN, _ number: Int) -> String { numbered(lsn, number) + ".graph" }

    private static func numbered(_ lsn: LSN, _ number: Int) -> String {
        let text = String(number)
        return digits(lsn) + "-" + String(repeating: "0", count: max(0, 6 - text.utf8.count)) + text
    }

    private static func digits(_ lsn: LSN) -> String {
        let text = String(lsn.rawValue)
        return String(repeating: "0", count: 20 - text.utf8.count) + text
    }

    let directory: String
    let fileSystem: any FileSystem

    package init(directory: String, fileSystem: any FileSystem) {
        self.directory = directory
        self.fileSystem = fileSystem
    }

    /// The checkpoints that have a manifest, newest first.
    ///
    /// None when there is no directory.
    package func all() throws(FileSystemError) -> [LSN] {
        let names: [String]
        do throws(FileSystemError) {
            names = try fileSystem.list(directory)
        } catch  where error.code == ENOENT {
            return []
        }
        return names.compactMap { name in
            guard name.hasSuffix(CheckpointFiles.manifestSuffix),
                name.utf8.count == 20 + CheckpointFiles.manifestSuffix.utf8.count
            else { return nil }
            return UInt64(name.prefix(20)).map { LSN($0) }
        }.sorted(by: >)
    }

    /// Bytes of all files.
    func bytes() throws(FileSystemError) -> Int {
        do throws(FileSystemError) {
            var sum = 0
            for name in try fileSystem.list(directory) {
                sum += try fileSystem.open(directory + "/" + name, .read).size()
            }
            return sum
        } catch  where error.code == ENOENT {
            return 0
        }
    }

    /// Removes every file that belongs to none of the checkpoints in `kept`: older ones, and what an interrupted one left.
    ///
    /// A manifest goes before its rows, so that no manifest ever names a file that is gone.
    func removeAll(except kept: [LSN]) throws(FileSystemError) {
        let prefixes = Set(kept.map(CheckpointFiles.digits))
        let names = try fileSystem.list(directory)
        let old = names.filter { !prefixes.contains(String($0.prefix(20))) || $0.hasSuffix(CheckpointFiles.unfinished) }
        guard !old.isEmpty else { return }
        for name in old where name.hasSuffix(CheckpointFiles.manifestSuffix) {
            try fileSystem.remove(directory + "/" + name)
        }
        try fileSystem.syncDirectory(directory)
        for name in old where !name.hasSuffix(CheckpointFiles.manifestSuffix) {
            try fileSystem.remove(directory + "/" + name)
        }
    }
}

extension CheckpointFiles {
    /// The base of the newest checkpoint in `directory` that is whole, nil when there is none, and what is wrong with those
    /// that are not.
    ///
    /// Reads all of it, into memory for the time of the call.
    package static func newest(
        in directory: String,
        _ fileSystem: any FileSystem
    ) throws(FileSystemError) -> (base: LogBase?, damaged: [String]) {
        var damaged: [String] = []
        for lsn in try CheckpointFiles(directory: directory, fileSystem: fileSystem).all() {
            do throws(CheckpointDamage) {
                return (try Materializer.restore(lsn, from: directory, fileSystem).base, damaged)
            } catch {
                damaged.append("\(error)")
            }
        }
        return (nil, damaged)
    }

    /// Names of the files of one checkpoint, the manifest last: with it the checkpoint exists.
    package static func names(
        of lsn: LSN,
        in directory: String,
        _ fileSystem: any FileSystem
    ) throws(FileSystemError) -> [String] {
        let names = try fileSystem.list(directory).filter { $0.hasPrefix(digits(lsn)) && !$0.hasSuffix(unfinished) }
        return names.filter { !$0.hasSuffix(manifestSuffix) }.sorted() + names.filter { $0.hasSuffix(manifestSuffix) }
    }
}
