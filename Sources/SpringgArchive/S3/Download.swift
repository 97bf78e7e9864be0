import SpringgLog

/// The course of one download over any number of attempts: what to ask for next, and whether what comes is what was asked.
///
/// Holds no bytes and does no I/O.
struct Download {
    let place: String
    /// Nil for the whole object.
    let range: Range<Int>?
    /// The object's tag, once known: later attempts insist on it.
    private(set) var tag: String?
    /// Size of the whole object, once known.
    private(set) var size: Int?
    /// Bytes handed on so far.
    private(set) var received = 0

    private var crc: UInt32 = 0
    private var expectedCRC: UInt32?
    /// What the present attempt said it would send, and how much of it came.
    private var attempt: (answer: Range<Int>, taken: Int)?

    init(place: String, range: Range<Int>?, tag: String?) {
        self.place = place
        self.range = range
        self.tag = tag
    }

    private var first: Int { (range?.lowerBound ?? 0) + received }

    /// Begins another attempt; returns the headers that ask for what is missing.
    mutating func beginAttempt() -> [HTTPField] {
        attempt = nil
        var headers: [HTTPField] = []
        if let range {
            headers.append(HTTPField("range", "bytes=\(first)-\(range.upperBound - 1)"))
        } else if received > 0 {
            headers.append(HTTPField("range", "bytes=\(first)-"))
        } else {
            headers.append(HTTPField("x-amz-checksum-mode", "ENABLED"))
        }
        if let tag { headers.append(HTTPField("if-match", tag)) }
        return headers
    }

    /// Checks the head of an answer, once for each attempt.
    mutating func begin(_ answer: HTTPAnswer) throws(ObjectStoreError) {
        guard attempt == nil else { return }
        let sent: Range<Int>
        let total: Int
        if range == nil && received == 0 {
            guard answer.status == 200, let length = answer.header("content-length").flatMap({ Int($0) }), length >= 0
            else { throw .unexpected(at: place, "status \(answer.status), or no length") }
            (sent, total) = (0..<length, length)
            expectedCRC = answer.header("x-amz-checksum-crc32c").flatMap(S3Checksum.value)
        } else {
            guard answer.status == 206, let content = answer.header("content-range").flatMap(Download.contentRange)
            else {
                throw .unsupported(place, "the store does not answer a range with that range (status \(answer.status))")
            }
            (sent, total) = content
            guard sent.lowerBound == first else { throw .unexpected(at: place, "another range than asked for") }
            if let range {
                guard range.upperBound <= total else { throw .invalidRange(at: place) }
                guard sent.upperBound == range.upperBound else {
                    throw .unexpected(at: place, "another range than asked for")
                }
            } else if sent.upperBound != total {
                throw .unexpected(at: place, "another range than asked for")
            }
        }
        let newTag = answer.header("etag")
        guard size == nil || size == total, tag == nil || tag == newTag else { throw .changed(at: place) }
        size = total
        tag = newTag
        attempt = (sent, 0)
    }

    /// Counts a piece.
    mutating func take(_ bytes: UnsafeRawBufferPointer) throws(ObjectStoreError) {
        guard let attempt, attempt.taken + bytes.count <= attempt.answer.count else {
            throw .damaged(at: place, "more bytes came than were announced")
        }
        self.attempt?.taken += bytes.count
        received += bytes.count
        if range == nil { crc = Checksum.crc32c(bytes, from: crc) }
    }

    /// What an answer that says success lacks; the next attempt fetches it.
    func fault() -> S3Verdict? {
        guard let attempt, attempt.taken < attempt.answer.count else { return nil }
        return .retry(.trouble, .unavailable(at: place, "the answer ended early"))
    }

    /// Checks the whole once the last byte is there.
    func finish() throws(ObjectStoreError) {
        let wanted = range?.count ?? size ?? 0
        guard received == wanted else { throw .damaged(at: place, "\(received) bytes came instead of \(wanted)") }
        if let expectedCRC, expectedCRC != crc {
            throw .damaged(
                at: place,
                "its CRC-32C is \(S3Checksum.text(crc)), the store's is \(S3Checksum.text(expectedCRC))"
            )
        }
    }

    /// Reads `bytes 5-9/100`.
    static func contentRange(_ text: String) -> (range: Range<Int>, total: Int)? {
        guard let rest = text.dropping(prefix: "bytes ") else { return nil }
        let numbers = rest.split(omittingEmptySubsequences: false) { $0 == "-" || $0 == "/" }.map { Int($0) }
        guard numbers.count == 3, let first = numbers[0], let last = numbers[1], let total = numbers[2],
            first >= 0, first <= last, last < total
        else { return nil }
        return (first..<last + 1, total)
    }
}
