import SpringgTestKit
import Synchronization
import Testing

/// Nodes on machines of their own, with a network between them that a test cuts, and clients that write on all of them.
final class NetworkCluster {
    let network: Network
    private(set) var nodes: [API] = []
    private(set) var names: [String] = []
    let ledger = WriteLedger()
    private let seed: UInt64
    private let flags: [String: String]
    private var clients: [WritingClient] = []
    private var clientCount = 0

    static let apiPort = 8080
    static let gossipPort = 7946

    /// Makes the network; nodes are added.
    init(machines: Int, _ flags: [String: String] = [:], random: SeededRandom) throws {
        network = try Network(machines: machines, random: random)
        seed = random.seed
        self.flags = [
            "cluster-enabled": "true", "bind-address": "0.0.0.0", "port": "\(Self.apiPort)",
            "cluster-bind-port": "\(Self.gossipPort)", "jwt-secret": Token.secret, "ack-timeout": "200ms",
        ].merging(flags) { $1 }
    }

    /// Starts a node, named a, b, c …, which looks for others on the first so many machines; on the next machine unless another
    /// is named.
    func add(seeds: Int, on machine: Int? = nil) throws {
        let place = nodes.count
        let name = place < 26 ? String(UnicodeScalar(UInt8(ascii: "a") + UInt8(place))) : "n\(place)"
        let addresses = network.machines.prefix(seeds).map(\.address).joined(separator: ",")
        try add(name, on: network.machines[machine ?? place], ["node-id": name, "cluster-seeds": addresses])
    }

    /// Starts a node whose name is known in another way.
    func add(
        _ name: String,
        on machine: Machine,
        _ more: [String: String],
        environment: [String: String] = [:]
    ) throws {
        let all = flags.merging(["cluster-bind-address": machine.address]) { $1 }.merging(more) { $1 }
        names.append(name)
        nodes.append(try API(all, environment: environment, on: machine))
    }

    // MARK: - Looking

    /// Nodes that run.
    var running: [Int] { nodes.indices.filter { nodes[$0].node.isRunning } }

    /// Members that a node takes for alive, by name.
    private func live(_ place: Int) throws -> [String: JSONValue] {
        let peers = try nodes[place].get("/internal/cluster/status").data()["peers"]
        var live: [String: JSONValue] = [:]
        for name in peers?.keys ?? [] {
            if let peer = peers?[name], ["alive", "suspect"].contains(peer["status"]?.string) { live[name] = peer }
        }
        return live
    }

    /// IPv4 addresses of the members that a node takes for alive.
    func addresses(_ place: Int) throws -> Set<String> {
        try Set(live(place).values.compactMap { $0["ip"]?.string })
    }

    func digest(_ place: Int) throws -> String? { try nodes[place].get("/api/stats").data()["digest"]?.string }

    /// Waits until something is so.
    func eventually(_ what: String, seconds: Double = 60, _ isSo: () throws -> Bool) throws {
        let began = Monotonic.nanoseconds()
        guard try comesTrue(within: seconds, isSo) else { throw TestKitError("not in \(seconds) s: \(what)\n\(log)") }
        let milliseconds = (Monotonic.nanoseconds() - began) / 1_000_000
        if milliseconds > 1000 { print("  \(milliseconds) ms: \(what)") }
    }

    /// Waits until each of these nodes takes exactly these for alive.
    func see(_ places: [Int], _ others: [Int]) throws {
        let wanted = Set(others.map { names[$0] })
        try eventually("\(places.map { names[$0] }) see \(wanted.sorted())") {
            try places.allSatisfy { try Set(live($0).keys) == wanted }
        }
    }

    /// Waits until these nodes show the same.
    func agree(_ places: [Int]) throws {
        try eventually("equal digests of \(places.map { names[$0] })") {
            try Set(places.map { try digest($0) }).count == 1
        }
    }

    /// What the nodes have said.
    var log: String { zip(names, nodes).map { "--- \($0)\n\($1.node.log)" }.joined(separator: "\n") }

    // MARK: - Clients

    /// Lets a client write on each of these nodes, over their restarts, until `rest`.
    func write(on places: [Int]) throws {
        for place in places {
            clientCount += 1
            let client = try WritingClient(
                of: nodes[place],
                names[place],
                place,
                number: clientCount,
                seed: seed,
                into: ledger
            )
            clients.append(client)
        }
    }

    /// Waits until so many more writes have been acknowledged on each of these nodes.
    func progress(_ count: Int, on places: [Int]) throws {
        let theirs = clients.filter { places.contains($0.place) }
        let wanted = theirs.map { $0.acknowledged + count }
        try eventually("\(count) more writes on \(places.map { names[$0] })") {
            zip(theirs, wanted).allSatisfy { $0.acknowledged >= $1 }
        }
    }

    /// Ends the clients.
    func rest() throws {
        for client in clients { client.end() }
        for client in clients { if let problem = client.problem { throw TestKitError("\(problem)\n\(log)") } }
        clients = []
    }

    /// Ends the clients and waits until these nodes, which are all that run, show the same: what clients were promised.
    func settle(_ places: [Int]) throws {
        try rest()
        try agree(places)
        var problems: [String] = []
        // All show the same, so any may be asked; each is, for a part.
        for (number, id) in ledger.ids.enumerated() {
            let answer = try nodes[places[number % places.count]].vector("i", id)
            let value = answer.status == 404 ? nil : try answer.data()["vector"]?.floats?.first
            if let problem = ledger.problem(id, shows: value) { problems.append(problem) }
        }
        let figures = network.figures
        print("\(ledger); packets: \(figures.passed) passed, \(figures.lost) lost, \(figures.cut) at a cut")
        #expect(problems.isEmpty, "\(problems.count): \(problems.prefix(5))\n\(log)")
        #expect(!log.contains("Two nodes hold the same events and do not show the same"))
        #expect(!log.contains("Two histories of one origin"))
    }
}
