import SpringgProjections

/// Bodies of `application/vnd.springg.f32`: vectors as they lie in memory, without a digit to print or to read.
///
/// All numbers are little-endian. A search is the components of one query, a batch those of several, one after the other.
/// A bulk request is records, one after the other, without padding:
///
///     offset  bytes
///     0       4      bytes of the id, i
///     4       4      bytes of the metadata, m; 0 for none
///     8       i      the id, UTF-8
///     8+i     m      the metadata, the text of one JSON object
///     8+i+m   4·d    the components, d being the index's dimensions
///
/// Lengths are checked against what is there before anything is read, and against each other: the last record ends where
/// the body does, or nothing of it is stored.
struct BinaryRecords {
    private var rest: UnsafeRawBufferPointer
    private let dimensions: Int
    private var number = 0

    private static let headBytes = 8

    init(_ bytes: UnsafeRawBufferPointer, dimensions: Int) {
        rest = bytes
        self.dimensions = dimensions
    }

    struct Record {
        var id: UnsafeRawBufferPointer
        var metadata: UnsafeRawBufferPointer
        var vector: UnsafeRawBufferPointer
    }

    /// The next record; nil at the end.
    mutating func next() throws(RequestError) -> Record? {
        guard !rest.isEmpty else {
            return nil
        }
        guard let head = take(Self.headBytes) else {
            throw truncated
        }
        // 32 bits each: no sum of theirs overflows.
        let idBytes = Int(UInt32(littleEndian: head.loadUnaligned(as: UInt32.self)))
        let metadataBytes = Int(UInt32(littleEndian: head.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
        guard let id = take(idBytes), let metadata = take(metadataBytes),
            let vector = take(dimensions * 4)
        else {
            throw truncated
        }
        number += 1
        return Record(id: id, metadata: metadata, vector: vector)
    }

    private var truncated: RequestError {
        .badRequest("the body ends within record \(number) (from 0) of vectors of \(dimensions) dimensions")
    }

    private mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
        guard count <= rest.count else {
            return nil
        }
        defer { rest = UnsafeRawBufferPointer(rebasing: rest[count...]) }
        return UnsafeRawBufferPointer(rebasing: rest[..<count])
    }
}

extension VectorFields {
    /// Takes the components of one vector.
    mutating func readBinary(_ bytes: UnsafeRawBufferPointer, _ scratch: DecodeScratch) {
        vectorCount = bytes.count / 4
        isOutOfRange = false
        for place in 0..<min(vectorCount, scratch.floats.count) {
            let bits = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: place * 4, as: UInt32.self))
            let value = Float(bitPattern: bits)
            isOutOfRange = isOutOfRange || !value.isFinite
            scratch.floats[place] = value
        }
    }

    /// Takes a record of a bulk request; the texts of its metadata stay where they are.
    init(_ record: BinaryRecords.Record, scratch: DecodeScratch) throws(RequestError) {
        self.init()
        readBinary(record.vector, scratch)
        idLength = record.id.count
        scratch.id.copyMemory(from: UnsafeRawBufferPointer(rebasing: record.id.prefix(scratch.id.count)))
        guard !record.metadata.isEmpty else {
            return
        }
        let invalid = RequestError.badRequest("metadata is not the text of one JSON object")
        metadata = try decodeBody(record.metadata, orElse: invalid) { reader throws(JSONError) in
            try MetadataFields(&reader)
        }
    }
}
