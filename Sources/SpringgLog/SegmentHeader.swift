// The first 64 bytes of a segment file `log/{firstLSN, 20 digits}.seg`.
//
//  0  8    magic "SPRGLOG1"
//  8  u32  format version: 1, or 2 where events are known to be missing before the first record (a salvaged log)
// 12  u32  Unix time in seconds, rounded up, of the highest clock reading before this segment; 0 in the first segment
// 16  16   origin that was being written when the segment was begun
// 32  u64  LSN of the segment's first record
// 40  u64  size of the file in bytes, reserved before it got its name
// 48  u32  link of the first record: the one after the previous segment's last record, 0 in the first segment
// 52  u64  LSN of the previous segment's first record, 0 in the first segment; in version 2 instead
// 52  u32  how far that lies before this segment's first record, 0 in the first segment
// 56  u32  how many LSNs are missing in between; 0 where events of an origin are missing, and no LSN
// 60  u32  CRC-32C of the 60 bytes above

/// The header of a segment.
package struct SegmentHeader: Equatable, Sendable {
    package static let bytes = 64
    package static let formatVersion: UInt32 = 1
    /// The version of a segment that follows a loss: a reader that does not know of losses must not take it for damage.
    package static let formatVersionAfterLoss: UInt32 = 2
    private static let magic = UInt64(littleEndian: 0x3147_4F4C_4752_5053)  // "SPRGLOG1"

    package var origin: OriginID
    package var firstLSN: LSN
    package var fileBytes: Int
    package var link: UInt32
    /// Shows that a segment is missing without reading the records of the one before.
    package var previousFirstLSN: LSN
    /// Tells how old the records of the segments before are, without reading them.
    package var previousSeconds: UInt32
    /// LSNs that are missing before the first record, because they could not be salvaged; nil when nothing is.
    ///
    /// 0 where events of an origin are missing, and no LSN.
    package var missing: UInt32?

    /// The last LSN of the segment before.
    package var continuesFrom: LSN { LSN(firstLSN.previous.rawValue - UInt64(missing ?? 0)) }

    package init(
        origin: OriginID,
        firstLSN: LSN,
        fileBytes: Int,
        link: UInt32,
        previousFirstLSN: LSN,
        previousSeconds: UInt32,
        missing: UInt32? = nil
    ) {
        self.previousSeconds = previousSeconds
        self.missing = missing
        self.previousFirstLSN = previousFirstLSN
        self.origin = origin
        self.firstLSN = firstLSN
        self.fileBytes = fileBytes
        self.link = link
    }

    package enum Flaw: Error, Equatable {
        case checksum, magic, formatVersion(UInt32)
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(Flaw) {
        guard bytes.count >= SegmentHeader.bytes,
            Checksum.crc32c(bytes.part(0, 60)) == bytes.integer(UInt32.self, at: 60)
        else { throw .checksum }
        guard bytes.integer(UInt64.self, at: 0) == SegmentHeader.magic else { throw .magic }
        let version = bytes.integer(UInt32.self, at: 8)
        guard [SegmentHeader.formatVersion, SegmentHeader.formatVersionAfterLoss].contains(version) else {
            throw .formatVersion(version)
        }
        origin = bytes.origin(at: 16)
        firstLSN = LSN(bytes.integer(UInt64.self, at: 32))
        guard let fileBytes = Int(exactly: bytes.integer(UInt64.self, at: 40)) else { throw .checksum }
        self.fileBytes = fileBytes
        link = bytes.integer(UInt32.self, at: 48)
        previousSeconds = bytes.integer(UInt32.self, at: 12)
        guard firstLSN > .zero else { throw .checksum }
        guard version == SegmentHeader.formatVersionAfterLoss else {
            previousFirstLSN = LSN(bytes.integer(UInt64.self, at: 52))
            return
        }
        let distance = UInt64(bytes.integer(UInt32.self, at: 52))
        let missing = bytes.integer(UInt32.self, at: 56)
        guard distance <= firstLSN.rawValue, firstLSN.previous.rawValue >= UInt64(missing) else { throw .checksum }
        previousFirstLSN = distance == 0 ? .zero : LSN(firstLSN.rawValue - distance)
        self.missing = missing
    }

    /// True when the bytes begin as a segment does, whatever follows.
    package static func isMagic(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.integer(UInt64.self, at: 0) == magic }

    package func encode(into bytes: UnsafeMutableRawBufferPointer) {
        for offset in 0..<SegmentHeader.bytes { bytes[offset] = 0 }
        bytes.store(SegmentHeader.magic, at: 0)
        bytes.store(missing == nil ? SegmentHeader.formatVersion : SegmentHeader.formatVersionAfterLoss, at: 8)
        bytes.store(previousSeconds, at: 12)
        bytes.store(origin, at: 16)
        bytes.store(firstLSN.rawValue, at: 32)
        bytes.store(UInt64(fileBytes), at: 40)
        bytes.store(link, at: 48)
        if let missing {
            let distance = previousFirstLSN == .zero ? 0 : firstLSN.rawValue - previousFirstLSN.rawValue
            bytes.store(UInt32(clamping: distance), at: 52)
            bytes.store(missing, at: 56)
        } else {
            bytes.store(previousFirstLSN.rawValue, at: 52)
        }
        bytes.store(Checksum.crc32c(UnsafeRawBufferPointer(bytes).part(0, 60)), at: 60)
    }

    /// Name of the file of the segment that begins with `firstLSN`.
    package static func fileName(firstLSN: LSN) -> String {
        let digits = String(firstLSN.rawValue)
        return String(repeating: "0", count: 20 - digits.count) + digits + ".seg"
    }

    /// The first LSN that a file name promises, or nil for another kind of file.
    package static func firstLSN(fileName: String) -> LSN? {
        guard fileName.utf8.count == 24, fileName.hasSuffix(".seg") else { return nil }
        let digits = fileName.prefix(20)
        guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return UInt64(digits).map { LSN($0) }
    }
}
