// The local frame in front of each envelope in a segment.
//
//  0  u32  magic "SPGF"
//  4  u32  length of the envelope in bytes, a multiple of 8; 0 makes this a marker
//  8  u64  LSN of the record; of the last record before it for a marker
// 16  u64  durableUpTo: the highest LSN known synced when this was written
// 24  u32  link: CRC-32C over the two checksums (header, envelope) of the record before
// 28  u32  CRC-32C of the 28 bytes above
//
// The header has a checksum of its own, so that a length is known to be as written before it is used. The link shows a
// lost, repeated or misplaced record. A marker carries `durableUpTo` alone: it is written when the log is closed.

/// A frame header.
package struct Frame: Equatable, Sendable {
    package static let headerBytes = 32
    /// "SPGF" read as a little-endian integer.
    package static let magic: UInt32 = 0x4647_5053
    /// Envelope bytes of the largest record.
    package static let envelopeBytesMax = Envelope.size(payloadBytes: EventLimits.payloadBytesMax)

    package var envelopeBytes: Int
    package var lsn: LSN
    package var durableUpTo: LSN
    package var link: UInt32

    package init(envelopeBytes: Int, lsn: LSN, durableUpTo: LSN, link: UInt32) {
        self.envelopeBytes = envelopeBytes
        self.lsn = lsn
        self.durableUpTo = durableUpTo
        self.link = link
    }

    package var isMarker: Bool { envelopeBytes == 0 }
    package var recordBytes: Int { Frame.headerBytes + envelopeBytes }

    /// Reads a header, or returns nil when magic, checksum or length are wrong.
    package init?(decoding bytes: UnsafeRawBufferPointer) {
        guard bytes.integer(UInt32.self, at: 0) == Frame.magic,
            Checksum.crc32c(bytes.part(0, 28)) == bytes.integer(UInt32.self, at: 28)
        else { return nil }
        envelopeBytes = Int(bytes.integer(UInt32.self, at: 4))
        lsn = LSN(bytes.integer(UInt64.self, at: 8))
        durableUpTo = LSN(bytes.integer(UInt64.self, at: 16))
        link = bytes.integer(UInt32.self, at: 24)
        guard envelopeBytes % 8 == 0, envelopeBytes <= Frame.envelopeBytesMax else { return nil }
    }

    /// Writes the header; returns its checksum.
    @discardableResult
    package func encode(into bytes: UnsafeMutableRawBufferPointer) -> UInt32 {
        bytes.store(Frame.magic, at: 0)
        bytes.store(UInt32(envelopeBytes), at: 4)
        bytes.store(lsn.rawValue, at: 8)
        bytes.store(durableUpTo.rawValue, at: 16)
        bytes.store(link, at: 24)
        let checksum = Checksum.crc32c(UnsafeRawBufferPointer(bytes).part(0, 28))
        bytes.store(checksum, at: 28)
        return checksum
    }

    /// What the next record's `link` must be, given the bytes of this one.
    package static func link(after record: UnsafeRawBufferPointer) -> UInt32 {
        let header = Checksum.crc32c(record.part(28, 4))
        return Checksum.crc32c(record.part(record.count - 8, 4), from: header)
    }
}
