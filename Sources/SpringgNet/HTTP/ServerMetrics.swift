import NIOHTTP1
import SpringgLog
import Synchronization

/// A limit that a request or a connection ran into.
package enum Limit: Int, CaseIterable, Sendable {
    case rate
    case connections
    case header
    case body
    case bodyMemory
    case bulkConcurrency
    case bulkCPU
    case searchWait
    case readTimeout
    case writeTimeout
    case requestTimeout
    case memory
    case disk

    /// The value of the label `limit`.
    var name: String {
        switch self {
        case .rate: "rate"
        case .connections: "connections"
        case .header: "header"
        case .body: "body"
        case .bodyMemory: "body_memory"
        case .bulkConcurrency: "bulk_concurrency"
        case .bulkCPU: "bulk_cpu"
        case .searchWait: "search_wait"
        case .readTimeout: "read_timeout"
        case .writeTimeout: "write_timeout"
        case .requestTimeout: "request_timeout"
        case .memory: "memory"
        case .disk: "disk"
        }
    }
}

/// What one event loop counts; written on that loop, read anywhere.
final class WorkerMetrics: Sendable {
    /// Nanoseconds of a request.
    private static let durationBounds = [
        100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000,
        250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000, 5_000_000_000, 10_000_000_000, 30_000_000_000,
    ]
    /// Statuses that are counted each for itself; the last stands for all others.
    static let statuses: [UInt] = [
        200, 202, 400, 401, 403, 404, 405, 408, 409, 413, 415, 429, 431, 500, 503, 504, 507, 0,
    ]
    /// The number of what no endpoint stands for.
    static let unmatched = Endpoint.allCases.count

    let durations = Histograms(bounds: WorkerMetrics.durationBounds, count: WorkerMetrics.unmatched + 1)
    let answers = Counters(count: (WorkerMetrics.unmatched + 1) * WorkerMetrics.statuses.count)
    let limits = Counters(count: Limit.allCases.count)
    /// TLS handshakes: done, failed.
    let handshakes = Counters(count: 2)
    private let open = Counters(count: 1)
    /// For each status code its place in `statuses`: nothing is sought while requests are counted.
    private let places: [UInt8]

    init() {
        places = (0..<600).map { code in
            UInt8(Self.statuses.firstIndex(of: UInt(code)) ?? Self.statuses.count - 1)
        }
    }

    /// Connections that are open.
    var connections: Int { open[0] }

    func connected(_ change: Int) {
        open.add(change, to: 0)
    }

    func shookHands(failed: Bool) {
        handshakes.add(1, to: failed ? 1 : 0)
    }

    func hit(_ limit: Limit) {
        limits.add(1, to: limit.rawValue)
    }

    /// Counts an answer.
    func answered(_ endpoint: Endpoint?, status: HTTPResponseStatus, nanoseconds: Int64) {
        let number = endpoint?.rawValue ?? Self.unmatched
        let code = Int(status.code)
        let place = code < places.count ? Int(places[code]) : Self.statuses.count - 1
        durations.record(Int(nanoseconds), in: number)
        answers.add(1, to: number * Self.statuses.count + place)
    }
}

/// The counts of all event loops.
final class ServerMetrics: Sendable {
    private let workers = Mutex<[WorkerMetrics]>([])
    /// Connections turned away: counted before any loop knows them, and seldom.
    let refusedConnections = Atomic<Int>(0)
    /// Searches that were ended before they had an answer; counted on the threads that search.
    let cancelledSearches = Atomic<Int>(0)

    /// Counts for one more event loop.
    func makeWorkerMetrics() -> WorkerMetrics {
        let metrics = WorkerMetrics()
        workers.withLock { $0.append(metrics) }
        return metrics
    }

    var all: [WorkerMetrics] { workers.withLock { $0 } }
}
