import SpringgLog

/// When this node's own events became durable, for the lag of its peers: coarse, oldest first.
struct WriteTimes: Sendable {
    /// Moments that are kept, and the pause between two: a lag of up to a minute is told to a twentieth of a second.
    private static let max = 1200
    private static let step = Duration.milliseconds(50)

    private var moments: [(at: Duration, sequence: Sequence)] = []

    /// Events up to this one are durable.
    mutating func note(_ sequence: Sequence, _ now: Duration) {
        guard sequence > moments.last?.sequence ?? Sequence(0) else { return }
        if let last = moments.last, now < last.at + Self.step, moments.count > 1 {
            // The older time stays: a lag is never told too small.
            moments[moments.count - 1].sequence = sequence
        } else {
            moments.append((now, sequence))
        }
        if moments.count > Self.max { moments.removeFirst(Self.max / 2) }
    }

    /// When the first event behind this one became durable; nil when there is none.
    func first(after sequence: Sequence) -> Duration? { moments.first { $0.sequence > sequence }?.at }
}
