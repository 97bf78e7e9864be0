import Glibc
import Logging
import SpringgArchive
import SpringgCluster
import SpringgConfiguration
import SpringgLog
import SpringgNet

/// The instances of this one's Auto Scaling group, as seeds.
private struct GroupSeeds: SeedSource {
    let group: AutoScalingGroup
    let port: UInt16

    func endpoints() throws -> [NodeAddress] {
        try group.addresses().compactMap { IPAddress($0) }.map { NodeAddress($0, port: port) }
    }
}

extension Node {
    /// Adds what EC2 knows, if the settings want that: the other instances of the group, and this one's name and address.
    ///
    /// Nothing here ends a start: what cannot be found out is said, and the node goes on with its seeds.
    static func discover(_ settings: Configuration, _ options: inout GossipOptions, logger: Logger) {
        guard discovers(settings) else { return }
        let transport = CurlClient(connectionsMax: 2)
        do throws(EC2Problem) {
            let metadata = InstanceMetadata(environment: environment, transport: transport)
            let instance = try EC2Instance.ask(metadata)
            let seconds: @Sendable () -> Int = { time(nil) }
            let group = try AutoScalingGroup(
                of: instance,
                environment: environment,
                transport: transport,
                credentials: CredentialChain(
                    environment: environment,
                    transport: transport,
                    fileSystem: PosixFileSystem(),
                    wallClockSeconds: seconds
                ),
                wallClockSeconds: seconds
            )
            if options.nodeName.isEmpty { options.nodeName = instance.id }
            let isBoundToOne = IPAddress(options.host).map { !$0.isUnspecified } ?? false
            if options.advertisedAddress.isEmpty, !isBoundToOne { options.advertisedAddress = instance.privateAddress }
            options.seeds.append(GroupSeeds(group: group, port: UInt16(truncatingIfNeeded: options.port)))
            logger.info("Detected EC2 instance", metadata: ["id": "\(instance.id)", "region": "\(instance.region)"])
        } catch {
            logger.warning("Nodes are not looked for in EC2: \(error)")
        }
    }

    /// True when EC2 is asked who else there is.
    static func discovers(_ settings: Configuration) -> Bool {
        switch settings[Keys.clusterDiscovery] {
        case "ec2": true
        case "auto": !settings.isSet(Keys.clusterSeeds) && isOnEC2()
        default: false
        }
    }

    private static let environment: Environment = { getenv($0).map { String(cString: $0) } }

    /// Whether this machine says that it is Amazon's, or somebody says where the metadata service is.
    ///
    /// Elsewhere nobody should be asked at an address that leads nowhere: that takes seconds.
    private static func isOnEC2() -> Bool {
        guard environment("AWS_EC2_METADATA_DISABLED")?.lowercased() != "true" else { return false }
        if environment("AWS_EC2_METADATA_SERVICE_ENDPOINT") != nil { return true }
        // Nitro says so in the vendor, Xen in the version.
        return ["sys_vendor", "bios_version"].contains { name in
            guard let file = fopen("/sys/class/dmi/id/" + name, "r") else { return false }
            defer { fclose(file) }
            var text = [CChar](repeating: 0, count: 128)
            guard fgets(&text, Int32(text.count), file) != nil else { return false }
            return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
                .lowercased().contains("amazon")
        }
    }
}
