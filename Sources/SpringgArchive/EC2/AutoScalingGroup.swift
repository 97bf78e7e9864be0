import Synchronization

/// The Auto Scaling group of this instance: where the others of it are.
///
/// Two questions: `autoscaling:DescribeAutoScalingInstances` says which group this instance is in, and is asked again only
/// when that may have changed; `ec2:DescribeInstances` says which instances carry the tag that Auto Scaling gives to all of a
/// group. Nothing is remembered of the answers: an instance that is gone is not in the next one.
package final class AutoScalingGroup: Sendable {
    private let instance: EC2Instance
    private let autoScaling: AWSQuery
    private let ec2: AWSQuery
    private let group = Mutex<String?>(nil)

    /// Asks nothing yet.
    ///
    /// `AWS_ENDPOINT_URL_AUTO_SCALING`, `AWS_ENDPOINT_URL_EC2` and `AWS_ENDPOINT_URL` name other endpoints, as for AWS's own
    /// tools.
    package init(
        of instance: EC2Instance,
        environment: @escaping Environment,
        transport: any HTTPTransport,
        credentials: CredentialChain,
        wallClockSeconds: @escaping @Sendable () -> Int
    ) throws(EC2Problem) {
        self.instance = instance
        func query(_ service: String, _ version: String, _ variable: String) throws(EC2Problem) -> AWSQuery {
            let text =
                environment(variable) ?? environment("AWS_ENDPOINT_URL")
                ?? "https://\(service).\(instance.region).\(instance.domain)"
            guard let endpoint = HTTPEndpoint(text) else { throw EC2Problem("\(variable) is no http(s)://HOST:PORT") }
            return AWSQuery(
                service: service,
                version: version,
                endpoint: endpoint,
                region: instance.region,
                transport: transport,
                credentials: credentials,
                wallClockSeconds: wallClockSeconds
            )
        }
        autoScaling = try query("autoscaling", "2011-01-01", "AWS_ENDPOINT_URL_AUTO_SCALING")
        ec2 = try query("ec2", "2016-11-15", "AWS_ENDPOINT_URL_EC2")
    }

    /// Private addresses of the group's instances that run or are about to, this one's included, in order of their ids.
    ///
    /// Blocking.
    package func addresses() throws(EC2Problem) -> [String] {
        let name = try groupName()
        var found: [String: String] = [:]
        try ec2.each("DescribeInstances", AutoScalingGroup.filters(group: name)) { (page) throws(EC2Problem) in
            for instance in try AutoScalingGroup.instances(page) where found.count < AutoScalingGroup.instancesMax {
                found[instance.id] = instance.address
            }
        }
        // It has been put into another group, or into none: next time that is asked first.
        if found[instance.id] == nil { group.withLock { $0 = nil } }
        return found.sorted { $0.key < $1.key }.map(\.value)
    }

    /// More than any cluster has.
    private static let instancesMax = 10_000

    private func groupName() throws(EC2Problem) -> String {
        if let known = group.withLock({ $0 }) { return known }
        var name: String?
        let parameters = [HTTPField("InstanceIds.member.1", instance.id)]
        try autoScaling.each("DescribeAutoScalingInstances", parameters) { (page) throws(EC2Problem) in
            guard let result = page.all("DescribeAutoScalingInstancesResult").first,
                let list = result.all("AutoScalingInstances").first
            else { throw EC2Problem("autoscaling DescribeAutoScalingInstances: an answer of another form") }
            for member in list.all("member") where member["InstanceId"] == instance.id {
                name = name ?? member["AutoScalingGroupName"]
            }
        }
        guard let name else { throw EC2Problem("instance \(instance.id) is in no Auto Scaling group") }
        group.withLock { $0 = name }
        return name
    }

    private static func filters(group: String) -> [HTTPField] {
        [
            HTTPField("Filter.1.Name", "tag:aws:autoscaling:groupName"), HTTPField("Filter.1.Value.1", group),
            HTTPField("Filter.2.Name", "instance-state-name"), HTTPField("Filter.2.Value.1", "pending"),
            HTTPField("Filter.2.Value.2", "running"), HTTPField("MaxResults", "1000"),
        ]
    }

    /// By structure: names such as `privateIpAddress` occur at several levels, of the instance and of its interfaces.
    private static func instances(_ page: XMLElement) throws(EC2Problem) -> [(id: String, address: String)] {
        guard let reservations = page.all("reservationSet").first else {
            throw EC2Problem("ec2 DescribeInstances: an answer of another form")
        }
        return reservations.all("item").flatMap { $0.all("instancesSet") }.flatMap { $0.all("item") }.compactMap {
            // The filter has excluded the others, but one that ends while it is looked at may still be here.
            guard let id = $0["instanceId"], let address = $0["privateIpAddress"], !address.isEmpty,
                let state = $0.all("instanceState").first?["name"], ["pending", "running"].contains(state)
            else { return nil }
            return (id, address)
        }
    }
}
