import Glibc
import SpringgTestKit

/// A real memberlist agent: Debian's prometheus-alertmanager, which `make setup` unpacks below `.build`.
final class Alertmanager: ForeignAgent {
    /// Port of its gossip, on 127.0.0.1 or its machine's address.
    let gossipPort: Int

    private let process: ChildProcess
    private let directory: TemporaryDirectory
    private let client: HTTPClient

    static var program: String {
        RepositoryFiles.root + "/.build/agents/usr/bin/prometheus-alertmanager"
    }

    /// Starts one that joins the given gossip ports of 127.0.0.1.
    convenience init(peers: [Int]) throws {
        try self.init(gossipPort: try Socket.freePort(), joining: peers.map { "127.0.0.1:\($0)" }, on: nil)
    }

    /// Starts one that joins agents at these addresses.
    init(gossipPort: Int, joining peers: [String], on machine: Machine?) throws {
        guard Files.exists(Self.program) else { throw TestKitError("\(Self.program) is not there: run make setup") }
        directory = try TemporaryDirectory()
        self.gossipPort = gossipPort
        let port = try machine.map { try $0.run { try Socket.freePort() } } ?? Socket.freePort()
        let address = "\(machine?.address ?? "127.0.0.1"):\(gossipPort)"
        let configuration = directory.path + "/am.yml"
        try Files.write(configuration, Array("route: {receiver: x}\nreceivers: [{name: x}]\n".utf8))
        let arguments =
            [
                "--config.file=\(configuration)", "--storage.path=\(directory.path)/data",
                "--web.listen-address=127.0.0.1:\(port)", "--log.level=error",
                "--cluster.listen-address=\(address)", "--cluster.advertise-address=\(address)",
            ] + peers.map { "--cluster.peer=\($0)" }
        let environment = ["HOME": directory.path, "PATH": "/usr/bin:/bin"]
        let start = {
            try ChildProcess(
                executable: Self.program,
                arguments: arguments,
                environment: environment,
                // It looks for its templates from here.
                workingDirectory: RepositoryFiles.root + "/.build/agents"
            )
        }
        process = try machine?.run(start) ?? start()
        client = HTTPClient(port: port, on: machine)
        client.timeoutSeconds = 5
    }

    /// Addresses of the members that it takes for alive, itself included; none while it does not answer.
    var peers: Set<String> {
        // A new connection each time: it may not be up yet.
        client.close()
        let status = try? client.request("GET", "/api/v2/status").json()
        let peers = status?["cluster"]?["peers"]?.array ?? []
        return Set(peers.compactMap { $0["address"]?.string })
    }

    var addresses: Set<String> { Set(peers.map { String($0.prefix { $0 != ":" }) }) }

    /// Ends it without a word.
    func kill() throws { try end(SIGKILL) }

    func end(_ signal: Int32) throws {
        process.send(signal: signal)
        _ = try process.wait(seconds: 20)
    }
}
