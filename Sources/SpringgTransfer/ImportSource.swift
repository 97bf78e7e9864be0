public import SpringgLog
public import SpringgProjections

/// Files that together are one index, by their names: nothing of them has been read yet.
public struct ImportSource: Sendable, Equatable {
    /// How the files are made.
    public enum Format: Sendable, Equatable {
        /// `NAME.bin`, `NAME.meta`, `NAME.wal`.
        case go(GoIndexReader.Files)
        /// `NAME.jsonl`.
        case jsonLines(String)
        /// `NAME.npy` and the file of its ids.
        case npy(String, labels: String)
    }

    /// The index that its rows go to.
    public let index: IndexName
    /// Its files.
    public let format: Format

    /// Names the files of an index.
    public init(index: IndexName, format: Format) {
        self.index = index
        self.format = format
    }

    /// Begins to read the rows.
    public func open(_ fileSystem: any FileSystem) throws(FileSystemError) -> any RowSource {
        switch format {
        case .go(let files): try GoIndexReader(files, fileSystem: fileSystem)
        case .jsonLines(let path): try JSONLinesReader(path, fileSystem: fileSystem)
        case .npy(let path, let labels): try NPYReader(path, labels: labels, fileSystem: fileSystem)
        }
    }
}

/// Why what was asked for is no import.
public enum ImportSourceError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file or a directory cannot be looked at.
    case unreadable(FileSystemError)
    /// There is nothing in it that can be imported.
    case nothing(directory: String)
    /// The ending says nothing.
    case unknownEnding(path: String)
    /// The file's name is no name of an index.
    case badName(path: String, name: String)
    /// `NAME.meta` without the vectors that it is about.
    case metadataAlone(path: String)
    /// A NumPy array without ids.
    case noIDs(path: String)
    /// Two files for one index.
    case twice(IndexName, String, String)
    /// One name or one file of ids for several indexes.
    case severalIndexes(option: String)

    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .unreadable(let error): "\(error)"
        case .nothing(let directory):
            "\(directory) holds no NAME.bin, NAME.wal, NAME.jsonl or NAME.npy"
        case .unknownEnding(let path):
            "\(path): the ending is none of .bin, .wal, .jsonl, .ndjson and .npy"
        case .badName(let path, let name):
            "\(path): \(name.debugDescription) is no name of an index (\(IndexName.rule)). Choose one with --index."
        case .metadataAlone(let path): "\(path) is metadata of vectors that are not there: its .bin is missing"
        case .noIDs(let path):
            "\(path) needs the ids of its rows, one a line: in \(ImportSource.labelPaths(of: path).joined(separator: ", in ")), "
                + "or in a file named with --ids"
        case .twice(let name, let a, let b):
            "\(a) and \(b) are both the index \(name). Import them one after the other, or name one with --index."
        case .severalIndexes(let option): "\(option) is for a single index, and these are several"
        }
    }
}

extension ImportSource {
    private static let vectors = ".bin"
    private static let metadata = ".meta"
    private static let journal = ".wal"
    private static let array = ".npy"
    private static let lines = [".jsonl", ".ndjson"]
    private static let labels = [".ids.jsonl", ".ids.txt"]

    /// Where the ids of an array are looked for.
    static func labelPaths(of array: String) -> [String] {
        labels.map { array.dropLast(Self.array.count) + $0 }
    }

