extension Message {
    /// The message with its type byte, as it goes into a packet or a stream.
    package var encoded: [UInt8] {
        switch self {
        case .ping(let ping):
            return ping.encoded
        case .indirectPing(let ping):
            return ping.encoded
        case .ack(let number, let payload):
            var writer = MessagePackWriter([MessageType.ack.rawValue])
            writer.map(2)
            writer.field("Payload", payload)
            writer.field("SeqNo", number)
            return writer.bytes
        case .nack(let number):
            var writer = MessagePackWriter([MessageType.nack.rawValue])
            writer.map(1)
            writer.field("SeqNo", number)
            return writer.bytes
        case .suspect(let accusation):
            return accusation.encoded(as: .suspect)
        case .dead(let accusation):
            return accusation.encoded(as: .dead)
        case .alive(let alive):
            return alive.encoded
        case .user(let bytes):
            return [MessageType.user.rawValue] + bytes
        case .error(let text):
            var writer = MessagePackWriter([MessageType.error.rawValue])
            writer.map(1)
            writer.field("Error", text)
            return writer.bytes
        }
    }
}

extension MessagePackWriter {
    fileprivate mutating func source(_ source: MessageSource?) {
        guard let source else { return }
        field("SourceAddr", source.endpoint.address.bytes)
        field("SourceNode", source.name)
        field("SourcePort", source.endpoint.port)
    }
}

extension Ping {
    fileprivate var encoded: [UInt8] {
        var writer = MessagePackWriter([MessageType.ping.rawValue])
        writer.map(source == nil ? 2 : 5)
        writer.field("Node", node)
        writer.field("SeqNo", number)
        writer.source(source)
        return writer.bytes
    }
}

extension IndirectPing {
    fileprivate var encoded: [UInt8] {
        var writer = MessagePackWriter([MessageType.indirectPing.rawValue])
        writer.map(source == nil ? 5 : 8)
        writer.field("Nack", wantsNack)
        writer.field("Node", node)
        writer.field("Port", target.port)
        writer.field("SeqNo", number)
        writer.source(source)
        writer.field("Target", target.address.bytes)
        return writer.bytes
    }
}

extension Accusation {
    fileprivate func encoded(as type: MessageType) -> [UInt8] {
        var writer = MessagePackWriter([type.rawValue])
        writer.map(3)
        writer.field("From", accuser)
        writer.field("Incarnation", incarnation)
        writer.field("Node", node)
        return writer.bytes
    }
}

extension Alive {
    fileprivate var encoded: [UInt8] {
        var writer = MessagePackWriter([MessageType.alive.rawValue])
        writer.map(6)
        writer.field("Addr", endpoint.address.bytes)
        writer.field("Incarnation", incarnation)
        writer.field("Meta", meta)
        writer.field("Node", node)
        writer.field("Port", endpoint.port)
        writer.field("Vsn", versions?.bytes)
        return writer.bytes
    }
}
