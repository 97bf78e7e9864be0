/// The six numbers that every node announces: memberlist's own protocol and the application's.
///
/// On the wire `[pmin, pmax, pcur, dmin, dmax, dcur]`. A node may join only where its current versions lie within everybody's
/// bounds.
package struct ProtocolVersions: Equatable, Sendable {
    package var minimum: UInt8
    package var maximum: UInt8
    package var current: UInt8
    package var applicationMinimum: UInt8
    package var applicationMaximum: UInt8
    package var applicationCurrent: UInt8

    package init(_ numbers: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)) {
        (minimum, maximum, current, applicationMinimum, applicationMaximum, applicationCurrent) = numbers
    }

    /// What every memberlist of today announces, and we with them.
    package static let memberlist = ProtocolVersions((1, 5, 2, 0, 0, 0))

    /// Nil for fewer than six bytes, as nodes of long ago sent.
    init?(bytes: ArraySlice<UInt8>) {
        guard bytes.count >= 6 else { return nil }
        let number = Array(bytes)
        self.init((number[0], number[1], number[2], number[3], number[4], number[5]))
    }

    package var bytes: [UInt8] {
        [minimum, maximum, current, applicationMinimum, applicationMaximum, applicationCurrent]
    }

    var isUsable: Bool { minimum > 0 && maximum > 0 && minimum <= maximum }
    var understandsStreamPing: Bool { maximum >= 3 }
    var sendsNacks: Bool { maximum >= 4 }
}

/// Who asks, when the answer should not simply go to where the packet came from.
package struct MessageSource: Equatable, Sendable {
    package var endpoint: NodeAddress
    package var name: String

    package init(endpoint: NodeAddress, name: String) {
        self.endpoint = endpoint
        self.name = name
    }
}

/// Asks whether a node is there.
package struct Ping: Equatable, Sendable {
    package var number: UInt32
    /// The name of the node that is meant; empty for whoever it is.
    package var node: String
    package var source: MessageSource?

    package init(number: UInt32, node: String, source: MessageSource?) {
        self.number = number
        self.node = node
        self.source = source
    }
}

/// Asks somebody to ask a node whether it is there.
package struct IndirectPing: Equatable, Sendable {
    package var number: UInt32
    package var target: NodeAddress
    package var node: String
    /// Whether the asker wants to hear that no answer came.
    package var wantsNack: Bool
    package var source: MessageSource?

    package init(number: UInt32, target: NodeAddress, node: String, wantsNack: Bool, source: MessageSource?) {
        self.number = number
        self.target = target
        self.node = node
        self.wantsNack = wantsNack
        self.source = source
    }
}

/// Says that a node is suspect, or dead; dead by its own word means that it left on purpose.
package struct Accusation: Equatable, Sendable {
    package var incarnation: UInt32
    package var node: String
    package var accuser: String

    package init(incarnation: UInt32, node: String, accuser: String) {
        self.incarnation = incarnation
        self.node = node
        self.accuser = accuser
    }
}

/// Says that a node is alive, and what there is to know of it.
package struct Alive: Equatable, Sendable {
    package var incarnation: UInt32
    package var node: String
    /// Port 0 stands for the receiver's own configured port.
    package var endpoint: NodeAddress
    package var meta: [UInt8]
    package var versions: ProtocolVersions?

    package init(
        incarnation: UInt32,
        node: String,
        endpoint: NodeAddress,
        meta: [UInt8],
        versions: ProtocolVersions?
    ) {
        self.incarnation = incarnation
        self.node = node
        self.endpoint = endpoint
        self.meta = meta
        self.versions = versions
    }
}

/// One message of memberlist's protocol.
package enum Message: Equatable, Sendable {
    case ping(Ping)
    case indirectPing(IndirectPing)
    case ack(number: UInt32, payload: [UInt8]?)
    case nack(number: UInt32)
    case suspect(Accusation)
    case alive(Alive)
    case dead(Accusation)
    /// The application's own bytes.
    case user([UInt8])
    /// What the other side of a stream has against it.
    case error(String)
}

/// The byte that begins each message and each wrapper.
package enum MessageType: UInt8, Sendable {
    case ping, indirectPing, ack, suspect, alive, dead, pushPull, compound, user, compress, encrypt, nack, crc, error
    case label = 244
}

/// Bounds of what messages carry.
package enum WireLimits {
    /// Bytes of a node's name: host names have at most 253.
    package static let nameBytes = 255
    /// Bytes of a node's meta, memberlist's own bound.
    package static let metaBytes = 512
    /// Bytes of a packet that is sent, memberlist's default: it passes every usual network in one piece.
    package static let packetBytes = 1400
    /// Bytes of a packet that is received: the most that UDP can carry.
    package static let receivedPacketBytes = 65_536
    /// Bytes that all compressed parts of one packet may inflate to.
    package static let inflatedPacketBytes = 1 << 20
    /// Messages in one packet; real ones hold a few dozen.
    package static let packetMessages = 1024
    /// Parts of a compound that is sent: old agents drop packets of 128 and more.
    package static let compoundParts = 127
    /// Wrappers within wrappers.
    package static let nesting = 8
    /// Bytes of one stream's direction, wrapped or inflated: more than 10,000 nodes need.
    package static let streamBytes = 8 << 20
    /// Nodes in one exchange of states.
    package static let nodes = 10_000
}
