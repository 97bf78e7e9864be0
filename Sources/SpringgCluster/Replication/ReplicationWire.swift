// What nodes send each other about their logs: the body of a request or of an answer.
//
//  0  8    magic "SPRGREP2"
//  8  u8   1: events, 2: vector
//  9  u8   events: 1 when the sender's log no longer has some of what was asked for
//          vector: 1 when the sender takes commands
// 10  u16  bytes of the sender's name; 0 for none
// 12  u32  bytes of all that follows the head
// 16  16   origin whose events the sender writes, as printed
// 32  u32  events: how many; vector: how many heads
// 36  u32  vector: refusals
// 40  u32  vector: events that were new to the sender
// 44  u32  bytes of the sender's roster (Roster.swift); 0 for none
// 48  u64  vector: the sender will give out no clock reading below this (HLC)
// 56  u64  vector: the highest clock reading that it knows of (HLC)
// 64  u64  vector: hash of the roster on its disk
// 72  u32  0
// 76  u32  CRC-32C of the 76 bytes above, of name and roster, and with a vector of all that follows
// 80       name, roster, zeros up to a multiple of 8; then
//          events: envelopes back to back (formats.md), each with its own checksum
//          vector: heads: 16 origin, u64 sequence, u64 chain; refusals: 16 origin, u64 sequence, u64 held, u64 reason
//
// Little-endian.

package import SpringgLog

/// Who sends a message.
package struct Sender: Equatable, Sendable {
    /// Empty for one that has none, as in tests and for a node that is only just looking.
    package var name = ""
    /// Who is of the cluster, as its disk has it; nil when it does not say.
    package var roster: Roster?

    package init(name: String = "", roster: Roster? = nil) {
        self.name = name
        self.roster = roster
    }

    fileprivate var bytes: (name: [UInt8], roster: [UInt8]) {
        (Array(name.utf8.prefix(Int(UInt16.max))), roster.map { Array($0.text.utf8) } ?? [])
    }
}

/// The head that both kinds of message have.
struct ReplicationHeader {
    enum Kind: UInt8 { case events = 1, vector = 2 }

    static let bytes = 80
    static let checkedBytes = 76
    /// "SPRGREP2" read as a little-endian integer.
    static let magic: UInt64 = 0x3250_4552_4752_5053

    var kind: Kind
    var flags: UInt8 = 0
    var nameBytes = 0
    var rosterBytes = 0
    var origin: OriginID
    var count: Int
    var refusals = 0
    var appended = 0
    var floor = HLC(0)
    var clock = HLC(0)
    var rosterHash: UInt64 = 0

    init(kind: Kind, origin: OriginID, count: Int) {
        self.kind = kind
        self.origin = origin
        self.count = count
    }

    /// Where what is neither name nor roster begins.
    var contentAt: Int { (Self.bytes + nameBytes + rosterBytes + 7) & ~7 }

    /// Reads the head of a message; nil when it is none.
    init?(_ message: UnsafeRawBufferPointer) {
        guard message.count >= Self.bytes, message.integer(UInt64.self, at: 0) == Self.magic,
            let kind = Kind(rawValue: message.integer(UInt8.self, at: 8)),
            Int(message.integer(UInt32.self, at: 12)) == message.count - Self.bytes
        else { return nil }
        self.kind = kind
        flags = message.integer(UInt8.self, at: 9)
        nameBytes = Int(message.integer(UInt16.self, at: 10))
        origin = message.origin(at: 16)
        count = Int(message.integer(UInt32.self, at: 32))
        refusals = Int(message.integer(UInt32.self, at: 36))
        appended = Int(message.integer(UInt32.self, at: 40))
        rosterBytes = Int(message.integer(UInt32.self, at: 44))
        floor = HLC(message.integer(UInt64.self, at: 48))
        clock = HLC(message.integer(UInt64.self, at: 56))
        rosterHash = message.integer(UInt64.self, at: 64)
        guard contentAt <= message.count, checksum(of: message) == message.integer(UInt32.self, at: Self.checkedBytes)
        else { return nil }
    }

    /// Who it is from; nil when name or roster are not what they should be.
    func sender(_ message: UnsafeRawBufferPointer) -> Sender? {
        guard let name = String(validating: message.part(Self.bytes, nameBytes), as: UTF8.self) else { return nil }
        guard rosterBytes > 0 else { return Sender(name: name) }
        let text = String(validating: message.part(Self.bytes + nameBytes, rosterBytes), as: UTF8.self)
        return text.flatMap { Roster($0) }.map { Sender(name: name, roster: $0) }
    }

    /// Writes the head before the rest, which stands in its place already.
    func encode(into message: UnsafeMutableRawBufferPointer) {
        message.store(Self.magic, at: 0)
        message.store(kind.rawValue, at: 8)
        message.store(flags, at: 9)
        message.store(UInt16(nameBytes), at: 10)
        message.store(UInt32(message.count - Self.bytes), at: 12)
        message.store(origin, at: 16)
        message.store(UInt32(count), at: 32)
        message.store(UInt32(refusals), at: 36)
        message.store(UInt32(clamping: appended), at: 40)
        message.store(UInt32(rosterBytes), at: 44)
        message.store(floor.rawValue, at: 48)
        message.store(clock.rawValue, at: 56)
        message.store(rosterHash, at: 64)
        message.store(UInt32(0), at: 72)
        message.store(checksum(of: UnsafeRawBufferPointer(message)), at: Self.checkedBytes)
    }

