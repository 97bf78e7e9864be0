/// All that a node knows of the others, exchanged both ways over a stream.
///
///     6, header {Join, Nodes, UserStateLen}, `Nodes` maps, `UserStateLen` bytes of the application
package struct PushPull: Equatable, Sendable {
    /// What a node says of one member.
    package struct Entry: Equatable, Sendable {
        package var alive: Alive
        package var status: MemberStatus

        package init(alive: Alive, status: MemberStatus) {
            self.alive = alive
            self.status = status
        }
    }

    package var isJoin: Bool
    package var entries: [Entry]
    package var userState: [UInt8]

    package init(isJoin: Bool, entries: [Entry], userState: [UInt8]) {
        self.isJoin = isJoin
        self.entries = entries
        self.userState = userState
    }

    package var encoded: [UInt8] {
        var writer = MessagePackWriter([MessageType.pushPull.rawValue])
        writer.map(3)
        writer.field("Join", isJoin)
        writer.field("Nodes", UInt64(entries.count))
        writer.field("UserStateLen", UInt64(userState.count))
        for entry in entries {
            writer.map(7)
            writer.field("Addr", entry.alive.endpoint.address.bytes)
            writer.field("Incarnation", entry.alive.incarnation)
            writer.field("Meta", entry.alive.meta)
            writer.field("Name", entry.alive.node)
            writer.field("Port", entry.alive.endpoint.port)
            writer.field("State", entry.status.rawValue)
            writer.field("Vsn", entry.alive.versions?.bytes)
        }
        return writer.bytes + userState
    }
}

/// How a member fares, as it stands on the wire.
package enum MemberStatus: UInt8, Sendable, CaseIterable {
    case alive, suspect, dead
    /// Gone on purpose, by its own word.
    case left
}

/// Reads an exchange of states piece by piece: what was read is not read again when more bytes come.
struct PushPullParser: Sendable {
    private var isJoin = false
    private var entriesLeft: Int?
    private var userStateBytes = 0
    private var entries: [PushPull.Entry] = []
    /// Bytes of the body that have been read.
    private var position = 0

    /// The exchange, once all of it is there.
    /// - Throws: `.truncated` while it is not.
    mutating func parse(_ body: ArraySlice<UInt8>) throws(WireError) -> PushPull {
        if entriesLeft == nil { try readHeader(body) }
        var left = entriesLeft ?? 0
        while left > 0 {
            var reader = MessagePackReader(body.dropFirst(position))
            let fields = try NodeFields(&reader)
            guard let status = MemberStatus(rawValue: fields.state) else { throw .malformed("state \(fields.state)") }
            entries.append(PushPull.Entry(alive: try fields.alive(nameKey: "Name"), status: status))
            position += reader.position
            left -= 1
            entriesLeft = left
        }
        let rest = body.dropFirst(position)
        guard rest.count >= userStateBytes else { throw .truncated }
        return PushPull(isJoin: isJoin, entries: entries, userState: Array(rest.prefix(userStateBytes)))
    }

    private mutating func readHeader(_ body: ArraySlice<UInt8>) throws(WireError) {
        var reader = MessagePackReader(body)
        var nodes = 0
        try reader.map { key, reader throws(WireError) in
            switch key {
            case "Nodes": nodes = try reader.integer(Int.self)
            case "UserStateLen": self.userStateBytes = try reader.integer(Int.self)
            case "Join": self.isJoin = try reader.boolean()
            default: try reader.skip()
            }
        }
        guard (0...WireLimits.nodes).contains(nodes) else { throw .beyondLimit("\(nodes) nodes in an exchange") }
        guard (0...WireLimits.streamBytes).contains(userStateBytes) else {
            throw .beyondLimit("\(userStateBytes) bytes of user state")
        }
        position = reader.position
        entriesLeft = nodes
    }
}
