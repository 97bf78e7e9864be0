import Glibc
import SpringgCluster
import SpringgTestKit
import Testing

@Suite("No bytes from the network end the program, or make it hold more than it allows")
struct FuzzTests {
    /// Cases of the decoders' test: `SPRINGG_FUZZ_CASES`, by default a few seconds' worth.
    private static let cases = getenv("SPRINGG_FUZZ_CASES").flatMap { Int(String(cString: $0)) } ?? 40_000

    @Test("every decoder answers everything, and what it takes for good it writes and reads again the same")
    func decoders() throws {
        var random = SeededRandom.fromEnvironment("fuzz")
        let vectors = try Vector.load()
        var state = NodeState()
        state.setHeads(StateTests.heads(40, using: &random))
        state.indexDigests = ["a": NodeState.Digest(low: 1, high: 2)]
        let seeds = vectors.vectors.map { (try? plain($0)) ?? $0.bytes } + vectors.lzw.map(\.compressed)
        let states = [state.shortForm(), state.longForm(name: "node")]
        let keyring = try #require(Keyring([[UInt8](repeating: 7, count: 16)]))
        let securities = [WireSecurity(), WireSecurity(label: [65], keyring: keyring), WireSecurity(keyring: keyring)]
        var taken = 0
        for number in 0..<Self.cases {
            let bytes = Self.mutated(number % 3 == 0 ? states : seeds, using: &random)
            taken += try Self.decode(bytes, securities[number % securities.count], using: &random)
        }
        print("\(Self.cases) cases, \(taken) of them taken for good")
        // If nothing were taken, nothing but the outermost checks would have been tried.
        #expect(taken > Self.cases / 20)
    }

    @Test("a member stays what it is whatever strangers send")
    func membership() throws {
        var random = SeededRandom.fromEnvironment("fuzzed member")
        let endpoint = NodeAddress(try #require(IPAddress("127.0.0.1")), port: 7946)
        var options = MembershipOptions(name: "old-A", endpoint: endpoint)
        options.membersMax = 50
        options.rememberedMax = 10
        options.forwardsMax = 20
        var core = Membership(options: options, now: .zero, random: SeededRandom(seed: random.next()))
        let vectors = try Vector.load().vectors
        let packets = try vectors.filter { !$0.isStream }.map { try plain($0) }
        var now = Duration.zero
        for _ in 0..<20_000 {
            now += .milliseconds(Int.random(in: 0..<200, using: &random))
            let stranger = NodeAddress(endpoint.address, port: UInt16.random(in: 1...9, using: &random))
            // Names that never end: none may be kept beyond the bound.
            let invented = Message.alive(
                Alive(
                    incarnation: UInt32.random(in: 0 ... .max, using: &random),
                    node: "invented-\(UInt16.random(in: 0 ... .max, using: &random))",
                    endpoint: stranger,
                    meta: [],
                    versions: .memberlist
                )
            ).encoded
            let bytes = random.oneIn(3) ? invented : Self.mutated(packets, using: &random)
            _ = try? core.receive(packet: bytes[...], from: stranger, now: now)
            for directive in core.tick(now: now) {
                guard case .send(let packet, _) = directive else { continue }
                #expect(packet.count <= WireLimits.packetBytes)
                // What it says can be read by others.
                #expect(try Packet.decode(packet[...]).refusedParts == 0)
            }
            #expect(core.allMembers.count <= options.membersMax && core.me.status == .alive)
            #expect(core.nextTick > now)
        }
        #expect(core.allMembers.count > 5)
    }

    /// What is inside of label and encryption.
    private func plain(_ vector: Vector) throws -> [UInt8] {
        vector.isStream ? vector.bytes : Array(try vector.security.openPacket(vector.bytes[...]))
    }

    /// Something that was good once, or that never was.
    private static func mutated(_ seeds: [[UInt8]], using random: inout SeededRandom) -> [UInt8] {
        guard var bytes = seeds.randomElement(using: &random), !random.oneIn(20) else {
            return (0..<Int.random(in: 0..<200, using: &random)).map { _ in UInt8.random(in: 0 ... .max, using: &random)
            }
        }
        for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
            let position = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[position] = UInt8.random(in: 0 ... .max, using: &random)
            case 2: bytes[position] = [0, 0x7F, 0x80, 0xC0, 0xDB, 0xDF, 0xFF].randomElement(using: &random) ?? 0
            case 3: bytes.removeSubrange(position...)
            case 4: bytes.insert(UInt8.random(in: 0 ... .max, using: &random), at: position)
            default:
                let end = min(bytes.count, position + Int.random(in: 1..<40, using: &random))
                bytes.append(contentsOf: bytes[position..<end])
            }
        }
        return bytes
    }

    /// Gives the bytes to every decoder; returns whether the packet's took them.
    private static func decode(
        _ bytes: [UInt8],
        _ security: WireSecurity,
        using random: inout SeededRandom
    ) throws -> Int {
        _ = try? security.openPacket(bytes[...])
        _ = try? LZW.inflate(bytes[...], bytesMax: 1 << 16)
        if let decoded = try? NodeState.decode(bytes) {
            let again = try NodeState.decode(decoded.state.longForm(name: decoded.name ?? ""))
            // Two heads or names that stand there twice become one.
            #expect(again?.state == decoded.state)
        }
        var reader = StreamReader(security: security, isFromDialler: random.oneIn(2))
        let cut = Int.random(in: 0...bytes.count, using: &random)
        if let message = try? reader.append(bytes[..<cut]) ?? reader.append(bytes[cut...]),
            case .pushPull(let exchange) = message
        {
            var again = StreamReader(security: WireSecurity(), isFromDialler: true)
            #expect(try again.append(exchange.encoded) == message)
        }
        guard let content = try? Packet.decode(bytes[...]), !content.messages.isEmpty else { return 0 }
        #expect(content.messages.count <= WireLimits.packetMessages)
        for message in content.messages {
            #expect(try Packet.decode(message.encoded[...]).messages == [message])
        }
        return 1
    }
}
