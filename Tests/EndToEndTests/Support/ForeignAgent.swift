import SpringgTestKit

/// A program of others that gossips as our nodes do.
protocol ForeignAgent: AnyObject {
    /// IPv4 addresses of the members that it takes for alive, itself included; none while it does not answer.
    var addresses: Set<String> { get }
    /// Ends it: SIGKILL without a word, SIGTERM with a farewell.
    func end(_ signal: Int32) throws
}

/// The library itself: what scripts/interop/agent.go is built to.
final class MemberlistAgent: ForeignAgent {
    private static let port = 9093
    private let process: ChildProcess
    private let client: HTTPClient

    /// Starts one that joins an agent at this address.
    init(_ program: String, key: [UInt8], label: String?, joining peer: String, on machine: Machine) throws {
        var arguments = [
            "-name", machine.address, "-bind", machine.address, "-http", "127.0.0.1:\(Self.port)", "-join", peer,
            "-key",
            key.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined(),
        ]
        if let label { arguments += ["-label", label] }
        process = try machine.run { [arguments] in
            try ChildProcess(
                executable: program,
                arguments: arguments,
                environment: ["PATH": "/usr/bin:/bin"],
                workingDirectory: "/"
            )
        }
        client = HTTPClient(port: Self.port, timeoutSeconds: 5, on: machine)
    }

    var addresses: Set<String> {
        client.close()
        let list = try? client.request("GET", "/members").json()
        return Set((list?.array ?? []).compactMap(\.string))
    }

    func end(_ signal: Int32) throws {
        process.send(signal: signal)
        _ = try process.wait(seconds: 20)
    }
}
