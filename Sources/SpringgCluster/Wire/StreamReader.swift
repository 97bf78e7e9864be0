/// What one side of a stream says.
package enum StreamMessage: Equatable, Sendable {
    case pushPull(PushPull)
    /// Ping, ack, user or error.
    case message(Message)
}

/// Reads one direction of a stream as its bytes arrive: `[label] [encrypted] [compress] message`.
package struct StreamReader: Sendable {
    private let security: WireSecurity
    /// True while a label header may come: from the side that dialled.
    private var awaitsLabel: Bool
    private var buffer: [UInt8] = []
    /// Bytes of the buffer before the message.
    private var start = 0
    private var parser = PushPullParser()

    /// - Parameters:
    ///   - security: Label and keys.
    ///   - isFromDialler: True for what the accepting side reads.
    package init(security: WireSecurity, isFromDialler: Bool) {
        self.security = security
        awaitsLabel = isFromDialler
    }

    /// Takes further bytes.
    /// - Returns: The message once it is complete, nil while it is not.
    /// - Throws: What makes it unreadable for good.
    package mutating func append(_ bytes: some Collection<UInt8>) throws(WireError) -> StreamMessage? {
        guard buffer.count + bytes.count <= WireLimits.streamBytes + Self.wrapperBytes else {
            throw .beyondLimit("bytes of a stream")
        }
        buffer.append(contentsOf: bytes)
        do throws(WireError) {
            return try message()
        } catch {
            if error == .truncated { return nil }
            throw error
        }
    }

    /// Room for label, frame and seal around a message of the largest size.
    private static let wrapperBytes = 512

    private mutating func message() throws(WireError) -> StreamMessage {
        if awaitsLabel {
            var reader = ByteReader(buffer)
            try security.readLabel(&reader)
            start = reader.position
            awaitsLabel = false
        }
        guard let keyring = security.keyring else { return try plain(buffer[start...], isComplete: false) }

        var reader = ByteReader(buffer[start...])
        let type = try reader.byte()
        // A node without a key, or with another, answers in the clear that it could not read us.
        guard type == MessageType.encrypt.rawValue else {
            guard type == MessageType.error.rawValue else { throw .undecryptable }
            return try plain(buffer[start...], isComplete: false)
        }
        let length = Int(try reader.bigEndian(UInt32.self))
        guard length <= WireLimits.streamBytes else { throw .beyondLimit("an encrypted message of \(length) bytes") }
        let header = buffer[start..<start + 5]
        let opened = try keyring.open(try reader.take(length), authenticating: header + security.label)
        return try plain(opened[...], isComplete: true)
    }

    private mutating func plain(_ bytes: ArraySlice<UInt8>, isComplete: Bool) throws(WireError) -> StreamMessage {
        var reader = ByteReader(bytes)
        let type = try reader.byte()
        let body = reader.rest()
        guard type == MessageType.compress.rawValue else {
            return isComplete
                ? try whole { reader throws(WireError) in try reader.message(type, body) } : try message(type, body)
        }
        // The compressed bytes have their length in front: what is read behind this line is read once.
        let compressed = try Packet.compressed(body)
        return try whole { reader throws(WireError) in
            let inflated = try LZW.inflate(compressed, bytesMax: WireLimits.streamBytes)
            var inner = ByteReader(inflated)
            return try reader.message(try inner.byte(), inner.rest())
        }
    }

    /// Reads what is there whole: if it ends too early, no further bytes can help.
    private mutating func whole(
        _ read: (inout StreamReader) throws(WireError) -> StreamMessage
    ) throws(WireError) -> StreamMessage {
        do throws(WireError) {
            return try read(&self)
        } catch {
            throw error == .truncated ? .malformed("a message that ends within a value") : error
        }
    }

    private mutating func message(_ type: UInt8, _ body: ArraySlice<UInt8>) throws(WireError) -> StreamMessage {
        switch MessageType(rawValue: type) {
        case .pushPull: return .pushPull(try parser.parse(body))
        case .user: return .message(.user(try userMessage(body)))
        case .some(let type) where [.ping, .ack, .error].contains(type):
            return .message(try Message(type, body: body))
        default: throw .unexpectedType(type)
        }
    }

    private func userMessage(_ body: ArraySlice<UInt8>) throws(WireError) -> [UInt8] {
        var reader = MessagePackReader(body)
        var count = 0
        try reader.map { key, reader throws(WireError) in
            if key == "UserMsgLen" { count = try reader.integer(Int.self) } else { try reader.skip() }
        }
        guard (0...WireLimits.streamBytes).contains(count) else { throw .beyondLimit("\(count) bytes for the user") }
        return Array(try reader.take(count))
    }
}
