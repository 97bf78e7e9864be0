import Foundation
import SpringgCluster
import SpringgTestKit
import Testing

@Suite("What real agents send is read, and what we send is what they would have sent")
struct WireTests {
    @Test("every recorded packet and stream is read as another decoder read it")
    func vectors() throws {
        let vectors = try Vector.load().vectors
        #expect(vectors.count == 131)
        for vector in vectors {
            let shown = try read(vector).map { NSDictionary(dictionary: $0) }
            let expected = vector.decodedMessages.map { expected in
                NSDictionary(dictionary: (expected as? [String: Any] ?? [:]).filter { $0.key != "wrappers" })
            }
            #expect(shown == expected, "\(vector)")
        }
    }

    @Test("what was read from the older agents is written again byte for byte")
    func sameBytes() throws {
        var compared = 0
        for vector in try Vector.load().vectors where vector.name.hasPrefix("old-") {
            if vector.isStream {
                var reader = StreamReader(security: vector.security, isFromDialler: vector.isFromDialler)
                guard case .pushPull(let exchange) = try reader.append(vector.bytes) else { continue }
                #expect(exchange.encoded == vector.bytes, "\(vector)")
                compared += 1
            } else {
                // Only the outermost checksum is left out: a packet without one is as good.
                let hasChecksum = vector.bytes.first == MessageType.crc.rawValue
                let plain = Array(vector.bytes.dropFirst(hasChecksum ? 5 : 0))
                let messages = try Packet.decode(plain[...]).messages.map(\.encoded)
                #expect(Packet.encode(messages) == plain, "\(vector)")
                compared += 1
            }
        }
        #expect(compared >= 15)
    }

    @Test("what Go's compressor wrote is inflated")
    func lzw() throws {
        let pairs = try Vector.load().lzw
        #expect(pairs.count == 14)
        for pair in pairs {
            #expect(try LZW.inflate(pair.compressed[...], bytesMax: pair.plain.count + 1) == pair.plain)
            #expect(throws: WireError.beyondLimit("inflated bytes")) {
                try LZW.inflate(pair.compressed[...], bytesMax: pair.plain.count / 2)
            }
        }
    }

    @Test("a stream is read the same however its bytes are cut")
    func everySplit() throws {
        for vector in try Vector.load().vectors where vector.isStream {
            var whole = StreamReader(security: vector.security, isFromDialler: vector.isFromDialler)
            let expected = try #require(try whole.append(vector.bytes))
            var bytewise = StreamReader(security: vector.security, isFromDialler: vector.isFromDialler)
            for (position, byte) in vector.bytes.enumerated() {
                let message = try bytewise.append([byte])
                // Bytes behind the message are ignored, so it may be complete before the last.
                if let message {
                    #expect(message == expected, "\(vector), \(position + 1) of \(vector.bytes.count) bytes")
                    break
                }
                #expect(position < vector.bytes.count - 1, "\(vector)")
            }
        }
    }

    @Test("a packet of which one bit changed is refused wherever it has a seal, and never taken for the same")
    func everyFlip() throws {
        for vector in try Vector.load().vectors where !vector.isStream && vector.security.keyring != nil {
            // Behind the label stands the version, which the protocol's seal does not cover: 0 and 1 differ in the padding.
            let version = vector.security.label.isEmpty ? 0 : vector.security.label.count + 2
            for position in vector.bytes.indices {
                var bytes = vector.bytes
                bytes[position] ^= position == version ? 2 : 1 << UInt8(position & 7)
                #expect(throws: WireError.self, "\(vector), byte \(position)") {
                    try vector.security.openPacket(bytes[...])
                }
            }
        }
    }

    @Test("keys are changed one after the other without a moment in which nobody understands")
    func keyRotation() throws {
        let (old, new) = ([UInt8](repeating: 1, count: 16), [UInt8](repeating: 2, count: 32))
        let steps = [[old], [old, new], [new, old], [new]]
        var random = SeededRandom(seed: 1)
        for (one, two) in zip(steps, steps.dropFirst()) {
            for (from, to) in [(one, two), (two, one)] {
                let sender = WireSecurity(label: [65], keyring: Keyring(from))
                let receiver = WireSecurity(label: [65], keyring: Keyring(to))
                let sealed = try #require(sender.sealPacket([1, 2, 3], using: &random))
                #expect(sealed.count == 3 + sender.packetOverhead)
                #expect(try receiver.openPacket(sealed[...]).elementsEqual([1, 2, 3]))
            }
        }
        let stranger = WireSecurity(label: [65], keyring: Keyring([old]))
        let sealed = try #require(stranger.sealPacket([1], using: &random))
        #expect(throws: WireError.undecryptable) {
            try WireSecurity(label: [65], keyring: Keyring([new])).openPacket(sealed[...])
        }
        #expect(throws: WireError.label) {
            try WireSecurity(label: [66], keyring: Keyring([old])).openPacket(sealed[...])
        }
        #expect(throws: WireError.label) { try WireSecurity(keyring: Keyring([old])).openPacket(sealed[...]) }
        #expect(Keyring([]) == nil && Keyring([[1, 2, 3]]) == nil)
    }

    @Test("what claims to be larger than it is, or nests without end, costs nothing and ends nothing")
    func hostile() throws {
        // A map of four thousand million pairs, arrays in arrays, a string of four gigabytes.
        let huge: [UInt8] = [0, 0xDF, 0xFF, 0xFF, 0xFF, 0xFF]
        #expect(throws: WireError.truncated) { try Packet.decode(huge[...]) }
        let nested = [0, 0x81, 0xA1, 0x78] + [UInt8](repeating: 0x91, count: 60_000)
        #expect(throws: WireError.truncated) { try Packet.decode(nested[...]) }
        let long: [UInt8] = [4, 0x81, 0xA4, 0x4D, 0x65, 0x74, 0x61, 0xDB, 0xFF, 0xFF, 0xFF, 0xFF]
        #expect(throws: WireError.self) { try Packet.decode(long[...]) }
        // Compounds in compounds.
        var shell: [UInt8] = Message.nack(number: 1).encoded
        for _ in 0..<100 { shell = [7, 1, UInt8(shell.count >> 8), UInt8(shell.count & 255)] + shell }
        #expect(try Packet.decode(shell[...]).refusedParts == 1)
        // A good part beside a bad one is still heard.
        let mixed = Packet.encode([[99, 1, 2], Message.nack(number: 7).encoded])
        let content = try Packet.decode(mixed[...])
        #expect(content.messages == [.nack(number: 7)] && content.refusedParts == 1)
        // A stream that announces more nodes than there may be.
        var reader = StreamReader(security: WireSecurity(), isFromDialler: true)
        #expect(throws: WireError.self) {
            try reader.append([6, 0x81, 0xA5] + "Nodes".utf8 + [0xCE, 0x7F, 0xFF, 0xFF, 0xFF])
        }
    }

    private func read(_ vector: Vector) throws -> [[String: Any]] {
        if vector.isStream {
            // Encrypted for others: without a key there is nothing to be read in it.
            var reader = StreamReader(security: vector.security, isFromDialler: vector.isFromDialler)
            return [Shown.stream(try #require(try reader.append(vector.bytes)))]
        }
        let content = try Packet.decode(try vector.security.openPacket(vector.bytes[...]))
        #expect(content.refusedParts == 0)
        return content.messages.map(Shown.message)
    }
}
