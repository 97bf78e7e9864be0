import Logging
import SpringgCluster
import SpringgNet
import SpringgTestKit
import Testing

@Suite("Gossip on real sockets")
struct GossipTests {
    private static let key = Keyring([[UInt8](repeating: 1, count: 16)])

    /// Starts a service on a free port of 127.0.0.1.
    private func start(
        _ name: String,
        seeds: [GossipService] = [],
        security: WireSecurity = WireSecurity(),
        vectors: UInt64 = 0
    ) async throws -> GossipService {
        var options = GossipOptions()
        options.nodeName = name
        options.host = "127.0.0.1"
        options.port = 0
        options.security = security
        options.seeds = try seeds.map { try #require(NamedSeed("127.0.0.1:\($0.endpoint.port)", defaultPort: 7946)) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return try await GossipService.start(options, logger: logger) {
            var state = NodeState()
            state.vectorCount = vectors
            return state
        }
    }

    /// Asks until something is so, for half a minute at most.
    private func eventually(_ isSo: () -> Bool) async -> Bool {
        let deadline = Deadline(seconds: 30)
        while !isSo() {
            guard !deadline.isOver else { return false }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return true
    }

    private func live(_ service: GossipService) -> [String] {
        service.members.filter { $0.member.isLive }.map(\.member.name)
    }

    @Test("three nodes find each other, know what each says of itself, and hear who leaves", arguments: [false, true])
    func threeNodes(isSealed: Bool) async throws {
        let security = isSealed ? WireSecurity(label: Array("prod".utf8), keyring: Self.key) : WireSecurity()
        let a = try await start("a", security: security, vectors: 11)
        let b = try await start("b", seeds: [a], security: security, vectors: 22)
        let c = try await start("c", seeds: [a], security: security, vectors: 33)
        for service in [a, b, c] {
            #expect(await eventually { live(service) == ["a", "b", "c"] })
            #expect(
                await eventually { service.members.map { $0.member.state?.vectorCount } == [11, 22, 33] },
                "\(service.nodeName): \(service.members.map { $0.member.state?.vectorCount ?? 0 })"
            )
        }
        await b.stop()
        for service in [a, c] {
            #expect(await eventually { live(service) == ["a", "c"] })
            #expect(service.members.first { $0.member.name == "b" }?.member.status == .left)
        }
        await a.stop()
        await c.stop()
    }

    @Test("who has another key, or none, or another label, stays outside")
    func strangers() async throws {
        let label = Array("prod".utf8)
        let inside = try await start("inside", security: WireSecurity(label: label, keyring: Self.key))
        let other = Keyring([[UInt8](repeating: 2, count: 16)])
        for security in [
            WireSecurity(label: label, keyring: other), WireSecurity(label: label), WireSecurity(keyring: Self.key),
        ] {
            let outside = try await start("outside", seeds: [inside], security: security)
            let ours = WireSecurity(label: label, keyring: Self.key)
            let friend = try await start("friend", seeds: [inside], security: ours)
            // The friend began later and is in: the stranger had its time.
            #expect(await eventually { live(inside) == ["friend", "inside"] })
            #expect(live(outside) == ["outside"])
            await friend.stop()
            await outside.stop()
            #expect(await eventually { live(inside) == ["inside"] })
        }
        await inside.stop()
    }

    @Test("a port that is taken is said so, with what to do")
    func takenPort() async throws {
        let first = try await start("first")
        var options = GossipOptions()
        options.host = "127.0.0.1"
        options.port = Int(first.endpoint.port)
        let refused = options
        await #expect(throws: GossipError.self) {
            _ = try await GossipService.start(refused, logger: Logger(label: "test")) { NodeState() }
        }
        await first.stop()
    }

    @Test("seeds are read in every form, and nothing else is")
    func seeds() throws {
        func read(_ text: String) -> String? { NamedSeed(text, defaultPort: 7946)?.description }
        #expect(read("10.0.0.1") == "10.0.0.1:7946")
        #expect(read("10.0.0.1:1234") == "10.0.0.1:1234")
        #expect(read("db.example") == "db.example:7946")
        #expect(read("db.example:80") == "db.example:80")
        #expect(read("fd00::1") == "fd00::1:7946" && read("[fd00::1]:99") == "fd00::1:99")
        for bad in ["", ":80", "a:b", "a:0", "a:70000", "[fd00::1", "[x]:1", "a b", "a:1:2"] {
            #expect(read(bad) == nil, "\(bad)")
        }
        let local = try #require(NamedSeed("localhost:5", defaultPort: 7946))
        #expect(try local.endpoints().contains { "\($0)" == "127.0.0.1:5" || "\($0)" == "[::1]:5" })
    }

    @Test("junk on both ports is borne")
    func junk() async throws {
        let a = try await start("a")
        var random = SeededRandom.fromEnvironment("junk")
        for _ in 0..<50 {
            let client = HTTPClient(port: Int(a.endpoint.port))
            client.timeoutSeconds = 5
            let count = Int.random(in: 1..<2000, using: &random)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...13, using: &random) }
            try? client.connect()
            try? client.send(bytes)
            client.close()
        }
        let b = try await start("b", seeds: [a])
        #expect(await eventually { live(a) == ["a", "b"] && live(b) == ["a", "b"] })
        await b.stop()
        await a.stop()
    }
}
