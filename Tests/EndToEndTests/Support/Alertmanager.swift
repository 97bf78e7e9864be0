import Glibc
import SpringgTestKit

/// A real memberlist agent: Debian's prometheus-alertmanager, which `make setup` unpacks below `.build`.
final class Alertmanager {
    /// Port of its gossip, on 127.0.0.1.
    let gossipPort: Int

    private let process: ChildProcess
    private let directory: TemporaryDirectory
    private let client: HTTPClient

    static var program: String {
        RepositoryFiles.root + "/.build/agents/usr/bin/prometheus-alertmanager"
    }

    /// Starts one that joins the given gossip ports.
    init(peers: [Int]) throws {
        guard Files.exists(Self.program) else { throw TestKitError("\(Self.program) is not there: run make setup") }
        directory = try TemporaryDirectory()
        gossipPort = try Socket.freePort()
        let port = try Socket.freePort()
        let configuration = directory.path + "/am.yml"
        try Files.write(configuration, Array("route: {receiver: x}\nreceivers: [{name: x}]\n".utf8))
        process = try ChildProcess(
            executable: Self.program,
            arguments: [
                "--config.file=\(configuration)", "--storage.path=\(directory.path)/data",
                "--web.listen-address=127.0.0.1:\(port)", "--log.level=error",
                "--cluster.listen-address=127.0.0.1:\(gossipPort)",
                "--cluster.advertise-address=127.0.0.1:\(gossipPort)",
            ] + peers.map { "--cluster.peer=127.0.0.1:\($0)" },
            environment: ["HOME": directory.path, "PATH": "/usr/bin:/bin"],
            // It looks for its templates from here.
            workingDirectory: RepositoryFiles.root + "/.build/agents"
        )
        client = HTTPClient(port: port)
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

    /// Ends it without a word.
    func kill() throws {
        process.send(signal: SIGKILL)
        _ = try process.wait(seconds: 10)
    }
}
