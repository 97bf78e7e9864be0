import Glibc
package import SpringgLog

/// What a command was told to read.
package enum LogInput {
    /// A directory of segments; `data` is the data directory around it, if it is one.
    case directory(log: String, data: String?)
    /// One file: a segment, an archive of frames, or either compressed with zstd.
    case file(String)
    /// The same from a pipe, also several files that were joined.
    case standardInput
    /// An archive, whose records come in the order of their versions.
    case feed(any RecordFeed)

    /// Finds out what a path is; "-" is standard input.
    package init(_ path: String) throws(LogError) {
        guard path != "-" else {
            self = .standardInput
            return
        }
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw .io(FileSystemError(operation: "open", path: path, code: errno))
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            self = .file(path)
            return
        }
        let base = path.utf8.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        for (log, data) in [(base + "/log", base), (base, nil)] {
            let segments: [(firstLSN: LSN, path: String)]
            do throws(LogError) {
                segments = try LogScan(directory: log, fileSystem: PosixFileSystem()).segments()
            } catch {
                // Not there: it may be the other kind of directory. Not to be read is another matter.
                guard case .io(let cause) = error, [ENOENT, ENOTDIR].contains(cause.code) else { throw error }
                continue
            }
            if !segments.isEmpty || data != nil {
                self = .directory(log: log, data: data)
                return
            }
        }
        throw .io(FileSystemError(operation: "looking for log segments (*.seg) in", path: base, code: ENOENT))
    }

    /// Opens a file or standard input; sees for itself whether it is compressed.
    package static func open(_ path: String?) throws(LogError) -> any ByteSource {
        let source: any ByteSource =
            if let path { try FileSource(path: path) } else {
                PipeSource(descriptor: STDIN_FILENO, name: "standard input")
            }
        let peeked = PeekingSource(source)
        return try peeked.first(4) == ZstdSource.magic ? ZstdSource(peeked) : peeked
    }
}

/// A source whose first bytes have been looked at.
private final class PeekingSource: ByteSource {
    private let source: any ByteSource
    private var head: [UInt8] = []

    init(_ source: any ByteSource) { self.source = source }

    var isSeekable: Bool { source.isSeekable }

    /// The first bytes as an integer; 0 when there are fewer.
    func first(_ count: Int) throws(LogError) -> UInt32 {
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        while got < count {
            let more = try bytes.withMutableBytes { buffer throws(LogError) in
                try source.read(at: got, into: UnsafeMutableRawBufferPointer(rebasing: buffer[got...]))
            }
            if more == 0 { break }
            got += more
        }
        if !isSeekable { head = Array(bytes.prefix(got)) }
        return got == count ? bytes.withBytes { $0.integer(UInt32.self, at: 0) } : 0
    }

    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(LogError) -> Int {
        guard offset < head.count else { return try source.read(at: offset, into: buffer) }
        let count = min(buffer.count, head.count - offset)
        buffer.copyBytes(from: head[offset..<offset + count])
        return count
    }
}