    private func checksum(of message: UnsafeRawBufferPointer) -> UInt32 {
        let end = kind == .vector ? message.count : contentAt
        return Checksum.crc32c(
            message.part(Self.bytes, end - Self.bytes),
            from: Checksum.crc32c(message.part(0, Self.checkedBytes))
        )
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
    package static let bytesMax = (4 << 20) + Roster.bytesMax
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
    /// Who says so.
    package var sender = Sender()
    /// It has asked the others what it has to know, and takes commands.
    package var isOriginating = false
    /// It will give out no clock reading below this; what it has written below it is within `vector`.
    package var floor = HLC(0)
    /// The highest clock reading that it knows of, after it has the asker in its roster.
    package var clock = HLC(0)
    /// The hash of the roster that was on its disk when it looked at `vector`.
    package var rosterHash: UInt64 = 0

    package init(origin: OriginID, vector: VersionVector) {
        self.origin = origin
        self.vector = vector
    }

    package init(_ message: UnsafeRawBufferPointer) throws(ReplicationWireError) {
        guard message.count <= Self.bytesMax, let header = ReplicationHeader(message), header.kind == .vector,
            message.count == header.contentAt + header.count * Self.headBytes + header.refusals * Self.refusalBytes,
            let sender = header.sender(message)
        else { throw ReplicationWireError("these bytes are no version vector") }
        origin = header.origin
        vector = VersionVector()
        appended = header.appended
        self.sender = sender
        isOriginating = header.flags & 1 != 0
        (floor, clock, rosterHash) = (header.floor, header.clock, header.rosterHash)
        for number in 0..<header.count {
            let at = header.contentAt + number * Self.headBytes
            vector[message.origin(at: at)] = .init(
                sequence: Sequence(message.integer(UInt64.self, at: at + 16)),
                chain: message.integer(UInt64.self, at: at + 24)
            )
        }
        for number in 0..<header.refusals {
            let at = header.contentAt + header.count * Self.headBytes + number * Self.refusalBytes
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
        var header = ReplicationHeader(kind: .vector, origin: origin, count: origins.count)
        let (name, roster) = sender.bytes
        (header.nameBytes, header.rosterBytes) = (name.count, roster.count)
        (header.floor, header.clock, header.rosterHash) = (floor, clock, rosterHash)
        header.flags = isOriginating ? 1 : 0
        header.appended = appended
        header.refusals = refusals.count
        let count = header.contentAt + origins.count * Self.headBytes + refusals.count * Self.refusalBytes
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withMutableBytes { message in
            for (place, byte) in (name + roster).enumerated() { message[ReplicationHeader.bytes + place] = byte }
            var at = header.contentAt
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
            header.encode(into: message)
        }
        return bytes
    }
}

/// Events on their way.
package struct EventsMessage: Sendable {
    /// Bytes of the longest: a batch that is full but for one event, and that one.
    package static let bytesMax = ReplicationHeader.bytes + (64 << 10) + Roster.bytesMax + EnvelopeBatch.bytesMax

    /// Whose events the sender writes.
    package let origin: OriginID
    package let events: EnvelopeBatch
    /// The sender's log no longer has some of what was asked for.
    package let isOutOfReach: Bool
    /// Who sends them.
    package let sender: Sender

    /// Checks everything that can be checked without a log.
    package init(_ message: UnsafeRawBufferPointer) throws(ReplicationWireError) {
        guard message.count <= Self.bytesMax, let header = ReplicationHeader(message), header.kind == .events else {
            throw ReplicationWireError("these bytes are no events")
        }
        do throws(EnvelopeBatch.Flaw) {
            events = try EnvelopeBatch(
                message.part(header.contentAt, message.count - header.contentAt)
            )
        } catch {
            throw ReplicationWireError("these events cannot be read: \(error)")
        }
        guard events.count == header.count else { throw ReplicationWireError("events are missing in the message") }
        guard let sender = header.sender(message) else {
            throw ReplicationWireError("the sender's name or roster cannot be read")
        }
        self.sender = sender
        origin = header.origin
        isOutOfReach = header.flags & 1 != 0
    }

    /// Puts a message together, event by event, without copying any twice.
    package struct Builder {
        package private(set) var bytes: [UInt8]
        package private(set) var count = 0
        private var header = ReplicationHeader(kind: .events, origin: .none, count: 0)

        /// Reserves room for `bytesExpected` of events.
        package init(bytesExpected: Int, from sender: Sender) {
            let (name, roster) = sender.bytes
            (header.nameBytes, header.rosterBytes) = (name.count, roster.count)
            bytes = []
            bytes.reserveCapacity(header.contentAt + bytesExpected)
            bytes.append(contentsOf: repeatElement(0, count: ReplicationHeader.bytes))
            bytes += name + roster
            bytes.append(contentsOf: repeatElement(0, count: header.contentAt - bytes.count))
        }

        package mutating func append(_ envelope: Envelope) {
            bytes.append(contentsOf: envelope.bytes)
            count += 1
        }

        /// Bytes of the events so far.
        package var eventBytes: Int { bytes.count - header.contentAt }

        package mutating func finish(origin: OriginID, isOutOfReach: Bool = false) -> [UInt8] {
            header.origin = origin
            header.count = count
            header.flags = isOutOfReach ? 1 : 0
            bytes.withMutableBytes { header.encode(into: $0) }
            return bytes
        }
    }
}
