import Glibc
import SpringgTestKit
import Synchronization

/// A thread that puts and deletes on one node, over its restarts: the ids that all others write too, and some of its own.
final class WritingClient: Sendable {
    private struct State {
        var isOver = false
        var acknowledged = 0
        var problem: String?
    }

    let place: Int
    private let name: String
    private let machine: Machine?
    private let port: Int
    private let number: Int
    private let ledger: WriteLedger
    private let state = Mutex(State())
    private let thread = Mutex<WorkerThread?>(nil)

    /// Ids that all clients write.
    private static let sharedIDs = 100
    /// Values of one client, which no other writes; so many are exact in the floats of 64 clients.
    private static let valuesEach = 1 << 18
    /// After each write: this is a client of many, and the machine is shared by all nodes.
    private static let pauseMicroseconds: UInt32 = 5_000
    /// Before a node that is down is tried again.
    private static let patienceMicroseconds: UInt32 = 20_000

    init(
        of api: API,
        _ name: String,
        _ place: Int,
        number: Int,
        seed: UInt64,
        into ledger: WriteLedger
    ) throws {
        self.place = place
        self.name = name
        self.number = number
        self.ledger = ledger
        (machine, port) = (api.node.machine, api.node.port)
        let random = SeededRandom(seed: seed &+ UInt64(number))
        let started = try WorkerThread { [self] in run(random) }
        thread.withLock { $0 = started }
    }

    /// Writes that were answered with success.
    var acknowledged: Int { state.withLock { $0.acknowledged } }

    /// An answer that must not be.
    var problem: String? { state.withLock { $0.problem } }

    /// Ends it; to be called once.
    func end() {
        state.withLock { $0.isOver = true }
        thread.withLock { $0 }?.join()
    }

    private func run(_ start: SeededRandom) {
        var random = start
        let http = HTTPClient(port: port, timeoutSeconds: 10, on: machine)
        var isConnected = false
        var value = number * Self.valuesEach
        while !state.withLock({ $0.isOver }) {
            // Who cannot connect has sent nothing.
            if !isConnected {
                isConnected = (try? http.connect()) != nil
                if !isConnected { usleep(Self.patienceMicroseconds) }
                continue
            }
            value += 1
            let isOwn = random.oneIn(5)
            let id = isOwn ? "\(name)-\(value)" : "shared\(Int.random(in: 0..<Self.sharedIDs, using: &random))"
            let isDelete = !isOwn && random.oneIn(4)
            let level = ["local", "local", "peer", "quorum"].randomElement(using: &random) ?? "local"
            let answer = isDelete ? delete(id, level, http) : put(id, Float(value), level, http)
            do {
                try ledger.note(id, isDelete ? nil : Float(value), on: name, answer)
            } catch {
                state.withLock { $0.problem = "\(error)" }
                return
            }
            isConnected = answer != nil
            if let status = answer?.status, status < 300 { state.withLock { $0.acknowledged += 1 } }
            usleep(Self.pauseMicroseconds)
        }
    }

    private func put(_ id: String, _ value: Float, _ level: String, _ http: HTTPClient) -> HTTPResponse? {
        try? http.request("POST", "/api/indexes/i/vectors?ack=\(level)", json: API.vectorBody(id, [value]))
    }

    private func delete(_ id: String, _ level: String, _ http: HTTPClient) -> HTTPResponse? {
        try? http.request("DELETE", "/api/indexes/i/vectors/\(id)?ack=\(level)")
    }
}