    /// The indexes that the given files and directories hold, in the order of their names.
    ///
    /// A directory stands for the files in it that can be imported. `index` and `ids` name what a single file leaves open.
    public static func find(
        in paths: [String],
        index: IndexName?,
        ids: String?,
        _ fileSystem: any FileSystem
    ) throws(ImportSourceError) -> [ImportSource] {
        var found: [ImportSource] = []
        for path in paths {
            // A directory can be listed, a file cannot.
            if let names = try? fileSystem.list(path) {
                let base = path.hasSuffix("/") && path.utf8.count > 1 ? String(path.dropLast()) : path
                found += try indexes(in: base, names: names, index, ids)
            } else {
                let (directory, name) = split(path)
                let siblings = try list(directory, fileSystem)
                guard siblings.contains(name) else {
                    // Opening it says why.
                    do throws(FileSystemError) {
                        _ = try fileSystem.open(path, .read)
                    } catch {
                        throw .unreadable(error)
                    }
                    continue
                }
                guard let source = try source(name, in: directory, Set(siblings), index, ids) else {
                    throw .unknownEnding(path: path)
                }
                found.append(source)
            }
        }
        found.sort { $0.index < $1.index }
        for (one, next) in zip(found, found.dropFirst()) where one.index == next.index {
            if index != nil { throw .severalIndexes(option: "--index") }
            throw .twice(one.index, one.path, next.path)
        }
        guard ids == nil || found.count == 1 else { throw .severalIndexes(option: "--ids") }
        return found
    }

    /// The file that gives it its name.
    public var path: String {
        switch format {
        case .go(let files): files.vectors ?? files.journal ?? ""
        case .jsonLines(let path), .npy(let path, _): path
        }
    }

    private static func list(
        _ directory: String,
        _ fileSystem: any FileSystem
    ) throws(ImportSourceError) -> [String] {
        do throws(FileSystemError) {
            return try fileSystem.list(directory)
        } catch {
            throw .unreadable(error)
        }
    }

    private static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (".", path) }
        return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.utf8.index(after: slash)...]))
    }

    private static func indexes(
        in directory: String,
        names: [String],
        _ index: IndexName?,
        _ ids: String?
    ) throws(ImportSourceError) -> [ImportSource] {
        let all = Set(names)
        let arrays = names.filter { $0.hasSuffix(array) }
        let labelNames = Set(arrays.flatMap { labelPaths(of: $0) })
        var sources: [ImportSource] = []
        for name in names.sorted() where !labelNames.contains(name) {
            // Of .bin and .wal, .bin stands for both.
            if name.hasSuffix(journal), all.contains(name.dropLast(journal.count) + vectors) { continue }
            if name.hasSuffix(metadata) {
                let base = name.dropLast(metadata.count)
                guard all.contains(base + vectors) || all.contains(base + journal) else {
                    throw .metadataAlone(path: directory + "/" + name)
                }
            }
            if let source = try source(name, in: directory, all, index, ids) { sources.append(source) }
        }
        guard !sources.isEmpty else { throw .nothing(directory: directory) }
        return sources
    }

    /// The index that a file stands for; nil when its ending says nothing.
    private static func source(
        _ name: String,
        in directory: String,
        _ siblings: Set<String>,
        _ index: IndexName?,
        _ ids: String?
    ) throws(ImportSourceError) -> ImportSource? {
        let endings = [vectors, journal, array] + lines
        guard let ending = endings.first(where: { name.hasSuffix($0) }) else { return nil }
        func path(_ name: String) -> String {
            directory == "." ? name : directory == "/" ? "/" + name : directory + "/" + name
        }
        func sibling(_ name: String) -> String? { siblings.contains(name) ? path(name) : nil }
        let base = String(name.dropLast(ending.count))
        guard let index = index ?? IndexName(base) else { throw .badName(path: path(name), name: base) }
        switch ending {
        case vectors, journal:
            let files = GoIndexReader.Files(
                vectors: sibling(base + vectors),
                metadata: sibling(base + metadata),
                journal: sibling(base + journal)
            )
            return ImportSource(index: index, format: .go(files))
        case array:
            guard let labels = ids ?? labelPaths(of: name).lazy.compactMap(sibling).first else {
                throw .noIDs(path: path(name))
            }
            return ImportSource(index: index, format: .npy(path(name), labels: labels))
        default:
            return ImportSource(index: index, format: .jsonLines(path(name)))
        }
    }
}
