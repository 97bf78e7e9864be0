import Glibc
import SpringgTestKit

/// Writes of every kind to a fixed set of ids, with a model of what each id may hold.
///
/// An id belongs to one connection, and a connection has one request outstanding, so the order of the writes to an id is
/// known. What was acknowledged is certain; what was under way when the node died may have happened or not.
final class CrashWorkload: LoadSource {
    static let index = "crash"
    static let dimensions = 24

    /// What an id may hold; version 0 means that it does not exist.
    struct Row {
        var version: UInt32 = 0
        /// The version that an unanswered write would leave, if any.
        var pending: UInt32?
    }

    private enum Operation {
        case put(Int, UInt32)
        case bulk([(Int, UInt32)])
        case delete(Int)
    }

    private(set) var rows: [Row]
    /// Answers that the model does not allow.
    private(set) var surprises: [String] = []
    private(set) var acknowledgedWrites = 0

    private let connections: Int
    private var random: SeededRandom
    private var version: UInt32 = 0
    private var outstanding: [(operation: Operation, allowed: Int)?]
    /// Room for the largest request: eight vectors of 24 numbers take 3 kB.
    private let request = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 15, alignment: 16)

    init(ids: Int, connections: Int, random: SeededRandom) {
        rows = [Row](repeating: Row(), count: ids)
        self.connections = connections
        self.random = random
        outstanding = [(operation: Operation, allowed: Int)?](repeating: nil, count: connections)
    }

    deinit { request.deallocate() }

    static func id(_ number: Int) -> String { "row/\(number)" }

    /// The vector of a version: different for each id and version, and exact in decimal text.
    static func vector(id: Int, version: UInt32) -> [Float] {
        (0..<dimensions).map { place in
            let mixed = (UInt32(truncatingIfNeeded: id) &* 2_654_435_761) ^ (version &* 40503) ^ UInt32(place &* 977)
            return Float(mixed & 0xFFFF) / 256 + 1
        }
    }

    private static func body(id: Int?, of number: Int, version: UInt32) -> String {
        let metadata = #"{"custom":{"version":\#(version)}}"#
        return API.vectorBody(id.map(Self.id), vector(id: number, version: version), metadata)
    }

    func nextRequest(connection: Int) -> UnsafeRawBufferPointer? {
        let number = pick(connection)
        let exists = rows[number].version != 0
        let path = API.path(Self.index, Self.id(number))
        switch Int.random(in: 0..<100, using: &random) {
        case ..<45:
            let put = Operation.put(number, nextVersion())
            return send(put, 200, connection, "POST", "/api/indexes/\(Self.index)/vectors", bodyOf(put, named: true))
        case ..<65:
            let put = Operation.put(number, nextVersion())
            return send(put, exists ? 200 : 404, connection, "PUT", path, bodyOf(put, named: false))
        case ..<72:
            var numbers = Set<Int>()
            for _ in 0..<8 { numbers.insert(pick(connection)) }
            let bulk = Operation.bulk(numbers.sorted().map { ($0, nextVersion()) })
            return send(
                bulk,
                200,
                connection,
                "POST",
                "/api/indexes/\(Self.index)/vectors/bulk",
                bodyOf(bulk, named: true)
            )
        default:
            return send(.delete(number), exists ? 200 : 404, connection, "DELETE", path, nil)
        }
    }

    func answered(connection: Int, status: Int, body: UnsafeRawBufferPointer) {
        guard let (operation, allowed) = outstanding[connection] else { return }
        outstanding[connection] = nil
        if status != allowed {
            surprises.append(
                "\(operation) was answered \(status): " + String(decoding: body.prefix(200), as: UTF8.self)
            )
        }
        for (number, version) in Self.effects(operation) {
            rows[number].pending = nil
            if status == 200 { rows[number].version = version }
        }
        if status == 200 { acknowledgedWrites += 1 }
    }

    func lost(connection: Int) {
        guard let (operation, allowed) = outstanding[connection] else { return }
        outstanding[connection] = nil
        // A write that would have been refused has no effect, answered or not.
        guard allowed == 200 else { return }
        for (number, version) in Self.effects(operation) { rows[number].pending = version }
    }

    /// Takes what a restarted node holds for an id; returns a sentence when the model does not allow it.
    func observe(_ number: Int, version: UInt32) -> String? {
        let row = rows[number]
        let isAllowed = version == row.version || version == row.pending
        rows[number] = Row(version: version, pending: nil)
        if isAllowed { return nil }
        let pending = row.pending.map { ", unanswered \($0)" } ?? ""
        return "\(Self.id(number)) holds version \(version), acknowledged was \(row.version)\(pending) (0: not there)"
    }

    /// How many ids exist, once nothing is pending.
    var liveCount: Int { rows.count { $0.version != 0 } }

    private func pick(_ connection: Int) -> Int {
        Int.random(in: 0..<(rows.count / connections), using: &random) * connections + connection
    }

    private func nextVersion() -> UInt32 {
        version += 1
        return version
    }

    private static func effects(_ operation: Operation) -> [(Int, UInt32)] {
        switch operation {
        case .put(let number, let version): [(number, version)]
        case .bulk(let puts): puts
        case .delete(let number): [(number, 0)]
        }
    }

    private func bodyOf(_ operation: Operation, named: Bool) -> String {
        let bodies = Self.effects(operation).map { Self.body(id: named ? $0.0 : nil, of: $0.0, version: $0.1) }
        guard case .bulk = operation else { return bodies[0] }
        return #"{"vectors":["# + bodies.joined(separator: ",") + "]}"
    }

    private func send(
        _ operation: Operation,
        _ allowed: Int,
        _ connection: Int,
        _ method: String,
        _ path: String,
        _ body: String?
    ) -> UnsafeRawBufferPointer {
        outstanding[connection] = (operation, allowed)
        let body = body ?? ""
        var text = "\(method) \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body
        let length = text.withUTF8 { bytes in
            precondition(bytes.count <= request.count, "a request of \(bytes.count) bytes")
            request.copyMemory(from: UnsafeRawBufferPointer(bytes))
            return bytes.count
        }
        return UnsafeRawBufferPointer(rebasing: request[..<length])
    }
}

