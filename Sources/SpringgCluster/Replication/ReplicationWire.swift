// What nodes send each other about their logs: the body of a request or of an answer.
//
//  0  8    magic "SPRGREP1"
//  8  u8   1: events, 2: vector
//  9  u8   events: 1 when the sender's log no longer has some of what was asked for; else 0
// 10  u16  0
// 12  u32  bytes of the content
// 16  16   origin whose events the sender writes, as printed
// 32  u32  events: how many; vector: how many heads
// 36  u32  vector: refusals
// 40  u32  vector: events that were new to the sender
// 44  u32  CRC-32C of the 44 bytes above, and with a vector of the content behind them
// 48       events: envelopes back to back (formats.md), each with its own checksum
//          vector: heads: 16 origin, u64 sequence, u64 chain; refusals: 16 origin, u64 sequence, u64 held, u64 reason
//
// Little-endian.

package import SpringgLog

/// The head that both kinds of message have.
struct ReplicationHeader {
    enum Kind: UInt8 { case events = 1, vector = 2 }

    static let bytes = 48
    static let checkedBytes = 44
    /// "SPRGREP1" read as a little-endian integer.
    static let magic: UInt64 = 0x3150_4552_4752_5053

    var kind: Kind
    var flags: UInt8 = 0
    var origin: OriginID
    var count: Int
    var refusals = 0
    var appended = 0

    init(kind: Kind, origin: OriginID, count: Int) {
        self.kind = kind
        self.origin = origin
        self.count = count
    }

    /// Reads the head of a message whose content is all that follows; nil when it is none.
    init?(_ message: UnsafeRawBufferPointer) {
        guard message.count >= Self.bytes, message.integer(UInt64.self, at: 0) == Self.magic,
            let kind = Kind(rawValue: message.integer(UInt8.self, at: 8)),
            message.integer(UInt16.self, at: 10) == 0,
            Int(message.integer(UInt32.self, at: 12)) == message.count - Self.bytes
        else { return nil }
        var checksum = Checksum.crc32c(message.part(0, Self.checkedBytes))
        if kind == .vector {
            checksum = Checksum.crc32c(message.part(Self.bytes, message.count - Self.bytes), from: checksum)
        }
        guard checksum == message.integer(UInt32.self, at: Self.checkedBytes) else { return nil }
        self.kind = kind
        flags = message.integer(UInt8.self, at: 9)
        origin = message.origin(at: 16)
        count = Int(message.integer(UInt32.self, at: 32))
        refusals = Int(message.integer(UInt32.self, at: 36))
        appended = Int(message.integer(UInt32.self, at: 40))
    }

    /// Writes the head before the content, which stands in its place already.
    func encode(into message: UnsafeMutableRawBufferPointer) {
        message.store(Self.magic, at: 0)
        message.store(kind.rawValue, at: 8)
        message.store(flags, at: 9)
        message.store(UInt16(0), at: 10)
        message.store(UInt32(message.count - Self.bytes), at: 12)
        message.store(origin, at: 16)
        message.store(UInt32(count), at: 32)
        message.store(UInt32(refusals), at: 36)
        message.store(UInt32(clamping: appended), at: 40)
        let bytes = UnsafeRawBufferPointer(message)
        var checksum = Checksum.crc32c(bytes.part(0, Self.checkedBytes))
        if kind == .vector {
            checksum = Checksum.crc32c(bytes.part(Self.bytes, bytes.count - Self.bytes), from: checksum)
        }
        message.store(checksum, at: Self.checkedBytes)
    }
}

