import ArgumentParser
import Glibc
import LogTools
import SpringgLog

/// Vectors out of a log.
struct Extract: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes the vectors of chosen events to JSON lines or to a NumPy array.",
        discussion: """
            Every matching vectorPut is written, also of versions that were replaced later. With --format npy a file of the \
            same name and .jsonl holds id, LSN, time and metadata of each row, in order; all vectors must have the same \
            dimensions. Nothing is overwritten.

            Exit status 0 fine, 1 failed, 2 wrong usage, 6 something in the log is damaged or missing.

            Examples:
              logdump extract DIR --index docs --format jsonl > docs.jsonl
              logdump extract DIR --index docs --since 2h --format npy --out docs.npy
              logdump extract DIR --index docs --id apple --format jsonl
            """
    )

    enum Format: String, CaseIterable, ExpressibleByArgument { case jsonl, npy }

    @OptionGroup var source: Source
    @OptionGroup var filters: FilterOptions
    @Option(help: "jsonl or npy.") var format = Format.jsonl
    @Option(help: ArgumentHelp("The array to write (npy only; jsonl goes to stdout).", valueName: "file")) var out:
        String?

    func run() throws {
        var filter = try filters.filter()
        filter.kinds = [EventKind.vectorPut.rawValue]
        guard (format == .npy) == (out != nil) else {
            throw ValidationError(
                format == .npy ? "--format npy needs --out FILE" : "--out is for --format npy; jsonl goes to stdout"
            )
        }
        let notes = DamageNotes(source.path)
        var text = RecordText()
        text.vectors = format == .jsonl ? .full : .none
        text.showsMetadata = true
        let array = try out.map { try ArrayWriter($0) }
        let walk = LogWalk(try source.input())
        walk.from = filter.firstLSN
        (walk.since, walk.until) = (filter.since, filter.until)
        do {
            try walk.run { step in
                guard case .record(let record) = step else {
                    notes.take(step)
                    return .more
                }
                if filter.isBehind(record) { return .enough }
                guard filter.matches(record) else { return .more }
                if let array {
                    Progress.show("LSN \(record.lsn)")
                    try array.append(record, text)
                } else {
                    Output.line(text.json(record).text)
                }
                return .more
            }
            try array?.finish()
        } catch {
            array?.discard()
            throw error
        }
        Progress.clear()
        if let array { Output.line("\(counted(array.rows, "vector")) written to \(array.path)") }
        try notes.finish()
    }
}

/// A NumPy file and the lines beside it.
private final class ArrayWriter {
    let path: String
    private let file: any File
    private let lines: any File
    private var array: NumPyFile?
    private var text: [UInt8] = []
    private var textBytes = 0

    var rows: Int { array?.rows ?? 0 }

    init(_ path: String) throws {
        self.path = path
        for name in [path, path + ".jsonl"] where access(name, F_OK) == 0 {
            throw Failure("\(name) exists. Choose another file; nothing is overwritten.")
        }
        (file, lines) = try Log.io { () throws(FileSystemError) in
            let fileSystem = PosixFileSystem()
            return (try fileSystem.open(path, .create), try fileSystem.open(path + ".jsonl", .create))
        }
    }

    func append(_ record: LogRecord, _ style: RecordText) throws {
        guard case .vectorPut(_, _, let vector, _)? = record.envelope.event else { return }
        let array = self.array ?? NumPyFile(file, dimensions: vector.count / 4)
        self.array = array
        guard vector.count == array.dimensions * 4 else {
            throw Failure(
                "the vector at LSN \(record.lsn) has \(vector.count / 4) dimensions, those before it \(array.dimensions). "
                    + "Choose one index with --index, or a range of one shape with --from and --to."
            )
        }
        try array.append(vector)
        text += style.json(record).text.utf8
        text.append(UInt8(ascii: "\n"))
        if text.count > 1 << 20 { try flush() }
    }

    func finish() throws {
        try flush()
        try (array ?? NumPyFile(file, dimensions: 0)).finish()
        try Log.io { () throws(FileSystemError) in try lines.sync() }
    }

    func discard() {
        for name in [path, path + ".jsonl"] { try? PosixFileSystem().remove(name) }
    }

    private func flush() throws {
        try text.withUnsafeBytes { bytes in
            try Log.io { () throws(FileSystemError) in try lines.write(bytes, at: textBytes) }
        }
        textBytes += text.count
        text.removeAll(keepingCapacity: true)
    }
}
