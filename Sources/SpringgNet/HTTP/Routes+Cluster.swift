import NIOCore
import NIOHTTP1
import SpringgProjections

/// `/internal/cluster/…`: what operators ask of the cluster.
extension Worker {
    /// `join`: look for nodes at an address too.
    func joinCluster(_ body: ByteBuffer, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let cluster = try self.cluster()
        let address = try text("address", in: body)
        guard let seed = NamedSeed(address, defaultPort: GossipOptions.defaultPort) else {
            throw .badRequest("invalid address: \(address) (must be name, address, name:port or [address]:port)")
        }
        // A name may take long to look up.
        offload(ticket) { () throws(RequestError) in
            do throws(ClusterService.Refusal) {
                try cluster.join(seed)
            } catch {
                throw RequestError(.badRequest, "\(address) has no address")
            }
            return Self.answer("joining", address)
        }
        return nil
    }

    /// `leave`: say goodbye for good.
    func leaveCluster() throws(RequestError) -> Answer {
        try cluster().leave()
        return Self.answer("left", context.options.gossip?.nodeName ?? "")
    }

    /// `forget`: a member will not come back.
    func forgetMember(_ body: ByteBuffer, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let cluster = try self.cluster()
        let name = try text("node", in: body)
        // The list of members is written to disk.
        offload(ticket) { () throws(RequestError) in
            do throws(ClusterService.Refusal) {
                try cluster.forget(name)
            } catch {
                switch error {
                case .stillAlive:
                    throw RequestError(
                        .conflict,
                        "\(name) is alive: stop it first, or run springg cluster leave on it"
                    )
                case .notKept: throw Self.notKept
                default: throw RequestError(.notFound, "\(name) is no member")
                }
            }
            return Self.answer("forgotten", name)
        }
        return nil
    }

    /// `readmit`: this node was forgotten by mistake.
    func readmit(_ ticket: Ticket) throws(RequestError) -> Answer? {
        let cluster = try self.cluster()
        let name = context.options.gossip?.nodeName ?? ""
        // The list of members is written to disk.
        offload(ticket) { () throws(RequestError) in
            do throws(ClusterService.Refusal) {
                try cluster.readmit()
            } catch {
                if error == .notKept { throw Self.notKept }
                let text = error == .hasLeft ? "has left: restart it first" : "was not forgotten: it is a member"
                throw RequestError(.conflict, "\(name) \(text)")
            }
            return Self.answer("readmitted", name)
        }
        return nil
    }

    private static let notKept = RequestError(
        .serviceUnavailable,
        "The list of members cannot be written, and no other node hears of the change before it is; the node tries again by itself"
    )

    private func cluster() throws(RequestError) -> ClusterService {
        guard let cluster = context.options.cluster else {
            throw RequestError(.serviceUnavailable, "Clustering not enabled")
        }
        return cluster
    }

    private static func answer(_ what: StaticString, _ name: String) -> Answer {
        .success { body in
            body.raw("{\"")
            body.raw(what)
            body.raw("\":")
            body.string(name)
            body.raw("}")
        }
    }

    /// The one text of a body.
    private func text(_ name: StaticString, in body: ByteBuffer) throws(RequestError) -> String {
        let text = try body.withBytes { bytes throws(RequestError) in
            try decodeBody(bytes) { reader throws(JSONError) in
                var text = ""
                try reader.beginObject()
                while let key = try reader.nextKey() {
                    if key.isNamed(name) { text = try reader.shortString() } else { try reader.skip() }
                }
                return text
            }
        }
        guard !text.isEmpty else { throw .badRequest("\(name) is required") }
        return text
    }
}