/// Bytes that are no message, or none that this version knows.
package struct ReplicationWireError: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// What a node holds: the answer to everything, and the question of one that wants events.
package struct VectorMessage: Equatable, Sendable {
    /// Bytes of the longest: more origins than a cluster has in its life.
    package static let bytesMax = 4 << 20
    private static let headBytes = 32
    private static let refusalBytes = 40

    /// Whose events the sender writes.
    package var origin: OriginID
    /// What it holds, durably.
    package var vector: VersionVector
    /// Events of the request that were new to it.
    package var appended = 0
    /// What it has refused, once for each origin.
    package var refusals: [EventRefusal] = []

    package init(origin: OriginID, vector: VersionVector) {
        self.origin = origin
        self.vector = vector
    }

    package init(_ message: UnsafeRawBufferPointer) throws(ReplicationWireError) {
        guard message.count <= Self.bytesMax, let header = ReplicationHeader(message), header.kind == .vector,
            message.count == ReplicationHeader.bytes + header.count * Self.headBytes
                + header.refusals * Self.refusalBytes
        else { throw ReplicationWireError("these bytes are no version vector") }
        origin = header.origin
        vector = VersionVector()
        appended = header.appended
        for number in 0..<header.count {
            let at = ReplicationHeader.bytes + number * Self.headBytes
            vector[message.origin(at: at)] = .init(
                sequence: Sequence(message.integer(UInt64.self, at: at + 16)),
                chain: message.integer(UInt64.self, at: at + 24)
            )
        }
        for number in 0..<header.refusals {
            let at = ReplicationHeader.bytes + header.count * Self.headBytes + number * Self.refusalBytes
            guard let tag = UInt8(exactly: message.integer(UInt64.self, at: at + 32)),
                let reason = EventRefusal.Reason(rawValue: tag)
            else { throw ReplicationWireError("a refusal has an unknown reason") }
            refusals.append(
                EventRefusal(
                    origin: message.origin(at: at),
                    sequence: Sequence(message.integer(UInt64.self, at: at + 16)),
                    held: Sequence(message.integer(UInt64.self, at: at + 24)),
                    reason: reason
                )
            )
        }
    }

    package var encoded: [UInt8] {
        let origins = vector.origins
        let count = ReplicationHeader.bytes + origins.count * Self.headBytes + refusals.count * Self.refusalBytes
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withMutableBytes { message in
            var at = ReplicationHeader.bytes
            for origin in origins {
                message.store(origin, at: at)
                message.store(vector[origin].sequence.rawValue, at: at + 16)
                message.store(vector[origin].chain, at: at + 24)
                at += Self.headBytes
            }
            for refusal in refusals {
                message.store(refusal.origin, at: at)
                message.store(refusal.sequence.rawValue, at: at + 16)
                message.store(refusal.held.rawValue, at: at + 24)
                message.store(UInt64(refusal.reason.rawValue), at: at + 32)
                at += Self.refusalBytes
            }
            var header = ReplicationHeader(kind: .vector, origin: origin, count: origins.count)
            header.appended = appended
            header.refusals = refusals.count
            header.encode(into: message)
        }
        return bytes
    }
}

/// Events on their way.
package struct EventsMessage: Sendable {
    /// Bytes of the longest: a batch that is full but for one event, and that one.
    package static let bytesMax = ReplicationHeader.bytes + EnvelopeBatch.bytesMax

    /// Whose events the sender writes.
    package let origin: OriginID
    package let events: EnvelopeBatch
    /// The sender's log no longer has some of what was asked for.
    package let isOutOfReach: Bool

    /// Checks everything that can be checked without a log.
    package init(_ message: UnsafeRawBufferPointer) throws(ReplicationWireError) {
        guard message.count <= Self.bytesMax, let header = ReplicationHeader(message), header.kind == .events else {
            throw ReplicationWireError("these bytes are no events")
        }
        do throws(EnvelopeBatch.Flaw) {
            events = try EnvelopeBatch(
                message.part(ReplicationHeader.bytes, message.count - ReplicationHeader.bytes)
            )
        } catch {
            throw ReplicationWireError("these events cannot be read: \(error)")
        }
        guard events.count == header.count else { throw ReplicationWireError("events are missing in the message") }
        origin = header.origin
        isOutOfReach = header.flags & 1 != 0
    }

    /// Puts a message together, event by event, without copying any twice.
    package struct Builder {
        package private(set) var bytes: [UInt8]
        package private(set) var count = 0

        /// Reserves room for `bytesExpected` of events.
        package init(bytesExpected: Int) {
            bytes = []
            bytes.reserveCapacity(ReplicationHeader.bytes + bytesExpected)
            bytes.append(contentsOf: repeatElement(0, count: ReplicationHeader.bytes))
        }

        package mutating func append(_ envelope: Envelope) {
            bytes.append(contentsOf: envelope.bytes)
            count += 1
        }

        /// Bytes of the events so far.
        package var eventBytes: Int { bytes.count - ReplicationHeader.bytes }

        package mutating func finish(origin: OriginID, isOutOfReach: Bool = false) -> [UInt8] {
            var header = ReplicationHeader(kind: .events, origin: origin, count: count)
            header.flags = isOutOfReach ? 1 : 0
            bytes.withMutableBytes { header.encode(into: $0) }
            return bytes
        }
    }
}
