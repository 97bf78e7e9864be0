import CSpringg
import SpringgLog
import SpringgProjections

/// `NAME.meta` of the Go program: one JSON object, id → metadata, indented.
///
/// It stands in another order than the rows of `NAME.bin`, and may be larger than memory should be: one pass notes where
/// the metadata of each id stands (about 60 bytes an entry), then it is read when its row comes.
final class MetadataFile {
    private let file: SourceFile
    private let scratch: RowScratch
    private var entries: [RowKey: Entry] = [:]
    private var isFirst = true
    private var value: [UInt8] = []

    private struct Entry {
        var offset: Int
        var bytes: Int
        var isTaken = false
    }

    /// Text of a key: an id of which every byte is escaped.
    private static let keyBytesMax = 6 * EventLimits.vectorIDBytesMax + 2

    init(_ path: String, scratch: RowScratch, fileSystem: any FileSystem) throws(FileSystemError) {
        file = try SourceFile(path, pieceBytesMax: 1, fileSystem: fileSystem)
        self.scratch = scratch
    }

    var path: String { file.path }
    var size: Int { file.size }
    var bytesDone: Int { file.offset }

    // MARK: - Noting where everything stands

    enum Step {
        case entry
        /// One entry that cannot be used.
        case flaw(SourceFlaw)
        /// The file is no JSON from here on: nobody can say which metadata is whose.
        case broken(SourceFlaw)
        case end
    }

    private func place(_ offset: Int) -> SourcePlace { SourcePlace(path: path, offset: offset, line: nil) }

    /// Notes the next entry.
    func note() throws(FileSystemError) -> Step {
        do throws(Broken) {
            if isFirst {
                try expect("{")
            }
            if try peek(skippingSpace: true) == UInt8(ascii: "}") {
                try expect("}")
                guard try peek(skippingSpace: true) == nil else { throw .json("something follows the object") }
                return .end
            }
            if !isFirst { try expect(",") }
            isFirst = false
            guard try peek(skippingSpace: true) == UInt8(ascii: "\"") else { throw .json("an id in quotes is missing") }
            let key = try passValue()
            try expect(":")
            _ = try peek(skippingSpace: true)
            let value = try passValue()
            return try note(key, value)
        } catch {
            switch error {
            case .json(let reason): return .broken(place(file.offset).flaw(reason))
            case .disk(let error): throw error
            }
        }
    }

    private enum Broken: Error {
        case json(String)
        case disk(FileSystemError)
    }

    private func disk<R>(_ body: () throws(FileSystemError) -> R) throws(Broken) -> R {
        do throws(FileSystemError) {
            return try body()
        } catch {
            throw .disk(error)
        }
    }

    private func note(_ key: Range<Int>, _ value: Range<Int>) throws(Broken) -> Step {
        guard key.count <= Self.keyBytesMax else { return .flaw(place(key.lowerBound).flaw("the id is too long")) }
        var text = [UInt8](repeating: 0, count: key.count)
        let isThere = try disk { () throws(FileSystemError) in
            try text.withMutableBytes { bytes throws(FileSystemError) in
                try file.read(at: key.lowerBound, into: bytes)
            }
        }
        guard isThere else { throw .json("the file has become shorter") }
        let bytes = text.withUnsafeBytes { text in
            var reader = JSONReader(text)
            return try? reader.string(into: scratch.idRoom)
        }
        guard let bytes else { return .flaw(place(key.lowerBound).flaw("the id is no JSON text")) }
        guard (1...EventLimits.vectorIDBytesMax).contains(bytes) else {
            return .flaw(place(key.lowerBound).flaw("the id has \(bytes) bytes, not 1 to 512"))
        }
        let entry = Entry(offset: value.lowerBound, bytes: value.count)
        guard entries.updateValue(entry, forKey: RowKey(scratch.id(bytes))) == nil else {
            return .flaw(place(key.lowerBound).flaw("the id was there already"))
        }
        return .entry
    }

    private func peek(skippingSpace: Bool) throws(Broken) -> UInt8? {
        while true {
            guard let byte = try disk({ () throws(FileSystemError) in try file.peekByte() }) else { return nil }
            guard skippingSpace, [0x20, 0x09, 0x0A, 0x0D].contains(byte) else { return byte }
            file.skip(1)
        }
    }

    private func expect(_ character: Unicode.Scalar) throws(Broken) {
        guard try peek(skippingSpace: true) == UInt8(ascii: character) else {
            throw .json("\(file.bytesLeft == 0 ? "the file ends where" : "no JSON:") a \(character) must stand here")
        }
        file.skip(1)
    }

    /// Passes over a value by its brackets and quotes alone; whether it is JSON is seen when it is read.
    private func passValue() throws(Broken) -> Range<Int> {
        let start = file.offset
        var depth = 0
        var isInText = false
        var isEscaped = false
        while let byte = try peek(skippingSpace: false) {
            if isInText {
                file.skip(1)
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInText = false
                    if depth == 0 { return start..<file.offset }
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""):
                isInText = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard depth > 0 else { return start..<file.offset }
                depth -= 1
                if depth == 0 {
                    file.skip(1)
                    return start..<file.offset
                }
            case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x09, 0x0A, 0x0D:
                if depth == 0 { return start..<file.offset }
            default:
                break
            }
            file.skip(1)
        }
        throw .json("the file ends inside a value that begins at byte \(start)")
    }

    // MARK: - Reading

    enum Value {
        case metadata(UnsafeRawBufferPointer)
        case flaw(SourceFlaw)
    }

    /// What is stored of the metadata of an id; lies in the scratch.
    func metadata(
        of id: UnsafeRawBufferPointer,
        dropped: (UnsafeRawBufferPointer) -> Void
    ) throws(FileSystemError) -> Value {
        guard let entry = take(id) else { return .metadata(RowScratch.noMetadata) }
        let place = place(entry.offset)
        guard entry.bytes <= JSONRow.metadataTextBytesMax else { return .flaw(place.flaw(JSONRow.metadataTooLarge)) }
        if value.count < entry.bytes { value = Array(repeating: 0, count: entry.bytes) }
        let isThere = try value.withMutableBytes { bytes throws(FileSystemError) in
            try file.read(at: entry.offset, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<entry.bytes]))
        }
        guard isThere else { return .flaw(place.flaw("the file has become shorter")) }
        do throws(SourceFlaw) {
            let stored = try value.withBytes { bytes throws(SourceFlaw) in
                try storedMetadata(bytes.part(0, entry.bytes), at: place, what: "the value", scratch, dropped: dropped)
            }
            return .metadata(stored)
        } catch {
            return .flaw(error)
        }
    }

    /// The entry of an id, which has its row now.
    @discardableResult
    func take(_ id: UnsafeRawBufferPointer) -> (offset: Int, bytes: Int)? {
        guard let place = entries.index(forKey: RowKey(id)) else { return nil }
        entries.values[place].isTaken = true
        let entry = entries.values[place]
        return (entry.offset, entry.bytes)
    }

    /// Entries of ids that have no row, in the order of the file.
    func orphans() -> [SourceFlaw] {
        entries.values.filter { !$0.isTaken }.map(\.offset).sorted().map { offset in
            place(offset).flaw("metadata of an id that has no vector")
        }
    }
}
