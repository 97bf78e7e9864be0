public import SpringgLog
import Synchronization

/// What became of an attempt to make the log shorter.
public struct TrimReport: Sendable {
    /// Segments that were removed.
    public let segments: Int
    /// The first record that is still there.
    public let first: LSN
    /// Why no more could be removed; nil when all was that might.
    public let failure: String?
}

/// How far those who read the log have come: the archive, the slowest peer.
final class RetentionHolds: Sendable {
    private let floors = Mutex(RetentionFloors())

    func set(_ change: (inout RetentionFloors) -> Void) { floors.withLock { change(&$0) } }

    /// The last record that may go for their sake; nil when they hold nothing back.
    var lowest: LSN? { floors.withLock { [$0.archived, $0.shipped].compactMap { $0 }.min() } }
}

/// Removes the segments that neither a start nor the operator needs any more.
struct Retention: Sendable {
    let log: Log
    let files: CheckpointFiles
    let policy: RetentionPolicy
    let holds: RetentionHolds
    /// Unix time in milliseconds.
    let wallClock: @Sendable () -> UInt64

    /// What the operator lets go by now.
    ///
    /// What the archive or a peer still needs goes only by size: no outage of theirs fills the disk. Where there is no room
    /// for writes they wait no longer either.
    private func released(isPressed: Bool) -> LSN {
        let segments = log.segments
        let released = policy.floor(of: segments, now: wallClock() / 1000)
        guard !isPressed, let held = holds.lowest, held < released else { return released }
        return max(held, RetentionPolicy(bytes: policy.bytes).floor(of: segments, now: 0))
    }

    /// True when a newer checkpoint would let segments go that have to: there are too many of them, or no room.
    func needsCheckpoint(isPressed: Bool) -> Bool {
        let wanted =
            isPressed
            ? released(isPressed: true)
            : RetentionPolicy(bytes: policy.bytes).floor(of: log.segments, now: 0)
        return wanted > recoverable(isPressed: isPressed) && log.watermarks.applied > log.watermarks.checkpointed
    }

    /// Removes what may go.
    ///
    /// A start may have to begin with the checkpoint before the newest, should that be damaged, so the log is kept from
    /// there on. When there is no room for writes (`isPressed`), that one is given up, and one checkpoint alone remains.
    /// - Returns: nil when nothing was to be removed.
    func trim(isPressed: Bool) -> TrimReport? {
        var failure: String?
        if isPressed {
            do throws(FileSystemError) {
                // The one that is known to be whole, not merely the newest.
                let checkpointed = log.watermarks.checkpointed
                if checkpointed > .zero { try files.removeAll(except: [checkpointed]) }
            } catch {
                failure = "\(error)"
            }
        }
        var removed = 0
        do throws(LogError) {
            let floors = RetentionFloors(
                released: released(isPressed: isPressed),
                recoverable: recoverable(isPressed: isPressed)
            )
            removed = try log.trim(floors).count
        } catch {
            failure = "\(error)"
        }
        account()
        guard removed > 0 || failure != nil else { return nil }
        return TrimReport(segments: removed, first: log.watermarks.trimmed.next, failure: failure)
    }

    /// Tells the log how much room the checkpoints leave it.
    func account() {
        // What cannot be counted is counted as before.
        if let bytes = try? files.bytes() { log.setBytesBeside(bytes) }
    }

    /// What the oldest checkpoint holds that a start may have to begin with; with one alone, nothing, unless there is no room.
    private func recoverable(isPressed: Bool) -> LSN {
        if isPressed { return log.watermarks.checkpointed }
        let checkpoints = (try? files.all()) ?? []
        return checkpoints.count >= 2 ? checkpoints.last ?? .zero : .zero
    }
}
