extension Message {
    /// Reads the body of a message; bytes behind it are ignored, as peers do.
    init(_ type: MessageType, body: ArraySlice<UInt8>) throws(WireError) {
        var reader = MessagePackReader(body)
        switch type {
        case .ping: self = .ping(try Ping(&reader))
        case .indirectPing: self = .indirectPing(try IndirectPing(&reader))
        case .ack: self = try Self.ack(&reader)
        case .nack: self = try Self.nack(&reader)
        case .suspect: self = .suspect(try Accusation(&reader))
        case .alive: self = .alive(try Alive(&reader))
        case .dead: self = .dead(try Accusation(&reader))
        case .user: self = .user(Array(body))
        case .error: self = try Self.error(&reader)
        case .pushPull, .compound, .compress, .encrypt, .crc, .label: throw .unexpectedType(type.rawValue)
        }
    }

    private static func ack(_ reader: inout MessagePackReader) throws(WireError) -> Message {
        var number: UInt32 = 0
        var payload: [UInt8]?
        try reader.map { key, reader throws(WireError) in
            switch key {
            case "SeqNo": number = try reader.integer(UInt32.self)
            case "Payload": payload = try reader.bytes(max: WireLimits.receivedPacketBytes).map(Array.init)
            default: try reader.skip()
            }
        }
        return .ack(number: number, payload: payload)
    }

    private static func nack(_ reader: inout MessagePackReader) throws(WireError) -> Message {
        var number: UInt32 = 0
        try reader.map { key, reader throws(WireError) in
            if key == "SeqNo" { number = try reader.integer(UInt32.self) } else { try reader.skip() }
        }
        return .nack(number: number)
    }

    /// Longest text of an error that is taken.
    private static let errorBytesMax = 1024

    private static func error(_ reader: inout MessagePackReader) throws(WireError) -> Message {
        var text = ""
        try reader.map { key, reader throws(WireError) in
            if key == "Error" { text = try reader.text(bytesMax: errorBytesMax) ?? "" } else { try reader.skip() }
        }
        return .error(text)
    }
}

/// The three fields by which a message says who asks.
private struct SourceFields {
    var address: IPAddress?
    var port: UInt16 = 0
    var name = ""

    /// Takes a field when it is one of the three.
    mutating func take(_ key: String, _ reader: inout MessagePackReader) throws(WireError) -> Bool {
        switch key {
        case "SourceAddr": address = try reader.address()
        case "SourcePort": port = try reader.integer(UInt16.self)
        case "SourceNode": name = try reader.name()
        default: return false
        }
        return true
    }

    /// Nil unless address and port are both there.
    var source: MessageSource? {
        guard let address, port > 0 else { return nil }
        return MessageSource(endpoint: NodeAddress(address, port: port), name: name)
    }
}

extension MessagePackReader {
    /// An address of 4 or 16 bytes; nil for nil and for no bytes.
    mutating func address() throws(WireError) -> IPAddress? {
        guard let bytes = try bytes(max: 16), !bytes.isEmpty else { return nil }
        guard let address = IPAddress(bytes: bytes) else { throw .malformed("an address of \(bytes.count) bytes") }
        return address
    }

    mutating func name() throws(WireError) -> String { try text(bytesMax: WireLimits.nameBytes) ?? "" }

    mutating func versions() throws(WireError) -> ProtocolVersions? {
        try bytes(max: Self.versionBytesMax).flatMap { ProtocolVersions(bytes: $0) }
    }

    /// Six are used; a later protocol may send more.
    private static let versionBytesMax = 32
}

extension Ping {
    init(_ reader: inout MessagePackReader) throws(WireError) {
        self.init(number: 0, node: "", source: nil)
        var from = SourceFields()
        try reader.map { key, reader throws(WireError) in
            switch key {
            case "SeqNo": self.number = try reader.integer(UInt32.self)
            case "Node": self.node = try reader.name()
            default: if try !from.take(key, &reader) { try reader.skip() }
            }
        }
        source = from.source
    }
}

extension IndirectPing {
    init(_ reader: inout MessagePackReader) throws(WireError) {
        var (number, address, port) = (UInt32(0), IPAddress?.none, UInt16(0))
        var (node, wantsNack) = ("", false)
        var from = SourceFields()
        try reader.map { key, reader throws(WireError) in
            switch key {
            case "SeqNo": number = try reader.integer(UInt32.self)
            case "Target": address = try reader.address()
            case "Port": port = try reader.integer(UInt16.self)
            case "Node": node = try reader.name()
            case "Nack": wantsNack = try reader.boolean()
            default: if try !from.take(key, &reader) { try reader.skip() }
            }
        }
        guard let address else { throw .malformed("an indirect ping without a target") }
        self.init(
            number: number,
            target: NodeAddress(address, port: port),
            node: node,
            wantsNack: wantsNack,
            source: from.source
        )
    }
}

extension Accusation {
    init(_ reader: inout MessagePackReader) throws(WireError) {
        self.init(incarnation: 0, node: "", accuser: "")
        try reader.map { key, reader throws(WireError) in
            switch key {
            case "Incarnation": self.incarnation = try reader.integer(UInt32.self)
            case "Node": self.node = try reader.name()
            case "From": self.accuser = try reader.name()
            default: try reader.skip()
            }
        }
        guard !node.isEmpty else { throw .malformed("an accusation without a name") }
    }
}

extension Alive {
    init(_ reader: inout MessagePackReader) throws(WireError) {
        let fields = try NodeFields(&reader)
        self = try fields.alive(nameKey: "Node")
    }
}

/// What alive messages and exchanged states say of a node; they differ in the key of its name.
struct NodeFields {
    var incarnation: UInt32 = 0
    var name = ""
    var address: IPAddress?
    var port: UInt16 = 0
    var meta: [UInt8] = []
    var versions: ProtocolVersions?
    var state: UInt8 = 0

    init(_ reader: inout MessagePackReader) throws(WireError) {
        try reader.map { key, reader throws(WireError) in
            switch key {
            case "Incarnation": self.incarnation = try reader.integer(UInt32.self)
            case "Node", "Name": self.name = try reader.name()
            case "Addr": self.address = try reader.address()
            case "Port": self.port = try reader.integer(UInt16.self)
            case "Meta": self.meta = Array(try reader.bytes(max: WireLimits.metaBytes) ?? [])
            case "Vsn": self.versions = try reader.versions()
            case "State": self.state = try reader.integer(UInt8.self)
            default: try reader.skip()
            }
        }
    }

    func alive(nameKey: String) throws(WireError) -> Alive {
        guard !name.isEmpty else { throw .malformed("a node without \(nameKey)") }
        guard let address else { throw .malformed("a node without an address") }
        return Alive(
            incarnation: incarnation,
            node: name,
            endpoint: NodeAddress(address, port: port),
            meta: meta,
            versions: versions
        )
    }
}
