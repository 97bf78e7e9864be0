/// How far a write has to have got before its client hears that it is done.
package enum AckLevel: String, CaseIterable, Comparable, Sendable {
    /// On this node's disk.
    case local
    /// On one more disk.
    case peer
    /// On the disks of a majority of the members, this node included.
    case quorum
    /// In the archive.
    case s3

    private var rank: Int {
        switch self {
        case .local: 0
        case .peer: 1
        case .quorum: 2
        case .s3: 3
        }
    }

    /// Orders by what a client asks for: of what was reached below it, the highest is reported.
    package static func < (a: AckLevel, b: AckLevel) -> Bool { a.rank < b.rank }
}
