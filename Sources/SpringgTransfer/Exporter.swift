public import SpringgLog
public import SpringgProjections

/// Takes the rows of one index and makes files of them.
protocol RowWriter: AnyObject {
    /// What has been begun, in the order in which the files get their names.
    var files: [OutputFile] { get }
    func append(_ row: Row) throws(FileSystemError)
    func finish() throws(FileSystemError)
}

/// How an exported index is written.
public enum ExportFormat: String, Sendable, CaseIterable {
    /// `NAME.bin` and `NAME.meta`, as the Go program reads them.
    case springg1
    /// `NAME.jsonl`.
    case jsonl
    /// `NAME.npy` and `NAME.ids.jsonl`.
    case npy

    /// The endings of what is written, and of what would be taken for a part of it.
    var endings: [String] {
        switch self {
        case .springg1: [".bin", ".meta"]
        case .jsonl: [".jsonl"]
        case .npy: [".npy", ".ids.jsonl"]
        }
    }
}

/// Why nothing was exported.
public enum ExportError: Error, Sendable, CustomStringConvertible {
    /// A file is there already.
    case exists(path: String)
    /// A journal of the Go program is there, which it would take for newer than what is written.
    case journal(path: String)
    /// A call on the file system failed.
    case io(FileSystemError)

    /// What is wrong, and what to do.
    public var description: String {
        switch self {
        case .exists(let path): "\(path) exists already. Choose another --out, or replace it with --force."
        case .journal(let path):
            "\(path) is in the way: the Go program would apply it to what is written here. Choose another --out."
        case .io(let error): "\(error)"
        }
    }
}

/// Writes an index to files, in ascending order of the ids' bytes: equal rows give equal files.
///
/// The files get their names when all of their bytes are durable; before that nothing has changed.
public struct Exporter {
    private let directory: String
    private let format: ExportFormat
    private let replaces: Bool
    private let fileSystem: any FileSystem

    /// Prepares to write into a directory, which is made when it is missing.
    public init(
        to directory: String,
        _ format: ExportFormat,
        replaces: Bool = false,
        fileSystem: any FileSystem = PosixFileSystem()
    ) {
        self.directory = directory.hasSuffix("/") && directory.utf8.count > 1 ? String(directory.dropLast()) : directory
        self.format = format
        self.replaces = replaces
        self.fileSystem = fileSystem
    }

    /// What an export wrote.
    public struct Outcome: Sendable, Equatable {
        /// The files.
        public var paths: [String]
        /// Rows in them.
        public var rows: Int
        /// Bytes in them.
        public var bytes: Int
    }

    /// Refuses before anything is written what is in the way of an export of these indexes.
    public func admit(_ names: [IndexName]) throws(ExportError) {
        for name in names { _ = try filesInTheWay(of: name) }
    }

    private func filesInTheWay(of name: IndexName) throws(ExportError) -> [String] {
        let there = try io { () throws(FileSystemError) in
            try fileSystem.createDirectory(directory)
            return try Set(fileSystem.list(directory))
        }
        let base = name.description
        if format == .springg1, there.contains(base + ".wal") { throw .journal(path: "\(directory)/\(base).wal") }
        let found = format.endings.map { base + $0 }.filter(there.contains).map { directory + "/" + $0 }
        if let first = found.first, !replaces { throw .exists(path: first) }
        return found
    }

    /// Writes an index, which must not change meanwhile.
    public func write(
        _ index: VectorIndex,
        progress: (TransferProgress) -> Void = { _ in }
    ) throws(ExportError) -> Outcome {
        let old = try filesInTheWay(of: index.name)
        let base = directory + "/" + index.name.description
        let count = index.count
        let writer = try io { () throws(FileSystemError) -> any RowWriter in
            switch format {
            case .springg1:
                try SpringgBinWriter(base: base, dimensions: index.dimensions, rows: count, fileSystem: fileSystem)
            case .jsonl: try JSONLinesWriter(base + ".jsonl", hasVectors: true, fileSystem: fileSystem)
            case .npy: try NPYWriter(base: base, dimensions: index.dimensions, rows: count, fileSystem: fileSystem)
            }
        }
        do throws(ExportError) {
            let rows = try append(index, to: writer, of: count, progress)
            return try io { () throws(FileSystemError) in
                try writer.finish()
                for file in writer.files { try file.sync() }
                // Old and new files must never stand beside one another as if they were one index.
                for path in old { try fileSystem.remove(path) }
                for file in writer.files { try file.publish() }
                try fileSystem.syncDirectory(directory)
                let bytes = writer.files.reduce(0) { $0 + $1.bytes }
                return Outcome(paths: writer.files.map(\.path), rows: rows, bytes: bytes)
            }
        } catch {
            for file in writer.files { file.abandon() }
            throw error
        }
    }

    private func append(
        _ index: VectorIndex,
        to writer: any RowWriter,
        of count: Int,
        _ progress: (TransferProgress) -> Void
    ) throws(ExportError) -> Int {
        var rows = 0
        var failure: FileSystemError?
        index.forEachRowInIDOrder { row in
            do throws(FileSystemError) {
                try writer.append(row)
            } catch {
                failure = error
                return false
            }
            rows += 1
            if rows % TransferProgress.rowsBetween == 0 {
                progress(TransferProgress(bytesDone: rows, bytesTotal: count, rows: rows))
            }
            return true
        }
        if let failure { throw .io(failure) }
        // The header has said how many.
        precondition(rows == count, "\(index.name) has changed while it was exported: \(rows) rows instead of \(count)")
        return rows
    }

    private func io<R>(_ body: () throws(FileSystemError) -> R) throws(ExportError) -> R {
        do throws(FileSystemError) {
            return try body()
        } catch {
            throw .io(error)
        }
    }
}
