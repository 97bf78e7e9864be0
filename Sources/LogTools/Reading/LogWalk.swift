import Glibc
package import SpringgLog

/// Walks through a log from the front to the back, whatever state it is in, and changes nothing.
///
/// Reads the directory of a running node too: takes no lock, follows rotation, and believes that the newest bytes are
/// damaged only when they stay so.
package final class LogWalk {
    /// What was met.
    package enum Step {
        /// A segment begins.
        case segment(path: String, header: SegmentHeader?)
        /// A record that can be read.
        case record(LogRecord)
        /// Bytes that cannot.
        case damage(LogDamage, bytes: Range<Int>)
        /// LSNs that are missing, as the record behind them shows.
        ///
        /// `isKnown`: the log itself says so, for it was salvaged.
        case missing(after: LSN, before: LSN, isKnown: Bool)
        /// Everything there is has been visited; with `follows` more may come.
        case caughtUp
    }

    /// Whether to go on.
    package enum Verdict { case more, enough }

    /// Waits for more at the end, until the visitor has enough.
    package var follows = false
    /// Records below it are not wanted: segments that hold none above are passed over.
    package var from = LSN(1)
    /// Records of other times are not wanted, in Unix milliseconds: an archive, which knows the times of its segments, leaves out
    /// those without any.
    package var (since, until): (UInt64?, UInt64?)

    private let input: LogInput
    private let fileSystem: any FileSystem
    private var visit: (Step) throws -> Verdict = { _ in .more }
    /// The last record that was met, or what precedes the first; nil before anything was.
    private var last: LSN?
    private var isDone = false

    /// Time between two looks at a log that is being written.
    private static let pauseMicroseconds: UInt32 = 50_000
    /// Time before a second look at bytes that may be in the middle of being written.
    private static let retryMicroseconds: UInt32 = 20_000
    /// A file that was written so short a time ago may show a write in the middle of it.
    private static let freshNanoseconds = 500_000_000
    /// After so many looks at the same bytes they are what they are, however busy the file.
    private static let retriesMax = 20

    package init(_ input: LogInput, fileSystem: any FileSystem = PosixFileSystem()) {
        self.input = input
        self.fileSystem = fileSystem
    }

    /// Visits everything in order.
    package func run(_ visit: @escaping (Step) throws -> Verdict) throws {
        self.visit = visit
        defer { self.visit = { _ in .more } }
        last = nil
        isDone = false
        switch input {
        case .directory(let log, _):
            try walk(directory: log)
        case .file(let path):
            let scanner = FrameScanner(try LogInput.open(path), isStream: true)
            try walk(scanner, path, isGrowing: { false })
            try tell(.caughtUp)
        case .standardInput:
            let scanner = FrameScanner(try LogInput.open(nil), isStream: true)
            try walk(scanner, "-", isGrowing: { false })
            try tell(.caughtUp)
        case .feed(let feed):
            try feed.forEach(since: since, until: until) { record in
                if record.lsn >= from { try tell(.record(record)) }
                return !isDone
            }
            try tell(.caughtUp)
        }
    }

    private func tell(_ step: Step) throws {
        if !isDone, try visit(step) == .enough { isDone = true }
    }

    // MARK: - A directory

    private func walk(directory: String) throws {
        let scan = LogScan(directory: directory, fileSystem: fileSystem)
        var done: LSN?
        let all = try scan.segments()
        if let first = all.last(where: { $0.firstLSN <= from }), first.firstLSN > all[0].firstLSN {
            done = first.firstLSN.previous
        }
        while !isDone {
            let segments = try scan.segments().filter { segment in done.map { segment.firstLSN > $0 } ?? true }
            guard let segment = segments.first else {
                try tell(.caughtUp)
                guard follows, !isDone else { return }
                usleep(LogWalk.pauseMicroseconds)
                continue
            }
            // Nil when retention was faster.
            guard let source = try openUnlessGone(segment.path) else { continue }
            let scanner = FrameScanner(source, isStream: false)
            scanner.expect(segment.firstLSN, link: nil)
            let isLast = { try scan.segments().last?.firstLSN == segment.firstLSN }
            try walk(scanner, segment.path, named: segment.firstLSN, isGrowing: isLast)
            done = segment.firstLSN
            if try !isLast() { continue }
            if !follows { try tell(.caughtUp) }
            if !follows { return }
        }
    }

    private func openUnlessGone(_ path: String) throws -> FileSource? {
        do {
            return try FileSource(path: path, fileSystem: fileSystem)
        } catch {
            if case .io(let cause) = error, cause.code == ENOENT { return nil }
            throw error
        }
    }

    // MARK: - A file

    private func walk(
        _ scanner: FrameScanner,
        _ path: String,
        named firstLSN: LSN? = nil,
        isGrowing: () throws -> Bool
    ) throws {
        var wasGrowing = try isGrowing()
        var retries = 0
        var seen: (damage: FrameScanner.Damage, written: Int)?
        scanner.looksBehindZeros = !(follows && wasGrowing)
        while !isDone {
            let place = scanner.place
            switch try scanner.next() {
            case .segment(let header):
                try begin(header, path, named: firstLSN)
            case .record(let record):
                retries = 0
                try take(record)
            case .marker:
                break
            case .damage(let damage):
                if wasGrowing, retries < LogWalk.retriesMax, let written = freshTime(path) {
                    // Damage looks the same twice, in a file that nobody writes.
                    if seen?.damage != damage || seen?.written != written {
                        seen = (damage, written)
                        retries += 1
                        usleep(LogWalk.retryMicroseconds)
                        scanner.reread(from: place)
                        continue
                    }
                }
                if let firstLSN, damage.bytes.lowerBound == 0 {
                    // The name of the file still tells what should be in it.
                    try tell(.segment(path: path, header: nil))
                    scanner.expect(firstLSN, link: nil)
                    if last == nil { last = firstLSN.previous }
                }
                try report(damage, path)
            case .end:
                // The writer may have gone on here and then to a new segment: read the end once more.
                let grows = try isGrowing()
                guard follows && grows || wasGrowing && !grows else { return }
                if grows {
                    try tell(.caughtUp)
                    if isDone { return }
                    usleep(LogWalk.pauseMicroseconds)
                }
                wasGrowing = grows
                scanner.looksBehindZeros = !grows
                scanner.reread(from: place)
            }
        }
    }

    private func begin(_ header: SegmentHeader, _ path: String, named firstLSN: LSN?) throws {
        try tell(.segment(path: path, header: header))
        if let firstLSN, header.firstLSN != firstLSN {
            let reason = "the header names LSN \(header.firstLSN), the file another"
            try tell(.damage(LogDamage(segment: path, offset: 0, lsn: firstLSN, reason: reason), bytes: 0..<0))
        }
        if last == nil { last = header.continuesFrom }
        try pass(to: header.firstLSN, isKnown: header.missing != nil && last == header.continuesFrom)
    }

    private func take(_ record: LogRecord) throws {
        try pass(to: record.lsn)
        last = record.lsn
        try tell(.record(record))
    }

    /// Tells of the LSNs between the last record and this one.
    private func pass(to lsn: LSN, isKnown: Bool = false) throws {
        guard let last, lsn > last.next else { return }
        self.last = lsn.previous
        try tell(.missing(after: last, before: lsn, isKnown: isKnown))
    }

    private func report(_ damage: FrameScanner.Damage, _ path: String) throws {
        try tell(
            .damage(
                LogDamage(segment: path, offset: damage.bytes.lowerBound, lsn: damage.lsn, reason: damage.reason),
                bytes: damage.bytes
            )
        )
    }

    /// When the file was written, in nanoseconds, if that was a moment ago.
    private func freshTime(_ path: String) -> Int? {
        var status = stat()
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        guard stat(path, &status) == 0 else { return nil }
        let written = status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec
        return now.tv_sec * 1_000_000_000 + now.tv_nsec - written < LogWalk.freshNanoseconds ? written : nil
    }
}
