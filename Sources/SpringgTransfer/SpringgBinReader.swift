public import SpringgLog

/// Vectors as the Go program keeps them, in `NAME.bin`.
///
/// Little-endian:
///
/// | offset | size | |
/// | --- | --- | --- |
/// | 0 | 8 | magic `SPRINGG1` |
/// | 8 | 4 | format version, 1 |
/// | 12 | 4 | dimensions |
/// | 16 | 4 | number of rows |
/// | 20 | 12 | 0 |
/// | 32 | … | for each row: u32 length of the id, id, f32 × dimensions |
///
/// There is no checksum: a changed byte of a number is another number.
enum SpringgBin {
    static let magic = Array("SPRINGG1".utf8)
    static let version: UInt32 = 1
    static let headerBytes = 32
    static let reservedBytes = 20..<32
    /// Bytes of the length before an id.
    static let lengthBytes = 4
}

/// Reads `NAME.bin`, whose rows have no metadata of their own.
public final class SpringgBinReader: RowSource {
    private let file: SourceFile
    private let scratch = RowScratch()
    /// See `RowSource`; nil when the header cannot be used.
    public private(set) var dimensions: Int?
    private var rows = 0
    private var rowsLeft = 0
    private enum Phase {
        case flawedHeader(SourceFlaw)
        case rows
        case ended
    }
    private var phase = Phase.rows

    /// Opens the file and reads its header.
    public init(_ path: String, fileSystem: any FileSystem) throws(FileSystemError) {
        file = try SourceFile(
            path,
            pieceBytesMax: EventLimits.vectorIDBytesMax + 4 * EventLimits.dimensionsMax,
            fileSystem: fileSystem
        )
        if let flaw = try readHeader() {
            phase = .flawedHeader(flaw)
        }
    }

    /// See `RowSource`.
    public var path: String { file.path }
    /// See `RowSource`.
    public var bytesTotal: Int { file.size }
    /// See `RowSource`.
    public var bytesDone: Int { file.offset }

    private func readHeader() throws(FileSystemError) -> SourceFlaw? {
        func flaw(_ offset: Int, _ reason: String) -> SourceFlaw {
            SourcePlace(path: path, offset: offset, line: nil).flaw(reason)
        }
        guard let header = try file.take(SpringgBin.headerBytes) else {
            return flaw(file.size, "the file ends inside its header of \(SpringgBin.headerBytes) bytes")
        }
        guard header.prefix(SpringgBin.magic.count).elementsEqual(SpringgBin.magic) else {
            return flaw(0, "the file does not begin with SPRINGG1")
        }
        let version = header.integer(UInt32.self, at: 8)
        guard version == SpringgBin.version else {
            return flaw(8, "the format's version is \(version); 1 is known")
        }
        let dimensions = Int(header.integer(UInt32.self, at: 12))
        guard (1...EventLimits.dimensionsMax).contains(dimensions) else {
            return flaw(12, "\(dimensions) dimensions; there may be 1 to \(EventLimits.dimensionsMax)")
        }
        if let place = SpringgBin.reservedBytes.first(where: { header[$0] != 0 }) {
            return flaw(place, "a reserved byte is not 0")
        }
        let rows = Int(header.integer(UInt32.self, at: 16))
        let room = file.bytesLeft / (SpringgBin.lengthBytes + 4 * dimensions)
        guard rows <= room else {
            return flaw(16, "\(rows) rows of \(dimensions) dimensions; the file has room for \(room) at most")
        }
        self.dimensions = dimensions
        self.rows = rows
        rowsLeft = rows
        return nil
    }

    /// See `RowSource`.
    public func next() throws(FileSystemError) -> SourceStep {
        guard case .rows = phase, let dimensions else {
            defer { phase = .ended }
            if case .flawedHeader(let flaw) = phase { return .flaw(flaw) }
            return .end
        }
        let place = file.place
        guard rowsLeft > 0 else {
            phase = .ended
            guard file.bytesLeft > 0 else { return .end }
            return .flaw(place.flaw("\(file.bytesLeft) bytes follow the last of \(rows) rows"))
        }
        rowsLeft -= 1
        let number = rows - rowsLeft
        guard let length = try file.take(SpringgBin.lengthBytes)?.integer(UInt32.self, at: 0) else {
            phase = .ended
            return .flaw(place.flaw("the file ends before row \(number) of \(rows)"))
        }
        let idBytes = Int(length)
        let vectorBytes = 4 * dimensions
        // The rows behind this one need room too: a length that takes it from them is damaged.
        guard idBytes <= file.bytesLeft - vectorBytes - rowsLeft * (SpringgBin.lengthBytes + vectorBytes) else {
            phase = .ended
            return .flaw(
                place.flaw(
                    "the id of row \(number) of \(rows) has \(idBytes) bytes by its length, more than the file has "
                        + "room for; what follows cannot be read"
                )
            )
        }
        guard idBytes <= EventLimits.vectorIDBytesMax else {
            file.skip(idBytes + vectorBytes)
            return .flaw(place.flaw("the id has \(idBytes) bytes; at most \(EventLimits.vectorIDBytesMax) are allowed"))
        }
        guard let bytes = try file.take(idBytes + vectorBytes) else {
            phase = .ended
            return .flaw(place.flaw("the file ends inside row \(number) of \(rows)"))
        }
        return .row(
            SourceRow(
                id: bytes.part(0, idBytes),
                vector: scratch.vector(copying: bytes.part(idBytes, vectorBytes)),
                metadata: RowScratch.noMetadata,
                place: place
            )
        )
    }
}
