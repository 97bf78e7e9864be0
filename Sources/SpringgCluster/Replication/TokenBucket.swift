/// A bound on bytes a second, with a second's worth to spend at once; the time comes from outside.
package struct TokenBucket: Sendable {
    /// Bytes a second; nil for no bound.
    private let rate: Int?
    private var level: Double
    private var filledAt: Duration

    package init(bytesPerSecond: Int?, now: Duration) {
        rate = bytesPerSecond
        level = Double(bytesPerSecond ?? 0)
        filledAt = now
    }

    /// Takes so many bytes if there are any; what is taken beyond what is there has to be made up for by waiting.
    package mutating func take(_ bytes: Int, _ now: Duration) -> Bool {
        guard let rate else { return true }
        fill(rate, now)
        guard level > 0 else { return false }
        level -= Double(bytes)
        return true
    }

    /// Gives back what was taken and not used; fewer than none when more was used.
    package mutating func giveBack(_ bytes: Int) { level += Double(bytes) }

    /// When there will be something to take.
    package func next(_ now: Duration) -> Duration {
        guard let rate, level <= 0 else { return now }
        return max(now, filledAt + .seconds(-level / Double(rate)) + .milliseconds(1))
    }

    private mutating func fill(_ rate: Int, _ now: Duration) {
        guard now > filledAt else { return }
        level = min(Double(rate), level + (now - filledAt) / .seconds(1) * Double(rate))
        filledAt = now
    }
}