/// Reads every id back and compares it with the model.
final class CrashVerification: LoadSource {
    private(set) var failures: [String] = []
    private let workload: CrashWorkload
    private let requests = RequestBytes(capacity: 1 << 16)
    private var next = 0
    private var asked: [Int]

    init(_ workload: CrashWorkload, connections: Int) {
        self.workload = workload
        asked = [Int](repeating: 0, count: connections)
        for number in workload.rows.indices {
            requests.append(method: "GET", path: API.path(CrashWorkload.index, CrashWorkload.id(number)), body: "")
        }
    }

    func nextRequest(connection: Int) -> UnsafeRawBufferPointer? {
        guard next < workload.rows.count else { return nil }
        defer { next += 1 }
        asked[connection] = next
        return UnsafeRawBufferPointer(requests[next])
    }

    func answered(connection: Int, status: Int, body: UnsafeRawBufferPointer) {
        let number = asked[connection]
        guard status == 200 || status == 404 else {
            failures.append("reading \(CrashWorkload.id(number)) was answered \(status)")
            return
        }
        var version: UInt32 = 0
        if status == 200 {
            guard let data = try? JSONValue(Array(body))["data"], data["id"]?.string == CrashWorkload.id(number),
                let stored = data["metadata"]?["custom"]?["version"]?.int, let vector = data["vector"]?.floats
            else {
                failures.append(
                    "\(CrashWorkload.id(number)) reads " + String(decoding: body.prefix(300), as: UTF8.self)
                )
                return
            }
            version = UInt32(truncatingIfNeeded: stored)
            if vector != CrashWorkload.vector(id: number, version: version) {
                failures.append("\(CrashWorkload.id(number)) has the metadata of version \(version) but another vector")
            }
        }
        if let failure = workload.observe(number, version: version) { failures.append(failure) }
    }

    func lost(connection: Int) {
        failures.append("the connection broke while reading \(CrashWorkload.id(asked[connection]))")
    }
}
