public import SpringgLog

/// A row as a file holds it; the pointers are valid until the source is asked for the next one.
public struct SourceRow {
    /// The bytes of its id, as they stand in the file or as JSON says them.
    public let id: UnsafeRawBufferPointer
    /// Its components.
    public let vector: UnsafeBufferPointer<Float>
    /// The text of one JSON object; empty for none.
    public let metadata: UnsafeRawBufferPointer
    /// Where it begins.
    public let place: SourcePlace
}

/// A place in a file that is read.
public struct SourcePlace: Sendable, Equatable {
    /// The file.
    public let path: String
    /// Bytes before the place.
    public let offset: Int
    /// Number of the line, from 1, in a file of lines.
    public let line: Int?

    /// Names a place.
    public init(path: String, offset: Int, line: Int?) {
        self.path = path
        self.offset = offset
        self.line = line
    }

    /// That there is something wrong here.
    func flaw(_ reason: String) -> SourceFlaw { SourceFlaw(place: self, reason: reason) }
}

/// Something in a file that cannot be taken over as it stands.
public struct SourceFlaw: Error, Sendable, Equatable, CustomStringConvertible {
    /// Where it is.
    public let place: SourcePlace
    /// What is wrong.
    public let reason: String

    /// File, line, byte and what is wrong.
    public var description: String {
        let line = place.line.map { "line \($0), " } ?? ""
        return "\(place.path): \(line)byte \(place.offset): \(reason)"
    }
}

/// What a source gives when it is asked for the next row.
public enum SourceStep {
    /// A row.
    case row(SourceRow)
    /// A row that cannot be taken over; those behind it are still readable, unless `end` follows.
    case flaw(SourceFlaw)
    /// There are no more.
    case end
}

/// Rows of one index, read from files from front to back.
///
/// A source takes no length for granted, and holds no more than a row at a time; what it notes of each row is said where
/// it does. It checks how the file is made. What every row must be, wherever it is from, `CheckedRows` checks.
public protocol RowSource: AnyObject {
    /// The file that gives the source its name.
    var path: String { get }
    /// Components of each row, where the file says so ahead of its rows.
    var dimensions: Int? { get }
    /// Bytes that there are to be read.
    var bytesTotal: Int { get }
    /// Bytes that have been read.
    var bytesDone: Int { get }
    /// Names of fields that were met and are not kept; some of them, if they are many.
    var droppedFields: Set<String> { get }

    /// Reads on.
    func next() throws(FileSystemError) -> SourceStep
}

extension RowSource {
    /// None: most formats have no room for others.
    public var droppedFields: Set<String> { [] }
}
