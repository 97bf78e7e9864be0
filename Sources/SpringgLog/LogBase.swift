/// Where a reader that has the state of a checkpoint takes up the log.
public struct LogBase: Equatable, Sendable {
    /// The last record that the checkpoint holds.
    public var lsn: LSN
    /// What is held of each origin up to there.
    public var heads: VersionVector
    /// The highest clock reading up to there.
    public var highestHLC: HLC

    /// Makes a base.
    public init(lsn: LSN, heads: VersionVector, highestHLC: HLC) {
        self.lsn = lsn
        self.heads = heads
        self.highestHLC = highestHLC
    }

    /// Before the first record of a log that has all of them.
    public static let beginning = LogBase(lsn: .zero, heads: VersionVector(), highestHLC: HLC(0))
}
