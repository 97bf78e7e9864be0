import Glibc
import SpringgArchive
import SpringgTestKit
import Synchronization
import Testing

/// A metadata service, Auto Scaling and EC2 in one server, which checks every signature by AWS's rules.
private final class FakeEC2: Sendable {
    struct State: Sendable {
        var group: String? = "search & \"index\""
        /// Id, address, state.
        var instances: [(id: String, address: String, state: String)] = [
            ("i-0aaa", "10.0.1.45", "running"), ("i-0bbb", "10.0.1.67", "running"),
            ("i-0ccc", "10.0.1.89", "shutting-down"), ("i-0ddd", "10.0.1.90", "pending"),
        ]
        var keyID = "AKID1"
        var pageSize = 2
        var broken: [String] = []
        var asked: [String] = []
        /// What the next requests to a service are answered instead.
        var refusals: [StubServer.Answer] = []
    }

    static let secret = "stub/secret+with=signs"
    let state = Mutex(State())
    private let server = Mutex<StubServer?>(nil)

    init() throws {
        let stub = try StubServer { [weak self] request in
            self.map { .answer($0.answer(request)) } ?? .drop
        }
        server.withLock { $0 = stub }
    }

    var endpoint: String { server.withLock { $0?.endpoint ?? "" } }
    var broken: [String] { state.withLock { $0.broken } }

    private func answer(_ request: StubServer.Request) -> StubServer.Answer {
        func text(_ text: String) -> StubServer.Answer { StubServer.Answer(200, body: Array(text.utf8)) }
        switch request.path {
        case "/latest/api/token": return text("a-token")
        case "/latest/meta-data/instance-id": return text("i-0aaa")
        case "/latest/meta-data/local-ipv4": return text("10.0.1.45")
        case "/latest/meta-data/placement/region": return text("eu-test-1")
        case "/latest/meta-data/iam/security-credentials/": return text("role")
        case "/latest/meta-data/iam/security-credentials/role":
            let id = state.withLock { $0.keyID }
            return text(
                #"{"AccessKeyId":"\#(id)","SecretAccessKey":"\#(Self.secret)","Token":"tok","Expiration":"2038-01-01T00:00:00Z"}"#
            )
        case "/": return query(request)
        default: return StubServer.Answer(404)
        }
    }

    private func query(_ request: StubServer.Request) -> StubServer.Answer {
        var form: [String: String] = [:]
        for pair in String(decoding: request.body, as: UTF8.self).split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            form[halves[0]] = String(decoding: decode(halves[1]), as: UTF8.self)
        }
        let action = form["Action"] ?? ""
        let isEC2 = action == "DescribeInstances"
        var rules = RequestRules(secretKey: Self.secret, region: "eu-test-1")
        rules.service = isEC2 ? "ec2" : "autoscaling"
        return state.withLock { state in
            state.asked.append(action + (form["NextToken"].map { " " + $0 } ?? ""))
            state.broken += rules.signatureViolations(request)
            if form["Version"] != (isEC2 ? "2016-11-15" : "2011-01-01") { state.broken.append("has a wrong version") }
            if !state.refusals.isEmpty { return state.refusals.removeFirst() }
            guard request.header("authorization")?.contains("Credential=\(state.keyID)/") == true else {
                return Self.error(isEC2, "AuthFailure", "unknown key")
            }
            return isEC2 ? Self.instances(state, form) : Self.group(state, form)
        }
    }

    static func error(_ isEC2: Bool, _ code: String, _ message: String) -> StubServer.Answer {
        let error = "<Error><Code>\(code)</Code><Message>\(message)</Message></Error>"
        let text = isEC2 ? "<Response><Errors>\(error)</Errors></Response>" : "<ErrorResponse>\(error)</ErrorResponse>"
        return StubServer.Answer(403, body: Array(text.utf8))
    }

    private static func group(_ state: State, _ form: [String: String]) -> StubServer.Answer {
        let id = form["InstanceIds.member.1"] ?? ""
        let member = state.group.map {
            "<member><InstanceId>\(id)</InstanceId><AutoScalingGroupName>\(xmlEscaped($0))</AutoScalingGroupName></member>"
        }
        let text = """
            <DescribeAutoScalingInstancesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
            <DescribeAutoScalingInstancesResult><AutoScalingInstances>\(member ?? "")</AutoScalingInstances>
            </DescribeAutoScalingInstancesResult></DescribeAutoScalingInstancesResponse>
            """
        return StubServer.Answer(200, body: Array(text.utf8))
    }

    /// As EC2 answers: the same names at several levels, of the instance, its interfaces and what it is made of.
    private static func instances(_ state: State, _ form: [String: String]) -> StubServer.Answer {
        guard form["Filter.1.Name"] == "tag:aws:autoscaling:groupName", form["Filter.1.Value.1"] == state.group else {
            return StubServer.Answer(
                200,
                body: Array("<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>".utf8)
            )
        }
        let start = form["NextToken"].flatMap { Int($0) } ?? 0
        let page = state.instances.dropFirst(start).prefix(state.pageSize)
        let items = page.map { id, address, word in
            """
            <item><reservationId>r-1</reservationId><groupSet><item><groupId>sg-1</groupId></item></groupSet>
            <instancesSet><item>
            <networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId><instanceId>i-0eee</instanceId>
            <privateIpAddress>192.168.9.9</privateIpAddress><privateIpAddressesSet><item>
            <privateIpAddress>192.168.9.10</privateIpAddress></item></privateIpAddressesSet></item></networkInterfaceSet>
            <stateReason><code/><message/></stateReason>
            <instanceId>\(id)</instanceId><instanceState><code>16</code><name>\(word)</name></instanceState>
            <placement><groupName/></placement><privateIpAddress>\(address)</privateIpAddress>
            </item></instancesSet></item>
            """
        }
        let next = start + state.pageSize
        let token = next < state.instances.count ? "<nextToken>\(next)</nextToken>" : "<nextToken/>"
        let text =
            "<DescribeInstancesResponse>\(token)<reservationSet>\(items.joined())</reservationSet></DescribeInstancesResponse>"
        return StubServer.Answer(200, body: Array(text.utf8))
    }
}

