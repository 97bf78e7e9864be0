package import SpringgLog
import SpringgProjections

/// What a salvage found and did.
package struct SalvageReport: Sendable {
    /// Places whose bytes cannot be read.
    package struct Damage: Sendable {
        package var damage: LogDamage
        package var bytes: Range<Int>
    }

    package fileprivate(set) var damages: [Damage] = []
    /// More places than are kept here.
    package fileprivate(set) var furtherDamages = 0
    /// LSNs, and events of each origin, that are not in the copy.
    package fileprivate(set) var losses: [LogLoss] = []
    /// Events that stand in the log and have no place in it: what they are, and why.
    package fileprivate(set) var misplaced: [String] = []
    /// The last record that the damaged log itself says was durable.
    package fileprivate(set) var durable = LSN.zero
    /// The last record of the copy.
    package fileprivate(set) var last = LSN.zero
    package fileprivate(set) var records: UInt64 = 0
    /// Events of the copy that the damaged log has lost and somebody else still had.
    package fileprivate(set) var refetched: UInt64 = 0
    package fileprivate(set) var fileBytes = 0
    /// The checkpoint that was copied with it.
    package fileprivate(set) var checkpoint: LSN?
    package fileprivate(set) var damagedCheckpoints: [String] = []
    /// Whose events a node will write on the copy.
    package fileprivate(set) var origin = OriginID.none

    /// Acknowledged events at the end of the log that are not in the copy.
    package var lostEnd: ClosedRange<UInt64>? {
        let held = max(last, checkpoint ?? .zero).rawValue
        return durable.rawValue > held ? held + 1...durable.rawValue : nil
    }

    /// True when the last thing in the log was bytes that cannot be read: nobody knows how many events they were.
    package fileprivate(set) var endsInDamage = false

    /// True when every event of the log is in the copy.
    package var isComplete: Bool { losses.isEmpty && misplaced.isEmpty && lostEnd == nil && !endsInDamage }

    /// True when the state is whole all the same: the checkpoint holds what is missing.
    package var isStateWhole: Bool {
        let held = checkpoint ?? .zero
        return misplaced.isEmpty && lostEnd == nil && !endsInDamage && losses.allSatisfy { $0.before.previous <= held }
    }
}

