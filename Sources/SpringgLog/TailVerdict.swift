/// What the end of the readable records means.
///
/// A crash leaves *torn* records: sectors of the last, unsynced batch that never reached the disk. They were not
/// acknowledged and are cut off. Anything else that cannot be read is *corrupt*: bytes that were once durable are not
/// what was written, and cutting them off would lose acknowledged writes without a word.
///
/// The file was reserved, zeroed and synced before it got its name, so a crash can neither shorten it nor leave foreign
/// bytes in it: a sector that was lost reads as zeros. A damaged record without such a hole was written whole and changed
/// later. See docs/design/0002-torn-or-corrupt.md.
package enum TailVerdict: Equatable, Sendable {
    /// The records end where they should.
    case clean
    /// The last batch was not written whole: cut it off.
    case torn
    /// Durable bytes have changed or are missing.
    case corrupt(reason: String)

    /// Unit in which disks write: a sector is there whole or not at all.
    package static let sectorBytes = 512

    /// What was found where the readable records end.
    package struct Evidence: Equatable, Sendable {
        /// The record that should stand there.
        package var lsn: LSN
        /// Why it could not be read; nil when zeros stand there or the file ends.
        package var flaw: String?
        /// True in the segment with the highest LSNs.
        package var isLastSegment = true
        /// True when the file has the size that its header promises.
        package var hasFullSize = true
        /// True when at least one byte follows the readable records.
        package var bytesFollow = true
        /// True when bytes other than zero follow the readable records.
        package var writtenBytesFollow = false
        /// What `hasHole` says of the damaged record (of its header, when that is damaged).
        package var hasHole = false
        /// The highest LSN which any intact frame, before or behind, says was synced.
        package var durableUpTo: LSN

        /// Zeros to the end of the last segment; the caller changes what it found otherwise.
        package init(lsn: LSN, durableUpTo: LSN) {
            self.lsn = lsn
            self.durableUpTo = durableUpTo
        }
    }

    package static func judge(_ evidence: Evidence) -> TailVerdict {
        guard evidence.isLastSegment else {
            return .corrupt(reason: evidence.flaw ?? "records are missing before the next segment")
        }
        guard evidence.lsn > evidence.durableUpTo else {
            return .corrupt(
                reason: (evidence.flaw ?? "the record is missing")
                    + ", although LSN \(evidence.durableUpTo) was durable"
            )
        }
        guard evidence.hasFullSize else {
            // Zeros that were cut off at the end hold nothing; a file that ends right behind or inside a record may
            // have held more.
            return evidence.flaw == nil && evidence.bytesFollow && !evidence.writtenBytesFollow
                ? .clean : .corrupt(reason: "the file has been cut" + (evidence.flaw.map { ": " + $0 } ?? ""))
        }
        if evidence.flaw == nil && !evidence.writtenBytesFollow { return .clean }
        // Zeros in place of a header while later bytes are there: the header's sector is the hole.
        if evidence.flaw == nil || evidence.hasHole { return .torn }
        return .corrupt(reason: (evidence.flaw ?? "") + ", and no sector of it is missing")
    }

    /// True when bytes that belong at `offset` were never written: some sector's share of them is all zero, or the last
    /// eight are, where a checksum should stand (a write that the kernel ended early).
    package static func hasHole(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        if bytes.suffix(8).allSatisfy({ $0 == 0 }) { return true }
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, (offset + start) / sectorBytes * sectorBytes + sectorBytes - offset)
            if bytes.part(start, end - start).isAllZero { return true }
            start = end
        }
        return false
    }
}
