package import SpringgLog

/// What a node tells the others about itself; they take it as a hint and verify what matters.
package struct NodeState: Equatable, Sendable {
    /// Whether a node takes writes.
    package enum WriteState: UInt8, Sendable {
        case writable, readOnly, unhealthy
    }

    /// How far the node has got with one index, for finding where two nodes differ.
    package struct Digest: Hashable, Sendable {
        package var low: UInt64
        package var high: UInt64

        package init(low: UInt64, high: UInt64) {
            self.low = low
            self.high = high
        }
    }

    /// Unix time in milliseconds at which this was put together; of two states of one node the later counts.
    package var composedAt: UInt64 = 0
    /// Port of the HTTP API, on the address of the gossip; 0 when unknown.
    package var apiPort: UInt16 = 0
    /// Whether the API speaks TLS.
    package var apiIsSecure = false
    /// The program's version.
    package var version = ""
    /// Oldest and newest version of the protocol between nodes that it speaks.
    package var protocols = NodeState.spokenProtocols
    package var vectorCount: UInt64 = 0
    /// Unix time in milliseconds of its last archiving; 0 for never.
    package var lastArchivedAt: UInt64 = 0
    /// Whether it has an archive, and so may be elected to fill it.
    package var archives = false
    /// Below this it will give out no clock reading any more.
    package var hlcFloor = HLC(0)
    package var writeState = WriteState.writable
    /// Whose events it writes.
    package var origin = OriginID.none
    /// Origins and how far it holds them; the short form may lack some.
    package var heads = VersionVector()
    /// Origins that the short form had no room for.
    package var omittedHeads = 0
    /// Hash of all heads: equal for two nodes that hold the same events.
    package var headsHash: UInt64 = 0
    /// Digest of everything visible; zero when it and the heads are not of one moment, or there is nothing.
    package var digest = Digest(low: 0, high: 0)
    /// Digests of the indexes; in the long form only.
    package var indexDigests: [String: Digest] = [:]
    /// When it joined and when this life of it began, in Unix milliseconds; 0 while it does not know.
    ///
    /// See `Roster`.
    package var joined: UInt64 = 0
    package var life: UInt64 = 0
    /// Members that were forgotten, and when, in Unix milliseconds; in the long form only.
    package var forgotten: [String: UInt64] = [:]

    /// Versions of the protocol between nodes that this program speaks.
    ///
    /// A program that brings a new one speaks the old one too, until the last node of a cluster has been upgraded: so two of
    /// neighbouring releases always have one in common. They use the newest that both speak.
    package static let spokenProtocols: ClosedRange<UInt8> = 1...1

    /// Whether the node that says this of itself and this program have a version in common; without one they exchange nothing.
    package var isUnderstood: Bool { protocols.overlaps(NodeState.spokenProtocols) }

    package init() {}

    /// Takes all heads and computes their hash.
    package mutating func setHeads(_ heads: VersionVector) {
        self.heads = heads
        omittedHeads = 0
        var bytes: [UInt8] = []
        for origin in heads.origins {
            bytes.appendBigEndian(origin.high)
            bytes.appendBigEndian(origin.low)
            bytes.appendBigEndian(heads[origin].sequence.rawValue)
            bytes.appendBigEndian(heads[origin].chain)
        }
        headsHash = bytes.withUnsafeBytes { Checksum.hash64($0) }
    }
}