/// Copies every event of a damaged log that can be read into a new data directory.
///
/// Events keep their bytes and their LSNs. Where some are missing the copy says so in the header of the next segment, and
/// a node that starts on it knows. What it writes belongs to a new origin, so that no number is given twice. The newest
/// checkpoint that is whole goes along: what it holds is not lost, whatever the log has lost.
///
/// A value of one run; needs as much memory as a node while it checks the checkpoint, and little after that.
package struct Salvager {
    /// Places of damage that a report keeps.
    private static let damagesMax = 1000

    private let log: String
    private let data: String?
    private let fileSystem: any FileSystem
    private var report = SalvageReport()
    private var base = LogBase.beginning
    private var histories = OriginHistories()
    private var hasPassedBase = false
    /// Of each origin the last event that was copied.
    private var tips = VersionVector()
    private var filler: GapFiller?
    private let missing: (any MissingEvents)?

    /// Prepares to read the damaged segments in `log`, and the checkpoints of the data directory around it, if there is one.
    ///
    /// `missing` is asked for what the log has lost.
    package init(log: String, data: String?, missing: (any MissingEvents)? = nil, fileSystem: any FileSystem) {
        self.log = log
        self.data = data
        self.missing = missing
        self.fileSystem = fileSystem
    }

    /// Writes the new data directory `out`, which exists and is empty, and proves that a node would accept it.
    package mutating func run(
        to out: String,
        origin: OriginID,
        segmentBytes: Int = LogOptions().segmentBytes,
        progress: @escaping (LSN) -> Void
    ) throws -> SalvageReport {
        report.origin = origin
        try copyCheckpoint(to: out)
        let target = out + "/log"
        try Log.io { () throws(FileSystemError) in try fileSystem.createDirectory(target) }
        let copier = LogCopier(
            directory: target,
            origin: origin,
            after: try start(),
            segmentBytes: segmentBytes,
            fileSystem: fileSystem
        )
        report.last = copier.last
        let input = LogInput.directory(log: log, data: data)
        filler = try missing.map { try GapFiller(LogWalk(input, fileSystem: fileSystem), from: $0) }
        var state = self
        try LogWalk(input, fileSystem: fileSystem).run { step in
            try state.take(step, copier)
            if case .record(let record) = step, record.lsn.rawValue % 4096 == 0 { progress(record.lsn) }
            return .more
        }
        self = state
        if report.endsInDamage || report.lostEnd != nil {
            // How many there were nobody knows, whatever is put back.
            let endsInDamage = report.endsInDamage
            try fill(copier, below: LSN(.max))
            report.endsInDamage = endsInDamage
        }
        try copier.finish(reaching: base.lsn)
        report.records = copier.records
        report.fileBytes = copier.fileBytes
        let outcome = try LogScan(directory: target, fileSystem: fileSystem).run(from: base) { _ throws(LogError) in }
        guard outcome.torn == nil, outcome.lastLSN == copier.last else {
            throw LogError.io(FileSystemError(operation: "reading back", path: target, code: 5))
        }
        return report
    }

    /// The newest checkpoint of which every byte checks goes along.
    private mutating func copyCheckpoint(to out: String) throws {
        guard let data else { return }
        let source = data + "/checkpoints"
        // A directory that cannot be read is no directory without checkpoints: what it holds may be all there is.
        let (restored, damaged) = try Log.io { () throws(FileSystemError) in
            try CheckpointFiles.newest(in: source, fileSystem)
        }
        report.damagedCheckpoints = damaged
        guard let restored else { return }
        base = restored
        report.checkpoint = restored.lsn
        let target = out + "/checkpoints"
        try Log.io { () throws(FileSystemError) in
            try fileSystem.createDirectory(target)
            for name in try CheckpointFiles.names(of: restored.lsn, in: source, fileSystem) {
                try copyFile(source + "/" + name, to: target + "/" + name, fileSystem)
            }
            try fileSystem.syncDirectory(target)
        }
    }

    /// What precedes the copy: what retention removed, if the checkpoint holds it.
    private func start() throws -> LSN {
        let scan = LogScan(directory: log, fileSystem: fileSystem)
        guard let first = try scan.segments().first else { return .zero }
        // A header that is damaged costs its own words only; the file's name says nearly the same.
        let trimmed = (try? scan.reader(first.path).header.continuesFrom) ?? first.firstLSN.previous
        return trimmed <= base.lsn ? trimmed : .zero
    }

    private mutating func take(_ step: LogWalk.Step, _ copier: LogCopier) throws {
        switch step {
        case .damage(let damage, let bytes):
            report.endsInDamage = !bytes.isEmpty
            if report.damages.count < Salvager.damagesMax {
                report.damages.append(.init(damage: damage, bytes: bytes))
            } else {
                report.furtherDamages += 1
            }
        case .record(let record):
            report.durable = max(report.durable, record.frame.durableUpTo)
            try fill(copier, below: record.lsn)
            try copy(record.envelope, at: record.lsn, copier)
        case .segment, .missing, .caughtUp:
            break
        }
    }

    /// Puts events back that stood below a record, as far as there are numbers and events.
    private mutating func fill(_ copier: LogCopier, below lsn: LSN) throws {
        while copier.last.next < lsn, let bytes = filler?.next(behind: tips) {
            report.refetched += 1
            try bytes.withUnsafeBytes { try copy(Envelope(checked: $0), at: copier.last.next, copier) }
        }
    }

    private mutating func copy(_ envelope: Envelope, at lsn: LSN, _ copier: LogCopier) throws {
        report.endsInDamage = false
        let event = "\(envelope.origin):\(envelope.sequence)"
        guard lsn > copier.last else {
            report.misplaced.append("event \(event) stands at LSN \(lsn), where another was read already")
            return
        }
        var gaps: [LogLoss.Gap] = []
        let hole = lsn > copier.last.next
        if lsn > base.lsn {
            if !hasPassedBase, base.lsn > .zero { histories.heads = base.heads }
            hasPassedBase = true
            if hole { histories.enterHole() }
            switch histories.follow(envelope) {
            case .continues: break
            case .jumps(let gap): gaps = [gap]
            case .breaks:
                // Without a hole in the log: only the origin's own events are missing.
                histories.enterHole()
                guard case .jumps(let gap) = histories.follow(envelope) else {
                    report.misplaced.append(
                        "event \(event) at LSN \(lsn) does not continue its origin's history"
                    )
                    return
                }
                gaps = [gap]
                copier.noteHole()
                if !hole { report.losses.append(LogLoss(after: copier.last, before: lsn)) }
            }
        } else {
            histories.take(envelope)
        }
        if hole { report.losses.append(LogLoss(after: copier.last, before: lsn)) }
        if !gaps.isEmpty, !report.losses.isEmpty { report.losses[report.losses.count - 1].gaps += gaps }
        try copier.append(envelope, at: lsn)
        report.last = lsn
        tips[envelope.origin] = envelope.head
    }
}

/// Copies a file, durable on return.
private func copyFile(_ source: String, to target: String, _ fileSystem: any FileSystem) throws(FileSystemError) {
    let from = try fileSystem.open(source, .read)
    let to = try fileSystem.open(target, .create)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    var offset = 0
    while true {
        let count = try from.read(at: offset, into: buffer)
        if count == 0 { break }
        try to.write(UnsafeRawBufferPointer(buffer).part(0, count), at: offset)
        offset += count
    }
    try to.sync()
}
