import SpringgTestKit
import Synchronization

/// EC2 as far as nodes ask: one Auto Scaling group, whose instances a test launches and terminates.
///
/// Each instance reaches metadata service and API on its own loopback, so on a machine of a test's network, too.
final class AutoScalingMock: Sendable {
    private struct Instance {
        let id: String
        let address: String
    }

    private struct State {
        var running: [Instance] = []
        var servers: [StubServer] = []
    }

    private let state = Mutex(State())

    /// Adds an instance to the group; returns what its environment has to say.
    func launch(_ id: String, _ address: String, on machine: Machine? = nil) throws -> [String: String] {
        let start = {
            try StubServer { [weak self] request in
                .answer(self?.answer(request, of: id, address) ?? StubServer.Answer(500))
            }
        }
        let server = try machine?.run(start) ?? start()
        state.withLock { state in
            state.servers.append(server)
            state.running.append(Instance(id: id, address: address))
        }
        return [
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.endpoint, "AWS_ENDPOINT_URL_AUTO_SCALING": server.endpoint,
            "AWS_ENDPOINT_URL_EC2": server.endpoint, "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret",
        ]
    }

    /// Takes an instance from the group.
    func terminate(_ id: String) {
        state.withLock { $0.running.removeAll { $0.id == id } }
    }

    private func answer(_ request: StubServer.Request, of id: String, _ address: String) -> StubServer.Answer {
        switch request.path {
        case "/latest/api/token": Self.text("token")
        case "/latest/meta-data/instance-id": Self.text(id)
        case "/latest/meta-data/local-ipv4": Self.text(address)
        case "/latest/meta-data/placement/region": Self.text("eu-test-1")
        case "/": Self.text(api(String(decoding: request.body, as: UTF8.self)))
        default: StubServer.Answer(404)
        }
    }

    private func api(_ form: String) -> String {
        let instances = state.withLock { $0.running }
        guard form.contains("Action=DescribeInstances&") else {
            let id = instances.first { form.contains($0.id) }?.id ?? ""
            return "<R><DescribeAutoScalingInstancesResult><AutoScalingInstances><member><InstanceId>\(id)</InstanceId>"
                + "<AutoScalingGroupName>g</AutoScalingGroupName></member></AutoScalingInstances>"
                + "</DescribeAutoScalingInstancesResult></R>"
        }
        let items = instances.map {
            "<item><instancesSet><item><instanceId>\($0.id)</instanceId><instanceState><name>running</name></instanceState>"
                + "<privateIpAddress>\($0.address)</privateIpAddress></item></instancesSet></item>"
        }
        return "<R><reservationSet>\(items.joined())</reservationSet></R>"
    }

    private static func text(_ text: String) -> StubServer.Answer { StubServer.Answer(200, body: Array(text.utf8)) }
}
