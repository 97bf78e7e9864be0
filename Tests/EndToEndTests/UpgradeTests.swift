import Logging
import SpringgCluster
import SpringgNet
import SpringgTestKit
import Synchronization
import Testing

extension EndToEnd {
    /// A cluster that is upgraded node by node.
    @Suite struct UpgradeTests {
        /// A member that speaks these protocols.
        private final class OtherRelease {
            let gossip: GossipService
            private let server: StubServer
            private let paths: Paths

            private final class Paths: Sendable {
                let all = Mutex<[String]>([])
            }

            /// What others asked of its API.
            var asked: [String] { paths.all.withLock { $0 } }

            init(_ name: String, protocols: ClosedRange<UInt8>, seed: Int) async throws {
                let paths = Paths()
                self.paths = paths
                server = try StubServer { request in
                    paths.all.withLock { $0.append(request.path) }
                    return .answer(StubServer.Answer(503))
                }
                var options = GossipOptions()
                options.nodeName = name
                options.host = "127.0.0.1"
                options.port = 0
                options.seeds = [try #require(NamedSeed("127.0.0.1:\(seed)", defaultPort: seed))]
                let port = UInt16(server.port)
                let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                gossip = try await GossipService.start(options, logger: logger) {
                    var state = NodeState()
                    state.protocols = protocols
                    state.apiPort = port
                    return state
                }
            }
        }

        @Test("a node of another release is a peer if the two have a protocol in common")
        func otherProtocols() async throws {
            let port = try Socket.freePort()
            let api = try API(["cluster-enabled": "true", "node-id": "a", "cluster-bind-port": "\(port)"])
            func eventually(_ what: String, _ isSo: () throws -> Bool) async throws {
                let deadline = Deadline(seconds: 30)
                while try !isSo() {
                    try #require(!deadline.isOver, "\(what)\n\(api.node.log)")
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
            let next = try await OtherRelease("next", protocols: 2...3, seed: port)
            try await eventually("that there is none is said") {
                api.node.log.contains("speaks no protocol that this node")
            }
            #expect(try api.get("/internal/cluster/status").data()["peers"]?["next"]?["status"]?.string == "alive")
            let between = try await OtherRelease("between", protocols: 1...2, seed: port)
            try await eventually("the neighbouring release is asked") { between.asked.contains("/internal/log") }
            // It came later, so the first one had its time.
            #expect(next.asked.isEmpty)
            await next.gossip.stop()
            await between.gossip.stop()
        }
    }
}
