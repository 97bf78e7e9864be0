/// Why EC2 did not say what it was asked; one clause that names no secret.
package struct EC2Problem: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// The instance that this process runs on, as its metadata service describes it.
package struct EC2Instance: Sendable, Equatable {
    /// Its name, such as `i-0123456789abcdef0`.
    package let id: String
    /// The address under which the others of its network reach it.
    package let privateAddress: String
    /// Where it is, such as `eu-central-1`.
    package let region: String
    /// What the services' names end with: `amazonaws.com` in most parts of the world.
    package let domain: String

    package init(id: String, privateAddress: String, region: String, domain: String = "amazonaws.com") {
        self.id = id
        self.privateAddress = privateAddress
        self.region = region
        self.domain = domain
    }

    /// Asks the metadata service (IMDSv2).
    package static func ask(_ metadata: InstanceMetadata) throws(EC2Problem) -> EC2Instance {
        do throws(CredentialProblem) {
            do throws(CredentialProblem) {
                return try askOnce(metadata)
            } catch  where error.isTransient {
                return try askOnce(metadata)
            }
        } catch {
            throw EC2Problem(error.reason)
        }
    }

    private static func askOnce(_ metadata: InstanceMetadata) throws(CredentialProblem) -> EC2Instance {
        let session = try metadata.open()
        func get(_ path: String) throws(CredentialProblem) -> String? {
            guard let bytes = try session.get("/latest/meta-data/" + path) else { return nil }
            // What goes into names of hosts and of nodes must look like one.
            guard !bytes.isEmpty, bytes.count <= 128,
                bytes.allSatisfy({ PercentEncoding.isUnreserved($0) || $0 == UInt8(ascii: ":") })
            else { throw CredentialProblem("instance metadata: \(path) is not what it must be") }
            return String(decoding: bytes, as: UTF8.self)
        }
        func require(_ path: String) throws(CredentialProblem) -> String {
            guard let text = try get(path) else { throw CredentialProblem("instance metadata: there is no \(path)") }
            return text
        }
        return EC2Instance(
            id: try require("instance-id"),
            privateAddress: try require("local-ipv4"),
            region: try require("placement/region"),
            domain: try get("services/domain") ?? "amazonaws.com"
        )
    }
}
