package import SpringgLog

/// Reads the records of a file or a stream and goes on past whatever is damaged.
///
/// Trusts nothing that a checksum does not cover. A record whose header is intact has a length that can be believed, so
/// that damage behind it costs this record alone; a record whose envelope is intact is read even if its frame is not.
/// Otherwise the next intact frame is looked for, at every eighth byte. What a node makes of such a log is not decided
/// here: that is for `LogScan`.
package final class FrameScanner {
    /// What was met.
    package enum Step {
        /// The header of a segment.
        case segment(SegmentHeader)
        case record(LogRecord)
        /// The end of a log that was closed in order.
        case marker(Frame)
        /// Bytes that are not what was written; reading goes on behind them.
        case damage(Damage)
        /// Nothing but zeros follows, or nothing at all.
        case end
    }

    /// Where bytes are not what was written.
    package struct Damage: Equatable {
        /// The bytes that cannot be read; empty where something is missing or out of place.
        package var bytes: Range<Int>
        /// The record that should stand there; zero when that is not known.
        package var lsn: LSN
        package var reason: String
        /// The bytes are intact, but of a newer version.
        package var isNewerFormat = false
    }

    /// Where reading stands, to come back to.
    package struct Place {
        /// Offset of what comes next.
        package var offset: Int
        /// The record that should come next; nil when any may.
        package var expected: LSN?
        /// Its link; nil when the record before is not known.
        package var link: UInt32?
    }

    /// Where reading stands.
    package private(set) var place: Place
    /// False for a log that is being written: zeros are its end, and what follows them is not looked for.
    package var looksBehindZeros = true
    private let window: ByteWindow
    /// True when segment headers may stand anywhere: several files that were joined.
    private let isStream: Bool
    /// What comes next, when more than one thing was learnt at a place.
    private var pending: [Step] = []

    /// Bytes of the smallest record.
    private static let recordBytesMin = Frame.headerBytes + Envelope.headerBytes + Envelope.trailerBytes
    /// Bytes looked through at a time for an intact frame.
    private static let searchBytes = 256 << 10

    package init(_ source: any ByteSource, isStream: Bool) {
        window = ByteWindow(source)
        place = Place(offset: 0)
        self.isStream = isStream
    }

    /// Goes back to a place, reading the file anew; only where that is possible.
    package func reread(from place: Place) {
        window.forget()
        pending = []
        self.place = place
    }

    /// Expects this record next, for one who knows better than the bytes did.
    package func expect(_ lsn: LSN?, link: UInt32?) {
        place.expected = lsn
        place.link = link
    }

    /// What stands at the place; views are valid until the next call.
    package func next() throws(LogError) -> Step {
        if !pending.isEmpty { return pending.removeFirst() }
        let step = try read()
        guard let reason = window.takeDamage() else { return step }
        pending.insert(step, at: 0)
        return .damage(Damage(bytes: place.offset..<place.offset, lsn: place.expected ?? .zero, reason: reason))
    }

    private func read() throws(LogError) -> Step {
        let offset = place.offset
        let header = try window.bytes(at: offset, SegmentHeader.bytes)
        if offset == 0 || isStream, header.count >= 8, SegmentHeader.isMagic(header) { return try readSegment(header) }
        guard header.count >= Frame.headerBytes else {
            place.offset += header.count
            return header.isAllZero ? .end : damage(offset..<place.offset, "the file ends inside a frame header")
        }
        guard let frame = Frame(decoding: header) else {
            if isStream, let gap = zerosBeforeSegment(header) {
                place.offset += gap
                return try read()
            }
            return header.part(0, Frame.headerBytes).isAllZero ? try passZeros() : try passHeader()
        }
        return frame.isMarker ? readMarker(frame) : try readRecord(frame)
    }

    /// A rest of zeros too short for a header, and then the next of the joined segments.
    private func zerosBeforeSegment(_ bytes: UnsafeRawBufferPointer) -> Int? {
        let gap = (bytes.firstIndex { $0 != 0 } ?? 0) / 8 * 8
        return gap > 0 && gap + 8 <= bytes.count && SegmentHeader.isMagic(bytes.part(gap, 8)) ? gap : nil
    }

    private func readSegment(_ bytes: UnsafeRawBufferPointer) throws(LogError) -> Step {
        let offset = place.offset
        place.offset += bytes.count
        do throws(SegmentHeader.Flaw) {
            let header = try SegmentHeader(decoding: bytes)
            expect(header.firstLSN, link: header.link)
            return .segment(header)
        } catch .formatVersion(let version) {
            expect(nil, link: nil)
            var step = Damage(bytes: offset..<place.offset, lsn: .zero, reason: "segment format version \(version)")
            step.isNewerFormat = true
            return .damage(step)
        } catch {
            place.link = nil
            return damage(offset..<place.offset, "the segment header is damaged")
        }
    }

    private func readMarker(_ frame: Frame) -> Step {
        let offset = place.offset
        place.offset += Frame.headerBytes
        if let expected = place.expected, frame.lsn != expected.previous {
            return damage(offset..<place.offset, "a marker of LSN \(frame.lsn) stands where LSN \(expected) should")
        }
        if let link = place.link, frame.link != link {
            return damage(offset..<place.offset, "the marker does not continue the record before it")
        }
        return .marker(frame)
    }

    private func readRecord(_ frame: Frame) throws(LogError) -> Step {
        let offset = place.offset
        if let expected = place.expected, frame.lsn != expected {
            guard frame.lsn > expected else {
                place.offset += frame.recordBytes
                return damage(offset..<place.offset, "record \(frame.lsn) stands where \(expected) should")
            }
            let step = damage(offset..<offset, "records are missing: LSN \(frame.lsn) stands where \(expected) should")
            expect(frame.lsn, link: nil)
            return step
        }
        if let link = place.link, frame.link != link {
            let step = damage(offset..<offset, "the record does not continue the one before it", frame.lsn)
            expect(frame.lsn, link: nil)
            return step
        }
        let record = try window.bytes(at: offset, frame.recordBytes)
        guard record.count == frame.recordBytes else {
            return try search(from: offset + 8, "the file ends inside the record")
        }
        let envelope = UnsafeRawBufferPointer(rebasing: record[Frame.headerBytes...])
        let reason: String
        switch Envelope.flaw(in: envelope) {
        case nil:
            place.offset += frame.recordBytes
            expect(frame.lsn.next, link: Frame.link(after: record))
            return .record(
                LogRecord(
                    lsn: frame.lsn,
                    offset: offset,
                    envelope: Envelope(checked: envelope),
                    frame: frame,
                    bytes: record
                )
            )
        case .length?: reason = "the lengths in the record contradict each other"
        case .checksum?: reason = "the checksum of the record does not match"
        case .formatVersion(let version)?:
            place.offset += frame.recordBytes
            expect(frame.lsn.next, link: Frame.link(after: record))
            var step = Damage(
                bytes: offset..<place.offset,
                lsn: frame.lsn,
                reason: "envelope format version \(version)"
            )
            step.isNewerFormat = true
            return .damage(step)
        }
        // The length was believed; but where bytes are missing, others stand at its end.
        guard try isFrameOrEnd(at: offset + frame.recordBytes) else { return try search(from: offset + 8, reason) }
        place.offset += frame.recordBytes
        let step = damage(offset..<place.offset, reason, frame.lsn)
        expect(frame.lsn.next, link: nil)
        return step
    }

    /// True where a record may end.
    private func isFrameOrEnd(at offset: Int) throws(LogError) -> Bool {
        let recordBytes = offset - place.offset
        let bytes = try window.bytes(at: place.offset, recordBytes + Frame.headerBytes).dropFirst(recordBytes)
        let header = UnsafeRawBufferPointer(rebasing: bytes)
        if header.isAllZero { return true }
        guard header.count == Frame.headerBytes else { return false }
        return Frame(decoding: header) != nil || (isStream && SegmentHeader.isMagic(header))
    }

    /// A frame header that is damaged: the envelope behind it may tell how far the record goes.
    ///
    /// Its LSN is what the frame behind it says; if that is damaged too, the lowest that it can have.
    private func passHeader() throws(LogError) -> Step {
        let offset = place.offset
        let lengths = try window.bytes(at: offset, Frame.headerBytes + 4)
        if let expected = place.expected, lengths.count == Frame.headerBytes + 4 {
            let payloadBytes = Int(lengths.integer(UInt32.self, at: Frame.headerBytes))
            if payloadBytes <= EventLimits.payloadBytesMax {
                let envelopeBytes = Envelope.size(payloadBytes: payloadBytes)
                let recordBytes = Frame.headerBytes + envelopeBytes
                let both = try window.bytes(at: offset, recordBytes + Frame.headerBytes)
                let record = UnsafeRawBufferPointer(rebasing: both.prefix(recordBytes))
                let envelope = UnsafeRawBufferPointer(rebasing: record.dropFirst(Frame.headerBytes))
                if Envelope.flaw(in: envelope) == nil {
                    let lsn = max(expected, lsnBefore(both.dropFirst(recordBytes)) ?? expected)
                    place.offset += record.count
                    let found = LogRecord(
                        lsn: lsn,
                        offset: offset,
                        envelope: Envelope(checked: envelope),
                        frame: Frame(envelopeBytes: envelopeBytes, lsn: lsn, durableUpTo: .zero, link: 0),
                        bytes: record
                    )
                    // Nothing is read before the record is handed out, so that its views stay valid.
                    pending.append(.record(found))
                    let step = damage(
                        offset..<offset + Frame.headerBytes,
                        "the frame header is damaged; its event is not"
                    )
                    expect(lsn.next, link: nil)
                    return step
                }
            }
        }
        return try search(from: offset + 8, "the frame header is damaged")
    }

    /// The record before an intact frame, by that frame's own word.
    private func lsnBefore(_ bytes: Slice<UnsafeRawBufferPointer>) -> LSN? {
        let header = UnsafeRawBufferPointer(rebasing: bytes)
        guard header.count == Frame.headerBytes, let frame = Frame(decoding: header) else { return nil }
        return frame.isMarker ? frame.lsn : frame.lsn.previous
    }

    /// Zeros where a frame should be: the end, unless something follows.
    private func passZeros() throws(LogError) -> Step {
        guard looksBehindZeros else { return .end }
        return try search(from: place.offset + Frame.headerBytes, nil)
    }

    /// Looks for the next intact frame, or segment in a stream.
    ///
    /// `reason` is nil when zeros stand at the place.
    private func search(from start: Int, _ reason: String?) throws(LogError) -> Step {
        let from = place.offset
        var offset = start
        var writtenEnd = reason == nil ? from : start
        while true {
            let chunk = try window.bytes(at: offset, FrameScanner.searchBytes)
            var at = 0
            while at + 8 <= chunk.count {
                let word = chunk.integer(UInt64.self, at: at)
                if word != 0 {
                    let isFrame = UInt32(truncatingIfNeeded: word) == Frame.magic
                    if isFrame || (isStream && SegmentHeader.isMagic(chunk.part(at, 8))) {
                        let found = offset + at
                        let belongs = isFrame ? try isPlausible(found, after: from) : true
                        if belongs {
                            place.offset = found
                            place.link = nil
                            return isFrame || reason != nil || writtenEnd > from
                                ? damage(from..<found, reason ?? "records are missing: zeros stand in their place")
                                : try read()
                        }
                        // The window has moved on to look at the candidate.
                        writtenEnd = found + 8
                        offset = found + 8
                        at = -1
                        break
                    }
                    writtenEnd = offset + at + 8
                }
                at += 8
            }
            if at < 0 { continue }
            offset += at
            if chunk.count < FrameScanner.searchBytes {
                place.offset = offset + chunk.count - at
                pending.append(.end)
                return writtenEnd > from
                    ? damage(from..<writtenEnd, reason ?? "the frame header was not written") : pending.removeFirst()
            }
        }
    }

    /// Whether an intact header can be the next frame of this log, and not bytes of a record that look like one.
    ///
    /// Its LSN must fit the room in between, or, where bytes are missing, the whole record must be intact.
    private func isPlausible(_ offset: Int, after from: Int) throws(LogError) -> Bool {
        let header = try window.bytes(at: offset, Frame.headerBytes)
        guard header.count == Frame.headerBytes, let frame = Frame(decoding: header) else { return false }
        guard let expected = place.expected else { return true }
        let first = frame.isMarker ? frame.lsn.next : frame.lsn
        guard first >= expected else { return false }
        let room = UInt64((offset - from) / FrameScanner.recordBytesMin + 1)
        if first.rawValue - expected.rawValue <= room { return true }
        let record = try window.bytes(at: offset, frame.recordBytes)
        return record.count == frame.recordBytes && !frame.isMarker
            && Envelope.flaw(in: record.part(Frame.headerBytes, frame.envelopeBytes)) == nil
    }

    private func damage(_ bytes: Range<Int>, _ reason: String, _ lsn: LSN? = nil) -> Step {
        .damage(Damage(bytes: bytes, lsn: lsn ?? place.expected ?? .zero, reason: reason))
    }
}
