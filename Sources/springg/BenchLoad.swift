import Dispatch
import Foundation
import Glibc
import Synchronization

/// What a run of the load generator found.
struct BenchResult {
    var times = BenchHistogram()
    /// Answers by status.
    var statuses: [Int: Int] = [:]
    /// Why connections ended before the end.
    var failures: [String] = []

    mutating func merge(_ other: BenchResult) {
        times.merge(other.times)
        statuses.merge(other.statuses, uniquingKeysWith: +)
        failures += other.failures
    }
}

/// Puts load on a node for a while.
///
/// With a rate (open loop) each request has its moment, whether or not the answers before it have come, and its time counts from
/// that moment: a node that stands still for a second shows a second in all requests that should have been sent meanwhile,
/// not in one (coordinated omission). Without a rate (closed loop) each connection sends when it has its answer, which
/// says how much a node can do, and little of how long it takes.
struct BenchLoad: Sendable {
    let address: BenchAddress
    let connections: Int
    /// Requests a second over all connections; nil for as many as go.
    let rate: Double?
    let seconds: Double
    /// Requests that the connections send in turn.
    let requests: [[UInt8]]

    /// Runs to the end; `progress` gets the answers so far and the seconds that have passed, now and then.
    func run(progress: (Int, Double) -> Void) throws -> BenchResult {
        // All connections first: a node that is not there is one error, and no result.
        let open = try (0..<connections).map { _ in try BenchConnection(address) }
        let done = Atomic<Int>(0)
        let results = Mutex<BenchResult>(BenchResult())
        let begun = Self.now()
        let group = DispatchGroup()
        for (number, connection) in open.enumerated() {
            group.enter()
            let work = Work(connection: connection)
            Thread.detachNewThread {
                let result = drive(work.connection, number: number, begun: begun) {
                    done.add(1, ordering: .relaxed)
                }
                results.withLock { $0.merge(result) }
                group.leave()
            }
        }
        while group.wait(timeout: .now() + 0.5) == .timedOut {
            progress(done.load(ordering: .relaxed), Double(Self.now() - begun) / 1e9)
        }
        return results.withLock { $0 }
    }

    /// Hands a connection to the one thread that uses it from then on.
    private struct Work: @unchecked Sendable {
        // Why @unchecked: made by one thread and used by one other, after it.
        let connection: BenchConnection
    }

    private func drive(
        _ connection: BenchConnection,
        number: Int,
        begun: UInt64,
        answered: () -> Void
    ) -> BenchResult {
        var result = BenchResult()
        let end = begun + UInt64(seconds * 1e9)
        // The moments of a connection lie between those of the others.
        let interval = rate.map { Double(connections) / $0 * 1e9 }
        var turn = 0
        do {
            while true {
                var due = Self.now()
                if let interval {
                    due = begun + UInt64((Double(turn) + Double(number) / Double(connections)) * interval)
                    Self.sleep(until: due)
                }
                guard due < end else { break }
                let request = requests[(turn &* connections &+ number) % requests.count]
                let answer = try connection.exchange(request)
                result.times.record(Self.now() - due)
                result.statuses[answer.status, default: 0] += 1
                answered()
                turn += 1
            }
        } catch {
            result.failures.append((error as? CommandFailure)?.message ?? "\(error)")
        }
        return result
    }

    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func sleep(until deadline: UInt64) {
        var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
        while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
    }
}
