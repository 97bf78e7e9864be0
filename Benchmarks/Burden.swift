import Glibc
import SpringgTestKit
import Synchronization

/// Work that takes a share of the cores and has nothing to do with what is measured beside it: what is slower then is slower for want
/// of cores.
final class Burden: Sendable {
    private let isOver = Atomic(false)
    private let share: Double

    private static let threads = 2
    /// More than a cache holds, copied piece by piece, as rows are.
    private static let bytes = 32 << 20
    private static let pieceBytes = 64 << 10
    private static let restMicroseconds: UInt32 = 500

    /// So many cores, by two threads together.
    private init(cores: Double) { share = cores / Double(Burden.threads) }

    /// Runs `body` beside such work.
    static func with<R>(cores: Double, _ body: () throws -> R) throws -> R {
        let burden = Burden(cores: cores)
        let threads = try (0..<Burden.threads).map { _ in try WorkerThread { burden.work() } }
        defer {
            burden.isOver.store(true, ordering: .relaxed)
            for thread in threads { thread.join() }
        }
        return try body()
    }

    private func work() {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: Burden.bytes, alignment: 4096)
        defer { memory.deallocate() }
        memset(memory, 1, Burden.bytes)
        let (begun, used) = (Monotonic.nanoseconds(), Burden.processorNanoseconds())
        var place = 0
        while !isOver.load(ordering: .relaxed) {
            let due = Double(Monotonic.nanoseconds() - begun) * share
            guard Double(Burden.processorNanoseconds() - used) < due else {
                usleep(Burden.restMicroseconds)
                continue
            }
            let next = (place + Burden.pieceBytes) % Burden.bytes
            memcpy(memory + next, memory + place, Burden.pieceBytes)
            place = next
        }
    }

    private static func processorNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