@Suite("The Auto Scaling group of an instance")
struct EC2Tests {
    private func group(_ fake: FakeEC2) throws -> AutoScalingGroup {
        let endpoint = fake.endpoint
        let environment: Environment = { name in
            ["AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_ENDPOINT_URL"].contains(name) ? endpoint : nil
        }
        let transport = CurlClient(connectionsMax: 2)
        let metadata = InstanceMetadata(environment: environment, transport: transport)
        return try AutoScalingGroup(
            of: try EC2Instance.ask(metadata),
            environment: environment,
            transport: transport,
            credentials: CredentialChain(
                environment: environment,
                transport: transport,
                fileSystem: SimulatedFileSystem(),
                wallClockSeconds: { time(nil) }
            ),
            wallClockSeconds: { time(nil) }
        )
    }

    private func problem(_ group: AutoScalingGroup) -> String {
        do throws(EC2Problem) {
            return "none: \(try group.addresses())"
        } catch {
            return error.description
        }
    }

    @Test("who runs or is about to, over all pages, and nobody else; every request signed by AWS's rules")
    func everybody() throws {
        let fake = try FakeEC2()
        let group = try group(fake)
        #expect(try group.addresses() == ["10.0.1.45", "10.0.1.67", "10.0.1.90"])
        // Terminated and replaced: the next answer knows; the group's name is asked for once.
        fake.state.withLock {
            $0.instances[1].state = "terminated"
            $0.instances.append(("i-0fff", "10.0.2.1", "running"))
        }
        #expect(try group.addresses() == ["10.0.1.45", "10.0.1.90", "10.0.2.1"])
        #expect(
            fake.state.withLock { $0.asked } == [
                "DescribeAutoScalingInstances", "DescribeInstances", "DescribeInstances 2", "DescribeInstances",
                "DescribeInstances 2", "DescribeInstances 4",
            ]
        )
        #expect(fake.broken == [])
    }

    @Test("an instance that is put into another group, or into none, finds out")
    func anotherGroup() throws {
        let fake = try FakeEC2()
        let group = try group(fake)
        #expect(try group.addresses().count == 3)
        fake.state.withLock { $0.group = "other" }
        #expect(try group.addresses() == [])
        #expect(try group.addresses().count == 3)
        fake.state.withLock { $0.group = nil }
        #expect(try group.addresses() == [])
        #expect(problem(group) == "instance i-0aaa is in no Auto Scaling group")
    }

    @Test("what is refused is said in AWS's words; keys that have ended are fetched anew")
    func refusals() throws {
        let fake = try FakeEC2()
        let group = try group(fake)
        fake.state.withLock { $0.refusals = [FakeEC2.error(false, "AccessDenied", "User is not authorized")] }
        #expect(problem(group) == "autoscaling DescribeAutoScalingInstances: AccessDenied: User is not authorized")
        #expect(try group.addresses().count == 3)
        fake.state.withLock { $0.keyID = "AKID2" }
        #expect(try group.addresses().count == 3)
        fake.state.withLock { $0.refusals = [FakeEC2.error(true, "RequestLimitExceeded", "Request limit exceeded.")] }
        #expect(problem(group) == "ec2 DescribeInstances: RequestLimitExceeded: Request limit exceeded.")
        for body in ["", "<a>", "<DescribeInstancesResponse/>", "<!DOCTYPE x [<!ENTITY e \"e\">]><x>&e;</x>"] {
            fake.state.withLock { $0.refusals = [StubServer.Answer(200, body: Array(body.utf8))] }
            #expect(problem(group).hasPrefix("ec2 DescribeInstances: "), "\(body)")
        }
        #expect(fake.broken == [])
    }

    @Test("a metadata service that says nonsense is not believed", arguments: ["", "i-0\nHost: x", "i 0", "../x"])
    func nonsense(id: String) throws {
        let service = try StubServer { request in
            .answer(StubServer.Answer(200, body: Array((request.method == "PUT" ? "token" : id).utf8)))
        }
        let endpoint = service.endpoint
        let metadata = InstanceMetadata(
            environment: { $0 == "AWS_EC2_METADATA_SERVICE_ENDPOINT" ? endpoint : nil },
            transport: CurlClient(connectionsMax: 1)
        )
        #expect(throws: EC2Problem.self) { try EC2Instance.ask(metadata) }
    }
}
