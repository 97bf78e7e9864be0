/// What a packet holds once label and encryption are off: `[crc] [compress] [compound] message`.
///
///     crc        12, u32 CRC-32 of everything behind it                                 outermost only
///     compress    9, MessagePack {Algo: 0, Buf: LZW}                                    anywhere
///     compound    7, u8 count, count × u16 length, the parts, each a whole message      anywhere
package enum Packet {
    /// The messages of a packet, and how many parts of it could not be read.
    package struct Content: Equatable, Sendable {
        package var messages: [Message] = []
        package var refusedParts = 0
    }

    /// Reads a packet.
    ///
    /// A part that cannot be read does not cost the others: a later protocol may put there what we do not know.
    package static func decode(_ bytes: ArraySlice<UInt8>) throws(WireError) -> Content {
        var content = Content()
        var budget = WireLimits.inflatedPacketBytes
        var reader = ByteReader(bytes)
        if bytes.first == MessageType.crc.rawValue {
            _ = try reader.byte()
            let expected = try reader.bigEndian(UInt32.self)
            let rest = reader.rest()
            guard CRC32.checksum(rest) == expected else { throw .checksum }
            try unwrap(rest, into: &content, depth: 0, &budget)
        } else {
            try unwrap(bytes, into: &content, depth: 0, &budget)
        }
        return content
    }

    private static func unwrap(
        _ bytes: ArraySlice<UInt8>,
        into content: inout Content,
        depth: Int,
        _ budget: inout Int
    ) throws(WireError) {
        guard depth < WireLimits.nesting else { throw .beyondLimit("wrappers within wrappers") }
        guard content.messages.count < WireLimits.packetMessages else { throw .beyondLimit("messages in a packet") }
        var reader = ByteReader(bytes)
        let head = try reader.byte()
        let body = reader.rest()
        switch MessageType(rawValue: head) {
        case .compound:
            for part in try parts(body) {
                do throws(WireError) {
                    try unwrap(part, into: &content, depth: depth + 1, &budget)
                } catch {
                    content.refusedParts += 1
                }
            }
        case .compress:
            let inflated = try LZW.inflate(try compressed(body), bytesMax: budget)
            budget -= inflated.count
            try unwrap(inflated[...], into: &content, depth: depth + 1, &budget)
        case .some(let type):
            content.messages.append(try Message(type, body: body))
        case nil:
            throw .unexpectedType(head)
        }
    }

    /// The parts of a compound; those that are not there whole are left out.
    private static func parts(_ body: ArraySlice<UInt8>) throws(WireError) -> [ArraySlice<UInt8>] {
        var reader = ByteReader(body)
        let count = Int(try reader.byte())
        var lengths: [Int] = []
        for _ in 0..<count { lengths.append(Int(try reader.bigEndian(UInt16.self))) }
        var parts: [ArraySlice<UInt8>] = []
        for length in lengths where length <= reader.remaining { parts.append(try reader.take(length)) }
        return parts
    }

    /// The LZW bytes in the body of a compressed message.
    static func compressed(_ body: ArraySlice<UInt8>) throws(WireError) -> ArraySlice<UInt8> {
        var reader = MessagePackReader(body)
        var (algorithm, compressed) = (0, ArraySlice<UInt8>())
        try reader.map { key, reader throws(WireError) in
            switch key {
            case "Algo": algorithm = try reader.integer(Int.self)
            case "Buf": compressed = try reader.bytes(max: WireLimits.streamBytes) ?? []
            default: try reader.skip()
            }
        }
        guard algorithm == 0 else { throw .malformed("compression algorithm \(algorithm)") }
        return compressed
    }

    /// Bytes that each message costs beyond its own in a compound.
    package static let partOverhead = 2
    /// Bytes that a compound costs beyond its parts.
    package static let compoundOverhead = 2

    /// One packet of encoded messages: a single one goes bare.
    package static func encode(_ messages: [[UInt8]]) -> [UInt8] {
        precondition((1...WireLimits.compoundParts).contains(messages.count), "a packet of \(messages.count) messages")
        guard messages.count > 1 else { return messages[0] }
        var bytes = [MessageType.compound.rawValue, UInt8(messages.count)]
        for message in messages { bytes.appendBigEndian(UInt16(message.count)) }
        for message in messages { bytes += message }
        return bytes
    }
}
